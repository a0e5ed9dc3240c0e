/** Frames with large arrays: parts that are the sender's own memory, read into memory that is used again. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodeFrame, FrameError, frameReading, PayloadMemory } from '../../../runtime/wire/frames.ts'

const bytesMax = 1 << 20
const largeBytes = 16 * 1024
const kinds = [Float32Array, Float64Array, BigInt64Array, Int32Array, Int16Array, Int8Array] as const

function counting(kind: (typeof kinds)[number], length: number) {
  const array = new kind(length)
  for (let at = 0; at < length; at += 1) array[at] = kind === BigInt64Array ? BigInt(at) : at % 100
  return array
}

const message = fc.record({
  t: fc.string(),
  /** Shifts what follows, so that every alignment happens. */
  pad: fc.string({ maxLength: 9 }),
  inputs: fc.array(
    fc.record({
      name: fc.string(),
      data: fc
        .tuple(fc.constantFrom(...kinds), fc.constantFrom(0, 3, 2500, 17_000, 30_001))
        .map(([kind, length]) => counting(kind, length)),
    }),
    { maxLength: 3 },
  ),
})
type Message = { readonly inputs: readonly { readonly data: ArrayBufferView }[] }

/** What it says now, in texts: comparing half a million elements one by one takes long. */
const texts = (value: Message) => ({
  ...value,
  inputs: value.inputs.map(({ data, ...input }) => ({
    ...input,
    kind: data.constructor.name,
    bytes: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('latin1'),
  })),
})

/** What a socket does with `onread`: fills the buffer that it is given, calls back with how much. */
function feed(reading: ReturnType<typeof frameReading>, bytes: Uint8Array, atMost: number): boolean {
  let at = 0
  while (at < bytes.byteLength) {
    const space = (reading.buffer as () => Uint8Array)()
    const count = Math.min(space.byteLength, atMost, bytes.byteLength - at)
    space.set(bytes.subarray(at, at + count))
    at += count
    if (!reading.callback(count, space)) return false
  }
  return true
}

test('[engine-1] large arrays are not copied to be sent, arrive whole, and their memory serves again', () => {
  const memory = new PayloadMemory()
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 3 }),
      fc.integer({ min: 1000, max: 300_000 }),
      (sent, atMost) => {
        const received: unknown[] = []
        const onMessage = (value: unknown) => {
          received.push(texts(value as Message))
          for (const { data } of (value as Message).inputs) memory.giveBack(data.buffer)
        }
        const reading = frameReading(bytesMax, memory, onMessage, (error) => expect.fail(error.message))
        for (const one of sent) {
          const parts = encodeFrame(one, bytesMax)
          for (const { data } of one.inputs)
            if (data.byteLength >= largeBytes)
              expect(parts.some((part) => part.buffer === data.buffer)).toBe(true)
          feed(reading, Buffer.concat(parts), atMost)
        }
        expect(received).toEqual(sent.map(texts))
      },
    ),
    { numRuns: 60 },
  )
})

test.for(Array.from({ length: 16 }, (_, shift) => shift))(
  'a large array lies aligned in its frame, %i characters after another place',
  (shift) => {
    const data = new Float64Array(4000)
    const [start, part] = encodeFrame({ pad: 'x'.repeat(shift), data }, bytesMax)
    expect(part?.buffer).toBe(data.buffer)
    // Four bytes are the frame's own length.
    expect(((start?.byteLength ?? 0) - 4) % 8).toBe(0)
  },
)

test('memory that was not lent, or is back already, is not used again', () => {
  const memory = new PayloadMemory()
  const own = new ArrayBuffer(100_000)
  memory.giveBack(own)
  const lent = memory.take(100_000)
  expect(lent.buffer).not.toBe(own)
  memory.giveBack(lent.buffer)
  memory.giveBack(lent.buffer)
  const again = memory.take(90_000)
  expect(again.buffer).toBe(lent.buffer)
  expect(memory.take(90_000).buffer).not.toBe(lent.buffer)
})

test('[engine-2] a tensor of a gigabyte is refused with its size', () => {
  // Pages of a buffer that nobody wrote to take no memory.
  const data = new Float32Array(new ArrayBuffer(2 ** 30))
  expect(() => encodeFrame({ inputs: [{ name: 'x', data }] }, 64 * 2 ** 20)).toThrow(
    /a message of 10737418\d\d bytes, more than the 67108864 allowed/,
  )
})

test('[engine-2] a socket that brings garbage is told once, and read no further', () => {
  const errors: FrameError[] = []
  const reading = frameReading(
    bytesMax,
    new PayloadMemory(),
    () => {},
    (error) => errors.push(error),
  )
  expect(feed(reading, Uint8Array.of(0, 0, 0, 1, 0xff), 100)).toBe(false)
  expect(errors.map((error) => error instanceof FrameError && error.code)).toEqual(['frame-garbage'])
})
