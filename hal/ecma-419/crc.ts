/**
 * The `crc` module that sensor modules import: `CRC8` (default) and `CRC16`, whose `checksum` goes on from the call before
 * until `reset`. Parameters as in the Rocksoft model (R. Williams, "A painless guide to CRC error detection algorithms").
 */
import { bytesOf } from './byte-buffer.ts'

class Crc {
  readonly #bits: 8 | 16
  readonly #mask: number
  readonly #polynomial: number
  readonly #initial: number
  readonly #reflectInput: boolean
  readonly #reflectOutput: boolean
  readonly #xorOutput: number
  #register: number

  constructor(
    bits: 8 | 16,
    polynomial: number,
    initial = 0,
    reflectInput = false,
    reflectOutput = false,
    xorOutput = 0,
  ) {
    this.#bits = bits
    this.#mask = 2 ** bits - 1
    this.#polynomial = polynomial & this.#mask
    this.#initial = initial & this.#mask
    this.#reflectInput = reflectInput
    this.#reflectOutput = reflectOutput
    this.#xorOutput = xorOutput & this.#mask
    this.#register = this.#initial
  }

  checksum(buffer: unknown): number {
    for (const byte of bytesOf(buffer)) this.#feed(this.#reflectInput ? reflected(byte, 8) : byte)
    const out = this.#reflectOutput ? reflected(this.#register, this.#bits) : this.#register
    return (out ^ this.#xorOutput) & this.#mask
  }

  reset(): void {
    this.#register = this.#initial
  }

  close(): void {}

  #feed(byte: number): void {
    const top = 1 << (this.#bits - 1)
    let register = this.#register ^ (byte << (this.#bits - 8))
    for (let bit = 0; bit < 8; bit++)
      register = register & top ? (register << 1) ^ this.#polynomial : register << 1
    this.#register = register & this.#mask
  }
}

type Parameters = [
  polynomial: number,
  initial?: number,
  reflectInput?: boolean,
  reflectOutput?: boolean,
  xorOutput?: number,
]

export class CRC8 extends Crc {
  constructor(...parameters: Parameters) {
    super(8, ...parameters)
  }
}

export class CRC16 extends Crc {
  constructor(...parameters: Parameters) {
    super(16, ...parameters)
  }
}

function reflected(value: number, bits: number): number {
  let out = 0
  for (let bit = 0; bit < bits; bit++) if (value & (1 << bit)) out |= 1 << (bits - 1 - bit)
  return out
}
