/** What a pipeline of steps refuses, when it loads and when it runs, and in which words. */
import { describe, expect, test } from 'vitest'
import { keywords } from '../../../../runtime/inference/models/keywords.model.ts'
import type { EngineModel } from '../../../../runtime/wire/engine-protocol.ts'
import { path } from '../engine-bench.ts'
import {
  answer,
  brightness,
  errorOf,
  image,
  logarithm,
  pipeline,
  softmax,
  sound,
  squares,
  stripes,
} from './tiny-pipelines.ts'

describe('a wrong manifest does not load, and is told where it is wrong [steps-1]:', () => {
  const top = (labels: unknown) => ({ step: 'top', in: 'x', out: { labels: 'w', scores: 'y' }, labels })
  test.each([
    [
      'without outputs',
      pipeline([softmax], { outputs: [] }),
      'pipeline steps needs its inputs and outputs declared',
    ],
    ['without steps', { ...pipeline([]), steps: undefined }, 'there are 0 steps; expected 1 to 64'],
    [
      'a step that is unknown',
      pipeline([{ ...softmax, step: 'blur' }]),
      /step 1: no step is named blur; there are: run/,
    ],
    [
      'a file that is not named',
      pipeline([
        { ...logarithm, file: 'other' },
        { ...softmax, in: 'z' },
      ]),
      'step 1 (run) needs file other, which is not named',
    ],
    [
      'an input that the graph has not',
      pipeline([
        { ...logarithm, feeds: { x: 'x', v: 'x' } },
        { ...softmax, in: 'z' },
      ]),
      'step 1 (run): file model has no input v; there are: x',
    ],
    [
      'an input that is not fed',
      pipeline([{ ...logarithm, feeds: {} }, softmax, { ...softmax, in: 'z', out: 'w' }], {
        outputs: [
          { name: 'y', datatype: 'FP32', shape: ['n'] },
          { name: 'w', datatype: 'FP32', shape: ['n'] },
        ],
      }),
      'step 1 (run): file model needs input x, which is not fed',
    ],
    [
      'an output that the graph has not',
      pipeline([
        { ...logarithm, gives: { v: 'z' } },
        { ...softmax, in: 'z' },
      ]),
      'step 1 (run): the graph has no output v; there are: y',
    ],
    [
      'a graph that takes something else',
      pipeline([
        { step: 'cast', in: 'x', out: 'c', to: 'INT32' },
        { ...logarithm, feeds: { x: 'c' } },
        { ...softmax, in: 'z' },
      ]),
      'step 2 (run): c is INT32; input x of file model takes FP32',
    ],
    [
      'a step that takes something else',
      pipeline([
        { step: 'cast', in: 'x', out: 'c', to: 'INT32' },
        { ...softmax, in: 'c' },
      ]),
      'step 2 (softmax): c is INT32; expected FP32',
    ],
    [
      'an output of another datatype',
      pipeline([{ step: 'cast', in: 'x', out: 'y', to: 'INT32' }]),
      'output y is declared FP32, but its step makes INT32',
    ],
    [
      'an output that is a list',
      brightness({
        steps: brightness()
          .steps?.slice(0, 4)
          .map((step) => (step.step === 'run' ? { ...step, gives: { mean: 'y' } } : step)),
      }),
      'output y is a list; a step join makes one tensor of it',
    ],
    [
      'a join of one tensor',
      pipeline([{ step: 'join', in: 'x', out: 'y' }]),
      'step 1 (join): x is one tensor; expected a list',
    ],
    [
      'deviations for other channels than means',
      pipeline([{ step: 'normalise', in: 'x', out: 'y', mean: [1, 2], deviation: [1, 2, 3] }]),
      'step 1 (normalise): mean has 2 numbers; expected 1 or 3',
    ],
    [
      'axes named twice',
      pipeline([{ step: 'transpose', in: 'x', out: 'y', order: [0, 0] }]),
      'step 1 (transpose): order [0,0] does not name each axis once',
    ],
    [
      'a zero point beyond its type',
      pipeline([
        { step: 'quantize', in: 'x', out: 'q', to: 'INT8', scale: 1, zeroPoint: 200 },
        { step: 'cast', in: 'q', out: 'y', to: 'FP32' },
      ]),
      'step 1 (quantize): zeroPoint 200 is no INT8',
    ],
    [
      'a text file that is not there',
      pipeline([top('words')], {
        files: { words: path('nothing') },
        outputs: [...(pipeline([]).outputs ?? []), { name: 'w', datatype: 'BYTES', shape: ['k'] }],
      }),
      'file words cannot be read',
    ],
    [
      'more boxes than any detector has',
      pipeline([
        {
          ...{ step: 'priors', in: 'x', out: 'y', width: 16_384, height: 16_384, strides: [1], sizes: [[1]] },
          ...{ centreVariance: 0.1, sizeVariance: 0.2 },
        },
      ]),
      'step 1 (priors): there are 268435456 boxes; at most 1048576',
    ],
    [
      'two open lengths',
      pipeline([{ step: 'reshape', in: 'x', out: 'y', shape: [-1, -1] }]),
      'step 1 (reshape): shape [-1,-1] leaves two lengths open',
    ],
  ] as const)('%s', async (_what, model, expected) => {
    const line = await errorOf(model as EngineModel, [sound(1, 2)])
    expect(line).toMatch(/^model-load: model it: /)
    expect(line.slice('model-load: model it: '.length)).toMatch(expected)
  })

  test('a graph that is no graph releases what was opened before it', async () => {
    const model = pipeline(
      [logarithm, { ...logarithm, file: 'other', feeds: { x: 'z' }, gives: { y: 'y' } }],
      {
        files: { model: path('log'), other: path('corrupt') },
      },
    )
    expect(await errorOf(model, [sound(1)])).toMatch(/^model-load: .*corrupt\.onnx/)
  })
})

