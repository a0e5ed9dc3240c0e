/** A person's own models on a running hub, by the real command line: added, served, asked, shown, removed. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { childrenOf, openHub, type TestHub, until } from '../fixtures/hub.ts'
import { addModel, node, onnxModel, value } from '../fixtures/onnx.ts'

let dir: string
let hub: TestHub
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'models-hub-'))
  writeFileSync(join(dir, 'adder.onnx'), addModel())
  hub = await openHub(['--no-voice', '--models-dir', join(dir, 'models')])
})
afterAll(async () => {
  await hub[Symbol.asyncDispose]()
  rmSync(dir, { recursive: true })
})

const models = (...args: string[]) => hub.run('models', ...args, '--models-dir', join(dir, 'models'))
const stateOf = (name: string) =>
  JSON.parse(models('list', '--json').stdout).models.find((model: { name: string }) => model.name === name)
const infer = (...args: string[]) => hub.run('infer', ...args)

test('[inference-8] a device that nobody asks starts no engine', async () => {
  const device = childrenOf(hub.process.pid).at(-1)
  expect(childrenOf(device)).toEqual([])
  const status = await fetch(`${hub.ready.http}/api/devices/${hub.ready.device}/status`)
  expect(await status.json()).toMatchObject({
    engine: { state: 'idle', workers: 1, budgetMb: expect.any(Number), replaced: 0 },
    processes: [{ name: 'runtime' }, { name: 'engine', pid: 0, state: 'idle' }],
  })
})

test('a model that was added is served by the device that runs, and answers', async () => {
  const { status, stdout } = models('add', join(dir, 'adder.onnx'), '--json', '--licence', 'MIT')
  expect(JSON.parse(stdout)).toMatchObject({
    name: 'adder',
    folder: join(dir, 'models', 'added', 'adder'),
    inputs: [{ name: 'a' }, { name: 'b' }],
    memoryMb: expect.any(Number),
  })
  expect(status).toBe(0)
  const answered = infer('adder', '--input', 'a=[1, 2]', '--input', 'b=[3, 4]', '--json')
  expect(JSON.parse(answered.stdout)).toMatchObject({
    ...{ model: 'adder', route: 'engine', privacy: 'device', ms: expect.any(Number) },
    decision: expect.any(String),
    outputs: [{ name: 'sum', datatype: 'FP32', shape: [2], data: [4, 6] }],
  })
  expect(stateOf('adder')).toMatchObject({
    ...{ state: 'loaded', licence: 'MIT', memoryIs: 'measured' },
    live: { loads: 1, answered: 1, p50Ms: expect.any(Number) },
  })
  expect(infer('adder', '--input', 'a=[1, 2]', '--input', 'b=[3, 4]').stdout).toBe('sum [2]: 4 6\n')
  expect(models('show', 'adder').stdout).toMatch(/licence {2}MIT\n[\s\S]*input {4}a FP32 \[any\]/)
})

test('inputs and outputs larger than a message reach the device and come back by tickets', () => {
  writeFileSync(join(dir, 'a.json'), JSON.stringify(Array(40_000).fill(1.5)))
  writeFileSync(join(dir, 'b.json'), JSON.stringify(Array(40_000).fill(2)))
  const inputs = ['--input', `a=${join(dir, 'a.json')}`, '--input', `b=${join(dir, 'b.json')}`]
  const { stdout, stderr } = infer('adder', ...inputs, '--json')
  expect(stderr).toBe('')
  const [sum] = JSON.parse(stdout).outputs
  expect([sum.shape, sum.data[0], sum.data.at(-1)]).toEqual([[40_000], 3.5, 3.5])
})

test('a picture goes in as the model takes it, and comes out as its mean', async (ctx) => {
  const { spawnSync } = await import('node:child_process')
  ctx.skip(spawnSync('ffmpeg', ['-version']).status !== 0, 'ffmpeg is not installed')
  const red = join(dir, 'red.png')
  spawnSync('ffmpeg', ['-f', 'lavfi', '-i', 'color=0xff0000:size=8x8', '-frames:v', '1', red])
  const graph = onnxModel({
    inputs: [value('image', 'UINT8', ['h', 'w', 3])],
    outputs: [value('brightness', 'FP32', [])],
    nodes: [
      node('Cast', ['image'], ['f'], { to: 1 }),
      node('ReduceMean', ['f'], ['brightness'], { keepdims: 0 }),
    ],
  })
  mkdirSync(join(dir, 'models', 'added', 'mean'), { recursive: true })
  writeFileSync(join(dir, 'models', 'added', 'mean', 'model.onnx'), graph)
  writeFileSync(join(dir, 'models', 'added', 'mean', 'model.yaml'), 'file: model.onnx\n')
  await until('it is served', () => infer('mean', '--image', red).status === 0)
  const { outputs } = JSON.parse(infer('mean', '--image', red, '--json').stdout)
  // A third of full brightness, but for what the way through YUV rounds.
  expect(Math.abs(outputs[0].data[0] - 85)).toBeLessThan(2)
})

test.each([
  [['infer', 'adder'], 'nothing to look at: give --image, --audio or --input'],
  [['infer', 'adder', '--input', 'c=[1]'], 'the model has no such input; there are: a, b'],
  [['infer', 'adder', '--privacy', 'moon', '--input', 'a=[1]'], '--privacy moon: device, site or cloud'],
  [['models', 'add', 'nowhere.onnx'], 'nowhere.onnx does not exist'],
  [['models', 'add', 'http://example.org/x.onnx'], 'not a file, https:'],
  [['models', 'add', 'ftp://example.org/x.onnx'], 'not a file, https:'],
  [['models', 'add', 'x.onnx', '--batch', '0'], '--batch 0: not a number of rows'],
  [['models', 'show', 'nothing'], 'no model is named nothing; there are: silero-vad'],
  [['models', 'remove', 'nothing'], 'no model is named nothing; there are: silero-vad'],
  [['models', 'tune', 'nothing'], 'no model is named nothing'],
  [['models', 'tune', '--for', 'fun'], '--for fun: latency or throughput'],
])('a person’s mistake is one line and exit code 2: %j', (args, message) => {
  const more = args[0] === 'models' ? ['--models-dir', join(dir, 'models')] : []
  const { status, stderr } = hub.run(...args, ...more)
  expect(stderr.trim().split('\n').at(-1)).toContain(message)
  expect(stderr).not.toMatch(/\n\s+at /)
  expect(status).toBe(2)
})

test('a wrong input and an unknown model are named, and the device goes on', () => {
  const wrong = infer('adder', '--input', 'a=[1]')
  expect(wrong.stderr).toMatch(/input b\b/)
  expect(wrong.status).toBe(2)
  const unknown = infer('nothing', '--input', 'a=[1]')
  expect(unknown.stderr).toContain('no model is named nothing; there are: adder')
  expect(unknown.status).toBe(2)
  expect(infer('adder', '--input', 'a=[1]', '--input', 'b=[2]').status).toBe(0)
})

test('of a model that is not here it is said how to get it, and of one that nobody knows which there are', () => {
  const absent = infer('person', '--input', 'image=[[[1, 2, 3]]]')
  expect(absent.stderr).toContain(
    'where the inputs have to stay: fetch it with "ganglion models pull person", or let them go',
  )
  expect(absent.status).toBe(2)
  const picture = join(dir, 'picture.ppm')
  writeFileSync(picture, 'P6\n1 1\n255\nabc')
  const unknown = infer('nope', '--image', picture)
  expect(unknown.stderr).toMatch(/^ganglion: no model is named nope; there are: .*adder.*, person\b/)
  expect(unknown.status).toBe(2)
})

test('what is fetched while the device runs is served without a restart', () => {
  const { status, stdout } = models('pull', 'person')
  expect([status, stdout]).toEqual([0, `✓ person: served by ${hub.ready.device}\n`])
  // At once: whoever was told so does not wait.
  expect(infer('person', '--input', 'image=[[[1, 2, 3]]]').status).toBe(0)
})

test('the list says where a folder of one’s own is put', () => {
  expect(models('list').stderr).toContain(`goes to ${join(dir, 'models', 'added')}`)
})

test('tune measures on this machine, and keeps what is best for the next start', () => {
  const { status, stdout } = models('tune', 'adder', '--seconds', '0.1', '--json')
  expect(status).toBe(0)
  expect(existsSync(join(hub.stateDir, 'device', 'inference', 'measured-plan.json'))).toBe(true)
  const { results, best, kept } = JSON.parse(stdout)
  expect(results.length).toBeGreaterThan(0)
  expect(best).toMatchObject({ workers: 1, intraOpThreads: expect.any(Number), p50Ms: expect.any(Number) })
  expect(kept).toBe(true)
})

test('a model that is removed is gone from disk and from the device', async () => {
  expect(models('remove', 'adder').stdout).toContain('adder is removed')
  expect(stateOf('adder')).toBeUndefined()
  await until(
    'it is served no more',
    () => infer('adder', '--input', 'a=[1]', '--input', 'b=[2]').status !== 0,
  )
})
