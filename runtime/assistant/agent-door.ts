/**
 * The way of what was said through the agent `assistant`: it is told, asks here what that means in this home, gives the commands under
 * its own grants, and says what came of it.
 *
 * Invariants: [assistant-6] what an agent has taken nobody else does: without its answer it is `uncertain`; [assistant-7] only where no
 * agent is installed, or a person stopped it, is it done without one: a refused grant is told, and never gone past; [assistant-8] what
 * an agent commands for somebody ranks as they do.
 */
import * as v from 'valibot'
import type { HostCall } from '../agent/calling/calling.service.ts'
import type { Json } from '../agent/contract.ts'
import type { HandedHere } from '../agent/device-agents.ts'
import { failed, type Outcome } from '../agent/service.ts'
import type { Actuation } from '../things/actuation.ts'
import type { EntityRegistry } from '../things/registry.ts'
import type { Understanding } from '../understanding/understanding.ts'
import { check, type SayResult } from '../wire/messages.ts'
import type { Spoken, Told } from './spoken.ts'

export const assistantAgent = 'assistant'

export interface AgentDoorDeps {
  readonly registry: Pick<EntityRegistry, 'get'>
  readonly actuation: Pick<Actuation, 'recheck'>
  /** Hands a call to an agent of this device; undefined: agents are switched off. Never throws. */
  readonly hand: (call: HostCall, signal: AbortSignal) => Promise<HandedHere | undefined>
}

/** An agent that runs takes calls within a turn; one that computes, or is put together again, needs a little longer. */
const takeMs = 10_000
/** Longer than any command and its second try take. */
const withinMsDefault = 120_000
/** So that whoever waits hears that nobody knows, and not that nobody answers. */
const marginMs = 2_000

const asked = v.object({ request: v.string(), text: v.optional(v.string()) })
const text = v.pipe(v.string(), v.maxLength(4_096))
const answer = v.object({
  /** Of what was no command. */
  outcome: v.optional(v.picklist(['done', 'failed', 'refused', 'question'])),
  /** In other words than the device's own. */
  reply: v.optional(text),
  /** Commands that were not given, by their place in what was understood. */
  missed: v.optional(v.pipe(v.array(v.object({ command: v.number(), reason: text })), v.maxLength(1_024))),
})

interface Open {
  readonly said: Spoken
  readonly signal: AbortSignal
}

export class AgentDoor {
  readonly #deps: AgentDoorDeps
  /** What was said and waits for its answer, by id. */
  readonly #open = new Map<string, Open>()

  constructor(deps: AgentDoorDeps) {
    this.#deps = deps
  }

  /** What came of it; undefined: there is no such agent, and nothing was done. Never throws. */
  readonly give = async (said: Spoken, signal: AbortSignal): Promise<SayResult | undefined> => {
    const { area, withinMs = withinMsDefault } = said.options
    const call = {
      ...{ to: assistantAgent, id: said.id, takeMs: Math.min(takeMs, Math.max(1, withinMs - marginMs)) },
      message: { request: said.id, text: said.text, ...(area === undefined ? {} : { area }) },
      withinMs: Math.max(1, withinMs - marginMs),
    }
    const over = new AbortController()
    this.#open.set(said.id, { said, signal: AbortSignal.any([signal, over.signal]) })
    const handed = await this.#deps.hand(call, signal)
    // From here on nothing more is given for it.
    this.#open.delete(said.id)
    if (handed?.taken && handed.outcome.ok) return await answered(said, handed.outcome.value)
    over.abort(new Error('nobody waits for it any more'))
    if (handed?.taken) return await said.tellUncertain(whyNoAnswer(handed.outcome))
    if (!handed?.installed) return undefined
    return await said.tell({ outcome: 'failed', reply: `Nothing was done: ${handed.why}.` })
  }

  /** What the device answers an agent that asks what something means: `{ request, text? }`. */
  readonly home = (agent: string, message: Json): Outcome => {
    const parsed = check(asked, message)
    if (!parsed.ok) return failed('bad-request', `home: ${parsed.reason}`)
    const { request, text } = parsed.value
    const said = this.#of(agent, request)?.said
    if (!said) return failed('refused', 'home: nobody waits for an answer to this')
    const understood = said.understand(text)
    if (!understood) return failed('conflict', 'home: what this means was asked before')
    return { ok: true, value: this.#told(understood), privacy: 'device' }
  }

  /** What gives the commands of a request of this agent; undefined: nobody waits for it. */
  readonly askedFor = (agent: string, request: string): Pick<Actuation, 'run' | 'recheck'> | undefined => {
    const open = this.#of(agent, request)
    return (
      open && {
        run: (command, signal) => open.said.run(command, AbortSignal.any([signal, open.signal])),
        recheck: (command, signal) => this.#deps.actuation.recheck(command, signal),
      }
    )
  }

  #of(agent: string, request: string): Open | undefined {
    return agent === assistantAgent ? this.#open.get(request) : undefined
  }

  #told(understood: Understanding): Json {
    const { kind, reply } = understood
    if (kind === 'question') return { kind, reply, options: [...understood.options] }
    if (kind !== 'commands') return { kind, reply }
    const { registry } = this.#deps
    const commands = understood.commands.map(({ entity, command }) => ({
      ...{ entity, name: registry.get(entity)?.info.name ?? entity, command: command as unknown as Json },
    }))
    return { kind, reply, commands }
  }
}

/** As the agent says it, held to what was seen. */
async function answered(said: Spoken, value: Json | undefined): Promise<SayResult> {
  const parsed = check(answer, value)
  if (!parsed.ok) {
    const reply = `The assistant answered with what is no answer: ${parsed.reason}.`
    return await said.tell({ outcome: 'failed', reply })
  }
  const { outcome, reply, missed = [] } = parsed.value
  const reasons = new Map(missed.map(({ command, reason }) => [command, reason]))
  const told: Told = { outcome, reply, missed: reasons }
  return await said.tell(told)
}

function whyNoAnswer(outcome: Outcome): string {
  if (outcome.ok) return ''
  const { code, message } = outcome.error
  return code === 'cancelled' ? 'nobody waited for its end' : message
}
