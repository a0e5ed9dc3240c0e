/**
 * Cascades and cut models as a person gets them: folders with a model.yaml, a whole device's inference, a gateway behind a
 * narrow network.
 */
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { boards } from '../../boards/index.ts'
import { openInference as openGatewayInference } from '../../gateway/offload/open.ts'
import type { Serving } from '../../gateway/offload/serving.ts'
import { createHal } from '../../hal/index.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { loadDeviceConfig } from '../../runtime/config/config.ts'
import { type DeviceInference, openInference } from '../../runtime/inference/device-inference.ts'
import { Outbox } from '../../runtime/link/outbox.ts'
import { Link } from '../../runtime/link/session.ts'
import { inferenceStatus } from '../../runtime/observe/inference-status.ts'
import { EntityRegistry } from '../../runtime/things/registry.ts'
import type { InferChunk, InferRequest, Tensor } from '../../runtime/wire/infer.ts'
import { startAedes } from '../fixtures/broker.ts'
import { golden } from '../fixtures/models/golden.ts'
import { startProxy } from '../fixtures/proxy.ts'
import { smallHome } from '../fixtures/sim-home.ts'
import { until } from './broker-raw.ts'
import { openWorker } from './offload-setup.ts'

const signal = new AbortController().signal
const deps = { clock: realClock, log: silentLog }
const cutsFolder = new URL('../fixtures/models/cuts/', import.meta.url)
const wholeFolder = new URL('../../runtime/inference/models/files/', import.meta.url)
const { cuts } = JSON.parse(readFileSync(new URL('vww-96-int8.cuts.json', cutsFolder), 'utf8')) as {
  readonly cuts: readonly { tensor: string; bytes: number; headMs: number; tailMs: number }[]
}
/** The two cuts with the least to move. */
const split = {
  cuts: cuts
    .slice(2)
    .map((cut, at) => ({ ...cut, head: `people.head-${at + 3}`, tail: `people.tail-${at + 3}` })),
}
const stack = new AsyncDisposableStack()
const dir = mkdtempSync(join(tmpdir(), 'device-plans-'))
const added = join(dir, 'device', 'added')
const gatewayFolder = join(dir, 'gateway')
let inference: DeviceInference
let serving: Serving

/** As `ganglion models add` would leave it; long enough ago not to be on its way still. */
function drop(into: string, name: string, file: URL, manifest: object = {}): void {
  const folder = join(into, name)
  mkdirSync(folder, { recursive: true })
  copyFileSync(fileURLToPath(file), join(folder, 'model.onnx'))
  writeFileSync(join(folder, 'model.yaml'), JSON.stringify({ file: 'model.onnx', ...manifest }))
  const long = new Date(Date.now() - 60_000)
  for (const one of ['model.onnx', 'model.yaml']) utimesSync(join(folder, one), long, long)
}
const half = (name: string) => new URL(`vww-96-int8.${name}.onnx`, cutsFolder)
const whole = (name: string) => new URL(`${name}.onnx`, wholeFolder)

beforeAll(async () => {
  stack.defer(() => rmSync(dir, { recursive: true }))
  const storeDir = process.env['GANGLION_MODELS_DIR']
  process.env['GANGLION_MODELS_DIR'] = join(dir, 'gateway-store')
  stack.defer(() => {
    if (storeDir === undefined) delete process.env['GANGLION_MODELS_DIR']
    else process.env['GANGLION_MODELS_DIR'] = storeDir
  })
  // The whole is more than this device has room for; the gateway does not have every tail.
  drop(added, 'people', whole('vww-96-int8'), { split, memoryMb: 900 })
  drop(added, 'people.head-3', half('head-3'))
  drop(added, 'people.head-4', half('head-4'))
  drop(gatewayFolder, 'people', whole('vww-96-int8'), { split })
  drop(gatewayFolder, 'people.tail-4', half('tail-4'))
  drop(added, 'heard-small', whole('kws-int8'))
  drop(added, 'heard-large', whole('kws'))

  const broker = stack.use(await startAedes())
  const weather = { delayMs: 1, bytesPerS: 12_000, loss: 0, down: false }
  const narrow = stack.use(await startProxy(broker.port, () => weather))
  const config = {
    pool: { models: [], folders: [gatewayFolder], workers: 1, threads: 1, budgetMb: 200 },
    upstreams: [],
  }
  const service = stack.use(
    await openGatewayInference(deps, { ...config, queueMax: 64, bytesMax: 2 ** 26 }, signal),
  )
  stack.use(await openWorker(broker.url, 'cellar', service))
  serving = service
  inference = await openDevice(`mqtt://127.0.0.1:${narrow.port}`)
  const names = ['people', 'people.head-3', 'people.head-4', 'heard-small', 'heard-large']
  await until('the device serves them', () => names.every((name) => inference.served.get(name)), 60_000)
  const offers = (name: string) =>
    inference.routes.some((route) => route.id === 'gateway' && route.offer(name).usable)
  await until('the gateway offers them', () => ['people', 'people.tail-4'].every(offers), 60_000)
}, 120_000)
afterAll(() => stack.disposeAsync())

