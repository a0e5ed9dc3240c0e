/**
 * Does what is said in the home. The device gives it what was said and tells it what that means there; the commands are its own, so
 * that what it was not granted it does not do, whoever asks. It remembers nothing of what was said; the device has it in this agent's
 * turns until the next image (docs/agents.md).
 */
import { agent, type Context, type Json } from '../agent/contract.ts'

/** What the device says something means. */
type Meant =
  | {
      readonly kind: 'commands'
      readonly commands: readonly { readonly entity: string; readonly command: { [field: string]: Json } }[]
    }
  | { readonly kind: 'answer' | 'question' | 'refusal' }
interface Missed {
  readonly command: number
  readonly reason: string
}

const kinds = [
  ...['light', 'switch', 'fan', 'cover', 'valve', 'lock', 'climate', 'media_player', 'vacuum', 'todo'],
  ...['number', 'select'],
]

export default agent({
  name: 'assistant',
  says: 'does what is said in the home, as far as you let it',
  priority: 'interactive',
  wants: [
    { want: 'agent:home', why: 'what is said comes to it, and nothing else' },
    ...kinds.map((kind) => ({ want: `${kind}.*:command`, why: 'when somebody says so' })),
  ],
  async run(ctx) {
    // Another agent that spoke here would command under this one's grants.
    for await (const { from, message, reply } of ctx.calls())
      void (from === 'home' ? done(ctx, message) : refused('only people are served'))
        .then(reply)
        .catch(() => {})
  },
})

const refused = async (reply: string): Promise<Json> => ({ outcome: 'refused', reply })

/** What is said of one thing is done in the order of what was said, different things at once. */
async function done(ctx: Context, message: Json): Promise<Json> {
  const { request } = message as { readonly request: string }
  let meant: Meant
  try {
    meant = (await ctx.call('home', { request })) as unknown as Meant
  } catch (error) {
    return refused(`The assistant does not know what that means: ${why(error, 'agent:home')}.`)
  }
  if (meant.kind !== 'commands') return {}
  const missed: Missed[] = []
  const last = new Map<string, Promise<void>>()
  for (const [at, { entity, command }] of meant.commands.entries()) {
    const give = async () => {
      await last.get(entity)
      await ctx.entity(entity).command(command, { request })
    }
    const given = give().catch((error) => {
      missed.push({ command: at, reason: why(error, `${entity}:command`) })
    })
    last.set(entity, given)
  }
  await Promise.all(last.values())
  return { missed: missed.map(({ command, reason }) => ({ command, reason })) }
}

/** For a person, with what they would have to grant. */
function why(error: unknown, capability: string): string {
  const { code, message } = error as { readonly code?: string; readonly message: string }
  return code === 'permission' ? `the assistant lacks the grant ${capability} (${message})` : message
}
