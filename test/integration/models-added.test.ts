/**
 * A person drops models into a folder: real files, a real engine that serves them, checks in real engine processes of their own.
 */
import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { realClock } from '../../runtime/base/clock.ts'
import { ServedModels } from '../../runtime/inference/served-models.ts'
import { addModel as putModel } from '../../runtime/inference/store/add-model.ts'
import { type AddedDeps, AddedModels } from '../../runtime/inference/store/added-models.ts'
import { ModelStore } from '../../runtime/inference/store/store.ts'
import { checkModel } from '../../runtime/inference/supervisor/model-check.ts'
import { addModel, identityModel } from '../fixtures/onnx.ts'
import {
  answer,
  errorOf,
  f32,
  forever,
  isGone,
  log,
  openSupervisor,
  pidOf,
  sum,
  until,
  value,
} from './engine-setup.ts'

let dir: string
let added: AddedModels
let served: ServedModels
let checks: string[]
const preload = new URL('../fixtures/engine-dies.ts', import.meta.url).href

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'added-'))
  checks = []
  await open()
})
afterEach(async () => {
  await close()
  rmSync(dir, { recursive: true })
})

async function close(): Promise<void> {
  await added[Symbol.asyncDispose]()
  await served[Symbol.asyncDispose]()
}

const check: AddedDeps['check'] = (model, signal) => {
  checks.push(model.name)
  return checkModel({ clock: realClock, log }, model, signal, { execArgv: ['--import', preload] })
}

async function open(): Promise<void> {
  const engines = await openSupervisor({ models: [] })
  const store = await ModelStore.open({ clock: realClock, log }, { dir, manifests: [] }, forever)
  served = await ServedModels.open({ clock: realClock, log, store, engines }, {}, forever)
  added = await AddedModels.open(
    { clock: realClock, log, check },
    {
      folders: [join(dir, 'added')],
      factsDir: join(dir, 'checked'),
      taken: (name) => name === 'silero-vad',
      onChange: (models) => served.setAdded(models),
      everyMs: 10,
    },
    forever,
  )
}

const folder = (name: string) => join(dir, 'added', name)
const file = (name: string) => join(folder(name), 'model.onnx')
function drop(name: string, manifest = 'file: model.onnx\n', graph: Uint8Array | 'none' = addModel()): void {
  mkdirSync(folder(name), { recursive: true })
  if (graph !== 'none') writeFileSync(file(name), graph)
  writeFileSync(join(folder(name), 'model.yaml'), manifest)
}
const isServed = (name: string) => until(`${name} is served`, () => served.get(name) !== undefined)
async function problemOf(name: string): Promise<string> {
  await until(`${name} has a problem`, () => added.problems.some((one) => one.name === name))
  return added.problems.find((one) => one.name === name)?.reason ?? ''
}

test('[added-1] a model and a manifest of one line are served without a restart; the graph says what it takes', async () => {
  drop('adder')
  await isServed('adder')
  expect(served.get('adder')).toMatchObject({
    ...{ name: 'adder', version: '1', licence: 'not stated', from: folder('adder'), idempotent: true },
    inputs: [
      { name: 'a', datatype: 'FP32', shape: ['n'] },
      { name: 'b', datatype: 'FP32', shape: ['n'] },
    ],
    outputs: [{ name: 'sum', datatype: 'FP32' }],
  })
  expect(served.get('adder')?.engine.memoryMb).toBeGreaterThan(0)
  expect(await value(served.engines, { ...sum(2, 3), model: 'adder' })).toBe(5)
})

test('a wanted model that nobody fetches says how it comes here, and is served once it is added', async () => {
  served.want(['adder'])
  expect(served.problems).toEqual([
    'model adder is not here yet: it is none of those that Ganglion fetches, add it with "ganglion models add"',
  ])
  drop('adder')
  await isServed('adder')
  expect(served.problems).toEqual([])
})

test('[added-1] a model that is taken away is served no more', async () => {
  drop('adder')
  await isServed('adder')
  rmSync(folder('adder'), { recursive: true })
  await until('it is gone', () => served.get('adder') === undefined)
  const error = await errorOf(answer(served.engines, { ...sum(2, 3), model: 'adder' }))
  expect(error.code).toBe('model-unknown')
})

test('[added-2] a path that climbs out of its folder is refused by name', async () => {
  writeFileSync(join(dir, 'elsewhere.onnx'), addModel())
  drop('climber', 'file: ../../elsewhere.onnx\n', 'none')
  expect(await problemOf('climber')).toBe(
    `${folder('climber')}/model.yaml: file: climbs out of the folder, or is no plain relative path`,
  )
  drop('absolute', `files: [{ role: model, path: ${join(dir, 'elsewhere.onnx')} }]\n`, 'none')
  expect(await problemOf('absolute')).toContain('files.0.path: climbs out of the folder')
  expect(checks).toEqual([])
})

