/**
 * `call`, `calls` and `reply`: agents call each other, `name` on this device and `name@device` on another, and the device itself as `home`.
 * A call is handed over when its callee takes calls, and waits for the answer until its deadline, so that agents that wait for each other
 * in a circle do not wait for ever. The device hands its own calls over the same way, and learns whether they were taken. Invariants: README.md.
 */
import * as v from 'valibot'
import type { Clock } from '../../base/clock.ts'
import type { Json } from '../contract.ts'
import { MemoryError } from '../memory/limits.ts'
import type { MemoryStore } from '../memory/memory-store.ts'
import { failed, hostName, type Outcome, type Performing, type Service } from '../service.ts'
import { cancelled, checkedService } from '../services/checked-service.ts'
import { deadline, leftOf, pause } from '../services/waiting.ts'
import { type CallFromElsewhere, type CallsAcross, nobody } from './across.ts'

export interface CallingDeps {
  readonly clock: Clock
  /** Where answers are kept until whoever asked knows them. */
  readonly store: MemoryStore
  /** Whether an agent of this name runs on this device. */
  readonly runs: (agent: string) => boolean
  /** Calls to and from other devices. */
  readonly across?: CallsAcross | undefined
  /** What the device itself answers an agent that calls `home`. Never throws. */
  readonly home?: ((agent: string, message: Json) => Outcome) | undefined
}

/** What the device itself asks of an agent. */
export interface HostCall {
  readonly to: string
  /** Unique to it, also over restarts. */
  readonly id: string
  readonly message: Json
  /** To be taken within, and to be answered within, milliseconds. */
  readonly takeMs: number
  readonly withinMs: number
}

export type Handed =
  /** The agent never had it, and never will. */
  | { readonly taken: false }
  /** The agent had it. Where there is no answer nobody can tell what it did. */
  | { readonly taken: true; readonly outcome: Outcome }

export const callingLimits = {
  /** Calls that one agent has not answered; of them from one agent here, one other device, or decisions. And those of the device itself. */
  waitingMax: 64,
  waitingOfOneMax: 16,
  waitingOfHostMax: 16,
  withinMsDefault: 30_000,
  withinMsMax: 3_600_000,
} as const

interface Waiting {
  readonly key: string
  readonly from: string
  readonly to: string
  readonly message: Json
  settle(outcome: Outcome): void
  /** It was handed to its callee. */
  taken?: boolean
}
type Emit = Performing['emit']

const json = v.custom<Json>((value) => value !== undefined, 'there is nothing')
const callee = v.pipe(v.string(), v.minLength(1), v.maxLength(193))
const callSchema = v.object({ agent: callee, message: json, deadlineMs: deadline })
const replySchema = v.object({ key: v.pipe(v.string(), v.maxLength(256)), answer: json })

export class Calling implements Disposable {
  readonly services: readonly Service[]
  readonly #deps: CallingDeps
  /** By callee, in the order in which they came. */
  readonly #waiting = new Map<string, Waiting[]>()
  readonly #takers = new Map<string, Emit>()
  readonly #detach: (() => void) | undefined

  constructor(deps: CallingDeps) {
    this.#deps = deps
    this.#detach = deps.across?.attach((call, signal) => this.#fromElsewhere(call, signal))
    this.services = [
      checkedService('call', callSchema, (args, performing, signal) => this.#call(args, performing, signal)),
      checkedService('calls', v.object({}), (_, performing, signal) => this.#take(performing, signal)),
      checkedService('reply', replySchema, (args, performing) => this.#reply(args, performing)),
    ]
  }

  /** Answers no other device any more. */
  [Symbol.dispose](): void {
    this.#detach?.()
  }

  /** Hands a call of the device itself to an agent. No answer is kept: who asked is gone when this process is. Never throws. */
  async hand({ to, id, message, takeMs, withinMs }: HostCall, signal: AbortSignal): Promise<Handed> {
    const { clock, runs } = this.#deps
    const isFull = this.#of(to).filter(isOfHost).length >= callingLimits.waitingOfHostMax
    if (signal.aborted || isFull || !runs(to)) return { taken: false }
    const { promise, resolve } = Promise.withResolvers<Outcome>()
    const waiting: Waiting = { key: `${hostKey}${id}`, from: hostName, to, message, settle: resolve }
    const lapse = async (stopped: AbortSignal) => {
      await pause(clock, takeMs, stopped)
      if (waiting.taken) await pause(clock, withinMs - takeMs, stopped)
    }
    const outcome = await this.#settled(waiting, promise, lapse, signal)
    return waiting.taken ? { taken: true, outcome } : { taken: false }
  }

  async #call(
    { agent, message, deadlineMs }: v.InferOutput<typeof callSchema>,
    { caller, call, askedMs, resumed }: Performing,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const { clock, across } = this.#deps
    const [to = '', device, ...more] = agent.split('@')
    if (more.length > 0) return failed('bad-request', 'call: an agent is called NAME, or NAME@DEVICE')
    // The same when it is performed again after a crash.
    const key = `${caller.agent}/${call.id}@${askedMs}`
    const { withinMsDefault, withinMsMax } = callingLimits
    const untilMs = Math.min(deadlineMs ?? askedMs + withinMsDefault, askedMs + withinMsMax)
    const leftMs = leftOf(clock, untilMs, askedMs)
    const from = caller.agent
    const isHere = device === undefined || device === across?.device
    if (isHere && to === hostName)
      return this.#deps.home?.(from, message) ?? failed('unavailable', 'call: this device answers no agent')
    if (isHere) return await this.#wait({ key, from, to, message, leftMs }, signal)
    if (!across) return failed('unavailable', 'call: this device calls no agents of others')
    return await across.call({ device, key, from, to, message, askedMs, leftMs, resumed }, signal)
  }

  /** A call of an agent of another device; one that may have been asked before is not begun now. */
  #fromElsewhere(call: CallFromElsewhere, signal: AbortSignal): Promise<Outcome> {
    const { store, runs, across } = this.#deps
    const { key, to, resumed } = call
    const isKept = store.reply(to, key) !== undefined
    if (!isKept && !runs(to)) return Promise.resolve(nobody(to, across?.device ?? ''))
    if (!isKept && resumed)
      return Promise.resolve(failed('uncertain', `${to} may have been asked before, and has not answered`))
    return this.#wait(call, signal)
  }

  async #wait(
    { key, from, to, message, leftMs }: Omit<Waiting, 'settle'> & { readonly leftMs: number },
    signal: AbortSignal,
  ): Promise<Outcome> {
    const { clock, store, runs } = this.#deps
    const kept = store.reply(to, key)
    if (kept !== undefined) return { ok: true, value: kept }
    if (!runs(to)) return failed('not-found', `no agent called ${to} runs on this device`)
    const others = this.#of(to).filter((one) => !isOfHost(one))
    if (others.length >= callingLimits.waitingMax)
      return failed('limit', `${to} has ${others.length} calls to answer already`)
    const asker = askerOf(from)
    const ofAsker = others.filter((one) => askerOf(one.from) === asker).length
    if (ofAsker >= callingLimits.waitingOfOneMax)
      return failed('limit', `${to} has ${ofAsker} calls of ${asker} to answer already`)
    if (leftMs <= 0) return late(to)
    const { promise, resolve } = Promise.withResolvers<Outcome>()
    const waiting: Waiting = { key, from, to, message, settle: resolve }
    return await this.#settled(waiting, promise, (stopped) => pause(clock, leftMs, stopped), signal)
  }

