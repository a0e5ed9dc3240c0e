/** Models that share little memory on a whole device: the router asks, a real engine makes room, a gateway takes what fits nowhere. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { boards } from '../../boards/index.ts'
import { createHal } from '../../hal/index.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { loadDeviceConfig } from '../../runtime/config/config.ts'
import { type DeviceInference, openInference } from '../../runtime/inference/device-inference.ts'
import { radioWatts } from '../../runtime/inference/energy.ts'
import { Outbox } from '../../runtime/link/outbox.ts'
import { Link } from '../../runtime/link/session.ts'
import { EntityRegistry } from '../../runtime/things/registry.ts'
import type { InferRequest, Tensor } from '../../runtime/wire/infer.ts'
import { startAedes } from '../fixtures/broker.ts'
import { addModel, floats, node, onnxModel, value } from '../fixtures/onnx.ts'
import { echo, ScriptedServing } from '../fixtures/serving.ts'
import { smallHome } from '../fixtures/sim-home.ts'
import { all, anySignal, asked, eventually, failure, openWorker } from './offload-setup.ts'

const [rows, columns] = [2048, 1024]
/** A table of 8 MB, all of whose numbers are one: nothing of it is copied or packed. */
const table = onnxModel({
  inputs: [value('row', 'INT64', ['n'])],
  outputs: [value('y', 'FP32', ['n', columns])],
  nodes: [node('Gather', ['weights', 'row'], ['y'])],
  constants: [floats('weights', [rows, columns], Array(rows * columns).fill(1))],
})
const row: Tensor = { name: 'row', datatype: 'INT64', shape: [1], data: BigInt64Array.of(3n) }
const one = (name: string): Tensor => ({ name, datatype: 'FP32', shape: [1], data: Float32Array.of(1) })

const dir = mkdtempSync(join(tmpdir(), 'device-memory-'))
const stack = new AsyncDisposableStack()
stack.defer(() => rmSync(dir, { recursive: true, force: true }))
let inference: DeviceInference

function put(name: string, graph: Uint8Array, manifest = ''): void {
  mkdirSync(join(dir, 'mine', name), { recursive: true })
  writeFileSync(join(dir, 'mine', name, 'model.onnx'), graph)
  writeFileSync(join(dir, 'mine', name, 'model.yaml'), `file: model.onnx\n${manifest}`)
}

beforeAll(async () => {
  for (const name of ['one', 'two', 'three']) put(name, table)
  put('small', addModel())
  for (const name of ['giant', 'giant-elsewhere']) put(name, addModel(), 'memoryMb: 300\n')
  const broker = stack.use(await startAedes())
  stack.use(await openWorker(broker.url, 'w1', new ScriptedServing({ 'giant-elsewhere': { answer: echo } })))
  const file = join(dir, 'ganglion.yaml')
  // Two tables and what is small fit, three do not.
  const section = { budgetMb: 22, folders: [join(dir, 'mine')] }
  const device = {
    id: 'd1',
    stateDir: join(dir, 'state'),
    models: { dir: join(dir, 'store') },
    inference: section,
  }
  writeFileSync(file, JSON.stringify({ device }))
  const deps = { clock: realClock, log: silentLog, hal: createHal(boards) }
  const host = { clock: realClock, log: silentLog, random: () => realClock.random() }
  const home = { name: 'test', yaml: smallHome }
  const board = stack.use(await deps.hal.openBoard({ home, hostSensors: false }, host, anySignal()))
  const outbox = stack.use(await Outbox.open(deps, { directory: join(dir, 'outbox') }))
  const link = stack.use(
    await Link.open({ ...deps, outbox }, { brokerUrl: broker.url, deviceId: 'd1', base: 'ganglion' }),
  )
  const registry = new EntityRegistry(board.layout.areas)
  const config = loadDeviceConfig({}, file)
  inference = stack.use(await openInference({ ...deps, board, registry, link }, config, anySignal()))
  await eventually(() => expect(inference.added.models).toHaveLength(6))
}, 60_000)
afterAll(() => stack.disposeAsync())

const infer = (model: string, inputs: readonly Tensor[] = [row], more: Partial<InferRequest> = {}) =>
  inference.router.infer(asked(model, inputs, { privacy: 'device', ...more }), anySignal())
const stateOf = (model: string) => inference.engines.outlook(model)?.state

test('three models answer in room for two, and the one that was worth least has gone', async () => {
  // The first load of all pays for the runtime's own start.
  await all(infer('small', [one('a'), one('b')]))
  await all(infer('one'))
  for (let time = 0; time < 10; time += 1) await all(infer('two'))
  expect(await all(infer('three'))).toMatchObject([
    { final: true, route: 'engine', outputs: [{ name: 'y' }] },
  ])
  await eventually(() =>
    expect(['one', 'two', 'three'].map(stateOf)).toEqual(['present', 'loaded', 'loaded']),
  )
  expect(await all(infer('one'))).toMatchObject([{ final: true, route: 'engine' }])
})

test('a model that can never fit is refused in one line that says how much it needs', async () => {
  const error = await failure(infer('giant', [one('a'), one('b')]))
  expect(error).toMatchObject({
    code: 'memory',
    message: expect.stringMatching(
      /^giant can run nowhere now: engine: needs 300 MB of memory; 22 MB are free; [^\n]+$/,
    ),
  })
})

test('it goes to a gateway that has it, if its label lets it', async () => {
  const request = (privacy: 'device' | 'site') => infer('giant-elsewhere', [one('a'), one('b')], { privacy })
  // Once its advert was heard.
  await eventually(async () =>
    expect(await all(request('site'))).toMatchObject([{ final: true, route: 'gateway/w1' }]),
  )
  const [way] = inference.router
    .decisions()
    .flatMap(({ candidates }) => candidates.filter(({ energyJ }) => energyJ))
  expect(way).toMatchObject({ route: 'gateway', energyJ: ((way?.transferMs ?? 0) / 1000) * radioWatts })
  expect(await failure(request('device'))).toMatchObject({ code: 'memory' })
})
