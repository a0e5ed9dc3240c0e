/** What the pipelines answer, on tiny graphs in the real ONNX Runtime. */
import { expect, test } from 'vitest'
import type { InferResponse } from '../../../runtime/wire/infer.ts'
import { Bench, f32, moonshine, outputs, path, script, sound, tensorModel } from './engine-bench.ts'

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

test('inputs that the graph itself refuses are an error of the run', async () => {
  const bench = new Bench([tensorModel('add')])
  bench.infer('r', 'add', [f32('a', 1, 2), f32('b', 1, 2, 3)])
  expect(await bench.error('r')).toMatch(/^run: the model stopped: /)
  bench.infer('next', 'add', [f32('a', 1), f32('b', 1)])
  expect(outputs(await bench.final('next'))['sum']).toEqual(Float32Array.of(2))
})

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
