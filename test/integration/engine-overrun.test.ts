/** A graph that takes more memory in one native call than the engine may have: real processes that really fill it. */
import { writeFile } from 'node:fs/promises'
import { beforeAll, expect, test } from 'vitest'
import { realClock } from '../../runtime/base/clock.ts'
import { checkModel } from '../../runtime/inference/supervisor/model-check.ts'
import type { EngineSupervisorOptions } from '../../runtime/inference/supervisor/supervisor-options.ts'
import { floats, ints, value as io, node, onnxModel } from '../fixtures/onnx.ts'
import {
  add,
  answer,
  base,
  errorOf,
  forever,
  log,
  logged,
  openSupervisor,
  path,
  pidOf,
  type Request,
  sum,
  tensorModel,
  until,
  value,
} from './engine-setup.ts'

/** 960 MB of numbers that nobody computed before. */
const elements = 240e6
/** Some 250 MB above the bare process. */
const tight: Partial<EngineSupervisorOptions> = {
  budgetMb: 64,
  memory: { allowanceMb: 120, readings: 1e6, restMs: 0 },
}
/** Folded into a constant while it is loaded. */
const loadsLarge = tensorModel('loads-large')
/** As many numbers as it is asked for, while it runs. */
const runsLarge = tensorModel('runs-large')
const adder = (name: string) => ({ ...tensorModel(name), files: add.files })
const fill = (count: number): Request => ({
  ...base,
  model: 'runs-large',
  inputs: [{ name: 'n', datatype: 'INT64', shape: [1], data: BigInt64Array.of(BigInt(count)) }],
})
const load: Request = { ...fill(1), model: 'loads-large' }
const isOver = (model: string) => ({
  code: 'memory',
  message: expect.stringMatching(
    new RegExp(`^model ${model}: it took \\d+ MB of memory, more than the \\d+ MB that an engine may take$`),
  ),
})

beforeAll(async () => {
  const filled = (size: string) => [
    node('ConstantOfShape', [size], ['many']),
    node('ReduceMax', ['many'], ['most'], { keepdims: 0 }),
    node('Cast', ['n'], ['number'], { to: 1 }),
    node('Add', ['number', 'most'], ['y']),
  ]
  const graph = { inputs: [io('n', 'INT64', [1])], outputs: [io('y', 'FP32', [1])] }
  await writeFile(path('runs-large'), onnxModel({ ...graph, nodes: filled('n') }))
  const constants = [ints('size', [1], [elements]), floats('unused', [], [0])]
  await writeFile(path('loads-large'), onnxModel({ ...graph, nodes: filled('size'), constants }))
})

test('[inference-10] a model that fills the memory while it loads is refused by name, and others are answered', async () => {
  const supervisor = await openSupervisor({ ...tight, models: [loadsLarge, add] })
  expect(await value(supervisor, sum(2, 3))).toBe(5)
  const pid = pidOf(supervisor)
  const failed = errorOf(answer(supervisor, load))
  const others = [1, 2, 3].map((n) => value(supervisor, sum(n, n)))
  expect(await failed).toMatchObject(isOver('loads-large'))
  expect(await Promise.all(others)).toEqual([2, 4, 6])
  expect(pidOf(supervisor)).not.toBe(pid)
  // It is left alone now: the engine is not asked again.
  const { restarts } = await supervisor.status()
  expect(await errorOf(answer(supervisor, load))).toMatchObject(isOver('loads-large'))
  expect(await value(supervisor, sum(2, 3))).toBe(5)
  expect((await supervisor.status()).restarts).toBe(restarts)
})

test('[inference-10] so is one that fills it while it runs, and a small run of it is none of that', async () => {
  const supervisor = await openSupervisor({ ...tight, models: [runsLarge, add] })
  expect(await value(supervisor, fill(1000))).toBe(1000)
  expect(await errorOf(answer(supervisor, fill(elements)))).toMatchObject(isOver('runs-large'))
  expect(await value(supervisor, sum(2, 3))).toBe(5)
  expect(supervisor.outlook('runs-large')).toMatchObject({ state: 'failed' })
})

test('[inference-10] of several that were under way only the one is refused that does it again alone', async () => {
  const models = [runsLarge, ...['a', 'b', 'c'].map(adder)]
  const supervisor = await openSupervisor({ ...tight, models })
  await value(supervisor, fill(1))
  const failed = errorOf(answer(supervisor, fill(elements)))
  // These load and run behind it, in the same engine.
  const others = ['a', 'b', 'c'].map((model) => value(supervisor, { ...sum(1, 1), model }))
  expect(await failed).toMatchObject(isOver('runs-large'))
  expect(await Promise.all(others)).toEqual([2, 2, 2])
  expect((await supervisor.status()).models.map(({ state }) => state)).toEqual([
    'failed',
    ...Array(3).fill('loaded'),
  ])
})

test('[inference-10] without a budget nobody looks, and the machine’s own limit is all there is', async () => {
  const supervisor = await openSupervisor({ models: [runsLarge] })
  expect(await value(supervisor, fill(elements / 4))).toBe(elements / 4)
})

test('[added-5] a model that fills the memory is found out by the process that looks at it', async () => {
  const check = checkModel({ clock: realClock, log }, loadsLarge, forever, { memoryMaxMb: 300 })
  expect(await errorOf(check)).toMatchObject({
    code: 'memory',
    message: expect.stringMatching(/^it took \d+ MB of memory/),
  })
})

test('[inference-1] a model that ends the engine while others load with it is the only one that is refused', async () => {
  const preload = new URL('../fixtures/engine-dies.ts', import.meta.url).href
  const hostile = { ...tensorModel('bad'), files: { model: path('hostile') } }
  await writeFile(path('hostile'), '')
  const models = [hostile, ...['a', 'b', 'c'].map(adder)]
  const supervisor = await openSupervisor({ models, execArgv: ['--import', preload] })
  const bad = errorOf(answer(supervisor, { ...sum(1, 1), model: 'bad' }))
  const others = ['a', 'b', 'c'].map((model) => value(supervisor, { ...sum(1, 1), model }))
  expect(await bad).toMatchObject({
    code: 'model-load',
    message: 'model bad: the engine ended 2 times while loading it',
  })
  expect(await Promise.all(others)).toEqual([2, 2, 2])
  expect(logged.filter((line) => line.includes('engine lost'))).toHaveLength(2)
})

test('[inference-1] of models that are to be loaded again only the one is given up that ends the engine', async () => {
  const preload = new URL('../fixtures/engine-dies.ts', import.meta.url).href
  const hostile = { ...tensorModel('bad'), files: { model: path('hostile') } }
  await writeFile(path('hostile'), '')
  const models = [...['a', 'b'].map(adder), hostile, adder('c')]
  const supervisor = await openSupervisor({ models, execArgv: ['--import', preload] })
  const wanted = models.map(({ name }) => supervisor.preload(name).catch(({ code }) => code))
  expect(await Promise.all(wanted)).toEqual([undefined, undefined, 'model-load', undefined])
  await until('they are loaded', async () => {
    const { models: now } = await supervisor.status()
    return now.filter(({ state }) => state === 'loaded').length === 3
  })
})
