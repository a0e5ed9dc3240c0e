/**
 * Calls to and from agents of other devices of the site. Signed words over the broker; said again until they are answered, so that a
 * lost one loses nothing. Listens also where no agent runs: who calls one is told at once. Invariants: README.md.
 */
import { type Cancel, type Clock, sleep } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { Bus } from '../../link/bus.ts'
import type { AuditEntry } from '../../observe/audit-chain.ts'
import { type AgentCallBody, agentCallBody, agentCallBytesMax } from '../../wire/agent-call.ts'
import { callErrorCodes, type Json } from '../contract.ts'
import { failed, type Outcome } from '../service.ts'
import { type Signer, seal, unseal } from '../together/envelope.ts'
import { EndedCalls } from './ended-calls.ts'

export interface AcrossDeps {
  readonly clock: Clock
  readonly log: Log
  readonly bus: Bus
  readonly signer: Signer
  /** Settles when it is on the audit log. */
  readonly record?: (entry: AuditEntry) => Promise<void>
}

export interface CallAcross {
  readonly device: string
  readonly key: string
  readonly from: string
  readonly to: string
  readonly message: Json
  readonly askedMs: number
  readonly leftMs: number
  readonly resumed: boolean
}
/** A call of an agent elsewhere, `from` as `caller@device`. */
export type CallFromElsewhere = Omit<CallAcross, 'device' | 'askedMs'>
type Serve = (call: CallFromElsewhere, signal: AbortSignal) => Promise<Outcome>
type Ask = Extract<AgentCallBody, { kind: 'ask' }>

const againMs = { first: 500, max: 5_000 }
/**
 * Calls of other devices that are under way here at a time; of one device, so that one cannot take all places for an hour; and of one
 * where others have taken them all.
 */
const servedMax = 256
const servedOfOneMax = 64
const servedOfOneLeast = 4
/** Clocks of devices of a site differ by less; a call lasts an hour at most. What is older was said by somebody before. */
const askedMsMax = 7_200_000

interface Pending {
  readonly device: string
  settle(outcome: Outcome): void
  /** The other device has it. */
  taken: boolean
}

export class CallsAcross implements Disposable {
  readonly #deps: AcrossDeps
  readonly #pending = new Map<string, Pending>()
  readonly #served = new Map<string, AbortController>()
  readonly #ended: EndedCalls
  readonly #cancel: Cancel
  #serve: Serve | undefined
  /** Whether it is known which agents are here. */
  #isOpened = false

