/**
 * A board, a link and a gateway in virtual time, for the router's benchmark: what a request takes at either place follows from
 * the time, the traces and the seed alone, so that every way of choosing meets the same world, and one that knows the future
 * can be asked.
 */
import { type Clock, sleep, VirtualClock } from '../../runtime/base/clock.ts'
import type { Route } from '../../runtime/inference/router/route.ts'
import { type InferChunk, InferError, type InferRequest, type Tensor } from '../../runtime/wire/infer.ts'
import type { LinkTrace } from './link-traces.ts'
import { type LoadTrace, throttlesAtC } from './recorded-traces.ts'

type Request = Omit<InferRequest, 'id'>

/**
 * Models of a home with their sizes; times in the model on a board as slow as a Raspberry Pi 4 and at a gateway six to ten
 * times as fast. Stated, not measured: what counts here is that some are better off here, some there.
 */
export const models = [
  { name: 'keywords', bytes: 2_000, deviceMs: 3, gatewayMs: 1, share: 0.4 },
  { name: 'people', bytes: 27_648, deviceMs: 12, gatewayMs: 3, share: 0.3 },
  { name: 'faces', bytes: 230_400, deviceMs: 60, gatewayMs: 8, share: 0.15 },
  { name: 'speech', bytes: 128_000, deviceMs: 900, gatewayMs: 120, share: 0.1 },
  { name: 'text', bytes: 921_600, deviceMs: 1_800, gatewayMs: 180, share: 0.05 },
] as const

/** Energy of the board above idling: watts while a model runs on one core, and while the radio moves something. */
const computeW = 1.5
const radioW = 0.9
/** A packet that was lost is sent again after this long. */
const retransmitMs = 200
/** How finely a link is looked at while something moves. */
const stepMs = 50
export const deadlineMs = 5_000

/** Of `work` below: 0.9 and a quarter of 0.3. */
const meanWork = 0.975

export interface Arrival {
  readonly atMs: number
  readonly model: (typeof models)[number]
  /** Drawn once, so that luck is the same for all. */
  readonly luck: { readonly jitter: number; readonly loss: number; readonly work: number }
}

/** Poisson arrivals for as long as the traces are. */
export function arrivals(perS: number, seed: number): Arrival[] {
  const random = new VirtualClock({ seed })
  const list: Arrival[] = []
  for (let atMs = 0; ; ) {
    atMs += (-Math.log(1 - random.random()) / perS) * 1000
    if (atMs >= 100_000) return list
    const model = pick(random.random())
    const luck = { jitter: random.random(), loss: random.random(), work: 0.9 + 0.3 * random.random() ** 3 }
    list.push({ atMs, model, luck })
  }
}

/** By the shares; `draw` in [0, 1). */
function pick(draw: number): (typeof models)[number] {
  let passed = 0
  for (const model of models) {
    passed += model.share
    if (draw < passed) return model
  }
  return models[0]
}

export interface Spent {
  joules: number
  bytes: number
}

export class World {
  readonly clock: Clock
  readonly spent: Spent = { joules: 0, bytes: 0 }
  readonly #link: LinkTrace
  readonly #load: LoadTrace
  readonly #arrivals: readonly Arrival[]
  #boardFreeMs = 0

  constructor(clock: Clock, link: LinkTrace, load: LoadTrace, list: readonly Arrival[]) {
    this.clock = clock
    this.#link = link
    this.#load = load
    this.#arrivals = list
  }

  request(at: number): Request {
    const { model } = this.#arrivals[at] as Arrival
    const marked: Tensor = { name: 'at', datatype: 'INT32', shape: [1], data: Int32Array.of(at) }
    const padding: Tensor = {
      name: 'x',
      datatype: 'UINT8',
      shape: [model.bytes - 4],
      data: padded.subarray(0, model.bytes - 4),
    }
    const label = { priority: 'interactive', privacy: 'site', deadlineMs } as const
    return { ...label, model: model.name, inputs: [marked, padding] }
  }

  /** State of the board, as its sensors would say. */
  conditions() {
    const { tempC } = this.#load.at(this.clock.monotonicMs())
    return { tempC, throttled: tempC >= throttlesAtC }
  }

