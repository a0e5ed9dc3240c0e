/**
 * The discrete Fourier transform of real samples, in place of complex ones: radix 2, decimation in time (J. Cooley, J. Tukey, 1965).
 * Double precision, for any power of two.
 */
export class Fourier {
  readonly size: number
  readonly #cosines: Float64Array
  readonly #sines: Float64Array
  readonly #reversed: Uint32Array
  readonly #real: Float64Array
  readonly #imaginary: Float64Array

  constructor(size: number) {
    this.size = size
    const half = size / 2
    this.#cosines = Float64Array.from({ length: half }, (_, k) => Math.cos((2 * Math.PI * k) / size))
    this.#sines = Float64Array.from({ length: half }, (_, k) => -Math.sin((2 * Math.PI * k) / size))
    this.#reversed = reversedBits(size)
    this.#real = new Float64Array(size)
    this.#imaginary = new Float64Array(size)
  }

  /** |X[k]|² for k = 0 … size / 2, of samples that number at most `size`; what lacks is 0. */
  powers(samples: Float64Array, powers: Float64Array): void {
    this.#imaginary.fill(0)
    for (let at = 0; at < this.size; at += 1) this.#real[this.#reversed[at] as number] = samples[at] ?? 0
    for (let span = 1; span < this.size; span *= 2) this.#combine(span)
    for (let k = 0; k < powers.length; k += 1)
      powers[k] = (this.#real[k] as number) ** 2 + (this.#imaginary[k] as number) ** 2
  }

  #combine(span: number): void {
    const [real, imaginary] = [this.#real, this.#imaginary]
    const stride = this.size / (2 * span)
    for (let start = 0; start < this.size; start += 2 * span)
      for (let at = start; at < start + span; at += 1) {
        const cosine = this.#cosines[(at - start) * stride] as number
        const sine = this.#sines[(at - start) * stride] as number
        const [r, i] = [real[at + span] as number, imaginary[at + span] as number]
        const turnedReal = r * cosine - i * sine
        const turnedImaginary = r * sine + i * cosine
        real[at + span] = (real[at] as number) - turnedReal
        imaginary[at + span] = (imaginary[at] as number) - turnedImaginary
        real[at] = (real[at] as number) + turnedReal
        imaginary[at] = (imaginary[at] as number) + turnedImaginary
      }
  }
}

function reversedBits(size: number): Uint32Array {
  const reversed = new Uint32Array(size)
  for (let at = 1; at < size; at += 1)
    reversed[at] = ((reversed[at >> 1] as number) >> 1) | ((at & 1) * (size >> 1))
  return reversed
}
