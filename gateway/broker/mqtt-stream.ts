/**
 * One client's connection as aedes sees it: a socket with a packet guard on the way in and a large high-water mark on
 * the way out. The two sides need different marks (net.Socket has one for both): 64 KiB in, so that no client's burst
 * is parsed in one go; 4 MiB out, so that a write never makes aedes wait while forwarding stops at 1 MiB.
 */
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { writableHighWaterMark } from './limits.ts'
import type { GuardVerdict, PacketGuard } from './packet-guard.ts'

const readableHighWaterMark = 64 * 1024

type Done = (error?: Error | null) => void

export class MqttStream extends Duplex {
  readonly #socket: Socket

  constructor(socket: Socket, guard: PacketGuard, onRefused: (verdict: GuardVerdict) => void) {
    super({ readableHighWaterMark, writableHighWaterMark, emitClose: true })
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => {
      if (this.destroyed) return
      const verdict = guard.push(chunk)
      if (verdict !== 'ok') {
        onRefused(verdict)
        this.destroy()
      } else if (!this.push(chunk)) socket.pause()
    })
    socket.on('end', () => this.push(null))
    socket.on('error', (error) => this.destroy(error))
    socket.on('close', () => this.destroy())
  }

  override _read(): void {
    this.#socket.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#socket.write(chunk, done)
  }

  override _writev(chunks: { chunk: Buffer }[], done: Done): void {
    this.#socket.write(Buffer.concat(chunks.map(({ chunk }) => chunk)), done)
  }

  override _final(done: Done): void {
    this.#socket.end(() => done())
  }

  override _destroy(error: Error | null, done: Done): void {
    if (error || this.#socket.writableLength === 0) this.#socket.destroy()
    else {
      // What was written before the close (a refusing CONNACK, for one) still goes out; a peer that takes nothing
      // for a second is cut.
      this.#socket.setTimeout(1000, () => this.#socket.destroy())
      this.#socket.destroySoon()
    }
    done(error)
  }
}
