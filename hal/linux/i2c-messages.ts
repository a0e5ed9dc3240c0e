/**
 * The argument of I2C_RDWR in one block of memory that is used again: header, messages, then the bytes of all messages. Its
 * address is asked for once, and no transaction makes garbage but the bytes that it returns.
 */
import { addressOf } from './libc.ts'

/** Bytes to write, or how many to read. */
export type Message = Uint8Array | number

const messageRead = 0x0001
/** struct i2c_rdwr_ioctl_data: pointer msgs, u32 nmsgs, 4 bytes of padding. */
const headerSize = 16
/** struct i2c_msg: u16 addr, u16 flags, u16 len, 2 bytes of padding, pointer buf. */
const messageSize = 16
/** Enough for any register access; a longer transaction gets a larger block. */
const firstSize = 512
const wordSize = 2 ** 32

export class I2cMessages {
  #bytes = new Uint8Array(0)
  #view = new DataView(this.#bytes.buffer)
  /** User space ends below 2^53, so a number holds it. */
  #address = 0
  /** Where the bytes of the last message begin. */
  #last = 0

  /** Good until the next call. */
  request(address: number, messages: readonly Message[]): Uint8Array {
    let at = headerSize + messages.length * messageSize
    let size = at
    for (const message of messages) size += lengthOf(message)
    this.#fit(size)
    this.#pointer(0, headerSize)
    this.#view.setUint32(8, messages.length, true)
    let field = headerSize
    for (const message of messages) {
      this.#view.setUint16(field, address, true)
      this.#view.setUint16(field + 2, typeof message === 'number' ? messageRead : 0, true)
      this.#view.setUint16(field + 4, lengthOf(message), true)
      this.#pointer(field + 8, at)
      if (typeof message !== 'number') this.#bytes.set(message, at)
      this.#last = at
      at += lengthOf(message)
      field += messageSize
    }
    return this.#bytes
  }

  /** A copy of what the last message read. */
  received(byteLength: number): Uint8Array {
    return this.#bytes.slice(this.#last, this.#last + byteLength)
  }

  #fit(size: number): void {
    if (size <= this.#bytes.byteLength) return
    this.#bytes = new Uint8Array(Math.max(size, firstSize))
    this.#view = new DataView(this.#bytes.buffer)
    this.#address = Number(addressOf(this.#bytes))
  }

  /** Writes the address of the byte at `target` into the block. */
  #pointer(at: number, target: number): void {
    const address = this.#address + target
    this.#view.setUint32(at, address % wordSize, true)
    this.#view.setUint32(at + 4, Math.floor(address / wordSize), true)
  }
}

const lengthOf = (message: Message) => (typeof message === 'number' ? message : message.byteLength)
