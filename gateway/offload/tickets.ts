/**
 * Tickets: unguessable ids under which one large request is uploaded, or one large answer fetched, over HTTP. A ticket is good
 * once, for its device's one request, for a short time and a stated number of bytes. What lies here is in memory, bounded
 * for each device and in all.
 */
import { randomBytes } from 'node:crypto'
import type { Readable } from 'node:stream'
import type { Cancel, Clock } from '../../runtime/base/clock.ts'
import { CodedError, messageOf } from '../../runtime/base/errors.ts'
import { wireLimits } from '../../runtime/wire/limits.ts'

export type TicketErrorCode =
  /** Never given, used already, or expired: which one is nobody's business. */
  | 'unknown'
  | 'too-large'
  /** No room for it now. */
  | 'busy'
  /** The upload broke off, took too long, or is not the request that the ticket is for. */
  | 'malformed'

export class TicketError extends CodedError<TicketErrorCode> {
  override readonly name = 'TicketError'
}

export interface TicketLimits {
  /** Until an upload begins, or an answer is fetched, milliseconds. */
  readonly lifeMs: number
  /** For an upload to arrive: 48 MB over 10 Mbit/s. */
  readonly uploadMs: number
  /** For the next piece of one that began: longer than TCP takes to send a lost one again four times. */
  readonly silenceMs: number
  /** Uploads that are awaited. */
  readonly uploadsMax: number
  /** Answers that wait to be fetched. */
  readonly answersMax: number
  readonly answersPerDeviceMax: number
  readonly answerBytesPerDeviceMax: number
  readonly answerBytesMax: number
}

export const ticketDefaults: TicketLimits = {
  lifeMs: 30_000,
  uploadMs: 45_000,
  silenceMs: 10_000,
  /** As many as devices may have requests; before it begins each is a name. */
  uploadsMax: 512,
  answersMax: 256,
  /** Twice what it may have unanswered here. */
  answersPerDeviceMax: 32,
  answerBytesPerDeviceMax: 2 * wireLimits.ticketBytesMax,
  answerBytesMax: 256 * 1024 * 1024,
}

/** What becomes of an upload. */
export interface Upload {
  readonly bytesMax: number
  /** Its first bytes are there. Throws TicketError `busy` where there is no room for them. */
  readonly onBegin?: () => void
  /** So much more of it is in memory. Throws TicketError `busy` where there is no room for it. */
  readonly onBytes?: (bytes: number) => void
  /** All of it is here. Throws TicketError when it is not what was announced. */
  readonly onArrived: (body: Uint8Array, tookMs: number) => void
  /** It will never come. */
  readonly onGone: () => void
}

interface Answer {
  readonly device: string
  readonly body: Uint8Array
  fetchesLeft: number
  readonly cancel: Cancel
}

/** A device on a bad link may try again. */
const fetchesMax = 3

export class OffloadTickets implements Disposable {
  readonly #clock: Clock
  readonly #limits: TicketLimits
  readonly #uploads = new Map<string, { readonly upload: Upload; readonly cancel: Cancel }>()
  /** Uploads that began. */
  readonly #arriving = new Map<string, Readable>()
  readonly #answers = new Map<string, Answer>()
  #refused = 0

  constructor(clock: Clock, limits: TicketLimits) {
    this.#clock = clock
    this.#limits = limits
  }

  /** Asked for under ids that are not tickets: guesses, repetitions, and those that came too late. */
  get refused(): number {
    return this.#refused
  }