test('[added-2] a link that leads out of the folder is refused, be it the file or the folder', async () => {
  writeFileSync(join(dir, 'elsewhere.onnx'), addModel())
  drop('linked', 'file: model.onnx\n', 'none')
  symlinkSync(join(dir, 'elsewhere.onnx'), file('linked'))
  expect(await problemOf('linked')).toContain('model.onnx is a link that leads out of its folder')
  mkdirSync(join(dir, 'real'))
  writeFileSync(join(dir, 'real', 'model.onnx'), addModel())
  writeFileSync(join(dir, 'real', 'model.yaml'), 'file: model.onnx\n')
  symlinkSync(join(dir, 'real'), folder('whole'))
  expect(await problemOf('whole')).toContain('is a link that leads out')
  expect(checks).toEqual([])
})

test('[added-5] a pipe in place of the manifest is no file, and nobody waits for it', async () => {
  mkdirSync(folder('piped'), { recursive: true })
  execFileSync('mkfifo', [join(folder('piped'), 'model.yaml')])
  expect(await problemOf('piped')).toBe(`${join(folder('piped'), 'model.yaml')} is no file`)
})

test('[added-3] a wrong digest is refused with both shown, and the right file is then served', async () => {
  const wrong = 'a'.repeat(64)
  drop('digested', `file: model.onnx\nsha256: ${wrong}\n`)
  expect(await problemOf('digested')).toMatch(
    new RegExp(`model.onnx is not the file of its manifest: expected sha256 ${wrong}, got [0-9a-f]{64}`),
  )
  writeFileSync(join(folder('digested'), 'model.yaml'), 'file: model.onnx\n')
  await isServed('digested')
})

test('[added-4] a file that is still being copied is tried again when it has grown', async () => {
  const whole = addModel()
  const half = Math.floor(whole.length / 2)
  drop('slowly', 'file: model.onnx\n', whole.subarray(0, half))
  expect(await problemOf('slowly')).toContain('model.onnx cannot be loaded: ')
  appendFileSync(file('slowly'), whole.subarray(half))
  await isServed('slowly')
  expect(added.problems).toEqual([])
  expect(await value(served.engines, { ...sum(2, 3), model: 'slowly' })).toBe(5)
})

test('[added-4] a manifest that comes before its file waits for it', async () => {
  drop('early', 'file: model.onnx\n', 'none')
  expect(await problemOf('early')).toContain('model.onnx is not there')
  writeFileSync(file('early'), addModel())
  await isServed('early')
})

test('[added-5] a file that ends the process that loads it ends only the one that looks at it', async () => {
  drop('adder')
  await isServed('adder')
  await value(served.engines, { ...sum(2, 3), model: 'adder' })
  const pid = (await served.engines.status()).pid ?? 0
  mkdirSync(folder('evil'), { recursive: true })
  writeFileSync(join(folder('evil'), 'hostile.onnx'), identityModel('FP32'))
  writeFileSync(join(folder('evil'), 'model.yaml'), 'file: hostile.onnx\n')
  expect(await problemOf('evil')).toBe(
    'hostile.onnx cannot be loaded: the engine ended 2 times while loading it',
  )
  expect(await isGone(pid)).toBe(false)
  expect((await served.engines.status()).restarts).toBe(0)
  expect(served.get('evil')).toBeUndefined()
})

test('[added-6] a file that is replaced is loaded anew, under the name that it has', async () => {
  drop('changing', 'file: model.onnx\n', identityModel('FP32'))
  await isServed('changing')
  const ask = { ...sum(0, 0), model: 'changing', inputs: [f32('x', Float32Array.of(7))] }
  expect(await value(served.engines, ask)).toBe(7)
  writeFileSync(join(folder('changing'), '.next'), addModel())
  renameSync(join(folder('changing'), '.next'), file('changing'))
  await until('it takes two inputs', () => served.get('changing')?.inputs.length === 2)
  expect(await value(served.engines, { ...sum(2, 3), model: 'changing' })).toBe(5)
})

test('[added-7] names: of two folders the first has it, and none that Ganglion knows', async () => {
  drop('a-first', 'file: model.onnx\nname: twin\n')
  await isServed('twin')
  drop('b-second', 'file: model.onnx\nname: twin\n')
  expect(await problemOf('b-second')).toContain(`${folder('a-first')} has the name twin already`)
  drop('silero-vad')
  expect(await problemOf('silero-vad')).toContain('Ganglion knows a model named silero-vad')
  drop('Not A Name')
  expect(await problemOf('Not A Name')).toContain('name: my-model')
})

