/**
 * Changes the sample rate, by any ratio, whole or streaming. Band-limited interpolation: a Kaiser-windowed sinc, held as
 * a table with a row for each phase an output can have to the input. Common rates have few (48 to 16 kHz one, 44.1 to
 * 16 kHz 160); for the others the table is of fixed size and interpolated between its rows (J. O. Smith, "Digital Audio
 * Resampling", CCRMA; window design: J. F. Kaiser, 1974). Stop band from the lower of both Nyquist frequencies on: at least 80 dB down.
 * Output sample k stands for the time k / toHz exactly: nothing is delayed, and nothing drifts, however long it runs.
 */

/** Where the pass band ends, as a share of the lower Nyquist frequency; 7.2 kHz at 16 kHz. */
const passBand = 0.9
const stopBandDb = 80
/** Rows at most. The error of interpolating between two, (π / rows)² / 8, is then below -90 dB. */
const rowsMax = 256

export class Resampler {
  readonly #fromHz: number
  readonly #toHz: number
  /** Rows of the table for one input sample, and the one that closes it. */
  readonly #rows: number
  readonly #table: Float32Array
  /** Taps on each side of an output sample's place. */
  readonly #reach: number
  /** Input from `#firstIndex` on; what lies before the first sample is silence. */
  #history: Float32Array
  #firstIndex: number
  #inputSamples = 0
  #outputSamples = 0

  constructor(fromHz: number, toHz: number) {
    for (const hz of [fromHz, toHz])
      if (!Number.isInteger(hz) || hz < 1 || hz > 1_000_000) throw new Error(`not a sample rate: ${hz} Hz`)
    this.#fromHz = fromHz
    this.#toHz = toHz
    this.#rows = Math.min(toHz / greatestCommonDivisor(fromHz, toHz), rowsMax)
    const { table, reach } = designTable(fromHz, toHz, this.#rows)
    this.#table = table
    this.#reach = reach
    this.#history = new Float32Array(reach)
    this.#firstIndex = -reach
  }

  /** Takes samples in, gives those that can be computed now: it lags by the filter's reach, a few milliseconds. */
  push(samples: Float32Array): Float32Array {
    if (this.#fromHz === this.#toHz) return samples
    this.#append(samples)
    this.#inputSamples += samples.length
    // Output k needs input up to floor(k × from / to) + reach.
    const last = this.#inputSamples - 1 - this.#reach
    return this.#produce(last < 0 ? 0 : Math.ceil(((last + 1) * this.#toHz) / this.#fromHz))
  }

  /** The rest, as if silence followed. In all, `round(input × to / from)` samples came out. */
  flush(): Float32Array {
    if (this.#fromHz === this.#toHz) return new Float32Array(0)
    this.#append(new Float32Array(this.#reach + 1))
    return this.#produce(Math.round((this.#inputSamples * this.#toHz) / this.#fromHz))
  }

  #append(samples: Float32Array): void {
    const needed = Math.floor((this.#outputSamples * this.#fromHz) / this.#toHz) - this.#reach
    const kept = this.#history.subarray(Math.max(0, needed - this.#firstIndex))
    this.#firstIndex += this.#history.length - kept.length
    const joined = new Float32Array(kept.length + samples.length)
    joined.set(kept)
    joined.set(samples, kept.length)
    this.#history = joined
  }

  /** Outputs up to, not including, number `until`. */
  #produce(until: number): Float32Array {
    const output = new Float32Array(Math.max(0, until - this.#outputSamples))
    for (let k = 0; k < output.length; k += 1) output[k] = this.#at(this.#outputSamples + k)
    this.#outputSamples += output.length
    return output
  }

  #at(number: number): number {
    const place = number * this.#fromHz
    const index = Math.floor(place / this.#toHz)
    const phase = ((place % this.#toHz) * this.#rows) / this.#toHz
    const row = Math.floor(phase)
    const taps = 2 * this.#reach
    const start = index - this.#reach + 1 - this.#firstIndex
    const near = dot(this.#history, start, this.#table, row * taps, taps)
    if (phase === row) return near
    const next = dot(this.#history, start, this.#table, (row + 1) * taps, taps)
    return near + (phase - row) * (next - near)
  }
}

/**
 * Σ a[aStart + i] · b[bStart + i] over a `length` that is a multiple of four: nearly all the time goes here. Four sums,
 * because each addition to one would wait for the one before.
 */
function dot(a: Float32Array, aStart: number, b: Float32Array, bStart: number, length: number): number {
  let s0 = 0
  let s1 = 0
  let s2 = 0
  let s3 = 0
  for (let i = 0; i < length; i += 4) {
    const p = aStart + i
    const q = bStart + i
    s0 += (a[p] as number) * (b[q] as number)
    s1 += (a[p + 1] as number) * (b[q + 1] as number)
    s2 += (a[p + 2] as number) * (b[q + 2] as number)
    s3 += (a[p + 3] as number) * (b[q + 3] as number)
  }
  return s0 + s1 + s2 + s3
}

/** The whole of `samples` at another rate: `round(length × to / from)` samples. */
export function resample(samples: Float32Array, fromHz: number, toHz: number): Float32Array {
  const resampler = new Resampler(fromHz, toHz)
  const body = resampler.push(samples)
  const tail = resampler.flush()
  if (tail.length === 0) return body
  const whole = new Float32Array(body.length + tail.length)
  whole.set(body)
  whole.set(tail, body.length)
  return whole
}

/** `rows + 1` rows of `2 × reach` taps; row r is for an output r / rows of a sample after an input. */
function designTable(fromHz: number, toHz: number, rows: number): { table: Float32Array; reach: number } {
  const nyquist = Math.min(1, toHz / fromHz)
  const transition = (1 - passBand) * nyquist
  const cutoff = nyquist * (1 - (1 - passBand) / 2)
  // Kaiser's formulas for length and shape.
  // Even, so that the taps of both sides are a multiple of four.
  const reach = 2 * Math.ceil(((stopBandDb - 8) / (2.285 * Math.PI * transition) / 2 + 1) / 2)
  const beta = 0.1102 * (stopBandDb - 8.7)
  const taps = 2 * reach
  const table = new Float32Array((rows + 1) * taps)
  for (let row = 0; row <= rows; row += 1) {
    for (let tap = 0; tap < taps; tap += 1) {
      const distance = tap - reach + 1 - row / rows
      table[row * taps + tap] = cutoff * sinc(cutoff * distance) * kaiser(distance / reach, beta)
    }
  }
  return { table, reach }
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x)
}

function kaiser(x: number, beta: number): number {
  return Math.abs(x) >= 1 ? 0 : bessel0(beta * Math.sqrt(1 - x * x)) / bessel0(beta)
}

/** Modified Bessel function of the first kind, order 0, by its power series. */
function bessel0(x: number): number {
  let term = 1
  let sum = 1
  for (let k = 1; term > sum * 1e-12; k += 1) {
    term *= (x / (2 * k)) ** 2
    sum += term
  }
  return sum
}
