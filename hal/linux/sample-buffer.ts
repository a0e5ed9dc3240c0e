/**
 * Bounded buffer of PCM samples between a recorder that cannot wait and a reader that may be slow. When full the oldest
 * whole pieces go and are counted. Input is signed 16-bit little-endian and may be cut anywhere, even inside a sample.
 */
import type { AudioChunk } from '../contract/microphone.ts'

export class SampleBuffer {
  readonly #samplesMax: number
  #pieces: Float32Array[] = []
  #samples = 0
  #dropped = 0
  /** First half of a sample whose second half is still to come. */
  #half: number | undefined

  constructor(samplesMax: number) {
    this.#samplesMax = samplesMax
  }

  get isEmpty(): boolean {
    return this.#samples === 0
  }

  push(bytes: Uint8Array): void {
    const piece = this.#decode(bytes)
    if (piece.length === 0) return
    this.#pieces.push(piece)
    this.#samples += piece.length
    while (this.#samples > this.#samplesMax) this.#dropOldest()
  }

  /** Everything gathered; empties the buffer. */
  take(): AudioChunk {
    const samples = new Float32Array(this.#samples)
    let offset = 0
    for (const piece of this.#pieces) {
      samples.set(piece, offset)
      offset += piece.length
    }
    const droppedSamples = this.#dropped
    this.#pieces = []
    this.#samples = 0
    this.#dropped = 0
    return { samples, droppedSamples }
  }

  #dropOldest(): void {
    const excess = this.#samples - this.#samplesMax
    const [oldest] = this.#pieces
    if (!oldest) return
    const lost = Math.min(excess, oldest.length)
    if (lost === oldest.length) this.#pieces.shift()
    else this.#pieces[0] = oldest.subarray(lost)
    this.#samples -= lost
    this.#dropped += lost
  }

  #decode(bytes: Uint8Array): Float32Array {
    const whole = this.#half === undefined ? bytes : Buffer.concat([Buffer.of(this.#half), bytes])
    const samples = new Float32Array(Math.floor(whole.length / 2))
    const view = new DataView(whole.buffer, whole.byteOffset, whole.byteLength)
    for (let index = 0; index < samples.length; index += 1)
      samples[index] = view.getInt16(2 * index, true) / 32_768
    this.#half = whole.length % 2 === 1 ? whole[whole.length - 1] : undefined
    return samples
  }
}