  /** What a request that comes now would take here and there, milliseconds: nobody but an oracle knows. */
  future(at: number): { readonly device: number; readonly gateway: number } {
    const nowMs = this.clock.monotonicMs()
    const arrival = this.#arrivals[at] as Arrival
    const startMs = Math.max(nowMs, this.#boardFreeMs)
    return {
      device: startMs - nowMs + this.#workMs(arrival, startMs),
      gateway: this.#away(arrival, nowMs).totalMs,
    }
  }

  /**
   * What it is expected to take by the link and the board as they are in this moment, as nobody can measure them, without a look
   * at the request's own luck or at what comes next: the best that can be known.
   */
  present(at: number): { readonly device: number; readonly gateway: number } {
    const nowMs = this.clock.monotonicMs()
    const { model } = this.#arrivals[at] as Arrival
    const { loss, tripMs, movesFrom } = this.#link
    const rate = movesFrom(nowMs) > nowMs ? 0 : this.#rate(nowMs)
    const lostMs = loss * (rate < 500 ? 3 : 1) * (retransmitMs + tripMs(nowMs, 0))
    const wayMs = tripMs(nowMs, 0.5) + lostMs + (rate > 0 ? model.bytes / rate : Infinity)
    const waitMs = Math.max(0, this.#boardFreeMs - nowMs)
    return {
      device: waitMs + model.deviceMs * meanWork * this.#load.at(nowMs).slower,
      gateway: wayMs + model.gatewayMs * meanWork,
    }
  }

  readonly device: Route = {
    id: 'engine',
    reach: 'device',
    offer: (model) => ({
      usable: true,
      queueMs: Math.max(0, this.#boardFreeMs - this.clock.monotonicMs()),
      loadMs: 0,
      modelMs: (models.find(({ name }) => name === model)?.deviceMs ?? 0) * 1.2,
      price: 0,
      idempotent: true,
    }),
    infer: (request, signal) => this.#here(request, signal),
  }

  readonly gateway: Route = {
    id: 'gateway',
    reach: 'site',
    offer: (model) => ({
      usable: true,
      queueMs: 0,
      loadMs: 0,
      modelMs: (models.find(({ name }) => name === model)?.gatewayMs ?? 0) * 1.2,
      price: 0,
      idempotent: true,
    }),
    infer: (request, signal) => this.#there(request, signal),
  }

  /** One model at a time, first come first served; a native run is not interrupted. */
  async *#here(request: Request, signal: AbortSignal): AsyncGenerator<InferChunk> {
    const arrival = this.#of(request)
    const startMs = Math.max(this.clock.monotonicMs(), this.#boardFreeMs)
    const workMs = this.#workMs(arrival, startMs)
    this.#boardFreeMs = startMs + workMs
    this.spent.joules += (workMs / 1000) * computeW
    await this.#wait(this.#boardFreeMs - this.clock.monotonicMs(), signal)
    yield { id: 'x', final: true, outputs: [], modelMs: workMs }
  }

  async *#there(request: Request, signal: AbortSignal): AsyncGenerator<InferChunk> {
    const arrival = this.#of(request)
    const startMs = this.clock.monotonicMs()
    const { totalMs, sendMs } = this.#away(arrival, startMs)
    try {
      await this.#wait(totalMs, signal)
    } finally {
      const sentMs = Math.min(sendMs, this.clock.monotonicMs() - startMs)
      this.spent.joules += (sentMs / 1000) * radioW
      this.spent.bytes += sendMs === 0 ? 0 : Math.round(arrival.model.bytes * Math.min(1, sentMs / sendMs))
    }
    yield { id: 'x', final: true, outputs: [], modelMs: arrival.model.gatewayMs * arrival.luck.work }
  }

  async #wait(ms: number, signal: AbortSignal): Promise<void> {
    try {
      await sleep(this.clock, ms, signal)
    } catch {
      throw new InferError('cancelled', 'cancelled by its caller')
    }
  }

  #of({ inputs }: Request): Arrival {
    return this.#arrivals[Number(inputs[0]?.data[0])] as Arrival
  }

  #workMs({ model, luck }: Arrival, startMs: number): number {
    return model.deviceMs * luck.work * this.#load.at(startMs).slower
  }

  #away({ model, luck }: Arrival, startMs: number): { readonly totalMs: number; readonly sendMs: number } {
    const { loss, tripMs, movesFrom } = this.#link
    // A weak signal loses more.
    const weak = this.#rate(startMs) < 500 ? 3 : 1
    const lostMs = luck.loss < loss * weak ? retransmitMs + tripMs(startMs, 0) : 0
    const sendMs = this.#moveMs(model.bytes, startMs) + lostMs
    const wayMs = tripMs(movesFrom(startMs), luck.jitter)
    return { sendMs, totalMs: wayMs + sendMs + model.gatewayMs * luck.work }
  }

  /** Time to move so many bytes from `startMs` on, at the rates of the trace; it repeats after its end. */
  #moveMs(bytes: number, startMs: number): number {
    let left = bytes
    let atMs = startMs
    while (left > 0 && atMs - startMs < 4 * deadlineMs) {
      atMs = this.#link.movesFrom(atMs)
      const untilMs = (Math.floor(atMs / stepMs) + 1) * stepMs
      // kB/s are bytes a millisecond.
      const needMs = left / Math.max(1e-6, this.#rate(atMs))
      if (atMs + needMs <= untilMs) return atMs + needMs - startMs
      left -= this.#rate(atMs) * (untilMs - atMs)
      atMs = untilMs
    }
    return atMs - startMs
  }

  #rate(atMs: number): number {
    const { rates } = this.#link
    return rates[Math.floor(atMs / 1000) % rates.length] ?? 0
  }
}

const padded = new Uint8Array(Math.max(...models.map(({ bytes }) => bytes)))
