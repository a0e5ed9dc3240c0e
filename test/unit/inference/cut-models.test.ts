/** A model cut in two by `scripts/models/split.py`: both halves in the engine, one after the other, answer as the whole. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import type { InferResponse, Tensor } from '../../../runtime/wire/infer.ts'
import { golden } from '../../fixtures/models/golden.ts'
import { distance } from './distance.ts'
import { Bench } from './engine-bench.ts'

const folder = new URL('../../fixtures/models/cuts/', import.meta.url)
const files = new URL('../../../runtime/inference/models/files/', import.meta.url)

interface Cuts {
  readonly model: string
  readonly input: { readonly bytes: number }
  readonly cuts: readonly {
    readonly tensor: string
    readonly bytes: number
    readonly headMs: number
    readonly tailMs: number
    readonly head: string
    readonly tail: string
  }[]
}
const split = JSON.parse(readFileSync(new URL('vww-96-int8.cuts.json', folder), 'utf8')) as Cuts
const image = golden('vww-96')['image'] as Tensor

async function run(file: URL, input: Tensor): Promise<Tensor> {
  const bench = new Bench([{ name: 'it', pipeline: 'tensor', files: { model: fileURLToPath(file) } }])
  bench.infer('r', 'it', [input], { deadlineMs: 60_000 })
  const response: InferResponse = await bench.final('r')
  if ('error' in response) throw new Error(response.error.message)
  return response.outputs[0] as Tensor
}

test.for(split.cuts)(
  'cut at $tensor, head and tail answer as the whole',
  async ({ tensor, bytes, head, tail }) => {
    const between = await run(new URL(head, folder), image)
    expect(between.name).toBe(tensor)
    const rows = image.shape[0] ?? 0
    expect((between.data as Uint8Array).byteLength).toBe(bytes * rows)
    const cut = await run(new URL(tail, folder), between)
    const whole = await run(new URL(split.model, files), image)
    expect(cut).toMatchObject({ name: whole.name, datatype: whole.datatype, shape: whole.shape })
    expect(distance(whole.data as Float32Array, cut.data as Float32Array).max).toBeLessThanOrEqual(1e-5)
  },
)

test('each cut moves less than the input and than the cuts before it', () => {
  const sizes = [split.input.bytes, ...split.cuts.map((cut) => cut.bytes)]
  expect(sizes.length).toBeGreaterThan(2)
  expect(sizes).toEqual([...new Set(sizes)].sort((a, b) => b - a))
})
