/** Numbers that are none, and model files that want more than to be run: on the real ONNX Runtime. */
import { execFileSync } from 'node:child_process'
import { symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { notFiniteAt } from '../../../runtime/inference/engine/finite.ts'
import type { EngineModel } from '../../../runtime/wire/engine-protocol.ts'
import type { Tensor } from '../../../runtime/wire/infer.ts'
import { announced, elsewhere, floats, node, onnxModel, value } from '../../fixtures/onnx.ts'
import { Bench, f32, outputs, path, sound, tensorModel, write } from './engine-bench.ts'

const allowing = (name: string): EngineModel => ({ ...tensorModel(name), options: { allowNaN: true } })

test.for([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
] as const)('[engine-15] an input with %s is bad-input, named with its place', async ([word, number]) => {
  const bench = new Bench([tensorModel('add')])
  bench.infer('r', 'add', [f32('a', 1, 2, 3), f32('b', 1, number, 3)])
  expect(await bench.error('r')).toBe(`bad-input: input b is ${word} at element 1; expected finite numbers`)
})

test('[engine-15] silence that is no number is no speech to hear either', async () => {
  const bench = new Bench([{ name: 'vad', pipeline: 'silero-vad', files: { model: path('silero') } }])
  const audio = sound(1)
  ;(audio.data as Float32Array)[700] = Number.NaN
  bench.infer('r', 'vad', [{ ...audio, shape: [audio.data.length] } as Tensor])
  expect(await bench.error('r')).toBe('bad-input: input audio is NaN at element 700; expected finite numbers')
})

test.for([Float32Array, Float64Array] as const)(
  'every number that is none is found at its place, and no other is: %o',
  (kind) => {
    const datatype = kind === Float32Array ? 'FP32' : 'FP64'
    const at = (data: Float32Array | Float64Array) =>
      notFiniteAt({ name: 'x', datatype, shape: [data.length], data } as Tensor)
    const largest = kind === Float32Array ? 3.4028234663852886e38 : Number.MAX_VALUE
    const fine = [0, -0, 1, -1, largest, -largest, 1e-45, Number.MIN_VALUE, -Number.MIN_VALUE]
    expect(at(kind.from(fine))).toBeUndefined()
    expect(at(new kind(0))).toBeUndefined()
    for (const bad of [Number.NaN, -Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
      for (let place = 0; place <= fine.length; place += 1)
        expect(at(kind.from(fine.toSpliced(place, 0, bad)))).toBe(place)
    const long = new kind(10_000)
    for (const place of [0, 4094, 4095, 4096, 8191, 8192, 9999])
      expect(at(long.with(place, Number.NaN))).toBe(place)
  },
)

test('[engine-15] an answer that is NaN is a failed run; an infinity is an answer', async () => {
  await write(
    'log',
    onnxModel({
      inputs: [value('x', 'FP32', ['n'])],
      outputs: [value('y', 'FP32', ['n'])],
      nodes: [node('Log', ['x'], ['y'])],
    }),
  )
  const bench = new Bench([tensorModel('log')])
  bench.infer('none', 'log', [f32('x', 1, -1)])
  expect(await bench.error('none')).toBe("run: output y is NaN at element 1: the model's arithmetic failed")
  bench.infer('infinite', 'log', [f32('x', 1, 0)])
  expect(outputs(await bench.final('infinite'))['y']).toEqual(Float32Array.of(0, Number.NEGATIVE_INFINITY))
})

test('[engine-15] a model whose option allowNaN says so is fed what is no number, and may answer it', async () => {
  const bench = new Bench([allowing('add')])
  bench.infer('r', 'add', [f32('a', 1, Number.NaN), f32('b', 1, 1)])
  expect(outputs(await bench.final('r'))['sum']).toEqual(Float32Array.of(2, Number.NaN))
  const wrong = new Bench([{ ...tensorModel('add'), options: { allowNaN: 'yes' } }])
  wrong.infer('r', 'add', [])
  expect(await wrong.error('r')).toBe(
    'model-load: model add: option allowNaN is "yes"; expected true or false',
  )
})

const plus = (constants: readonly Uint8Array[], before: readonly Uint8Array[] = []) =>
  onnxModel({
    inputs: [value('x', 'FP32', [2])],
    outputs: [value('y', 'FP32', [2])],
    nodes: [...before, node('Add', ['x', 'w'], ['y'])],
    constants,
  })

/** Opening it would wait for a writer for ever: whoever reads it hangs, and the test with it. */
const outside = join(dirname(path('x')), '..', `outside-${process.pid}`)

test.for([
  ['climbs out of its folder', `../outside-${process.pid}`],
  ['is absolute', outside],
  ['is a link out of its folder', 'link'],
  ['is memory of this process', '*/_ORT_MEM_ADDR_/*'],
] as const)(
  '[engine-16] a model whose weights lie where the path %s does not load, and that is not read',
  async ([, location]) => {
    execFileSync('sh', ['-c', 'test -p "$0" || mkfifo "$0"', outside])
    if (location === 'link') symlinkSync(outside, join(dirname(path('x')), 'link'))
    try {
      const constant = node('Constant', [], ['w'], { value: { tensor: elsewhere('c', [2], location) } })
      await write('initializer', plus([elsewhere('w', [2], location)]))
      await write('attribute', plus([], [constant]))
      const bench = new Bench([tensorModel('initializer'), tensorModel('attribute')])
      for (const name of ['initializer', 'attribute']) {
        bench.infer(name, name, [f32('x', 1, 2)])
        expect(await bench.error(name)).toMatch(/^model-load: /)
      }
    } finally {
      execFileSync('rm', ['-f', outside])
    }
  },
)

test.for([
  ['of more elements than there is memory', [announced('w', [1n << 40n])]],
  ['whose number of elements overflows', [announced('w', [1n << 32n, 1n << 32n])]],
  ['of a negative length', [announced('w', [-2])]],
  ['that the graph has no place for', [floats('w', [3], [1, 2, 3])]],
] as const)('[engine-16] a model with weights %s does not load', async ([, constants]) => {
  await write('absurd', plus(constants))
  const bench = new Bench([tensorModel('absurd')])
  bench.infer('r', 'absurd', [f32('x', 1, 2)])
  expect(await bench.error('r')).toMatch(/^model-load: /)
})

test('[engine-16] a model whose nodes wait for each other does not load', async () => {
  await write(
    'cycle',
    onnxModel({
      inputs: [value('x', 'FP32', [2])],
      outputs: [value('y', 'FP32', [2])],
      nodes: [node('Add', ['x', 'y'], ['z']), node('Add', ['z', 'x'], ['y'])],
    }),
  )
  const bench = new Bench([tensorModel('cycle')])
  bench.infer('r', 'cycle', [f32('x', 1, 2)])
  expect(await bench.error('r')).toMatch(/^model-load: .*acyclic/)
})

test.for([
  ['with colours of a terminal', 'x\u001b[31m'],
  ['that reads backwards', 'x\u202e'],
  ['of two lines', 'x\ny'],
  ['longer than the wire takes', 'x'.repeat(129)],
] as const)('[engine-16] a model with a name %s does not load', async ([, name]) => {
  const nodes = [node('Identity', [name], ['y'])]
  const content = { inputs: [value(name, 'FP32', [2])], outputs: [value('y', 'FP32', [2])], nodes }
  await write('named', onnxModel(content))
  const bench = new Bench([tensorModel('named')])
  bench.infer('r', 'named', [])
  expect(await bench.error('r')).toBe(
    'model-load: the name of an input is not 1 to 128 characters that can be shown',
  )
})

test('[engine-16] a model with more inputs than a manifest lists does not load', async () => {
  const inputs = Array.from({ length: 65 }, (_, at) => value(`x${at}`, 'FP32', [2]))
  const nodes = [node('Identity', ['x0'], ['y'])]
  await write('many', onnxModel({ inputs, outputs: [value('y', 'FP32', [2])], nodes }))
  const bench = new Bench([tensorModel('many')])
  bench.infer('r', 'many', [])
  expect(await bench.error('r')).toBe(
    'model-load: model many: its graph has 65 inputs, more than the 64 allowed',
  )
})

test('[engine-3] a failure is one line, however much the native library says', async () => {
  await write('cut', plus([floats('w', [2], [1, 2])]).subarray(0, 60))
  const bench = new Bench([tensorModel('cut')])
  bench.infer('r', 'cut', [])
  expect(await bench.error('r')).toMatch(/^model-load: [^\n]+$/)
})
