/**
 * Whether a past form orders or tells: speech recognition writes `turned on the lamp` for an order, people say
 * `I want the door locked`; `I turned off the lamp` and `the lamp turned off` tell what happened.
 */
import type { Clause } from './clause.ts'
import type { Item } from './tag.ts'

const subjects = new Set(['i', 'we', 'you', 'u', 'he', 'she', 'they', 'someone', 'somebody', 'anyone'])

/** What things also do by themselves: `the lamp turned off`. */
const byItself = new Set(['turned', 'switched', 'dimmed'])

export function settleMood(clause: Clause, items: readonly Item[], text: string): void {
  const { verb } = clause.slots
  const at = items.findIndex(isParticiple)
  const said = items[at]
  // Enough to close a door, not to open one. `keep it open` may take it for open already.
  const mild = clause.wish === 'mild' || items.some((item) => item.phrase === 'keep')
  if (mild && (verb === 'open' || verb === 'unlock')) clause.doubt = true
  if (said === undefined || clause.stop) return
  const firm = clause.wish === 'strong' || clause.wish === 'sure'
  if (!firm && (verb === 'open' || verb === 'unlock')) clause.doubt = true
  const before = items.slice(0, at)
  const named = before.some((item) => item.target)
  const told = !named && !firm && before.some((item) => subjects.has(item.phrase))
  const happened = named && clause.wish === undefined && byItself.has(said.phrase)
  if (told || happened) clause.stop = { kind: 'statement', phrase: text.slice(said.start, said.end) }
}

function isParticiple({ sense }: Item): boolean {
  return (sense?.as === 'slot' || sense?.as === 'neutral') && sense.participle === true
}