describe('bad input is named [steps-2]:', () => {
  const resize = { step: 'resize', in: 'image', out: 'small', fit: 'stretch', width: 2, height: 2 }
  const picture = (more: Partial<EngineModel> = {}) =>
    pipeline([resize, { step: 'normalise', in: 'small', out: 'y' }], {
      inputs: [{ name: 'image', datatype: 'UINT8', shape: ['h', 'w', 'c'] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: ['h', 'w', 'c'] }],
      ...more,
    })

  test('a picture of one pixel is a picture', async () => {
    expect((await answer(picture(), [image(1, 1, 3, 7)]))['y']).toEqual(new Float32Array(12).fill(7))
  })

  test.each([
    ['a picture without a pixel', image(0, 5), 'step 1 (resize): UINT8 [0,5,3] is a picture without a pixel'],
    ['a picture without channels', image(2, 2, 0), /step 1 \(resize\): UINT8 \[2,2,0\] is not a picture/],
    [
      'a picture of seven channels',
      image(2, 2, 7),
      /step 1 \(resize\): UINT8 \[2,2,7\] is not a picture; expected .* 1 to 4 channels/,
    ],
    [
      'a picture of floats',
      { ...image(1, 1), datatype: 'FP32', data: new Float32Array(3) },
      /^input image is FP32 \[1,1,3\]; expected UINT8/,
    ],
    [
      'a picture that says it is larger',
      { ...image(2, 2), shape: [9, 9, 3] },
      /^input image: 12 elements, but its shape \[9,9,3\] holds 243/,
    ],
    ['no picture', { ...image(2, 2), name: 'photo' }, /^input image is missing/],
  ])('%s', async (_what, input, expected) => {
    const line = await errorOf(picture(), [input])
    expect(line).toMatch(/^bad-input: /)
    expect(line.slice('bad-input: '.length)).toMatch(expected)
  })

  test('a picture with wrong channels for the model', async () => {
    const line = await errorOf(
      brightness({
        inputs: [
          { name: 'image', datatype: 'UINT8', shape: ['h', 'w', 3] },
          { name: 'quads', datatype: 'FP32', shape: ['n', 4, 2] },
        ],
      }),
      [image(4, 4, 1), squares(1)],
    )
    expect(line).toBe('bad-input: input image is UINT8 [4,4,1]; expected UINT8 [h,w,3]')
  })

  test('a picture that is huge', async () => {
    const line = await errorOf(picture({ options: { elementsMax: 299 } }), [image(10, 10)])
    expect(line).toBe('bad-input: input image is UINT8 [10,10,3]: 300 elements; at most 299 here')
  })

  test('a small picture that would become a huge one', async () => {
    const model = picture({
      steps: [
        { ...resize, width: 16_000, height: 16_000 },
        { step: 'normalise', in: 'small', out: 'y' },
      ] as never,
    })
    expect(await errorOf(model, [image(1, 1)])).toBe(
      'bad-input: step 1 (resize): it would make a tensor of 768000000 elements; at most 33554432 here',
    )
  })

  test('a picture so thin that shrinking it would weigh more than it has', async () => {
    const steps = [
      { ...resize, width: 1, height: 2, antialias: true },
      { step: 'normalise', in: 'small', out: 'y' },
    ]
    const model = picture({ steps: steps as never, options: { elementsMax: 299 } })
    expect(await errorOf(model, [image(299, 1, 1)])).toBe(
      'bad-input: step 1 (resize): it would make a tensor of 598 elements; at most 299 here',
    )
  })

  test('more found than is allowed', async () => {
    expect(await errorOf(brightness(), [stripes(9), squares(9)])).toBe(
      'bad-input: step 1 (crop-quads): there are 9 quads; at most 8',
    )
  })

  test('more cut out than would fit into one tensor', async () => {
    expect(await errorOf(brightness({ options: { elementsMax: 150 } }), [stripes(3), squares(4)])).toBe(
      'bad-input: step 1 (crop-quads): it would make a tensor of 192 elements; at most 150 here',
    )
  })

  test('a number that is none', async () => {
    expect(await errorOf(pipeline([softmax]), [sound(1, Number.NaN)])).toBe(
      'bad-input: input x is NaN at element 1; expected finite numbers',
    )
  })

  test('a number beyond what it can be', async () => {
    const check = { step: 'check', in: 'x', out: 'y', min: -1, max: 1 }
    expect(await errorOf(pipeline([check]), [sound(0, 3)])).toBe(
      'bad-input: step 1 (check): element 1 is 3; expected -1 to 1',
    )
  })

  test('too little for a frame, too few rows, a part beyond the picture', async () => {
    const mel = { ...keywords.steps?.find(({ step }) => step === 'mel'), in: 'x', out: 'm' }
    const flat = { step: 'reshape', in: 'm', out: 'y', shape: [-1] }
    expect(await errorOf(pipeline([mel, flat]), [sound(1)])).toMatch(
      /^bad-input: step 1 \(mel\): FP32 \[1\] is too short for a frame of 480/,
    )
    const frames = { step: 'frames', in: 'r', out: 'm', count: 5 }
    const rows = { step: 'reshape', in: 'x', out: 'r', shape: [-1, 1] }
    expect(await errorOf(pipeline([rows, frames, flat]), [sound(1, 2)])).toBe(
      'bad-input: step 2 (frames): FP32 [2,1] has no window of 5 rows',
    )
    const crop = { step: 'crop', in: 'image', out: 'small', left: 3, top: 0, width: 2, height: 1 }
    const cropping = picture({ steps: [crop, { step: 'normalise', in: 'small', out: 'y' }] as never })
    expect(await errorOf(cropping, [image(4, 4)])).toMatch(
      /^bad-input: step 1 \(crop\): a picture of 4 × 4 pixels has no part of 2 × 1 at 3, 0$/,
    )
  })
})

