/** The filter on the byte stream from the broker, against packets written as MQTT 3.1.1, section 3.3 says. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PacketFilter } from '../../../runtime/wire/packet-filter.ts'

const bytesMax = 300

interface Message {
  readonly topic: string
  readonly bytes: number
  readonly qos: 0 | 1
  readonly id: number
}

function publish({ topic, bytes, qos, id }: Message): Buffer {
  const name = Buffer.from(topic)
  const body = Buffer.concat([
    uint16(name.length),
    name,
    qos === 1 ? uint16(id) : Buffer.alloc(0),
    Buffer.alloc(bytes, 0x33),
  ])
  return Buffer.concat([Buffer.of(0x30 | (qos << 1)), remainingLength(body.length), body])
}

function uint16(value: number): Buffer {
  return Buffer.of(value >> 8, value & 0xff)
}

/** Section 2.2.3. */
function remainingLength(length: number): Buffer {
  const digits: number[] = []
  for (let left = length; digits.length === 0 || left > 0; left = Math.floor(left / 128))
    digits.push((left % 128) | (left >= 128 ? 0x80 : 0))
  return Buffer.from(digits)
}

function sizeOf({ topic, bytes, qos }: Message): number {
  return 2 + Buffer.byteLength(topic) + (qos === 1 ? 2 : 0) + bytes
}

function run(stream: Buffer, cuts: readonly number[]) {
  const dropped: { topic: string; bytes: number; ack: number[] | undefined }[] = []
  const filter = new PacketFilter(bytesMax, {
    onOversized: (topic, bytes, ack) => dropped.push({ topic, bytes, ack: ack && [...ack] }),
  })
  const edges = [0, ...[...cuts].map((cut) => cut % (stream.length + 1)).sort((a, b) => a - b), stream.length]
  const passed = edges.flatMap((edge, n) => filter.accept(stream.subarray(edge, edges[n + 1] ?? edge)))
  return { passed: Buffer.concat(passed), dropped }
}

const message = fc.record({
  topic: fc.string({ minLength: 1, maxLength: 20 }),
  bytes: fc.oneof(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 0, max: 40_000 })),
  qos: fc.constantFrom(0 as const, 1 as const),
  id: fc.integer({ min: 1, max: 65_535 }),
})

describe('the packet filter', () => {
  test('passes what fits byte for byte and cuts out the rest, however the stream is cut up [link-6]', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 8 }), fc.array(fc.nat(100_000)), (messages, cuts) => {
        const { passed, dropped } = run(Buffer.concat(messages.map(publish)), cuts)
        const fits = (m: Message) => sizeOf(m) <= bytesMax
        expect(passed).toEqual(Buffer.concat(messages.filter(fits).map(publish)))
        const expected = messages.filter((m) => !fits(m))
        expect(dropped).toEqual(
          expected.map((m) => ({
            topic: m.topic,
            bytes: sizeOf(m),
            ack: m.qos === 1 ? [0x40, 2, ...uint16(m.id)] : undefined,
          })),
        )
      }),
    )
  })

  test('passes packets without a body', () => {
    const ping = Buffer.of(0xd0, 0)
    expect(run(Buffer.concat([ping, ping]), [1]).passed).toEqual(Buffer.concat([ping, ping]))
  })

  test('throws where the length never ends, or anything but a message is too large', () => {
    expect(() => run(Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff]), [])).toThrow(/malformed/)
    expect(() => run(Buffer.from([0x20, 0xff, 0x7f]), [])).toThrow(/packet of type 2/)
  })
})