  /** Until it is answered, or its time has lapsed; nobody has it any more when this settles. */
  async #settled(
    waiting: Waiting,
    answered: Promise<Outcome>,
    lapse: (signal: AbortSignal) => Promise<void>,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const { to } = waiting
    this.#waiting.set(to, [...this.#of(to), waiting])
    this.#hand(waiting)
    const over = new AbortController()
    try {
      const lapsed = lapse(AbortSignal.any([signal, over.signal])).then(
        () => late(to),
        () => cancelled('call'),
      )
      return await Promise.race([answered, lapsed])
    } finally {
      over.abort(new Error('the call is over'))
      this.#drop(waiting)
    }
  }

  /** Calls to this agent from now on, and those that wait: one that it had before has the same key, and is known by it. */
  #take({ caller, emit }: Performing, signal: AbortSignal): Promise<Outcome> {
    const { agent } = caller
    if (this.#takers.has(agent))
      return Promise.resolve(
        failed('conflict', 'calls are taken already: only one loop over ctx.calls() at a time'),
      )
    this.#takers.set(agent, emit)
    for (const waiting of this.#of(agent)) this.#hand(waiting)
    return new Promise((resolve) => {
      signal.addEventListener(
        'abort',
        () => {
          this.#takers.delete(agent)
          for (const waiting of this.#of(agent))
            if (waiting.taken && isOfHost(waiting))
              waiting.settle(failed('uncertain', `${agent} was stopped`))
          resolve(cancelled('calls'))
        },
        { once: true },
      )
    })
  }

  async #reply({ key, answer }: v.InferOutput<typeof replySchema>, { caller }: Performing): Promise<Outcome> {
    const { store } = this.#deps
    const waiting = this.#of(caller.agent).find((one) => one.key === key)
    if (!isOfHost({ key })) {
      // Also where nobody waits now: whoever asked may be on its way back from a crash.
      try {
        store.keepReply(caller.agent, key, answer)
      } catch (error) {
        if (error instanceof MemoryError) return failed(error.code, `reply: ${error.message}`)
        throw error
      }
      await store.durable()
    }
    waiting?.settle({ ok: true, value: answer })
    return { ok: true }
  }

  #of(to: string): readonly Waiting[] {
    return this.#waiting.get(to) ?? []
  }

  #hand(waiting: Waiting): void {
    const { key, from, to, message } = waiting
    const emit = this.#takers.get(to)
    if (!emit) return
    waiting.taken = true
    emit({ key, from, message })
  }

  #drop(waiting: Waiting): void {
    const left = this.#of(waiting.to).filter((one) => one !== waiting)
    if (left.length > 0) this.#waiting.set(waiting.to, left)
    else this.#waiting.delete(waiting.to)
  }
}

const late = (to: string) => failed('timeout', `${to} did not answer in time`)
/** What no agent's key begins with. */
const hostKey = 'host:'
/**
 * Who answers for a call: names of agents elsewhere, and of subjects, are whatever another device says. No agent here is called `@…`,
 * as a device may be called like one.
 */
function askerOf(from: string): string {
  if (from.startsWith('decide:')) return 'joint decisions'
  return from.includes('@') ? from.slice(from.indexOf('@')) : from
}
const isOfHost = ({ key }: Pick<Waiting, 'key'>) => key.startsWith(hostKey)
