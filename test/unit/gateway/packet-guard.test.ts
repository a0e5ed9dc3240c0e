import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PacketGuard } from '../../../gateway/broker/packet-guard.ts'

function packet(bodyBytes: number): number[] {
  const length: number[] = []
  let left = bodyBytes
  do {
    length.push((left % 128) + (left >= 128 ? 128 : 0))
    left = Math.floor(left / 128)
  } while (left > 0)
  return [0x30, ...length, ...Array.from({ length: bodyBytes }, (_, n) => n % 256)]
}

/** The verdict after the stream, cut at the given places. */
function verdict(stream: readonly number[], cuts: readonly number[], bytesMax: number): string {
  const guard = new PacketGuard(bytesMax)
  const places = [...cuts.map((cut) => cut % (stream.length + 1)), stream.length].sort((a, b) => a - b)
  let from = 0
  for (const to of places) {
    const said = guard.push(Uint8Array.from(stream.slice(from, to)))
    if (said !== 'ok') return said
    from = to
  }
  return 'ok'
}

describe('[broker-1] PacketGuard', () => {
  it('passes packets within the limit and stops at the first beyond it, wherever the stream is cut', () => {
    const sizes = fc.array(fc.nat({ max: 400 }), { maxLength: 8 })
    fc.assert(
      fc.property(sizes, fc.array(fc.nat(), { maxLength: 12 }), (bodies, cuts) => {
        const stream = bodies.flatMap(packet)
        const expected = bodies.some((bytes) => bytes > 200) ? 'oversize' : 'ok'
        expect(verdict(stream, cuts, 200)).toBe(expected)
      }),
    )
  })

  it('needs only the header to refuse', () => {
    const guard = new PacketGuard(1000)
    expect(guard.push(Uint8Array.from([0x30, 0xff]))).toBe('ok')
    expect(guard.push(Uint8Array.from([0x7f]))).toBe('oversize')
  })

  it('refuses reserved packet types', () => {
    expect(new PacketGuard(10).push(Uint8Array.from([0x00, 0]))).toBe('malformed')
    expect(new PacketGuard(10).push(Uint8Array.from([0xf0, 0]))).toBe('malformed')
  })

  it('refuses a length field of more than four bytes, even of zeros', () => {
    expect(new PacketGuard(10).push(Uint8Array.from([0x30, 0x80, 0x80, 0x80, 0x80, 0x00]))).toBe('malformed')
  })
})
