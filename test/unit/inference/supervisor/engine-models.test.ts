/** What becomes of a model that fails: pure, no engine. */
import { expect, test } from 'vitest'
import { EngineModels } from '../../../../runtime/inference/supervisor/engine-models.ts'
import type { EngineModel } from '../../../../runtime/wire/engine-protocol.ts'
import { InferError } from '../../../../runtime/wire/infer.ts'

const model = (name: string): EngineModel => ({ name, pipeline: 'tensor', files: { model: `/${name}` } })

function modelsOf(...names: readonly string[]): EngineModels {
  const models = new EngineModels()
  models.set(names.map(model))
  return models
}

test('a model that did not load is worth a request again after a minute: its file may be mended', () => {
  const models = modelsOf('a')
  models.onAsked('a')
  models.onFailed('a', new InferError('model-load', 'no such file'), 1_000)
  expect(models.stateFor('a', 60_999)).toBe('failed')
  expect(models.stateFor('a', 61_000)).toBe('present')
  expect(models.refusal('a', 1_000)).toBeUndefined()
})

test('[inference-1] one that ends engines is refused for ten minutes, then worth a request again', () => {
  const models = modelsOf('a')
  for (const nowMs of [0, 1_000]) {
    models.onAsked('a')
    models.onLost(nowMs)
  }
  expect(models.refusal('a', 600_999)).toMatchObject({ code: 'model-load' })
  expect(models.stateFor('a', 600_999)).toBe('failed')
  expect(models.refusal('a', 601_000)).toBeUndefined()
  expect(models.stateFor('a', 601_000)).toBe('present')
})

test('[inference-1] what was loading when an engine ended waits until it can go alone, and the rest for it', () => {
  const models = modelsOf('a', 'b', 'c')
  for (const name of ['a', 'b']) models.onAsked(name)
  expect(models.mayGo('c', () => new Set(['a', 'b']))).toBe(true)
  models.onLost(0)
  expect(models.mayGo('a', () => new Set())).toBe(true)
  expect(models.mayGo('a', () => new Set(['a']))).toBe(true)
  expect(models.mayGo('a', () => new Set(['c']))).toBe(false)
  expect(models.mayGo('c', () => new Set(['a']))).toBe(false)
  for (const name of ['a', 'b']) models.onLoaded({ t: 'loaded', model: name, ms: 1 })
  expect(models.mayGo('c', () => new Set(['a', 'b']))).toBe(true)
})

test('[inference-10] a suspect goes alone until it has answered; having loaded is no proof', () => {
  const models = modelsOf('a', 'b')
  models.onOverrun(['a', 'b'], 'it took too much', 0)
  expect(models.refusal('a', 0)).toBeUndefined()
  models.onLoaded({ t: 'loaded', model: 'a', ms: 1 })
  expect(models.mayGo('a', () => new Set(['b']))).toBe(false)
  for (const name of ['a', 'b']) models.onAnswered(name, 1)
  expect(models.mayGo('a', () => new Set(['b']))).toBe(true)
  models.onOverrun(['a'], 'it took too much', 0)
  expect(models.refusal('a', 0)).toMatchObject({ code: 'memory', message: 'model a: it took too much' })
})

test('[inference-3] of several in which an engine hung none is refused until it is the only one, and an answer clears it', () => {
  const models = modelsOf('a', 'b')
  for (const _ of [1, 2, 3]) models.onHang(['a', 'b'], 0)
  expect(models.refusal('a', 0)).toBeUndefined()
  expect(models.mayGo('a', () => new Set(['b']))).toBe(false)
  models.onHang(['a'], 0)
  models.onAnswered('a', 1)
  models.onHang(['a'], 0)
  expect(models.refusal('a', 0)).toBeUndefined()
  models.onHang(['a'], 0)
  expect(models.refusal('a', 599_999)).toMatchObject({ code: 'run' })
  expect(models.refusal('a', 600_000)).toBeUndefined()
})