test('what was found out about a model is kept: after a restart it is served without being loaded for that', async () => {
  drop('adder')
  await isServed('adder')
  expect(checks).toEqual(['adder'])
  await close()
  await open()
  await isServed('adder')
  expect(checks).toEqual(['adder'])
})

test('a manifest with a key that there is not, or without a file, says so with its place', async () => {
  drop('typo', 'flie: model.onnx\n')
  expect(await problemOf('typo')).toMatch(/typo\/model\.yaml: flie: unknown key$/)
  drop('empty', 'description: nothing\n')
  expect(await problemOf('empty')).toContain('needs either file or files')
  drop('garbled', 'file: [model.onnx\n')
  expect(await problemOf('garbled')).toContain('garbled/model.yaml')
})

const into = () => ({ into: join(dir, 'added'), factsDir: join(dir, 'checked') })
const put = (from: string, more: object = {}) =>
  putModel(
    { clock: realClock, check, taken: (name) => name === 'silero-vad', onStep: () => {} },
    { ...into(), from, ...more },
    forever,
  )

test('[added-8] what is put there is there whole, and is served', async () => {
  writeFileSync(join(dir, 'My Adder.onnx'), addModel())
  const { folder: where, model } = await put(join(dir, 'My Adder.onnx'), { pin: true })
  expect(where).toBe(folder('my-adder'))
  expect(model.inputs.map(({ name }) => name)).toEqual(['a', 'b'])
  await isServed('my-adder')
  expect(served.get('my-adder')?.engine.pin).toBe(true)
  // Looked at once, when it was put there.
  expect(checks).toEqual(['my-adder'])
})

test('[added-8] a name that exists is refused, and replaced where that is wanted', async () => {
  writeFileSync(join(dir, 'x.onnx'), addModel())
  writeFileSync(join(dir, 'y.onnx'), identityModel('FP32'))
  await put(join(dir, 'x.onnx'), { name: 'same' })
  await expect(put(join(dir, 'y.onnx'), { name: 'same' })).rejects.toThrow(
    'a model named same was added already',
  )
  await isServed('same')
  await put(join(dir, 'y.onnx'), { name: 'same', replace: true })
  await until('it is the other one', () => served.get('same')?.inputs.length === 1)
  await expect(put(join(dir, 'x.onnx'), { name: 'silero-vad' })).rejects.toThrow(
    'Ganglion knows a model named',
  )
})

test('[added-8] of what is refused nothing is left: a climbing path, a link, a wrong digest, a hostile file', async () => {
  writeFileSync(join(dir, 'hostile.onnx'), addModel())
  mkdirSync(join(dir, 'from'))
  const manifest = (text: string) => writeFileSync(join(dir, 'from', 'model.yaml'), text)
  manifest('file: ../hostile.onnx\n')
  await expect(put(join(dir, 'from'))).rejects.toThrow('climbs out of the folder')
  symlinkSync(join(dir, 'hostile.onnx'), join(dir, 'from', 'link.onnx'))
  manifest('file: link.onnx\n')
  await expect(put(join(dir, 'from'))).rejects.toThrow('link.onnx is a link that leads out of its folder')
  await expect(put(join(dir, 'hostile.onnx'), { sha256: '0'.repeat(64) })).rejects.toThrow(
    'expected sha256 0000',
  )
  await expect(put(join(dir, 'hostile.onnx'))).rejects.toThrow('the engine ended 2 times while loading it')
  await expect(put(join(dir, 'nothing.onnx'))).rejects.toThrow('nothing.onnx does not exist')
  await expect(put('http://example.org/a.onnx')).rejects.toThrow('not a file, https:')
  expect(readdirSync(join(dir, 'added'))).toEqual([])
})

test('requests for a model that ends engines are refused after the second, and others are served', async () => {
  const path = join(dir, 'hostile.onnx')
  writeFileSync(path, addModel())
  writeFileSync(join(dir, 'fine.onnx'), addModel())
  const supervisor = await openSupervisor({
    models: [
      { name: 'hostile', pipeline: 'tensor', files: { model: path } },
      { name: 'fine', pipeline: 'tensor', files: { model: join(dir, 'fine.onnx') } },
    ],
    execArgv: ['--import', preload],
  })
  const ask = () => errorOf(answer(supervisor, { ...sum(1, 1), model: 'hostile' }))
  expect(await ask()).toMatchObject({
    code: 'model-load',
    message: 'model hostile: the engine ended 2 times while loading it',
  })
  expect(await value(supervisor, { ...sum(2, 3), model: 'fine' })).toBe(5)
  const pid = pidOf(supervisor)
  expect((await ask()).code).toBe('model-load')
  expect(pidOf(supervisor)).toBe(pid)
})
