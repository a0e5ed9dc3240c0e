/** Cascades and splits as people write them, and the one line about a model that one names and nobody has. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { planProblem } from '../../../runtime/inference/plan-problem.ts'
import type { Route } from '../../../runtime/inference/router/route.ts'
import { readAddedManifest } from '../../../runtime/inference/store/added-manifest.ts'
import type { InferErrorCode } from '../../../runtime/wire/infer.ts'

function place(reach: Route['reach'], models: readonly string[], otherwise?: InferErrorCode): Route {
  return {
    id: reach,
    reach,
    offer: (model) =>
      models.includes(model)
        ? { usable: true, queueMs: 0, loadMs: 0, price: 0, idempotent: true }
        : { usable: false, whyNot: 'no', ...(otherwise && { code: otherwise }) },
    infer: () => {
      throw new Error('it is looked at only')
    },
  }
}
const cascade = { large: 'big', threshold: 0.9, temperature: 1, output: 'scores' }
const cut = (head: string, tail: string) => ({ tensor: 't', bytes: 10, headMs: 1, tailMs: 1, head, tail })
const split = { cuts: [cut('m.head-1', 'm.tail-1'), cut('m.head-2', 'm.tail-2')] }

test('a cascade is complete when the large model is here or at a gateway, also while it is busy', () => {
  expect(planProblem({ cascade }, [place('device', ['big'])])).toBeUndefined()
  expect(planProblem({ cascade }, [place('device', []), place('site', ['big'])])).toBeUndefined()
  expect(planProblem({ cascade }, [place('device', [], 'memory')])).toBeUndefined()
})

test('a large model that nobody has is named in one line', () => {
  const routes = [place('device', ['small'], 'model-unknown'), place('site', [])]
  expect(planProblem({ cascade }, routes)).toBe(
    'cascade: big is neither here nor at a gateway, so this model answers alone',
  )
})

test('a split needs its heads here and its tails at a gateway', () => {
  const here = place('device', ['m.head-1', 'm.head-2'])
  expect(planProblem({ split }, [here, place('site', ['m.tail-1', 'm.tail-2'])])).toBeUndefined()
  expect(
    planProblem({ split }, [place('device', ['m.head-1', 'm.tail-1']), place('site', ['m.tail-2'])]),
  ).toBe('split: m.head-2 not here, m.tail-1 at no gateway, so it is not cut there')
  expect(planProblem({}, [])).toBeUndefined()
})

test('a manifest that a person writes may have a cascade and a split, and neither may lead back to itself', () => {
  const folder = mkdtempSync(join(tmpdir(), 'plan-'))
  const read = (parts: object) => {
    writeFileSync(join(folder, 'model.yaml'), JSON.stringify({ name: 'm', file: 'm.onnx', ...parts }))
    return readAddedManifest(folder)
  }
  expect(read({ cascade, split })).toMatchObject({ cascade, split })
  expect(() => read({ cascade: { ...cascade, large: 'm' } })).toThrow(
    /model\.yaml: cascade\.large: m is this model itself$/,
  )
  expect(() => read({ split: { cuts: [cut('m.head-1', 'm')] } })).toThrow(/model\.yaml: split\.cuts\.0: /)
  expect(() => read({ cascade: { large: 'big' } })).toThrow(/model\.yaml: cascade\.threshold/)
  rmSync(folder, { recursive: true })
})
