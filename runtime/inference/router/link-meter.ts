/**
 * The link to a route, learnt from the answers that came over it: what an answer took beyond the time in the model, against
 * the bytes that were sent. One meter a route, shared by its models: a small request teaches what a large one will take.
 */
import { weightedQuantile } from './latency-window.ts'

const samplesMax = 24
/** From here on the size of a message shows in its time on a home's link. */
const largeBytes = 8 * 1024
/** Tail against median before anything was measured. */
const firstSpread = 2

export interface LinkPrior {
  readonly rttMs: number
  readonly bytesPerS: number
}

export interface Transfer {
  readonly p50Ms: number
  readonly p95Ms: number
}

export class LinkMeter {
  /** Newest last. */
  readonly #samples: { readonly bytes: number; readonly overheadMs: number }[] = []
  #rttMs: number
  #msPerByte: number
  #spread = firstSpread
  #newestMs = -Infinity

  constructor(prior: LinkPrior) {
    this.#rttMs = prior.rttMs
    this.#msPerByte = 1000 / prior.bytesPerS
  }

  get measured(): boolean {
    return this.#samples.length > 0
  }

  /** Monotonic time of the newest answer. */
  get newestMs(): number {
    return this.#newestMs
  }

  /** Tail against median, as a factor. */
  get spread(): number {
    return this.#spread
  }

  /** `overheadMs`: from sending to the whole answer, less the time that it waited and ran there. */
  add(bytes: number, overheadMs: number, atMs: number): void {
    this.#samples.push({ bytes, overheadMs: Math.max(0.05, overheadMs) })
    if (this.#samples.length > samplesMax) this.#samples.shift()
    this.#newestMs = atMs
    this.#fit()
  }

  transfer(bytes: number): Transfer {
    const p50Ms = this.#median(bytes)
    return { p50Ms, p95Ms: p50Ms * this.#spread }
  }

  #median(bytes: number): number {
    return this.#rttMs + bytes * this.#msPerByte
  }

  /** Alternating medians (Siegel's idea of robust lines, made cheap): each keeps the other's last value. */
  #fit(): void {
    const small = this.#samples.filter(({ bytes }) => bytes < largeBytes)
    const large = this.#samples.filter(({ bytes }) => bytes >= largeBytes)
    const rtt = weightedQuantile(
      small.map(({ bytes, overheadMs }) => Math.max(0.05, overheadMs - bytes * this.#msPerByte)),
      0.5,
    )
    const quickest = Math.min(Infinity, ...large.map(({ overheadMs }) => overheadMs))
    // Without small messages the two cannot be told apart: the round trip is at most what the quickest large one took.
    this.#rttMs = rtt ?? Math.min(this.#rttMs, quickest)
    const perByte = large.map(({ bytes, overheadMs }) => Math.max(0, overheadMs - this.#rttMs) / bytes)
    this.#msPerByte = weightedQuantile(perByte, 0.5) ?? this.#msPerByte
    const ratios = this.#samples.map(({ bytes, overheadMs }) => overheadMs / this.#median(bytes))
    this.#spread = Math.max(1, weightedQuantile(ratios, 0.95) ?? firstSpread)
  }
}
