/** Sentence embeddings by the real model in a real engine, against what the original gave (fetched at the first run). */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { useLite } from '../../runtime/inference/models/use-lite.model.ts'
import { defaultModelsDir } from '../../runtime/inference/store/models-dir.ts'
import { ModelStore } from '../../runtime/inference/store/store.ts'
import { EngineSupervisor } from '../../runtime/inference/supervisor/engine-supervisor.ts'
import type { InferError, Tensor } from '../../runtime/wire/infer.ts'

interface Original {
  readonly texts: readonly string[]
  readonly ids: readonly (readonly number[])[]
  readonly embeddings: readonly (readonly number[])[]
}
const original: Original = JSON.parse(
  readFileSync(new URL('../fixtures/models/use-lite.json', import.meta.url), 'utf8'),
)
const forever = new AbortController().signal
const deps = { clock: realClock, log: silentLog }
let engine: EngineSupervisor

beforeAll(async () => {
  await using store = await ModelStore.open(deps, { dir: defaultModelsDir(), manifests: [useLite] }, forever)
  const { name, pipeline, files } = await store.ensure(useLite.name, { signal: forever })
  engine = await EngineSupervisor.open(deps, { models: [{ name, pipeline, files }] }, forever)
}, 300_000)
afterAll(() => engine[Symbol.asyncDispose]())

async function embed(texts: readonly string[]): Promise<ReadonlyMap<string, Tensor>> {
  const inputs: Tensor[] = [{ name: 'text', datatype: 'BYTES', shape: [texts.length], data: [...texts] }]
  const request = {
    model: useLite.name,
    priority: 'interactive',
    deadlineMs: 60_000,
    privacy: 'device',
    inputs,
  } as const
  for await (const { final, outputs } of engine.infer(request, forever))
    if (final) return new Map(outputs.map((output) => [output.name, output]))
  throw new Error('no answer')
}

const rowsOf = (tensor: Tensor | undefined) => {
  const [rows = 0, width = 0] = tensor?.shape ?? []
  const all = tensor?.data as Float32Array
  return Array.from({ length: rows }, (_, row) => all.subarray(row * width, (row + 1) * width))
}
const product = (a: Float32Array, b: ArrayLike<number>) =>
  a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0)

describe('use-lite', () => {
  test('gives what the original gives, whichever texts run together', async () => {
    const answer = await embed(original.texts)
    for (const [row, expected] of original.embeddings.entries()) {
      const given = rowsOf(answer.get('embedding'))[row] as Float32Array
      expect(Math.max(...expected.map((value, at) => Math.abs(value - (given[at] ?? 0))))).toBeLessThan(1e-5)
    }
    expect([...(answer.get('tokens')?.data ?? [])]).toEqual(original.ids.map((ids) => ids.length))
  })

  test('puts sentences of like meaning near each other', async () => {
    const answer = await embed([
      'Turn on the lamp in the kitchen.',
      'switch the kitchen light on',
      'My train leaves at noon.',
    ])
    const [lamp, light, train] = rowsOf(answer.get('embedding')) as [Float32Array, Float32Array, Float32Array]
    expect(product(lamp, light)).toBeGreaterThan(product(lamp, train))
  })

  test('embeds an empty text, a very long one and more than run at once', async () => {
    const answer = await embed(['', 'word '.repeat(3000), ...Array(40).fill('a')])
    const rows = rowsOf(answer.get('embedding'))
    expect(rows).toHaveLength(42)
    for (const row of rows) expect(product(row, row)).toBeCloseTo(1, 4)
    expect([...(answer.get('tokens')?.data ?? [])].slice(0, 3)).toEqual([0, 128, 1])
  })

  test('refuses too many texts and too long ones, naming the bound', async () => {
    const refused = (texts: readonly string[]) =>
      embed(texts).catch((error: InferError) => `${error.code}: ${error.message}`)
    expect(await refused(Array(257).fill('a'))).toBe(
      'bad-input: input text has 257 texts; expected 256 at most',
    )
    expect(await refused(['a', 'b'.repeat(20_001)])).toBe(
      'bad-input: input text: number 1 has 20001 characters; expected 20000 at most',
    )
  })
})
