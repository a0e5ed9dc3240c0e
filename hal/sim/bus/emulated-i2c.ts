/**
 * I2C handles onto emulated parts. As on a wire: an address without a part is `no-acknowledge`, a stuck bus is
 * `timeout`, and a write without stop reaches the part together with what follows it.
 */
import { HalError } from '../../contract/errors.ts'
import type { I2c, I2cOptions } from '../../contract/io.ts'
import type { AttachedPart, AttachedParts } from './attached-part.ts'
import { overWires } from './bus-fault.ts'

/** The kernel's limit for one message (drivers/i2c/i2c-dev.c). */
const messageBytesMax = 8192

export class EmulatedI2cHandle implements I2c {
  readonly #parts: AttachedParts
  readonly #options: I2cOptions
  readonly #random: () => number
  #held: Uint8Array[] = []
  #closed = false

  constructor(parts: AttachedParts, options: I2cOptions, random: () => number) {
    parts.requireBus(options.bus)
    if (!Number.isInteger(options.address) || options.address < 0x03 || options.address > 0x77)
      throw new HalError(
        'out-of-range',
        `${options.bus}: address ${hex(options.address)} is not between 0x03 and 0x77`,
      )
    this.#parts = parts
    this.#options = options
    this.#random = random
  }

  read(byteLength: number, _stop = true): Uint8Array {
    const writes = this.#takeHeld()
    this.#checkLength(byteLength)
    const target = this.#target()
    for (const bytes of writes) this.#put(target, bytes)
    return this.#get(target, byteLength)
  }

  write(bytes: Uint8Array, stop = true): void {
    this.#checkLength(bytes.length)
    const writes = [...this.#takeHeld(), Uint8Array.from(bytes)]
    if (!stop) {
      this.#checkLength(writes.reduce((sum, { length }) => sum + length, 0))
      this.#held = writes
      return
    }
    const target = this.#target()
    for (const one of writes) this.#put(target, one)
  }

  writeRead(bytes: Uint8Array, byteLength: number): Uint8Array {
    this.write(bytes, false)
    return this.read(byteLength)
  }

  close(): void {
    this.#closed = true
    this.#held = []
  }

  #takeHeld(): Uint8Array[] {
    if (this.#closed) throw new HalError('closed', `${this.#place()} is closed`)
    const held = this.#held
    this.#held = []
    return held
  }

  #put(target: AttachedPart, bytes: Uint8Array): void {
    this.#asTarget(() => target.part.i2c?.write(Uint8Array.from(bytes)))
    this.#parts.transferred(target)
  }

  #get(target: AttachedPart, byteLength: number): Uint8Array {
    const bytes = this.#asTarget(() => target.part.i2c?.read(byteLength)) ?? new Uint8Array(0)
    if (bytes.length !== byteLength)
      throw new Error(`emulator of ${target.id}: read gave ${bytes.length} bytes, not ${byteLength}`)
    this.#parts.transferred(target)
    return overWires(bytes, target.fault(), this.#random)
  }

  /** A part knows that it does not acknowledge, not where it is: the place is added here. */
  #asTarget<T>(call: () => T): T {
    try {
      return call()
    } catch (error) {
      if (error instanceof HalError && error.code === 'no-acknowledge') throw this.#noAcknowledge()
      throw error
    }
  }

  #target(): AttachedPart {
    const { bus, address } = this.#options
    const target = this.#parts.find(bus, address)
    const fault = target?.fault() ?? this.#parts.busFault(bus)
    if (fault?.kind === 'stuck') throw new HalError('timeout', `${this.#place()}: the bus is stuck`)
    if (!target?.part.i2c || fault?.kind === 'no-acknowledge' || fault?.kind === 'unplugged')
      throw this.#noAcknowledge()
    return target
  }

  #noAcknowledge(): HalError {
    return new HalError('no-acknowledge', `${this.#place()}: no acknowledge`)
  }

  #place(): string {
    return `${this.#options.bus} address ${hex(this.#options.address)}`
  }

  #checkLength(byteLength: number): void {
    if (!Number.isInteger(byteLength) || byteLength < 0 || byteLength > messageBytesMax)
      throw new HalError('out-of-range', `${this.#place()}: ${byteLength} bytes, at most ${messageBytesMax}`)
  }
}

/** An address as people write it. */
export const hex = (value: number): string => `0x${value.toString(16).padStart(2, '0')}`