  constructor(deps: AcrossDeps) {
    this.#deps = deps
    const { bus, signer } = deps
    this.#ended = new EndedCalls(deps.clock)
    this.#cancel = bus.subscribe(bus.topics.call(signer.device, '+'), ({ topic, payload }) =>
      this.#take(topic, payload),
    )
  }

  get device(): string {
    return this.#deps.signer.device
  }

  /** Who performs calls of other devices from now on, until what this gives is called. */
  attach(serve: Serve): () => void {
    this.#serve = serve
    return () => {
      if (this.#serve === serve) this.#serve = undefined
    }
  }

  /** Agents that were on the disk are here, or cannot be: from now on whoever calls one that is not here is told so. */
  opened(): void {
    this.#isOpened = true
  }

  /** The outcome that the callee's device gave; never throws. */
  async call(call: CallAcross, signal: AbortSignal): Promise<Outcome> {
    const { bus, signer, clock } = this.#deps
    const { device, key, from, to, resumed } = call
    if (!signer.trusted.includes(device)) return failed('not-found', `no device ${device} is known here`)
    if (!bus.connected && !resumed)
      return failed('unavailable', `${device} cannot be reached: this device is not connected`)
    const ask = { kind: 'ask', to: device, key, caller: from, callee: to, message: call.message } as const
    const { promise, resolve } = Promise.withResolvers<Outcome>()
    const pending: Pending = { device, settle: resolve, taken: false }
    const endMs = clock.monotonicMs() + call.leftMs
    const leftMs = () => Math.max(0, endMs - clock.monotonicMs())
    const words = () => ({ ...ask, askedMs: call.askedMs, leftMs: leftMs(), resumed })
    if (Buffer.byteLength(seal(signer, 'call', words())) > agentCallBytesMax)
      return failed('limit', `the message to ${to} is larger than ${agentCallBytesMax} bytes on its way`)
    if (this.#pending.has(key)) return failed('conflict', 'this call is under way already')
    this.#pending.set(key, pending)
    const stop = new AbortController()
    const left = () => {
      this.#say(device, { kind: 'leave', to: device, key })
      resolve(failed('cancelled', 'call: nobody waits for it any more'))
    }
    signal.addEventListener('abort', left, { once: true })
    const away = bus.subscribe(bus.topics.availability(device), ({ payload }) => {
      if (!pending.taken && !resumed && Buffer.from(payload).toString() === 'offline')
        resolve(failed('unavailable', `${device} is offline`))
      return undefined
    })
    void this.#again(device, words, leftMs, () => resolve(over(call, pending)), stop.signal)
    try {
      if (signal.aborted) left()
      return await promise
    } finally {
      stop.abort(new Error('the call is over'))
      away()
      signal.removeEventListener('abort', left)
      this.#pending.delete(key)
    }
  }

  /** Hears and says nothing more. */
  [Symbol.dispose](): void {
    this.#cancel()
    for (const controller of this.#served.values()) controller.abort(new Error('the device is stopping'))
  }

  /** Says it until the time is over: then `late`. */
  async #again(
    device: string,
    words: () => AgentCallBody,
    leftMs: () => number,
    late: () => void,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      for (let delayMs: number = againMs.first; leftMs() > 0; delayMs = Math.min(delayMs * 2, againMs.max)) {
        this.#say(device, words())
        await sleep(this.#deps.clock, Math.min(delayMs, leftMs()), signal)
      }
      late()
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  #say(device: string, body: AgentCallBody): void {
    const { bus, signer, log } = this.#deps
    const text = seal(signer, 'call', body)
    bus
      .publish(bus.topics.call(device, signer.device), text)
      .catch((error) => log.debug('a call could not be said', { device, reason: messageOf(error) }))
  }

  #take(topic: string, payload: Uint8Array): string | undefined {
    const { bus, signer } = this.#deps
    const [, , , on = ''] = bus.topics.levels(topic) ?? []
    const said = unseal(signer, 'call', agentCallBody, payload, agentCallBytesMax, { on })
    if (!said.ok) return said.reason
    const { from, body } = said
    if (body.to !== signer.device) return `it is for ${body.to}`
    if (body.kind === 'ask') return this.#asked(from, body)
    if (body.kind === 'leave') {
      this.#served.get(idOf(from, body.key))?.abort(new Error('nobody waits for it any more'))
      return undefined
    }
    const pending = this.#pending.get(body.key)
    // Nobody but who was asked can answer; what comes after the end is no news.
    if (pending?.device !== from) return pending ? `${from} was not asked this` : undefined
    pending.taken = true
    if (body.kind === 'over') pending.settle(outcomeOf(body.outcome))
    return undefined
  }

  #asked(from: string, ask: Ask): string | undefined {
    const { clock } = this.#deps
    const { key } = ask
    const id = idOf(from, key)
    if (Math.abs(clock.nowMs() - ask.askedMs) > askedMsMax) return 'it was asked at another time'
    if (this.#served.has(id)) this.#say(from, { kind: 'running', to: from, key })
    else if (this.#isOver(from, key)) return undefined
    else if (!this.#serve) this.#noneServes(from, ask)
    else if (!this.#ended.hasRoom(from))
      this.#over(
        from,
        key,
        failed('limit', `${this.device} has taken too many calls of ${from} in two hours`),
      )
    else if (this.#served.size >= servedMax && this.#servedOf(from) >= servedOfOneLeast)
      this.#over(from, key, failed('limit', `${this.device} has ${servedMax} calls under way already`))
    else if (this.#servedOf(from) >= servedOfOneMax)
      this.#over(
        from,
        key,
        failed('limit', `${this.device} has ${servedOfOneMax} calls of ${from} under way already`),
      )
    else void this.#perform(from, ask, this.#serve)
    return undefined
  }

  /** It failed here: said again, it is told so again. */
  #isOver(from: string, key: string): boolean {
    const failure = this.#ended.get(from, key)?.failure
    if (failure) this.#over(from, key, failure)
    return failure !== undefined
  }

  /** Nobody has had it: nothing is kept of it. Until it is known who is here it is not answered, and said again. */
  #noneServes(from: string, { key, callee }: Ask): void {
    if (this.#isOpened) this.#over(from, key, nobody(callee, this.device))
  }

  #servedOf(from: string): number {
    return [...this.#served.keys()].filter((id) => id.startsWith(idOf(from, ''))).length
  }

  async #perform(from: string, ask: Ask, serve: Serve): Promise<void> {
    const { clock, record } = this.#deps
    const { key, callee: to, caller, leftMs } = ask
    const id = idOf(from, key)
    // One that was answered here is not handed over again: either the answer is kept, or nobody can tell.
    const resumed = ask.resumed || this.#ended.get(from, key) !== undefined
    const controller = new AbortController()
    this.#served.set(id, controller)
    let failure: Outcome | undefined
    try {
      const call = { key: id, from: `${caller}@${from}`, to, message: (ask.message ?? null) as Json }
      const startMs = clock.monotonicMs()
      // What was asked before is handed over to nobody now.
      if (!resumed) await record?.({ kind: 'called', agent: to, from: call.from })
      if (controller.signal.aborted) return
      const left = Math.max(0, leftMs - (clock.monotonicMs() - startMs))
      const served = serve({ ...call, leftMs: left, resumed }, controller.signal)
      this.#say(from, { kind: 'running', to: from, key })
      const outcome = await served
      if (!outcome.ok && !controller.signal.aborted) failure = outcome
      // Nobody waits for it, or this device stops: it will be asked again when it is back.
      if (!controller.signal.aborted) this.#over(from, key, outcome)
    } catch (error) {
      this.#deps.log.error('a call of another device failed', { from, reason: messageOf(error) })
      if (!controller.signal.aborted) this.#over(from, key, failed('failed', `${to} failed`))
    } finally {
      this.#served.delete(id)
      this.#ended.keep(from, key, { untilMs: ask.askedMs + askedMsMax, failure })
    }
  }

  #over(to: string, key: string, outcome: Outcome): void {
    const said = outcome.ok
      ? { ok: true as const, value: outcome.value ?? null }
      : { ok: false as const, code: outcome.error.code, message: outcome.error.message.slice(0, 1_000) }
    const body = { kind: 'over' as const, to, key, outcome: said }
    if (Buffer.byteLength(seal(this.#deps.signer, 'call', body)) <= agentCallBytesMax) this.#say(to, body)
    else
      this.#over(to, key, failed('limit', `the answer is larger than ${agentCallBytesMax} bytes on its way`))
  }
}

/** No agent's name begins so: a device that is called like an agent here has none of its keys. */
const idOf = (device: string, key: string) => `@${device}/${key}`
export const nobody = (agent: string, device: string) =>
  failed('not-found', `no agent called ${agent} runs on ${device}`)

function over({ device, to, resumed }: CallAcross, { taken }: Pending): Outcome {
  if (resumed)
    return failed('uncertain', `${to} may have been asked before this device stopped: ${device} does not say`)
  return failed('timeout', taken ? `${to} did not answer in time` : `${device} did not answer in time`)
}

/** What another device says is held to what a service may give. */
function outcomeOf(said: Extract<AgentCallBody, { kind: 'over' }>['outcome']): Outcome {
  if (said.ok) return { ok: true, value: (said.value ?? null) as Json }
  return failed(callErrorCodes.find((code) => code === said.code) ?? 'failed', said.message)
}
