/** The last stretch of a stream of samples, addressed by absolute sample number, never longer than its maximum. */
export class SampleBuffer {
  readonly #ring: Float32Array
  #end = 0

  constructor(samplesMax: number) {
    this.#ring = new Float32Array(samplesMax)
  }

  /** Number of the next sample to come. */
  get end(): number {
    return this.#end
  }

  push(samples: Float32Array): void {
    const kept = samples.subarray(Math.max(0, samples.length - this.#ring.length))
    this.#end += samples.length - kept.length
    const at = this.#end % this.#ring.length
    const first = kept.subarray(0, this.#ring.length - at)
    this.#ring.set(first, at)
    this.#ring.set(kept.subarray(first.length), 0)
    this.#end += kept.length
  }

  /** A copy of the samples from `start` to, not including, `end`; those already overwritten are left out. */
  slice(start: number, end: number): Float32Array {
    const last = Math.min(end, this.#end)
    const first = Math.max(start, this.#end - this.#ring.length, 0)
    const copy = new Float32Array(Math.max(0, last - first))
    for (let k = 0; k < copy.length; k += 1) copy[k] = this.#ring[(first + k) % this.#ring.length] ?? 0
    return copy
  }
}