describe('what a model makes wrong is not its caller’s mistake [steps-2]:', () => {
  test('another number of scores than there are words', async () => {
    const top = { step: 'top', in: 'z', out: { labels: 'w', scores: 'y' }, labels: ['a', 'b'] }
    const model = pipeline([logarithm, top], {
      outputs: [...(pipeline([]).outputs ?? []), { name: 'w', datatype: 'BYTES', shape: ['k'] }],
    })
    expect(await errorOf(model, [sound(1, 2, 3)])).toBe(
      'run: step 2 (top): FP32 [3] has 3 scores; there are 2 labels',
    )
  })

  test('a score that is no number', async () => {
    const nms = {
      step: 'nms',
      in: { boxes: 'b', scores: 'z' },
      out: { boxes: 'kept', scores: 'y' },
      iou: 0.5,
      score: 0.1,
      max: 10,
    }
    const model = pipeline(
      [
        logarithm,
        { step: 'reshape', in: 'x', out: 'b', shape: [-1, 1] },
        { step: 'concat', in: ['b', 'b', 'b', 'b'], out: 'c', axis: 1 },
        { ...nms, in: { boxes: 'c', scores: 'z' } },
      ],
      {
        outputs: [...(pipeline([]).outputs ?? []), { name: 'kept', datatype: 'FP32', shape: ['k', 4] }],
      },
    )
    expect(await errorOf(model, [sound(1, -1)])).toBe('run: step 4 (nms): score 1 is no number')
  })

  test('an output of another shape than declared', async () => {
    const model = pipeline([{ ...logarithm, gives: { y: 'y' } }], {
      outputs: [{ name: 'y', datatype: 'FP32', shape: [4] }],
    })
    expect(await errorOf(model, [sound(1, 2)])).toBe('run: output y is FP32 [2]; declared is FP32 [4]')
  })
})
