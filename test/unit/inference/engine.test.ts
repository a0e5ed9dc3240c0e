/** Codes, order, bounds and models of the engine, on tiny graphs in the real ONNX Runtime. */
import { expect, test } from 'vitest'
import type { EngineModel } from '../../../runtime/wire/engine-protocol.ts'
import { Bench, f32, moonshine, outputs, sound, tensorModel } from './engine-bench.ts'

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
  [
    'of a datatype that is an object, and none that can be text',
    [{ name: 'a', datatype: { toString: 1 }, shape: [1], data: null }],
    'input a: its datatype is not text; expected a FP32 [n], b FP32 [n]',
  ],
  ['nothing', [null], 'an input is not a tensor; expected a FP32 [n], b FP32 [n]'],
] as const)('[engine-3] an input that is %s is bad-input and named', async ([, inputs, message]) => {
  const bench = new Bench([tensorModel('add')])
  bench.infer('r', 'add', inputs)
  expect(await bench.error('r')).toBe(`bad-input: ${message}`)
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
  bench.infer('waits', 'add', [f32('a', 1), f32('b', 1)], { deadlineMs: 500, priority: 'background' })
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

test('[engine-5] a request that breaks the rules of the protocol is answered too', async () => {
  const bench = new Bench([tensorModel('add')])
  const long = 'm'.repeat(129)
  bench.infer('long', long, [])
  bench.infer('never', 'add', [], { deadlineMs: Number.NaN })
  expect(await bench.error('long')).toMatch(/^bad-input: request\.model: /)
  expect(await bench.error('never')).toMatch(/^bad-input: request\.deadlineMs: /)
  expect(bench.warnings).toEqual([])
})

test('messages that it does not know are ignored with a warning', async () => {
  const bench = new Bench([tensorModel('add')])
  for (const message of [null, 7, {}, { t: 'dance' }, { t: 'cancel' }, { t: 'infer', request: { id: '' } }])
    bench.engine.handle(message)
  expect(bench.warnings).toHaveLength(6)
  bench.infer('r', 'add', [f32('a', 1), f32('b', 1)])
  expect(await bench.error('r')).toBe('no error')
})