  /** A ticket to upload by within `lifeMs`; undefined when too many are out already. */
  expect(upload: Upload, lifeMs = this.#limits.lifeMs): string | undefined {
    if (this.#uploads.size >= this.#limits.uploadsMax) return undefined
    const id = newTicket()
    const cancel = this.#clock.after(lifeMs, () => {
      this.#uploads.delete(id)
      upload.onGone()
    })
    this.#uploads.set(id, { upload, cancel })
    return id
  }

  /** The upload is not wanted any more; one that began breaks off. */
  forget(id: string): void {
    this.#arriving.get(id)?.destroy(new TicketError('unknown', 'nobody waits for it any more'))
    const expected = this.#uploads.get(id)
    if (!expected) return
    this.#uploads.delete(id)
    expected.cancel()
    expected.upload.onGone()
  }

  /** Takes one upload. Throws TicketError. The stream is left to whoever answers on its socket. */
  async receive(id: string, body: Readable): Promise<void> {
    const expected = this.#uploads.get(id)
    if (!expected) throw this.#unknown()
    this.#uploads.delete(id)
    expected.cancel()
    const { upload } = expected
    const startMs = this.#clock.monotonicMs()
    try {
      upload.onBegin?.()
      this.#arriving.set(id, body)
      const bytes = await this.#collect(body, upload)
      upload.onArrived(bytes, this.#clock.monotonicMs() - startMs)
    } catch (error) {
      upload.onGone()
      throw error
    } finally {
      this.#arriving.delete(id)
    }
  }

  /** A ticket to fetch `body` by; undefined when there is no room. */
  keep(device: string, body: Uint8Array): string | undefined {
    const limits = this.#limits
    const sum = (answers: readonly Answer[]) =>
      answers.reduce((bytes, answer) => bytes + answer.body.byteLength, body.byteLength)
    const all = [...this.#answers.values()]
    const own = all.filter((answer) => answer.device === device)
    const full = all.length >= limits.answersMax || own.length >= limits.answersPerDeviceMax
    if (full || sum(all) > limits.answerBytesMax || sum(own) > limits.answerBytesPerDeviceMax)
      return undefined
    const id = newTicket()
    const cancel = this.#clock.after(limits.lifeMs, () => this.#answers.delete(id))
    this.#answers.set(id, { device, body, fetchesLeft: fetchesMax, cancel })
    return id
  }

  /** The answer, and what to call once all of it was sent. Throws TicketError `unknown`. */
  fetch(id: string): { readonly body: Uint8Array; readonly onSent: () => void } {
    const answer = this.#answers.get(id)
    if (!answer) throw this.#unknown()
    answer.fetchesLeft -= 1
    const drop = () => {
      answer.cancel()
      this.#answers.delete(id)
    }
    if (answer.fetchesLeft <= 0) drop()
    return { body: answer.body, onSent: drop }
  }

  [Symbol.dispose](): void {
    for (const { cancel, upload } of this.#uploads.values()) {
      cancel()
      upload.onGone()
    }
    for (const { cancel } of this.#answers.values()) cancel()
    this.#uploads.clear()
    this.#answers.clear()
  }

  #unknown(): TicketError {
    this.#refused += 1
    return new TicketError('unknown', 'no such ticket, or it was used or expired')
  }

  async #collect(body: Readable, { bytesMax, onBytes }: Upload): Promise<Uint8Array> {
    const { uploadMs, silenceMs } = this.#limits
    const end = (why: string) => () => body.destroy(new TicketError('malformed', why))
    const cancel = this.#clock.after(uploadMs, end('the upload took too long'))
    const listen = () => this.#clock.after(silenceMs, end('the upload fell silent'))
    let cancelSilence = listen()
    const parts: Buffer[] = []
    let bytes = 0
    try {
      for await (const part of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        cancelSilence()
        cancelSilence = listen()
        bytes += part.byteLength
        if (bytes > bytesMax)
          throw new TicketError(
            'too-large',
            `the upload has more than the ${bytesMax} bytes that were announced`,
          )
        onBytes?.(part.byteLength)
        parts.push(part)
      }
    } catch (error) {
      if (error instanceof TicketError) throw error
      throw new TicketError('malformed', `the upload broke off: ${messageOf(error)}`, { cause: error })
    } finally {
      cancel()
      cancelSilence()
    }
    return Buffer.concat(parts, bytes)
  }
}

/** 192 random bits. */
function newTicket(): string {
  return randomBytes(24).toString('base64url')
}