async function openDevice(brokerUrl: string): Promise<DeviceInference> {
  const config = loadDeviceConfig({
    ...{ id: 'porch', stateDir: join(dir, 'state'), models: { dir: join(dir, 'device') } },
    inference: { budgetMb: 200, routing: { probeShare: 0, hedgeShare: 0 } },
  })
  const hal = createHal(boards)
  const host = { ...deps, random: () => realClock.random() }
  const home = { name: 'test home', yaml: smallHome }
  const board = stack.use(await hal.openBoard({ home, hostSensors: false }, host, signal))
  const registry = new EntityRegistry(board.layout.areas)
  const outbox = stack.use(await Outbox.open(deps, { directory: join(dir, 'outbox'), groupMs: 1 }))
  const link = stack.use(
    await Link.open({ ...deps, outbox }, { brokerUrl, deviceId: config.id, base: 'ganglion' }),
  )
  return stack.use(await openInference({ ...deps, hal, board, registry, link }, config, signal))
}

async function answer(model: string, input: Tensor, more: Partial<InferRequest> = {}): Promise<InferChunk> {
  const label = { priority: 'interactive', deadlineMs: 30_000, privacy: 'site' } as const
  const chunks = await Array.fromAsync(
    inference.router.infer({ ...label, model, inputs: [input], ...more }, signal),
  )
  const last = chunks.at(-1)
  if (!last) throw new Error('no answer came')
  return last
}
const why = (chunk: InferChunk) => inference.router.decision(chunk.decision ?? '')
const numbers = ({ outputs }: InferChunk) => [...((outputs[0]?.data ?? []) as Float32Array)]
function row(tensor: Tensor, at: number): Tensor {
  const [, ...shape] = tensor.shape
  const size = shape.reduce((product, length) => product * length, 1)
  return { ...tensor, shape: [1, ...shape], data: tensor.data.slice(at * size, (at + 1) * size) } as Tensor
}

test('a model that a person cut runs half here and half at the gateway where the way there is narrow [router-14]', async () => {
  const image = row(golden('vww-96')['image'] as Tensor, 0)
  const asked = { model: 'people', inputs: [image], caller: 'test', deadlineMs: 30_000 } as const
  const [uncut] = await Array.fromAsync(
    serving.infer({ ...asked, priority: 'interactive', privacy: 'site' }, signal),
  )
  // The first one may go whole: then it is known how long a picture is on its way.
  let cut = await answer('people', image)
  for (let again = 0; again < 3 && cut.route === 'gateway/cellar/pool'; again += 1)
    cut = await answer('people', image)
  expect(cut.route).toBe('engine+gateway/cellar/pool')
  expect(why(cut)?.notes[0]).toMatch(
    /^cut at quantizelinear359: head on engine, tail on gateway, .* ms whole$/,
  )
  expect(why(cut)?.result?.served).toMatchObject({ backend: 'pool', failed: [], cached: false })
  const expected = uncut ? numbers(uncut) : []
  expect(expected).toHaveLength(2)
  for (const [at, value] of expected.entries()) expect(numbers(cut)[at]).toBeCloseTo(value, 5)
})

test('a model that a cut names and nobody has is one line in the status, and in the list of models', async () => {
  const { problems, models } = await inferenceStatus(inference)
  const line = 'split: people.tail-3 at no gateway, so it is not cut there'
  expect(problems.filter((one) => one.includes('people'))).toEqual([`model people: ${line}`])
  expect(models.find(({ name }) => name === 'people')?.reason).toBe(line)
})

test('a cascade in a model.yaml is used without a restart, and the decision tells who answered [router-13]', async () => {
  const features = golden('kws')['features'] as Tensor
  const all = Array.from({ length: features.shape[0] ?? 0 }, (_, at) => row(features, at))
  const here = { privacy: 'device' } as const
  const alone: number[] = []
  for (const one of all) alone.push(Math.max(...numbers(await answer('heard-small', one, here))))
  const threshold = alone.toSorted((a, b) => a - b)[Math.floor(all.length / 2)] ?? 0
  const cascade = { large: 'heard-large', threshold, temperature: 1, output: 'probabilities' }
  drop(added, 'heard-small', whole('kws-int8'), { cascade })
  await inference.added.look(signal)
  const told: (string | undefined)[] = []
  for (const one of all) {
    const heard = await answer('heard-small', one, here)
    told.push(why(heard)?.model)
    const note = why(heard)?.notes.at(-1)
    if (why(heard)?.model === 'heard-small')
      expect(note).toMatch(/^confidence [\d.]+, from [\d.]+ on it counts$/)
    else expect(note).toMatch(/^asked in place of heard-small: confidence [\d.]+ is under/)
  }
  expect(told).toEqual(alone.map((sure) => (sure >= threshold ? 'heard-small' : 'heard-large')))
  expect(new Set(told).size).toBe(2)

  drop(added, 'heard-small', whole('kws-int8'), { cascade: { ...cascade, large: 'heard-huge' } })
  await inference.added.look(signal)
  expect((await inferenceStatus(inference)).problems).toContain(
    'model heard-small: cascade: heard-huge is neither here nor at a gateway, so this model answers alone',
  )
  for (const one of all) expect(why(await answer('heard-small', one, here))?.model).toBe('heard-small')
})
