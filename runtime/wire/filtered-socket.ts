/** A socket as MQTT.js wants its stream, with a PacketFilter on the way in. */
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { PacketFilter } from './packet-filter.ts'

export class FilteredSocket extends Duplex {
  readonly #socket: Socket

  constructor(socket: Socket, bytesMax: number, onOversized: (topic: string, bytes: number) => void) {
    super()
    this.#socket = socket
    const filter = new PacketFilter(bytesMax, {
      onOversized: (topic, bytes, ack) => {
        if (ack) socket.write(ack)
        onOversized(topic, bytes)
      },
    })
    socket.on('data', (chunk: Buffer) => this.#receive(filter, chunk))
    socket.on('end', () => this.push(null))
    socket.on('error', (error) => this.destroy(error))
    socket.on('close', () => this.destroy())
  }

  /** Bytes accepted for sending and not yet handed to the system. */
  get backlogBytes(): number {
    return this.writableLength + this.#socket.writableLength
  }

  override _read(): void {
    this.#socket.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.#socket.write(chunk)) done()
    else this.#socket.once('drain', done)
  }

  override _final(done: () => void): void {
    this.#socket.end(done)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy()
    done(error)
  }

  #receive(filter: PacketFilter, chunk: Buffer): void {
    try {
      for (const part of filter.accept(chunk)) if (!this.push(part)) this.#socket.pause()
    } catch (cause) {
      // A code, or MQTT.js keeps the error to itself.
      this.destroy(Object.assign(new Error('the broker broke the protocol', { cause }), { code: 'EPROTO' }))
    }
  }
}
