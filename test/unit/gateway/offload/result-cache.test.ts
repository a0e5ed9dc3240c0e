/** Answers kept by content. */
import { describe, expect, test } from 'vitest'
import { cacheKey, type Question, ResultCache } from '../../../../gateway/offload/result-cache.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import type { InferChunk, Privacy, Tensor } from '../../../../runtime/wire/infer.ts'

const floats = (name: string, ...data: number[]): Tensor => ({
  name,
  datatype: 'FP32',
  shape: [data.length],
  data: Float32Array.from(data),
})
const texts = (name: string, ...data: string[]): Tensor => ({
  name,
  datatype: 'BYTES',
  shape: [data.length],
  data,
})
const model = { name: 'm', version: '1', reach: 'site' } as const
const answer = (...outputs: Tensor[]): InferChunk[] => [
  { id: 'first', final: false, outputs: [] },
  { id: 'first', final: true, outputs, modelMs: 3 },
]
const asker = (privacy: Privacy = 'site') => ({ id: 'second', privacy })
const small = { bytesMax: 10_000, entriesMax: 3, answerBytesMax: 4_000 }

describe('[offload-13] cacheKey', () => {
  const key = (question: Question) => cacheKey(model, question)

  test('the order of inputs and parameters does not count', () => {
    const [x, y] = [floats('x', 1), floats('y', 2)]
    expect(key({ inputs: [x, y], parameters: { a: 1, b: 'c' } })).toBe(
      key({ inputs: [y, x], parameters: { b: 'c', a: 1 } }),
    )
  })

  test('questions that differ in anything else have different keys', () => {
    const questions: Question[] = [
      { inputs: [floats('x', 1, 2)] },
      { inputs: [{ ...floats('x', 1, 2), shape: [2, 1] }] },
      { inputs: [floats('x', 1, 3)] },
      { inputs: [floats('x', -0, 0)] },
      { inputs: [floats('x', 0, 0)] },
      { inputs: [floats('y', 1, 2)] },
      { inputs: [{ ...floats('x', 1, 2), datatype: 'FP64', data: Float64Array.of(1, 2) } as Tensor] },
      { inputs: [floats('x', 1, 2)], parameters: { a: 1 } },
      { inputs: [floats('x', 1, 2)], parameters: { a: '1' } },
      { inputs: [floats('x', 1, 2)], parameters: { a: true } },
      { inputs: [floats('x', 1), floats('z', 2)] },
      { inputs: [texts('x', 'ab', 'c')] },
      { inputs: [texts('x', 'a', 'bc')] },
      { inputs: [texts('x', 'abc')] },
      { inputs: [] },
    ]
    const keys = questions.map(key)
    for (const other of [{ version: '2' }, { name: 'm1', version: '' }, { reach: 'cloud' as const }])
      keys.push(cacheKey({ ...model, ...other }, questions[0] as Question))
    expect(new Set(keys).size).toBe(keys.length)
  })
})

describe('[offload-13] ResultCache', () => {
  test('gives a kept answer to the same question, under the new id and marked as kept', () => {
    const cache = new ResultCache(new VirtualClock(), small)
    expect(cache.get('k', asker())).toBeUndefined()
    expect(cache.put('k', answer(floats('y', 1)), 'site', 10)).toBe(true)
    const read = cache.get('k', asker())
    expect(read).toMatchObject([
      { id: 'second', final: false },
      { id: 'second', final: true, cached: true, modelMs: 3 },
    ])
    expect(read?.[1]?.outputs).toEqual([floats('y', 1)])
    expect(cache.stats()).toMatchObject({ entries: 1, hits: 1, misses: 1 })
  })

  test('keeps it for as long as the manifest says', () => {
    const clock = new VirtualClock()
    const cache = new ResultCache(clock, small)
    cache.put('k', answer(), 'site', 10)
    clock.advance(9_999)
    expect(cache.get('k', asker())).toBeDefined()
    clock.advance(2)
    expect(cache.get('k', asker())).toBeUndefined()
  })

  test('is bounded in entries and bytes; what was not asked for longest goes first', () => {
    const cache = new ResultCache(new VirtualClock(), small)
    for (const key of ['a', 'b', 'c']) cache.put(key, answer(), 'site', 100)
    cache.get('a', asker())
    cache.put('d', answer(), 'site', 100)
    expect(['a', 'b', 'c', 'd'].map((key) => cache.get(key, asker()) !== undefined)).toEqual([
      true,
      false,
      true,
      true,
    ])
    const large = answer(floats('y', ...Array<number>(800).fill(0)))
    for (const key of ['e', 'f', 'g']) expect(cache.put(key, large, 'site', 100)).toBe(true)
    expect(cache.stats().bytes).toBeLessThanOrEqual(small.bytesMax)
    expect(cache.put('h', answer(floats('y', ...Array<number>(1200).fill(0))), 'site', 100)).toBe(false)
  })

  test('an unfinished answer is none', () => {
    const cache = new ResultCache(new VirtualClock(), small)
    expect(cache.put('k', answer().slice(0, 1), 'site', 10)).toBe(false)
    expect(cache.put('k', [], 'site', 10)).toBe(false)
  })

  test('what is labelled device is neither kept nor given', () => {
    const cache = new ResultCache(new VirtualClock(), small)
    expect(cache.put('k', answer(), 'device', 10)).toBe(false)
    const tightened = answer().map((chunk) => ({ ...chunk, privacy: 'device' as const }))
    expect(cache.put('k', tightened, 'site', 10)).toBe(false)
    cache.put('k', answer(), 'site', 10)
    expect(cache.get('k', asker('device'))).toBeUndefined()
  })

  test('an answer keeps the stricter label of who asked first and who asks now', () => {
    const cache = new ResultCache(new VirtualClock(), small)
    cache.put('site', answer(), 'site', 10)
    cache.put('cloud', answer(), 'cloud', 10)
    const label = (key: string, privacy: Privacy) => cache.get(key, asker(privacy))?.at(-1)?.privacy
    expect([label('site', 'cloud'), label('cloud', 'site'), label('cloud', 'cloud')]).toEqual([
      'site',
      'site',
      'cloud',
    ])
  })
})
