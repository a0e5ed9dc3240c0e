/** The engine without its process, on tiny graphs in the real ONNX Runtime. */
import { mkdtempSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { VirtualClock } from '../../../runtime/base/clock.ts'
import { Engine } from '../../../runtime/inference/engine/engine.ts'
import type { EngineModel, FromEngine } from '../../../runtime/wire/engine-protocol.ts'
import type { InferResponse, Tensor } from '../../../runtime/wire/infer.ts'
import {
  addModel,
  type ElementType,
  identityModel,
  moonshineShapedDecoder,
  moonshineShapedEncoder,
  sileroShapedModel,
} from '../../fixtures/onnx.ts'

const folder = mkdtempSync(join(tmpdir(), 'engine-'))
const script = [9603, 373, 278, 8471, 5716, 28692, 2]

beforeAll(async () => {
  const types: ElementType[] = [
    'BOOL',
    'UINT8',
    'INT8',
    'INT16',
    'INT32',
    'INT64',
    'FP32',
    'FP64',
    'BYTES',
    'FP16',
  ]
  await Promise.all([
    write('add', addModel()),
    write('silero', sileroShapedModel()),
    write('encoder', moonshineShapedEncoder()),
    write('decoder', moonshineShapedDecoder(script)),
    write('endless', moonshineShapedDecoder(Array(200).fill(373))),
    write(
      'corrupt',
      Uint8Array.from({ length: 500 }, (_, i) => i % 251),
    ),
    ...types.map((type) => write(`identity-${type}`, identityModel(type))),
  ])
})
afterAll(() => rm(folder, { recursive: true }))

const write = (name: string, bytes: Uint8Array) => writeFile(path(name), bytes)
const path = (name: string) => join(folder, `${name}.onnx`)
const tensorModel = (name: string): EngineModel => ({
  name,
  pipeline: 'tensor',
  files: { model: path(name) },
})
const moonshine = (name: string, decoder: string): EngineModel => ({
  name,
  pipeline: 'moonshine',
  files: { encoder: path('encoder'), decoder: path(decoder) },
})
const f32 = (name: string, ...data: number[]): Tensor => ({
  name,
  datatype: 'FP32',
  shape: [data.length],
  data: Float32Array.from(data),
})
const sound = (seconds: number): Tensor => ({
  name: 'audio',
  datatype: 'FP32',
  shape: [1, seconds * 16_000],
  data: new Float32Array(seconds * 16_000),
})

/** An engine whose messages are collected; `when` waits for one. */
class Bench {
  readonly clock = new VirtualClock()
  readonly messages: FromEngine[] = []
  readonly warnings: string[] = []
  stops = 0
  #check = () => {}
  onMessage: (message: FromEngine) => void = () => {}
  drained = Promise.resolve()
  readonly engine = new Engine(
    {
      clock: this.clock,
      pid: 1,
      send: (message) => {
        this.messages.push(message)
        this.onMessage(message)
        this.#check()
      },
      drained: () => this.drained,
      rssBytes: () => 2 ** 20,
      onStop: () => {
        this.stops += 1
      },
      warn: (line) => this.warnings.push(line),
    },
    { queueMax: 4, intraOpThreads: 1 },
  )

  constructor(models: readonly EngineModel[]) {
    this.engine.handle({ t: 'models', models })
  }

  infer(id: string, model: string, inputs: readonly unknown[], more: object = {}): void {
    const request = {
      id,
      model,
      priority: 'interactive',
      deadlineMs: 1000,
      privacy: 'device',
      inputs,
      ...more,
    }
    this.engine.handle({ t: 'infer', request })
  }

  responses(id?: string): InferResponse[] {
    return this.messages
      .flatMap((message) => (message.t === 'response' ? [message.response as InferResponse] : []))
      .filter((response) => id === undefined || response.id === id)
  }

  /** The final response to `id`. */
  async final(id: string): Promise<InferResponse> {
    await this.until(() => this.responses(id).some((response) => response.final))
    return this.responses(id).at(-1) as InferResponse
  }

  /** Resolves when a message makes `condition` true; the test's own time limit is the deadline. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#check = () => {
        if (condition()) resolve()
      }
      this.#check()
    })
  }

  async error(id: string): Promise<string> {
    const response = await this.final(id)
    return 'error' in response ? `${response.error.code}: ${response.error.message}` : 'no error'
  }

  /** Ids of the final responses, in order. */
  get order(): string[] {
    return this.responses().flatMap((response) => (response.final ? [response.id] : []))
  }
}

function outputs(response: InferResponse): Record<string, unknown> {
  if ('error' in response) throw new Error(`${response.error.code}: ${response.error.message}`)
  return Object.fromEntries(response.outputs.map((output) => [output.name, output.data]))
}

test('the tensor pipeline runs a graph once', async () => {
  const bench = new Bench([tensorModel('add')])
  bench.infer('r', 'add', [f32('a', 1, 2), f32('b', 10, 20)])
  const response = await bench.final('r')
  expect(response).toMatchObject({
    id: 'r',
    final: true,
    outputs: [{ name: 'sum', datatype: 'FP32', shape: [2] }],
  })
  expect(outputs(response)['sum']).toEqual(Float32Array.of(11, 22))
})

test.for([
  ['BOOL', Uint8Array.of(0, 1)],
  ['UINT8', Buffer.from([0, 255])],
  ['INT8', Int8Array.of(-128, 127)],
  ['INT16', Int16Array.of(-32768, 7)],
  ['INT32', Int32Array.of(-5, 2 ** 30)],
  ['INT64', BigInt64Array.of(-(2n ** 60n), 3n)],
  ['FP32', Float32Array.of(0.5, -1)],
  ['FP64', Float64Array.of(0.1, -1)],
  ['BYTES', ['turn', 'Lämpchen']],
] as const)('%s tensors pass through a graph unchanged', async ([datatype, data]) => {
  const bench = new Bench([tensorModel(`identity-${datatype}`)])
  bench.infer('r', `identity-${datatype}`, [{ name: 'x', datatype, shape: [2], data }])
  const response = await bench.final('r')
  const [output] = 'error' in response ? [] : response.outputs
  expect(output).toMatchObject({ name: 'y', datatype, shape: [2] })
  expect([...(output?.data ?? [])]).toEqual([...data])
})

test('a graph of elements that the envelope lacks does not load', async () => {
  const bench = new Bench([tensorModel('identity-FP16')])
  bench.infer('r', 'identity-FP16', [])
  expect(await bench.error('r')).toBe('model-load: x is float16, which the inference envelope does not carry')
})

test.for([
  ['missing', [f32('a', 1)], 'input b is missing; expected FP32 [n]'],
  [
    'unknown',
    [f32('a', 1), f32('b', 1), f32('c', 1)],
    'input c is not known; expected a FP32 [n], b FP32 [n]',
  ],
  ['twice', [f32('a', 1), f32('a', 1)], 'input a is given twice'],
  [
    'of another datatype',
    [f32('a', 1), { name: 'b', datatype: 'INT32', shape: [1], data: Int32Array.of(1) }],
    'input b is INT32 [1]; expected FP32 [n]',
  ],
  [
    'of another rank',
    [f32('a', 1), { name: 'b', datatype: 'FP32', shape: [1, 1], data: Float32Array.of(1) }],
    'input b is FP32 [1,1]; expected FP32 [n]',
  ],
  [
    'shorter than its shape',
    [f32('a', 1), { name: 'b', datatype: 'FP32', shape: [7], data: Float32Array.of(1) }],
    'input b: 1 elements, but its shape [7] holds 7; expected a FP32 [n], b FP32 [n]',
  ],
  [
    'of other elements than it says',
    [{ name: 'a', datatype: 'FP32', shape: [1], data: ['one'] }],
    'input a: its elements are not FP32; expected a FP32 [n], b FP32 [n]',
  ],
  ['nothing', [null], 'an input is not a tensor; expected a FP32 [n], b FP32 [n]'],
] as const)('[engine-3] an input that is %s is bad-input and named', async ([, inputs, message]) => {
  const bench = new Bench([tensorModel('add')])
  bench.infer('r', 'add', inputs)
  expect(await bench.error('r')).toBe(`bad-input: ${message}`)
})

test('inputs that the graph itself refuses are an error of the run', async () => {
  const bench = new Bench([tensorModel('add')])
  bench.infer('r', 'add', [f32('a', 1, 2), f32('b', 1, 2, 3)])
  expect(await bench.error('r')).toMatch(/^run: the model stopped: /)
  bench.infer('next', 'add', [f32('a', 1), f32('b', 1)])
  expect(outputs(await bench.final('next'))['sum']).toEqual(Float32Array.of(2))
})

test('[engine-3] an unknown model is named with those that there are', async () => {
  const bench = new Bench([tensorModel('add')])
  bench.infer('r', 'sub', [])
  expect(await bench.error('r')).toBe('model-unknown: no model is named sub; there are: add')
})

test.for([
  ['whose file is missing', tensorModel('nowhere'), /nowhere\.onnx/],
  ['whose file is corrupt', tensorModel('corrupt'), /corrupt\.onnx/],
  [
    'of an unknown pipeline',
    { ...tensorModel('add'), pipeline: 'pipe' },
    /no pipeline is named pipe; there are: tensor,/,
  ],
  ['without its file', { ...tensorModel('add'), files: {} }, /names no file for model/],
  [
    'with a wrong option',
    { ...tensorModel('add'), options: { intraOpThreads: 0 } },
    /intraOpThreads is 0; expected/,
  ],
  [
    'unlike its declaration',
    { ...tensorModel('add'), inputs: [{ name: 'a', datatype: 'INT32', shape: ['n'] }] } as EngineModel,
    /input a is declared INT32 \[n\], but is FP32 \[n\] in the graph/,
  ],
  [
    'that is no Silero',
    { ...tensorModel('add'), pipeline: 'silero-vad' },
    /not Silero VAD v5: input input is declared/,
  ],
  ['that is no Moonshine', moonshine('stt', 'add'), /not a merged Moonshine decoder: input input_ids/],
] as const)(
  '[engine-3] a model %s fails as model-load, and says so again when asked again',
  async ([, model, reason]) => {
    const bench = new Bench([model])
    bench.infer('r', model.name, [])
    expect(await bench.error('r')).toMatch(reason)
    bench.infer('again', model.name, [])
    expect(await bench.error('again')).toMatch(/^model-load: /)
    bench.engine.handle({ t: 'status' })
    expect(bench.messages.at(-1)).toMatchObject({
      t: 'status',
      models: [{ name: model.name, state: 'failed' }],
    })
  },
)

test('silero-vad sees each frame with the 64 samples before it', async () => {
  const bench = new Bench([{ name: 'vad', pipeline: 'silero-vad', files: { model: path('silero') } }])
  const audio = Float32Array.from({ length: 1300 }, (_, i) => i / 1300)
  bench.infer('r', 'vad', [f32('audio', ...audio)])
  const { speech, state } = outputs(await bench.final('r')) as Record<string, Float32Array>
  // The test graph answers with the first sample of its window.
  expect(speech).toEqual(Float32Array.of(0, audio[448] ?? 0, audio[960] ?? 0))
  expect(state?.subarray(0, 256)).toEqual(new Float32Array(256).fill(3))
})

test('silero-vad goes on from the state of the last answer as if there had been no break', async () => {
  const bench = new Bench([{ name: 'vad', pipeline: 'silero-vad', files: { model: path('silero') } }])
  const audio = Float32Array.from({ length: 2048 }, (_, i) => Math.sin(i))
  bench.infer('whole', 'vad', [f32('audio', ...audio)])
  const whole = outputs(await bench.final('whole')) as Record<string, Float32Array>
  bench.infer('first', 'vad', [f32('audio', ...audio.subarray(0, 1024))])
  const first = outputs(await bench.final('first')) as Record<string, Float32Array>
  bench.infer('second', 'vad', [
    f32('audio', ...audio.subarray(1024)),
    f32('state', ...(first['state'] ?? [])),
  ])
  const second = outputs(await bench.final('second')) as Record<string, Float32Array>
  expect([...(first['speech'] ?? []), ...(second['speech'] ?? [])]).toEqual([...(whole['speech'] ?? [])])
  expect(second['state']).toEqual(whole['state'])
})

test('silero-vad of no sound is no speech', async () => {
  const bench = new Bench([{ name: 'vad', pipeline: 'silero-vad', files: { model: path('silero') } }])
  bench.infer('r', 'vad', [f32('audio')])
  expect(outputs(await bench.final('r'))['speech']).toEqual(new Float32Array(0))
})

test('[engine-6] moonshine streams its text and computes the cache of the encoder once', async () => {
  const bench = new Bench([moonshine('stt', 'decoder')])
  bench.infer('r', 'stt', [sound(2)])
  await bench.final('r')
  const said = bench.responses('r').map((response) => (outputs(response)['text'] as string[])[0])
  const words = ['Turn', 'Turn on', 'Turn on the', 'Turn on the living', 'Turn on the living room']
  const whole = 'Turn on the living room lamp'
  expect(said).toEqual([...words, whole, whole])
  expect(outputs(bench.responses('r').at(-1) as InferResponse)['tokens']).toEqual(
    Int32Array.from(script.slice(0, -1)),
  )
})

test('moonshine that never ends is ended by its bound on tokens', async () => {
  const bench = new Bench([moonshine('stt', 'endless')])
  bench.infer('r', 'stt', [sound(2)])
  expect(outputs(await bench.final('r'))['tokens']).toHaveLength(2 * 6.5 + 8)
})

test('moonshine refuses sound that is too short or too long, naming the bounds', async () => {
  const bench = new Bench([moonshine('stt', 'decoder')])
  bench.infer('short', 'stt', [sound(0.05)])
  expect(await bench.error('short')).toBe(
    'bad-input: input audio is 800 samples; expected 1600 to 960000, at 16000 a second',
  )
  bench.infer('long', 'stt', [sound(61)])
  expect(await bench.error('long')).toMatch(/^bad-input: input audio is 976000 samples/)
})

test('[engine-4] more urgent requests go first, also before one that is under way', async () => {
  const bench = new Bench([moonshine('stt', 'decoder'), tensorModel('add')])
  const add = [f32('a', 1), f32('b', 1)]
  bench.onMessage = (message) => {
    // The background transcription has streamed its first word.
    if (message.t !== 'response' || message.response.id !== 'slow' || bench.responses('slow').length !== 1)
      return
    bench.infer('second', 'add', add, { priority: 'background' })
    bench.infer('soon', 'add', add)
    bench.infer('now', 'add', add, { priority: 'control' })
  }
  bench.infer('slow', 'stt', [sound(2)], { priority: 'background' })
  await bench.final('second')
  expect(bench.order).toEqual(['now', 'soon', 'slow', 'second'])
})

test('[engine-5] a request can be cancelled while it waits and while it runs, and is answered once', async () => {
  const bench = new Bench([moonshine('stt', 'endless'), tensorModel('add')])
  bench.onMessage = (message) => {
    if (message.t !== 'response' || message.response.final) return
    bench.engine.handle({ t: 'cancel', id: 'waits' })
    bench.engine.handle({ t: 'cancel', id: 'runs' })
    bench.engine.handle({ t: 'cancel', id: 'runs' })
  }
  bench.infer('runs', 'stt', [sound(2)])
  bench.infer('waits', 'add', [f32('a', 1), f32('b', 1)])
  bench.infer('last', 'add', [f32('a', 1), f32('b', 1)])
  await bench.final('last')
  expect(await bench.error('runs')).toBe('cancelled: cancelled by its sender')
  expect(bench.order).toEqual(['waits', 'runs', 'last'])
})

test('[engine-5] work past its deadline is answered with deadline, waiting or under way', async () => {
  const bench = new Bench([moonshine('stt', 'endless'), tensorModel('add')])
  bench.onMessage = (message) => {
    if (message.t === 'response' && !message.response.final) bench.clock.advance(200)
  }
  bench.infer('runs', 'stt', [sound(10)], { deadlineMs: 1000 })
  bench.infer('waits', 'add', [f32('a', 1), f32('b', 1)], { deadlineMs: 500 })
  expect(await bench.error('runs')).toBe('deadline: not finished within its 1000 ms')
  expect(await bench.error('waits')).toBe('deadline: not finished within its 500 ms')
  expect(bench.order).toEqual(['waits', 'runs'])
  expect(bench.responses('runs')).toHaveLength(6)
})

test('[engine-5] requests over the bound are refused, those under it are served', async () => {
  const bench = new Bench([tensorModel('add')])
  for (const id of ['1', '2', '3', '4', '5']) bench.infer(id, 'add', [f32('a', 1), f32('b', 1)])
  expect(await bench.error('5')).toBe('overloaded: 4 requests wait already')
  await bench.final('4')
  expect(bench.order).toEqual(['5', '1', '2', '3', '4'])
})

test('nothing is computed while the reader is behind', async () => {
  const bench = new Bench([tensorModel('add')])
  const { promise, resolve } = Promise.withResolvers<void>()
  bench.drained = promise
  bench.infer('r', 'add', [f32('a', 1), f32('b', 1)])
  for (let turn = 0; turn < 20; turn += 1) await new Promise((next) => setImmediate(next))
  expect(bench.responses()).toEqual([])
  resolve()
  await bench.final('r')
})

test('a model loads once however many ask, and again after it was unloaded', async () => {
  const bench = new Bench([tensorModel('add')])
  bench.engine.handle({ t: 'load', model: 'add' })
  bench.infer('r', 'add', [f32('a', 1), f32('b', 1)])
  await bench.final('r')
  const loads = () => bench.messages.filter((message) => message.t === 'loaded').length
  expect(loads()).toBe(1)
  bench.engine.handle({ t: 'unload', model: 'add' })
  bench.infer('again', 'add', [f32('a', 1), f32('b', 1)])
  await bench.final('again')
  expect(loads()).toBe(2)
})

test('a model that is removed while it runs finishes its request and is then unknown', async () => {
  const bench = new Bench([moonshine('stt', 'decoder')])
  bench.onMessage = (message) => {
    if (message.t === 'response' && !message.response.final) bench.engine.handle({ t: 'models', models: [] })
  }
  bench.infer('r', 'stt', [sound(2)])
  expect(outputs(await bench.final('r'))['text']).toEqual(['Turn on the living room lamp'])
  bench.infer('next', 'stt', [sound(2)])
  expect(await bench.error('next')).toBe('model-unknown: no model is named stt; there are: none')
})

test('setting the same list again keeps what is loaded; a changed model loads anew', async () => {
  const bench = new Bench([tensorModel('add')])
  const loads = () => bench.messages.filter((message) => message.t === 'loaded').length
  const infer = (id: string) => {
    bench.infer(id, 'add', [f32('a', 1), f32('b', 1)])
    return bench.final(id)
  }
  await infer('1')
  bench.engine.handle({ t: 'models', models: [tensorModel('add')] })
  await infer('2')
  expect(loads()).toBe(1)
  bench.engine.handle({ t: 'models', models: [{ ...tensorModel('add'), options: { intraOpThreads: 2 } }] })
  await infer('3')
  expect(loads()).toBe(2)
})

test('stop answers everything that waits', async () => {
  const bench = new Bench([tensorModel('add')])
  bench.infer('1', 'add', [f32('a', 1), f32('b', 1)])
  bench.infer('2', 'add', [f32('a', 1), f32('b', 1)])
  bench.engine.handle({ t: 'stop' })
  expect(await bench.error('1')).toBe('engine-stopped: the engine stops')
  expect(await bench.error('2')).toBe('engine-stopped: the engine stops')
  expect(bench.stops).toBe(1)
})

test('messages that it does not know are ignored with a warning', async () => {
  const bench = new Bench([tensorModel('add')])
  for (const message of [null, 7, {}, { t: 'dance' }, { t: 'cancel' }, { t: 'infer', request: { id: '' } }])
    bench.engine.handle(message)
  expect(bench.warnings).toHaveLength(6)
  bench.infer('r', 'add', [f32('a', 1), f32('b', 1)])
  expect(await bench.error('r')).toBe('no error')
})
