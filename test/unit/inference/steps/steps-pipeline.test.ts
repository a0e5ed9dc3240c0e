/** Pipelines written as data, in the engine without its process, on tiny graphs in the real ONNX Runtime. */
import { describe, expect, test } from 'vitest'
import { realClock } from '../../../../runtime/base/clock.ts'
import { loadPipeline, type Pipeline } from '../../../../runtime/inference/engine/pipelines/pipeline.ts'
import { stepsPipeline } from '../../../../runtime/inference/engine/pipelines/steps.pipeline.ts'
import type { Tensor } from '../../../../runtime/wire/infer.ts'
import {
  answer,
  brightness,
  brightnesses,
  logarithm,
  pipeline,
  softmax,
  sound,
  squares,
  stripes,
} from './tiny-pipelines.ts'

describe('a pipeline of steps', () => {
  test('goes from its inputs through graphs to its outputs', async () => {
    const model = pipeline([logarithm, { ...softmax, in: 'z' }])
    const { y } = await answer(model, [sound(1, 2, 5)])
    expect([...(y ?? [])].map((one) => one.toFixed(4))).toEqual(['0.1250', '0.2500', '0.6250'])
  })

  test('does each of a list, in order', async () => {
    const { y } = await answer(brightness(), [stripes(5), squares(5)])
    expect([...(y ?? [])].map((one) => one.toFixed(5))).toEqual(brightnesses(5).map((one) => one.toFixed(5)))
  })

  test('gives nothing where nothing was found', async () => {
    const { y } = await answer(brightness(), [stripes(2), squares(0)])
    expect(y).toEqual(new Float32Array(0))
  })

  test('reads words from a text file, whatever ends its lines', async () => {
    const top = { step: 'top', in: 'x', out: { labels: 'y', scores: 'sure' }, count: 2, labels: 'words' }
    const model = pipeline([top], {
      outputs: [
        { name: 'y', datatype: 'BYTES', shape: [2] },
        { name: 'sure', datatype: 'FP32', shape: [2] },
      ],
    })
    expect(await answer(model, [sound(0.1, 0.3, 0.6)])).toEqual({
      y: ['fan', 'door'],
      sure: Float32Array.of(0.6, 0.3),
    })
  })

  test('keeps rows whose confidence is enough', async () => {
    const model = pipeline(
      [{ step: 'filter', in: { by: 'sure', rows: 'x' }, out: { by: 'y', rows: 'kept' }, min: 0.5 }],
      {
        inputs: [
          { name: 'x', datatype: 'FP32', shape: ['n', 2] },
          { name: 'sure', datatype: 'FP32', shape: ['n'] },
        ],
        outputs: [
          { name: 'y', datatype: 'FP32', shape: ['n'] },
          { name: 'kept', datatype: 'FP32', shape: ['n', 2] },
        ],
      },
    )
    const rows = { ...sound(1, 2, 3, 4, 5, 6), shape: [3, 2] }
    const given = await answer(model, [rows, { ...sound(0.5, 0.4, 0.9), name: 'sure' }])
    expect(given['kept']).toEqual(Float32Array.of(1, 2, 5, 6))
  })

  test('lets the engine look up between native runs [engine-4]', async () => {
    const loaded = await loadPipeline(realClock, stepsPipeline, brightness(), 1)
    expect((await drain(loaded, [stripes(6), squares(6)])).yields).toBeGreaterThanOrEqual(5)
    await loaded.release()
  })

  test('lets the engine look up between steps over much', async () => {
    const steps = ['a', 'b', 'c'].map((out, at) => ({ step: 'sigmoid', in: ['x', 'a', 'b'][at], out }))
    const loaded = await loadPipeline(
      realClock,
      stepsPipeline,
      pipeline([...steps, { ...softmax, in: 'c' }]),
      1,
    )
    const much: Tensor = { ...sound(), shape: [2 ** 20 + 1], data: new Float32Array(2 ** 20 + 1) } as Tensor
    expect((await drain(loaded, [much])).yields).toBe(3)
    await loaded.release()
  })

  test('mixes nothing up when two requests are under way, nor in answers that were given [steps-3]', async () => {
    const loaded = await loadPipeline(realClock, stepsPipeline, brightness(), 1)
    const meter = { modelMs: 0 }
    const first = (await drain(loaded, [stripes(4), squares(4)])).outputs
    const one = loaded.run([stripes(4, 20), squares(4)], meter)
    const two = loaded.run([stripes(4, 30), squares(4)], meter)
    const results = new Map<object, readonly Tensor[]>()
    while (results.size < 2)
      for (const run of [one, two]) {
        if (results.has(run)) continue
        const step = await run.next()
        if (step.done) results.set(run, step.value)
      }
    for (const [given, step] of [
      [results.get(one), 20],
      [results.get(two), 30],
      [first, 10],
    ] as const)
      expect([...((given?.[0]?.data ?? []) as Float32Array)].map((each) => each.toFixed(5))).toEqual(
        brightnesses(4, step).map((each) => each.toFixed(5)),
      )
    await loaded.release()
  })

  test('can be left half way and asked again', async () => {
    const loaded = await loadPipeline(realClock, stepsPipeline, brightness(), 1)
    const left = loaded.run([stripes(4), squares(4)], { modelMs: 0 })
    await left.next()
    await left.return([])
    const { outputs: given } = await drain(loaded, [stripes(4), squares(4)])
    expect(given[0]?.shape).toEqual([4])
    await loaded.release()
  })
})

async function drain(loaded: Pipeline, inputs: readonly unknown[]) {
  const run = loaded.run(inputs, { modelMs: 0 })
  for (let yields = 0; ; yields += 1) {
    const step = await run.next()
    if (step.done) return { outputs: step.value, yields }
  }
}
