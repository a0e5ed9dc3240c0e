import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeCbor, encodeCbor } from '../../../runtime/wire/cbor.ts'
import type { Tensor } from '../../../runtime/wire/infer.ts'

const bytesMax = 1024 * 1024
const plain = (unit: 'grapheme' | 'binary') =>
  fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.string({ unit }),
      fc.integer(),
      fc.double({ noNaN: true }).filter((number) => !Object.is(number, -0)),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('value'), { maxLength: 5 }),
      fc.dictionary(
        fc.string().filter((key) => key !== '__proto__'),
        tie('value'),
        { maxKeys: 5, noNullPrototype: true },
      ),
    ),
  })).value

const typedArrays = fc.oneof(
  fc.uint8Array(),
  fc.int8Array(),
  fc.int16Array(),
  fc.int32Array(),
  fc.float32Array({ noNaN: true }),
  fc.float64Array({ noNaN: true }),
  fc.bigInt64Array(),
)

/** RFC 8949 bytes, from hexadecimal. */
const hex = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'))

describe('CBOR', () => {
  test('decodes what it encoded', () => {
    fc.assert(
      fc.property(plain('grapheme'), (value) => {
        expect(decodeCbor(encodeCbor(value), bytesMax)).toEqual({ ok: true, value })
      }),
    )
  })

  test('carries every typed array as what it is, at any alignment [wire-4]', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 9 }), typedArrays, (before, data) => {
        const decoded = decodeCbor(encodeCbor({ before, data }), bytesMax)
        expect(decoded.ok).toBe(true)
        const { data: got } = (decoded.ok ? decoded.value : {}) as { data: typeof data }
        expect(ArrayBuffer.isView(got)).toBe(true)
        expect(got.byteLength).toBe(data.byteLength)
        expect([...got]).toEqual([...data])
        if (!(data instanceof Uint8Array)) expect(got.constructor).toBe(data.constructor)
      }),
    )
  })

  test('a tensor keeps its numbers after the payload that it came in is overwritten by the next message', () => {
    const tensor: Tensor = { name: 'x', datatype: 'FP32', shape: [2], data: Float32Array.of(1.5, -2) }
    const first = encodeCbor(tensor)
    const second = encodeCbor({ ...tensor, data: Float32Array.of(9, 9) })
    expect(decodeCbor(first, bytesMax)).toMatchObject({ value: { data: Float32Array.of(1.5, -2) } })
    expect(decodeCbor(second, bytesMax)).toMatchObject({ value: { data: Float32Array.of(9, 9) } })
  })

  test('refuses a payload over the limit before reading it', () => {
    expect(decodeCbor(new Uint8Array(11), 10)).toEqual({
      ok: false,
      reason: '11 bytes, more than the 10 allowed',
    })
  })

  test('never throws and never builds an object of a class, whatever bytes arrive [wire-3]', () => {
    const damaged = fc.tuple(plain('binary'), fc.nat(), fc.nat(255)).map(([value, where, byte]) => {
      const bytes = encodeCbor(value)
      bytes[where % bytes.length] = byte
      return bytes
    })
    const hostile = fc.oneof(fc.uint8Array({ maxLength: 200 }), damaged)
    fc.assert(
      fc.property(hostile, (bytes) => {
        const decoded = decodeCbor(bytes, bytesMax)
        if (decoded.ok) expectPlain(decoded.value)
      }),
      { numRuns: 2000 },
    )
  })

  test.each([
    ['an array that announces four billion items', '9affffffff'],
    ['an array that announces thirty million items', '9a01f00000'],
    ['a map that announces four billion entries', 'baffffffff'],
    ['a string of 2^63 bytes', '7b7fffffffffffffff'],
    ['an indefinite array', '9f01ff'],
    ['an indefinite string', '7f6161ff'],
    ['a date', 'c11a00000000'],
    ['a set', 'd9010280'],
    ['a cycle', 'd81c81d81d00'],
    ['a generic object', 'd81b8266526567457870616128'],
    ['a packed table', 'd83384808080f6'],
    ['a typed array tag on text', 'd8556161'],
    ['a float array cut inside an element', 'd85543010203'],
    ['bytes after the value', '0000'],
    ['nothing', ''],
  ])('refuses %s', (_, bytes) => {
    expect(decodeCbor(hex(bytes), bytesMax)).toMatchObject({ ok: false })
  })

  test('refuses nesting that would overflow the stack', () => {
    const deep = new Uint8Array(100_000).fill(0x81)
    expect(decodeCbor(deep, bytesMax)).toEqual({
      ok: false,
      reason: 'not CBOR of ours: nested deeper than 32',
    })
  })

  test('a __proto__ key changes no prototype', () => {
    const decoded = decodeCbor(
      hex(`a169${Buffer.from('__proto__').toString('hex')}a168706f6c6c75746564f5`),
      bytesMax,
    )
    expect((decoded.ok ? (decoded.value as Record<string, unknown>) : {})['polluted']).toBeUndefined()
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  })
})

function expectPlain(value: unknown): void {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return
  expect([Object.prototype, Array.prototype]).toContain(Object.getPrototypeOf(value))
  for (const inner of Object.values(value)) expectPlain(inner)
}
