/**
 * From reports, which come when they come, to one row each period: the mean of what was reported in it, else what was
 * reported last, as long as that is not old; else nothing (NaN). A device that is offline gives nothing at once.
 */
import type { Telemetry } from '../../../hal/contract/component.ts'

interface Channel {
  sum: number
  count: number
  last: number
  lastMs: number
}

export class Sampling {
  readonly #channels: ReadonlyMap<string, Channel>
  readonly #staleMs: number

  constructor(channels: readonly string[], staleMs: number) {
    this.#channels = new Map(
      channels.map((channel) => [
        channel,
        { sum: 0, count: 0, last: Number.NaN, lastMs: Number.NEGATIVE_INFINITY },
      ]),
    )
    this.#staleMs = staleMs
  }

  /** What is so now, without having been reported in this period. */
  hold(id: string, { state }: Telemetry, nowMs: number): void {
    const channel = this.#channels.get(id)
    if (!channel) return
    channel.last = numberOf(state)
    channel.lastMs = nowMs
  }

  take(id: string, telemetry: Telemetry, nowMs: number): void {
    this.hold(id, telemetry, nowMs)
    const channel = this.#channels.get(id)
    if (!channel || !Number.isFinite(channel.last)) return
    channel.sum += channel.last
    channel.count += 1
  }

  /** The row of the period that ends now. */
  row(nowMs: number): Float32Array {
    return Float32Array.from(this.#channels.values(), (channel) => {
      const { sum, count, last, lastMs } = channel
      channel.sum = 0
      channel.count = 0
      if (count > 0) return sum / count
      return nowMs - lastMs <= this.#staleMs ? last : Number.NaN
    })
  }
}

/** A sensor's state as a number, NaN where it is none; that of a switch or a contact as 0 or 1. */
export function numberOf(state: string): number {
  if (state === 'on') return 1
  if (state === 'off') return 0
  return state.trim() === '' ? Number.NaN : Number(state)
}
