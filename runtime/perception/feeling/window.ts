/**
 * The last rows as one window for a model. A channel that misses a few rows keeps its last value there; one that misses
 * more, or a gap in time, leaves the window unjudged. `train-anomaly.py` makes its windows by the same rules.
 */

export type WindowContent =
  | { readonly ok: true; readonly data: Float32Array }
  /** Channels, by index, that miss too much; none: too few rows so far. */
  | { readonly ok: false; readonly missing: readonly number[] }

/** Of a window's rows, the share that a channel may miss. */
const missingShareMax = 0.25

export class Window {
  readonly #rows: number
  readonly #channels: number
  #kept: Float32Array[] = []

  constructor(rows: number, channels: number) {
    this.#rows = rows
    this.#channels = channels
  }

  push(row: Float32Array): void {
    this.#kept = [...this.#kept, row].slice(-this.#rows)
  }

  /** Time has jumped: what was before says nothing about after. */
  clear(): void {
    this.#kept = []
  }

  /** Row by row, oldest first: `rows × channels` values. */
  content(): WindowContent {
    if (this.#kept.length < this.#rows) return { ok: false, missing: [] }
    const data = new Float32Array(this.#rows * this.#channels)
    const missing: number[] = []
    for (let channel = 0; channel < this.#channels; channel += 1)
      if (!this.#fill(data, channel)) missing.push(channel)
    return missing.length > 0 ? { ok: false, missing } : { ok: true, data }
  }

  #fill(data: Float32Array, channel: number): boolean {
    const values = this.#kept.map((row) => row[channel] ?? Number.NaN)
    const first = values.find(Number.isFinite)
    if (first === undefined) return false
    let last = first
    let absent = 0
    values.forEach((value, row) => {
      if (Number.isFinite(value)) last = value
      else absent += 1
      data[row * this.#channels + channel] = last
    })
    return absent <= this.#rows * missingShareMax
  }
}
