/**
 * Frames on a byte stream: u32 big-endian length, then that many bytes of CBOR. A stream that once broke the rules has
 * no next frame to find: the decoder refuses everything after its first error, and its owner closes the stream.
 *
 * Typed arrays come out as views into the frame's own buffer where RFC 8746 elements happen to lie aligned, and as
 * copies where they do not; either way they are the receiver's own.
 */
import type { OnReadOpts } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import { CodedError } from '../base/errors.ts'
import { decodeCbor } from './cbor.ts'
import { encodeCborParts } from './cbor-parts.ts'

export class FrameError extends CodedError<'frame-too-large' | 'frame-garbage'> {
  override readonly name = 'FrameError'
}

const headerBytes = 4

/**
 * The parts of one frame, in their order. Large arrays are parts of their own, the sender's very bytes: they must stay as
 * they are until the parts are written.
 */
export function encodeFrame(message: unknown, bytesMax: number): readonly Uint8Array[] {
  const announced = bytesAtLeast(message)
  // Before anything is allocated for it.
  if (announced > bytesMax) throw tooLarge(announced, bytesMax)
  const parts = encodeCborParts(message)
  const bytes = parts.reduce((sum, { byteLength }) => sum + byteLength, 0)
  if (bytes > bytesMax) throw tooLarge(bytes, bytesMax)
  const [first = new Uint8Array(0), ...others] = parts
  const start = new Uint8Array(headerBytes + first.byteLength)
  new DataView(start.buffer).setUint32(0, bytes)
  start.set(first, headerBytes)
  return [start, ...others]
}

/** Writes one frame. False when the stream wants a pause until its `drain`. Throws FrameError, having written nothing. */
export function writeFrame(stream: Writable, message: unknown, bytesMax: number): boolean {
  const parts = encodeFrame(message, bytesMax)
  if (parts.length === 1) return stream.write(parts[0])
  stream.cork()
  let more = true
  for (const part of parts) more = stream.write(part)
  stream.uncork()
  return more
}

/** Bytes of the arrays in a message: what it takes at least. */
function bytesAtLeast(value: unknown): number {
  if (typeof value === 'string') return value.length
  if (typeof value !== 'object' || value === null) return 0
  if (ArrayBuffer.isView(value)) return value.byteLength
  let sum = 0
  for (const inner of Array.isArray(value) ? value : Object.values(value)) sum += bytesAtLeast(inner)
  return sum
}

function tooLarge(bytes: number, bytesMax: number): FrameError {
  return new FrameError('frame-too-large', `a message of ${bytes} bytes, more than the ${bytesMax} allowed`)
}

/** From here on a payload's memory is worth keeping: allocating and freeing it costs more than reading it. */
const reusedBytesMin = 64 * 1024
/** More than a picture; kept while nothing uses it. */
const reusedBytesMax = 4 * 1024 * 1024

/** The memory of large payloads, used again once the receiver is done with a message. Keeps one. */
export class PayloadMemory {
  readonly #lent = new WeakSet<ArrayBufferLike>()
  #spare: ArrayBuffer | undefined

  take(bytes: number): Uint8Array {
    if (bytes < reusedBytesMin || bytes > reusedBytesMax) return new Uint8Array(bytes)
    const spare = this.#spare
    const fits = spare && spare.byteLength >= bytes
    const buffer = fits ? spare : new ArrayBuffer(bytes)
    if (fits) this.#spare = undefined
    this.#lent.add(buffer)
    return new Uint8Array(buffer, 0, bytes)
  }

  /** What a message was decoded from, once nothing reads it any more. Others' memory is left alone. */
  giveBack(buffer: ArrayBufferLike): void {
    if (this.#lent.delete(buffer)) this.#spare = buffer as ArrayBuffer
  }
}

/** Turns arbitrary chunks into messages. Holds at most one frame. */
export class FrameDecoder {
  readonly #bytesMax: number
  readonly #memory: PayloadMemory | undefined
  readonly #header = new Uint8Array(headerBytes)
  #headerFill = 0
  #payload: Uint8Array | undefined
  #payloadFill = 0
  #broken: FrameError | undefined

  constructor(bytesMax: number, memory?: PayloadMemory) {
    this.#bytesMax = bytesMax
    this.#memory = memory
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

  /** Where the next bytes may be read to, without another copy: the rest of a payload under way. */
  get space(): Uint8Array | undefined {
    return this.#payload?.subarray(this.#payloadFill)
  }

  /** Like `push`, for `bytes` that were read into `space`. */
  *filled(bytes: number): Generator<unknown, void, undefined> {
    if (this.#broken) throw this.#broken
    this.#payloadFill += bytes
    if (this.#payload && this.#payloadFill === this.#payload.byteLength) yield this.#take(this.#payload)
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
    this.#payload = this.#memory?.take(bytes) ?? new Uint8Array(bytes)
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

/** Bytes read at once while no payload is under way: more than most messages have. */
const scratchBytes = 64 * 1024

/**
 * How a socket reads frames with the fewest copies (`onread` of `net.Socket`): large payloads go from the kernel to where
 * they stay. Calls back like `readFrames`.
 */
export function frameReading(
  bytesMax: number,
  memory: PayloadMemory,
  onMessage: (message: unknown) => void,
  onBroken: (error: FrameError) => void,
): OnReadOpts {
  const decoder = new FrameDecoder(bytesMax, memory)
  const scratch = new Uint8Array(scratchBytes)
  let space: Uint8Array | undefined
  return {
    buffer: () => {
      space = decoder.space
      return space ?? scratch
    },
    callback: (bytes) => {
      try {
        const messages = space ? decoder.filled(bytes) : decoder.push(scratch.subarray(0, bytes))
        for (const message of messages) onMessage(message)
        return true
      } catch (error) {
        if (!(error instanceof FrameError)) throw error
        onBroken(error)
        return false
      }
    },
  }
}
