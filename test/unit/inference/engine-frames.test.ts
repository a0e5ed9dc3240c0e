import { PassThrough } from 'node:stream'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  encodeFrame,
  FrameDecoder,
  FrameError,
  readFrames,
  writeFrame,
} from '../../../runtime/wire/frames.ts'

const bytesMax = 1 << 16

function frame(message: unknown): Uint8Array {
  return Buffer.concat(encodeFrame(message, bytesMax))
}

/** Cuts bytes at the given fractions of their length. */
function cut(bytes: Uint8Array, fractions: readonly number[]): Uint8Array[] {
  const at = fractions.map((fraction) => Math.floor(fraction * bytes.byteLength)).sort((a, b) => a - b)
  return [...at, bytes.byteLength].map((end, index) => bytes.slice(at[index - 1] ?? 0, end))
}

const typedArray = fc.oneof(
  fc.float32Array({ noNaN: false, maxLength: 50 }),
  fc.float64Array({ maxLength: 50 }),
  fc.bigInt64Array({ maxLength: 50 }),
  fc.int32Array({ maxLength: 50 }),
  fc.int16Array({ maxLength: 50 }),
  fc.int8Array({ maxLength: 50 }),
)
const message = fc.record({
  t: fc.string(),
  /** Shifts what follows, so that every alignment happens. */
  pad: fc.string({ maxLength: 9 }),
  tensors: fc.array(fc.record({ name: fc.string(), data: typedArray }), { maxLength: 4 }),
  words: fc.array(fc.string({ unit: 'binary' })),
  number: fc.double({ noNaN: true, noDefaultInfinity: true }).filter((number) => !Object.is(number, -0)),
})

test('[engine-1] messages come out as they went in, whatever the chunks and alignments', () => {
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 5 }),
      fc.array(fc.double({ min: 0, max: 1, noNaN: true })),
      (sent, cuts) => {
        const decoder = new FrameDecoder(bytesMax)
        const bytes = Buffer.concat(sent.map(frame))
        const received = cut(bytes, cuts).flatMap((chunk) => [...decoder.push(chunk)])
        expect(received).toEqual(sent)
      },
    ),
  )
})

test('[engine-1] what was decoded does not change when the chunk is used again', () => {
  const bytes = new Uint8Array(frame({ data: Float32Array.of(1, 2, 3) }))
  const [decoded] = [...new FrameDecoder(bytesMax).push(bytes)]
  bytes.fill(0)
  expect(decoded).toEqual({ data: Float32Array.of(1, 2, 3) })
})

test('[engine-2] arbitrary bytes give messages or a FrameError, never anything else', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.uint8Array({ minLength: 1, maxLength: 60 }),
      (bytes, payload) => {
        for (const input of [bytes, Buffer.concat([Uint8Array.of(0, 0, 0, payload.length), payload])]) {
          const decoder = new FrameDecoder(1024)
          try {
            for (const decoded of decoder.push(input)) void decoded
          } catch (error) {
            expect(error).toBeInstanceOf(FrameError)
            expect(() => [...decoder.push(frame({ t: 'fine' }))]).toThrow(FrameError)
          }
        }
      },
    ),
    { numRuns: 500 },
  )
})

test('[engine-2] a frame over the limit is refused before anything is allocated for it', () => {
  const decoder = new FrameDecoder(100)
  expect(() => [...decoder.push(Uint8Array.of(0xff, 0xff, 0xff, 0xff))]).toThrow(
    /4294967295 bytes.*the 100 allowed/,
  )
  expect(() => encodeFrame({ data: new Float32Array(50) }, 100)).toThrow(/more than the 100 allowed/)
  expect(() => [...new FrameDecoder(100).push(new Uint8Array(4))]).toThrow('an empty frame')
})

test('readFrames() reports a broken stream once and reads no further', () => {
  const stream = new PassThrough()
  const messages: unknown[] = []
  const errors: FrameError[] = []
  readFrames(
    stream,
    bytesMax,
    (message) => messages.push(message),
    (error) => errors.push(error),
  )
  writeFrame(stream, { n: 1 }, bytesMax)
  stream.write(Uint8Array.of(0, 0, 0, 1, 0xff))
  writeFrame(stream, { n: 2 }, bytesMax)
  expect(messages).toEqual([{ n: 1 }])
  expect(errors.map((error) => error.code)).toEqual(['frame-garbage'])
})
