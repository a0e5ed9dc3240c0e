/** SPI handles onto emulated parts. Nothing acknowledges on SPI: without a part, the input floats and reads ones. */
import { HalError } from '../../contract/errors.ts'
import type { Spi, SpiOptions } from '../../contract/io.ts'
import type { AttachedParts } from './attached-part.ts'
import { overWires } from './bus-fault.ts'

/** Default buffer of spidev (drivers/spi/spidev.c, `bufsiz`). */
const transferBytesMax = 4096

export class EmulatedSpiHandle implements Spi {
  readonly #parts: AttachedParts
  readonly #bus: string
  readonly #random: () => number
  #closed = false

  constructor(parts: AttachedParts, options: SpiOptions, random: () => number) {
    parts.requireBus(options.bus)
    this.#parts = parts
    this.#bus = options.bus
    this.#random = random
  }

  transfer(bytes: Uint8Array): Uint8Array {
    if (this.#closed) throw new HalError('closed', `${this.#bus} is closed`)
    if (bytes.length > transferBytesMax)
      throw new HalError('out-of-range', `${this.#bus}: ${bytes.length} bytes, at most ${transferBytesMax}`)
    const target = this.#parts.find(this.#bus)
    const fault = target?.fault() ?? this.#parts.busFault(this.#bus)
    if (fault?.kind === 'stuck') return new Uint8Array(bytes.length)
    if (!target?.part.spi || fault?.kind === 'unplugged' || fault?.kind === 'no-acknowledge')
      return new Uint8Array(bytes.length).fill(0xff)
    const answer = target.part.spi.transfer(Uint8Array.from(bytes))
    this.#parts.transferred(target)
    return overWires(answer, fault, this.#random)
  }

  write(bytes: Uint8Array): void {
    this.transfer(bytes)
  }

  read(byteLength: number): Uint8Array {
    return this.transfer(new Uint8Array(byteLength))
  }

  close(): void {
    this.#closed = true
  }
}
