/**
 * Recordings on their way to a device: a file under the gateway's state folder that the device fetches once by an
 * unguessable URL. Bounded in number and size; gone when the call is answered or the time is up, and at the next start.
 */
import { randomBytes } from 'node:crypto'
import { createReadStream, createWriteStream, type ReadStream } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { finished, PassThrough, Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Cancel, Clock } from '../../runtime/base/clock.ts'
import { ApiError } from './api-error.ts'

export interface TicketOptions {
  readonly folder: string
  readonly bytesMax: number
  /** Recordings at once: each may fill `bytesMax` of disk. */
  readonly ticketsMax: number
  readonly lifeMs: number
  /** A device on a bad link may try again. */
  readonly fetchesMax: number
}

export interface Ticket extends AsyncDisposable {
  readonly id: string
  readonly bytes: number
}

interface Entry {
  readonly path: string
  readonly type: 'audio/wav' | 'application/cbor'
  bytes: number
  fetchesLeft: number
  cancel: Cancel
}

export class Tickets implements AsyncDisposable {
  readonly #clock: Clock
  readonly #options: TicketOptions
  readonly #entries = new Map<string, Entry>()

  private constructor(clock: Clock, options: TicketOptions) {
    this.#clock = clock
    this.#options = options
  }

  /** Empties the folder of what an earlier run left behind. */
  static async open(clock: Clock, options: TicketOptions): Promise<Tickets> {
    await rm(options.folder, { recursive: true, force: true })
    await mkdir(options.folder, { recursive: true, mode: 0o700 })
    return new Tickets(clock, options)
  }

  /** Stores a recording. Throws ApiError (`busy`, `too-large`, `bad-request` when it is not a WAV file). */
  store(recording: Readable): Promise<Ticket> {
    return this.#store(recording, 'audio/wav', wavCheck(this.#options.bytesMax))
  }

  /** Stores what was checked already: tensors of an inference. Throws ApiError `busy`. */
  keep(content: Uint8Array): Promise<Ticket> {
    const transform = new PassThrough()
    return this.#store(Readable.from([content]), 'application/cbor', {
      transform,
      bytes: () => content.byteLength,
    })
  }

  async #store(
    recording: Readable,
    type: Entry['type'],
    check: { readonly transform: Transform; readonly bytes: () => number },
  ): Promise<Ticket> {
    const { ticketsMax, folder, fetchesMax } = this.#options
    if (this.#entries.size >= ticketsMax)
      throw new ApiError(
        'busy',
        `${ticketsMax} recordings or inputs are on their way already: try again in a moment`,
      )
    const id = randomBytes(24).toString('base64url')
    const entry: Entry = { path: join(folder, id), type, bytes: 0, fetchesLeft: 0, cancel: () => {} }
    this.#entries.set(id, entry)
    try {
      await receive(recording, check.transform, entry.path)
      entry.bytes = check.bytes()
      if (entry.bytes === 0) throw new ApiError('bad-request', 'the recording is empty')
      if (entry.bytes < formBytes) throw notWav()
    } catch (error) {
      await this.#drop(id)
      throw error
    }
    entry.fetchesLeft = fetchesMax
    entry.cancel = this.#clock.after(this.#options.lifeMs, () => void this.#drop(id))
    return { id, bytes: entry.bytes, [Symbol.asyncDispose]: () => this.#drop(id) }
  }

  /** The recording; undefined when there is none (any more). */
  fetch(id: string): (Pick<Entry, 'type' | 'bytes'> & { stream: ReadStream }) | undefined {
    const entry = this.#entries.get(id)
    if (!entry || entry.fetchesLeft <= 0) return undefined
    entry.fetchesLeft -= 1
    return { stream: createReadStream(entry.path), bytes: entry.bytes, type: entry.type }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#entries.keys()].map((id) => this.#drop(id)))
  }

  async #drop(id: string): Promise<void> {
    const entry = this.#entries.get(id)
    if (!entry) return
    this.#entries.delete(id)
    entry.cancel()
    await rm(entry.path, { force: true })
  }
}

/** Writes the recording without destroying its stream when it is refused: the answer goes out on the same socket. */
async function receive(recording: Readable, check: Transform, path: string): Promise<void> {
  finished(recording, { writable: false }, (error) => {
    if (error) check.destroy(error)
  })
  recording.pipe(check)
  try {
    await pipeline(check, createWriteStream(path, { mode: 0o600 }))
  } catch (error) {
    recording.unpipe(check)
    recording.resume()
    throw error
  }
}

/** RIFF, size, WAVE: what tells the form of a file. */
const formBytes = 12
const notWav = () => new ApiError('bad-request', 'the recording is not a WAV file')

/** Passes a WAV file through; fails at the first bytes of anything else, and beyond the limit. */
function wavCheck(bytesMax: number): { transform: Transform; bytes: () => number } {
  let bytes = 0
  let head = Buffer.alloc(0)
  const transform = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.byteLength
      if (bytes > bytesMax) {
        const megabytes = Math.floor(bytesMax / 1024 / 1024)
        return done(new ApiError('too-large', `the recording has more than ${megabytes} MB`))
      }
      if (head.byteLength < formBytes) {
        head = Buffer.concat([head, chunk.subarray(0, formBytes - head.byteLength)])
        if (head.byteLength === formBytes && !isWav(head)) return done(notWav())
      }
      done(null, chunk)
    },
  })
  return { transform, bytes: () => bytes }
}

/** RIFF container with form type WAVE. */
function isWav(head: Buffer): boolean {
  return head.toString('latin1', 0, 4) === 'RIFF' && head.toString('latin1', 8, 12) === 'WAVE'
}
