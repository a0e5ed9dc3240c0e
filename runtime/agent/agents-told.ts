/**
 * Tells the site which agents this device has, how they are, what they may do and what waits for a person, as one retained message.
 *
 * Invariants: [agents-told-1] a change is told within a second, or as soon as the last message was paid for at 10 KB a second;
 * [agents-told-2] the message is bounded, and what did not fit is counted in it; [agents-told-3] nothing that an agent
 * remembers, says, throws or gives back is in it but what it asks people: the broker keeps it for everybody.
 */
import type { Cancel, Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { type AgentNow, type AgentsNow, agentsNowLimits } from '../wire/agents-now.ts'
import type { Approval } from '../wire/approvals.ts'
import type { AgentStatus } from './agents.ts'
import { plainWords } from './bundle/plain-words.ts'
import type { Turns } from './life/agent-life.ts'
import { failureCode } from './life/failure-code.ts'
import { parseGrants } from './permissions/grant.ts'
import { effective, type Policy } from './permissions/policy.ts'
import type { TurnFault } from './turn.ts'

export interface AgentsToldDeps {
  readonly clock: Clock
  readonly log: Log
  /** Nothing: they are being opened. */
  readonly read: () =>
    | {
        readonly agents: readonly AgentStatus[]
        readonly approvals: readonly Approval[]
        readonly policy: Policy
      }
    | undefined
  /** Keeps the message as the topic's value. Throws where it cannot. */
  readonly publish: (message: AgentsNow) => void
}

/** Several things that change together are told once. */
const togetherMs = 150
const spacingMs = 1_000
const bytesPerMs = 10
/** What changed without a turn and without a person: a disk that takes nothing any more. */
const lookAgainMs = 15_000

export class AgentsTold implements Disposable {
  readonly #deps: AgentsToldDeps
  #timer: Cancel | undefined
  #again: Cancel | undefined
  #last = ''
  #notBeforeMs = 0
  #disposed = false

  constructor(deps: AgentsToldDeps) {
    this.#deps = deps
  }

  /** Something may have changed: it is looked at soon. */
  readonly changed = (): void => {
    if (this.#disposed || this.#timer) return
    const { clock } = this.#deps
    const delayMs = Math.max(togetherMs, this.#notBeforeMs - clock.monotonicMs())
    this.#timer = clock.after(delayMs, () => {
      this.#timer = undefined
      this.#tell()
    })
  }

  /** Turns after which it is looked whether something changed. */
  after(turns: Turns): Turns {
    return {
      hasten: (agent, wanted) => turns.hasten(agent, wanted),
      turn: async (agent, signal, brings) => {
        const over = await turns.turn(agent, signal, brings)
        return (cost) => {
          over(cost)
          this.changed()
        }
      },
    }
  }

  [Symbol.dispose](): void {
    this.#disposed = true
    this.#timer?.()
    this.#again?.()
  }

  #tell(): void {
    const { clock, log, read, publish } = this.#deps
    try {
      const now = read()
      if (!now) return
      const told = toldOf(now)
      const text = JSON.stringify(told)
      if (text !== this.#last) {
        publish({ v: 1, ts: clock.nowMs(), ...told })
        this.#last = text
        this.#notBeforeMs = clock.monotonicMs() + Math.max(spacingMs, text.length / bytesPerMs)
      }
    } catch (error) {
      log.debug('the site was not told of the agents', { reason: messageOf(error) })
    }
    this.#again?.()
    this.#again = clock.after(lookAgainMs, this.changed)
  }
}

/** As much as fits, by name. */
function toldOf({
  agents,
  approvals,
  policy,
}: NonNullable<ReturnType<AgentsToldDeps['read']>>): Pick<AgentsNow, 'agents' | 'more' | 'approvals'> {
  let left = agentsNowLimits.bytesMax - Buffer.byteLength(JSON.stringify(approvals)) - 256
  const told: AgentNow[] = []
  for (const agent of agents.toSorted((one, other) => (one.name < other.name ? -1 : 1))) {
    if (told.length >= agentsNowLimits.agentsMax) break
    const now = agentOf(agent, policy)
    const whole = Buffer.byteLength(JSON.stringify(now))
    const bare = { ...now, grants: [], moreGrants: now.grants.length + now.moreGrants }
    const taken = whole <= left ? whole : Buffer.byteLength(JSON.stringify(bare))
    if (taken > left) break
    left -= taken + 1
    told.push(whole === taken ? now : bare)
  }
  return { agents: told, more: agents.length - told.length, approvals: [...approvals] }
}

function agentOf({ name, state, problem, ...rest }: AgentStatus, policy: Policy): AgentNow {
  const reason = whyNotRunning(state, rest.reason)
  const { token, startedMs, program, turns, waiting, inMemory } = rest
  const words = grantWords(rest.grants, policy)
  const { grantsMax } = agentsNowLimits
  return {
    ...{ name, state, token, startedMs, program, turns, inMemory },
    ...(reason === undefined ? {} : { reason }),
    ...(problem ? { problem: oneLine(problem) } : {}),
    waiting: Object.entries(Object.groupBy(waiting, (op) => op)).map(([op, all]) => ({
      op,
      count: all?.length ?? 0,
    })),
    grants: words.slice(0, grantsMax),
    moreGrants: Math.max(0, words.length - grantsMax),
  }
}

const faultWords: Readonly<Record<TurnFault, string>> = {
  cpu: 'a turn took too long',
  memory: 'it took too much memory',
  stack: 'its calls were nested too deep',
  output: 'a turn said or asked for too much',
  hung: 'a turn did not end',
  diverged: 'its machine was not as it had been',
}

/** The words of an error are the agent's, and may be what it heard: its kind is told, and the rest to who asks this device. */
function whyNotRunning(state: AgentStatus['state'], reason = ''): string | undefined {
  if (reason === '' || state === 'ended') return undefined
  if (state !== 'failed') return oneLine(reason.replace(/(before, it had failed): .*/s, '$1'))
  const code = failureCode(reason)
  if (isFault(code)) return `it failed: ${faultWords[code]}`
  return code === 'failed' ? 'it failed' : `it failed with ${code}`
}

const isFault = (code: string): code is TurnFault => Object.hasOwn(faultWords, code)

/** What holds: not what the policy allowed once, nor what it never allows. */
function grantWords(grants: string, policy: Policy): readonly string[] {
  try {
    return effective(policy, parseGrants(grants)).map((grant) =>
      cut(plainWords(grant), agentsNowLimits.grantCharsMax),
    )
  } catch {
    // What nobody can read allows nothing.
    return []
  }
}

const cut = (text: string, most: number) => (text.length > most ? `${text.slice(0, most - 1)}…` : text)
const oneLine = (text: string) => cut(text.split('\n')[0] ?? '', 300)
