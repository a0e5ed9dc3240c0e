/**
 * Is it louder than the room usually is? Level of 50 ms blocks against the quietest of the last seconds, which follows a fan
 * that goes on humming: no model is asked about a steady noise. Minimum tracking after Martin, "Noise power spectral density
 * estimation based on optimal smoothing and minimum statistics" (2001), in its simplest form.
 */
const blockSamples = 800
/** Below -66 dB of full scale nobody speaks, and converters rustle. */
const squareMin = 2.5e-7
/** 4 dB above the floor: a voice at 5 dB over noise adds 6 dB; the blocks of a noise wander by less than 2. */
const ratioMin = 2.5
/** The floor is the quietest block of the last eight seconds: between words there are quiet ones. */
const floorSlots = 8
const blocksPerSlot = 20

export class LevelGate {
  /** Quietest block of each of the last seconds, the present one last. */
  #quietest: number[] = [Number.POSITIVE_INFINITY]
  #blocksInSlot = 0
  #sum = 0
  #filled = 0

  /** True when any block in these samples is louder than usual. */
  push(samples: Float32Array): boolean {
    let loud = false
    for (const sample of samples) {
      this.#sum += sample * sample
      this.#filled += 1
      if (this.#filled < blockSamples) continue
      loud = this.#block(this.#sum / blockSamples) || loud
      this.#sum = 0
      this.#filled = 0
    }
    return loud
  }

  #block(square: number): boolean {
    if (this.#blocksInSlot === blocksPerSlot) {
      this.#quietest = [...this.#quietest, Number.POSITIVE_INFINITY].slice(-floorSlots)
      this.#blocksInSlot = 0
    }
    this.#blocksInSlot += 1
    const last = this.#quietest.length - 1
    this.#quietest[last] = Math.min(this.#quietest[last] ?? square, square)
    const floor = Math.min(...this.#quietest)
    return square > squareMin && square > ratioMin * floor
  }
}
