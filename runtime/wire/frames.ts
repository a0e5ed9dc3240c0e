/**
 * Frames on a byte stream: u32 big-endian length, then that many bytes of CBOR. A stream that once broke the rules has
 * no next frame to find: the decoder refuses everything after its first error, and its owner closes the stream.
 *
 * Typed arrays come out as views into the frame's own buffer where RFC 8746 elements happen to lie aligned, and as
 * copies where they do not; either way they are the receiver's own.
 */
import type { Readable, Writable } from 'node:stream'
import { CodedError } from '../base/errors.ts'
import { decodeCbor, encodeCbor } from './cbor.ts'

export class FrameError extends CodedError<'frame-too-large' | 'frame-garbage'> {
  override readonly name = 'FrameError'
}

const headerBytes = 4

/** Header and payload of one frame, apart, so that a large payload is not copied once more to join them. */
export function encodeFrame(message: unknown, bytesMax: number): readonly [Uint8Array, Uint8Array] {
  const payload = encodeCbor(message)
  if (payload.byteLength > bytesMax)
    throw new FrameError(
      'frame-too-large',
      `a message of ${payload.byteLength} bytes, more than the ${bytesMax} allowed`,
    )
  const header = new Uint8Array(headerBytes)
  new DataView(header.buffer).setUint32(0, payload.byteLength)
  return [header, payload]
}

/** Writes one frame. False when the stream wants a pause until its `drain`. Throws FrameError, having written nothing. */
export function writeFrame(stream: Writable, message: unknown, bytesMax: number): boolean {
  const [header, payload] = encodeFrame(message, bytesMax)
  stream.cork()
  stream.write(header)
  const more = stream.write(payload)
  stream.uncork()
  return more
}

/** Turns arbitrary chunks into messages. Holds at most one frame. */
export class FrameDecoder {
  readonly #bytesMax: number
  readonly #header = new Uint8Array(headerBytes)
  #headerFill = 0
  #payload: Uint8Array | undefined
  #payloadFill = 0
  #broken: FrameError | undefined

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Yields the messages that `chunk` completes. Throws FrameError on the first frame that breaks the rules, and ever after. */
  *push(chunk: Uint8Array): Generator<unknown, void, undefined> {
    if (this.#broken) throw this.#broken
    let at = 0
    while (at < chunk.byteLength) {
      at += this.#payload ? this.#fillPayload(this.#payload, chunk, at) : this.#fillHeader(chunk, at)
      if (this.#payload && this.#payloadFill === this.#payload.byteLength) yield this.#take(this.#payload)
    }
  }

  #fillHeader(chunk: Uint8Array, at: number): number {
    const taken = Math.min(headerBytes - this.#headerFill, chunk.byteLength - at)
    this.#header.set(chunk.subarray(at, at + taken), this.#headerFill)
    this.#headerFill += taken
    if (this.#headerFill === headerBytes) this.#begin(new DataView(this.#header.buffer).getUint32(0))
    return taken
  }

  #begin(bytes: number): void {
    if (bytes > this.#bytesMax)
      this.#fail(
        'frame-too-large',
        `a frame of ${bytes} bytes is announced, more than the ${this.#bytesMax} allowed`,
      )
    if (bytes === 0) this.#fail('frame-garbage', 'an empty frame')
    this.#payload = new Uint8Array(bytes)
    this.#payloadFill = 0
  }

  #fillPayload(payload: Uint8Array, chunk: Uint8Array, at: number): number {
    const taken = Math.min(payload.byteLength - this.#payloadFill, chunk.byteLength - at)
    payload.set(chunk.subarray(at, at + taken), this.#payloadFill)
    this.#payloadFill += taken
    return taken
  }

  #take(payload: Uint8Array): unknown {
    this.#payload = undefined
    this.#headerFill = 0
    const parsed = decodeCbor(payload, this.#bytesMax)
    if (!parsed.ok) this.#fail('frame-garbage', parsed.reason)
    return parsed.value
  }

  #fail(code: FrameError['code'], message: string): never {
    this.#broken = new FrameError(code, message)
    throw this.#broken
  }
}

/** Calls `onMessage` for each frame of `stream`, and `onBroken` once when the stream stops making sense. */
export function readFrames(
  stream: Readable,
  bytesMax: number,
  onMessage: (message: unknown) => void,
  onBroken: (error: FrameError) => void,
): void {
  const decoder = new FrameDecoder(bytesMax)
  const onChunk = (chunk: Uint8Array) => {
    try {
      for (const message of decoder.push(chunk)) onMessage(message)
    } catch (error) {
      if (!(error instanceof FrameError)) throw error
      stream.off('data', onChunk)
      onBroken(error)
    }
  }
  stream.on('data', onChunk)
}
