/** Cascades and cut models on real networks in two real engines: one of a device, one of a gateway. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { Redactor } from '../../runtime/inference/redaction/redactor.ts'
import { calibrate, chooseThreshold, type Example } from '../../runtime/inference/router/calibration.ts'
import type { Route, RouteLink } from '../../runtime/inference/router/route.ts'
import { type ModelPlan, Router } from '../../runtime/inference/router/router.ts'
import type { SplitPlan } from '../../runtime/inference/router/split.ts'
import { EngineSupervisor } from '../../runtime/inference/supervisor/engine-supervisor.ts'
import type { EngineModel } from '../../runtime/wire/engine-protocol.ts'
import type { InferChunk, InferRequest, Tensor } from '../../runtime/wire/infer.ts'
import { golden } from '../fixtures/models/golden.ts'

const files = new URL('../../runtime/inference/models/files/', import.meta.url)
const cutsFolder = new URL('../fixtures/models/cuts/', import.meta.url)
const made = JSON.parse(readFileSync(new URL('vww-96-int8.cuts.json', cutsFolder), 'utf8')) as {
  readonly cuts: SplitPlan['cuts']
}
const nameOf = (file: string) => file.replace('.onnx', '')
/** As a manifest says it: the halves by the names of their models. */
const split: SplitPlan = {
  cuts: made.cuts.map((cut) => ({ ...cut, head: nameOf(cut.head), tail: nameOf(cut.tail) })),
}
const model = (name: string, folder: URL): EngineModel => ({
  name,
  pipeline: 'tensor',
  files: { model: fileURLToPath(new URL(`${name}.onnx`, folder)) },
})
const forever = new AbortController().signal
let device: EngineSupervisor
let gateway: EngineSupervisor

beforeAll(async () => {
  const deps = { clock: realClock, log: silentLog }
  const whole = ['vww-96-int8', 'kws-int8', 'kws'].map((name) => model(name, files))
  const halves = (side: 'head' | 'tail') => split.cuts.map((cut) => model(cut[side], cutsFolder))
  device = await EngineSupervisor.open(deps, { models: [...whole, ...halves('head')] }, forever)
  gateway = await EngineSupervisor.open(deps, { models: [...whole, ...halves('tail')] }, forever)
})
afterAll(async () => {
  await device[Symbol.asyncDispose]()
  await gateway[Symbol.asyncDispose]()
})

/** `without`: models that this place says it has no room for. */
function place(id: string, engine: EngineSupervisor, without: readonly string[], link?: RouteLink): Route {
  return {
    id,
    reach: link ? 'site' : 'device',
    offer: (name) =>
      without.includes(name) || !engine.models.some((one) => one.name === name)
        ? { usable: false, whyNot: 'no room for it', code: 'memory' }
        : { usable: true, queueMs: 0, loadMs: 0, price: 0, idempotent: true, ...(link ? { link } : {}) },
    infer: (request, signal) => engine.infer(request, signal),
  }
}

function routerOf(routes: readonly Route[], plan: (name: string) => ModelPlan | undefined): Router {
  const deps = {
    clock: realClock,
    log: silentLog,
    routes: () => routes,
    plan,
    redactor: () => new Redactor(),
  }
  return new Router(deps, { probeShare: 0, hedgeShare: 0 })
}

async function answer(
  router: Router,
  name: string,
  inputs: readonly Tensor[],
  more: Partial<InferRequest> = {},
) {
  const label = { priority: 'interactive', deadlineMs: 20_000, privacy: 'site' } as const
  const last = (await Array.fromAsync(router.infer({ ...label, model: name, inputs, ...more }, forever))).at(
    -1,
  )
  if (!last) throw new Error('no answer came')
  return last
}

const row = (tensor: Tensor, at: number): Tensor => {
  const [, ...shape] = tensor.shape
  const size = shape.reduce((product, length) => product * length, 1)
  return { ...tensor, shape: [1, ...shape], data: tensor.data.slice(at * size, (at + 1) * size) } as Tensor
}
const numbers = ({ outputs }: InferChunk) => [...((outputs[0]?.data ?? []) as Float32Array)]

it('people are found by a network cut in two as by the whole one, at the cut that its link is best served by [router-14]', async () => {
  const image = row(golden('vww-96')['image'] as Tensor, 0)
  const link = (bytesPerS: number) => ({ rttMs: 2, rttP95Ms: 4, bytesPerS })
  const plan = (name: string) => (name === 'vww-96-int8' ? { split } : undefined)
  const slow = routerOf(
    [place('engine', device, ['vww-96-int8']), place('gateway', gateway, [], link(30_000))],
    plan,
  )
  const cut = await answer(slow, 'vww-96-int8', [image])
  expect(cut.route).toBe('engine+gateway')
  expect(slow.decision(cut.decision ?? '')?.notes[0]).toMatch(
    /^cut at quantizelinear(315|359): head on engine, tail on gateway/,
  )
  const quick = routerOf(
    [place('engine', device, ['vww-96-int8']), place('gateway', gateway, [], link(1e9))],
    plan,
  )
  const whole = await answer(quick, 'vww-96-int8', [image])
  expect(whole.route).toBe('gateway')
  for (const [at, value] of numbers(whole).entries()) expect(numbers(cut)[at]).toBeCloseTo(value, 5)
  // Labelled for this device, nothing of it leaves, head or whole.
  const stays = routerOf([place('engine', device, []), place('gateway', gateway, [], link(30_000))], plan)
  expect((await answer(stays, 'vww-96-int8', [image], { privacy: 'device' })).route).toBe('engine')
})

it('keywords are heard by the small network, and by the large one where the small one is not sure [router-13]', async () => {
  const features = golden('kws')['features'] as Tensor
  const all = Array.from({ length: features.shape[0] ?? 0 }, (_, at) => row(features, at))
  const plain = routerOf([place('engine', device, [])], () => undefined)
  const examples: Example[] = []
  for (const one of all) {
    const large = numbers(await answer(plain, 'kws', [one]))
    examples.push({
      scores: numbers(await answer(plain, 'kws-int8', [one])),
      large,
      label: large.indexOf(Math.max(...large)),
    })
  }
  const { temperature, largeAccuracy } = calibrate(examples)
  expect(largeAccuracy).toBe(1)
  // Sixteen examples prove nothing: then nothing is kept.
  expect(chooseThreshold(examples, { temperature, accuracy: 0.9, confidence: 0.95 }).keptShare).toBe(0)
  const confidences = examples.map(({ scores }) => Math.max(...Array.from(scores))).sort((a, b) => a - b)
  const threshold = confidences[Math.floor(confidences.length / 2)] ?? 0
  const cascade = { large: 'kws', threshold, temperature: 1, output: 'probabilities' }
  const routes = [
    place('engine', device, ['kws']),
    place('gateway', gateway, [], { rttMs: 1, bytesPerS: 1e8 }),
  ]
  const router = routerOf(routes, (name) => (name === 'kws-int8' ? { cascade } : undefined))
  const asked = { small: 0, large: 0 }
  for (const [at, one] of all.entries()) {
    const heard = await answer(router, 'kws-int8', [one])
    const sure = Math.max(...Array.from(examples[at]?.scores ?? [])) >= threshold
    expect(router.decision(heard.decision ?? '')?.model).toBe(sure ? 'kws-int8' : 'kws')
    asked[sure ? 'small' : 'large'] += 1
  }
  expect(asked.small).toBeGreaterThan(0)
  expect(asked.large).toBeGreaterThan(0)
})
