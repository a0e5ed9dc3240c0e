/**
 * Serial ports with emulated parts at their other end. Received bytes wait in 64 KiB; when that is full the oldest go and
 * are counted. What a part sends while the port is closed is lost, as on a wire.
 */
import { HalError } from '../../contract/errors.ts'
import type { Serial, SerialOptions } from '../../contract/io.ts'
import type { AttachedPart, AttachedParts } from './attached-part.ts'
import { overWires } from './bus-fault.ts'

/** A second of 460,800 baud. */
const bufferBytesMax = 64 * 1024

export class EmulatedSerialHandle implements Serial {
  readonly #parts: AttachedParts
  readonly #options: SerialOptions
  readonly #random: () => number
  readonly #onClose: () => void
  #buffer = new Uint8Array(0)
  #dropped = 0
  #announced = false
  #closed = false
  #running: { readonly part: AttachedPart; readonly stop: () => void } | undefined

  constructor(parts: AttachedParts, options: SerialOptions, random: () => number, onClose: () => void) {
    parts.requireBus(options.port)
    this.#parts = parts
    this.#options = options
    this.#random = random
    this.#onClose = onClose
    this.connect()
  }

  get droppedBytes(): number {
    return this.#dropped
  }

  /** Starts the part that is at the other end now, and stops one that is not any more. */
  connect(): void {
    const target = this.#closed ? undefined : this.#parts.find(this.#options.port)
    const present = target?.fault()?.kind === 'unplugged' ? undefined : target
    if (this.#running?.part === present) return
    this.#running?.stop()
    this.#running = undefined
    const serial = present?.part.serial
    if (present && serial)
      this.#running = { part: present, stop: serial.start((bytes) => this.#receive(present, bytes)) }
  }

  read(byteLength = bufferBytesMax): Uint8Array {
    this.#check()
    const bytes = this.#buffer.slice(0, byteLength)
    this.#buffer = this.#buffer.slice(byteLength)
    return bytes
  }

  write(bytes: Uint8Array): void {
    this.#check()
    const running = this.#running
    const fault = running?.part.fault()?.kind ?? this.#parts.busFault(this.#options.port)?.kind
    if (fault === 'stuck' || fault === 'no-acknowledge') return
    running?.part.part.serial?.receive(Uint8Array.from(bytes))
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.connect()
    this.#onClose()
  }

  #check(): void {
    if (this.#closed) throw new HalError('closed', `${this.#options.port} is closed`)
  }

  #receive(from: AttachedPart, sent: Uint8Array): void {
    const fault = from.fault() ?? this.#parts.busFault(this.#options.port)
    if (this.#closed || fault?.kind === 'stuck' || fault?.kind === 'no-acknowledge') return
    const bytes = overWires(sent, fault, this.#random)
    const all = new Uint8Array(this.#buffer.length + bytes.length)
    all.set(this.#buffer)
    all.set(bytes, this.#buffer.length)
    const lost = Math.max(0, all.length - bufferBytesMax)
    this.#dropped += lost
    this.#buffer = all.slice(lost)
    this.#announce()
  }

  #announce(): void {
    if (this.#announced) return
    this.#announced = true
    queueMicrotask(() => {
      this.#announced = false
      if (!this.#closed && this.#buffer.length > 0) this.#options.onReadable?.(this.#buffer.length)
    })
  }
}
