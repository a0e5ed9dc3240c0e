/** Steps against the operators of ONNX that they are named after, on random inputs in the real ONNX Runtime. [steps-4] */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Content } from '../../../../runtime/inference/engine/steps/step.ts'
import { type ElementType, floats, ints, node, value } from '../../../fixtures/onnx.ts'
import { expectNear, f32, given, numbers, ortAnswer, u8 } from './one-step.ts'

const runs = { numRuns: 25 }
const any = (rank: number): (number | string)[] => Array.from({ length: rank }, (_, axis) => `d${axis}`)
const random = fc.float({ min: -20, max: 20, noNaN: true })
const sides = fc.integer({ min: 1, max: 23 })

/** A tensor of `rank` axes of 1 to `most`. */
const tensors = (rank: number, most = 7) =>
  fc.array(fc.integer({ min: 1, max: most }), { minLength: rank, maxLength: rank }).chain((shape) => {
    const length = shape.reduce((a, b) => a * b, 1)
    return fc.array(random, { minLength: length, maxLength: length }).map((data) => f32(shape, data))
  })

/** One node from `x` to `y`. */
const single = (
  op: string,
  rank: number,
  attributes: Parameters<typeof node>[3] = {},
  types: readonly [ElementType, ElementType] = ['FP32', 'FP32'],
  constants: readonly [string, Uint8Array][] = [],
) => ({
  inputs: [value('x', types[0], any(rank))],
  outputs: [value('y', types[1], any(rank))],
  nodes: [node(op, ['x', ...constants.map(([name]) => name)], ['y'], attributes)],
  constants: constants.map(([, bytes]) => bytes),
})

test.each([
  ['nearest', false, { mode: 'nearest', nearest_mode: 'round_prefer_floor' }, 18],
  ['bilinear', false, { mode: 'linear' }, 18],
  ['bilinear', true, { mode: 'linear', antialias: 1, exclude_outside: 1 }, 18],
] as const)(
  'resize %s, antialias %s, is Resize with half_pixel',
  async (method, antialias, attributes, set) => {
    await fc.assert(
      fc.asyncProperty(tensors(3, 19), sides, sides, async (image, width, height) => {
        const [h, w] = image.shape as [number, number, number]
        const channels = ((image.shape[2] as number) % 4) + 1
        const picture = f32(
          [h, w, channels],
          numbers(image)
            .concat(numbers(image), numbers(image), numbers(image))
            .slice(0, h * w * channels),
        )
        const mine = given(
          { step: 'resize', in: 'x', out: 'y', fit: 'stretch', width, height, method, antialias },
          { x: picture },
        )['y'] as Content
        expect(mine.shape).toEqual([height, width, channels])
        // ONNX Runtime resizes planes.
        const planes = given({ step: 'layout', in: 'x', out: 'y', to: 'nchw' }, { x: picture })[
          'y'
        ] as Content
        const graph = single('Resize', 4, { ...attributes, coordinate_transformation_mode: 'half_pixel' })
        const sized = {
          ...graph,
          nodes: [
            node('Resize', ['x', '', '', 'sizes'], ['y'], {
              ...attributes,
              coordinate_transformation_mode: 'half_pixel',
            }),
          ],
          constants: [ints('sizes', [4], [1, channels, height, width])],
        }
        const theirs = f32([channels, height, width], await ortAnswer(sized, { x: planes }, set))
        const rows = given({ step: 'layout', in: 'x', out: 'y', to: 'hwc' }, { x: theirs })['y']
        expectNear(numbers(mine), numbers(rows), 2e-4)
      }),
      runs,
    )
  },
)

test.each([-1, 0, 1])('softmax along axis %i is Softmax', async (axis) => {
  await fc.assert(
    fc.asyncProperty(tensors(2), async (x) => {
      const mine = given({ step: 'softmax', in: 'x', out: 'y', axis }, { x })['y']
      expectNear(numbers(mine), await ortAnswer(single('Softmax', 2, { axis }), { x }), 1e-6)
    }),
    runs,
  )
})

test('softmax of numbers that overflow is still a distribution', () => {
  const { y } = given({ step: 'softmax', in: 'x', out: 'y' }, { x: f32([3], [1000, 1000, -1000]) })
  expect(numbers(y)).toEqual([0.5, 0.5, 0])
})

test('sigmoid is Sigmoid', async () => {
  await fc.assert(
    fc.asyncProperty(tensors(2), async (x) => {
      const mine = given({ step: 'sigmoid', in: 'x', out: 'y' }, { x })['y']
      expectNear(numbers(mine), await ortAnswer(single('Sigmoid', 2), { x }), 1e-6)
    }),
    runs,
  )
})

test('argmax is ArgMax, the first of equals', async () => {
  await fc.assert(
    fc.asyncProperty(tensors(3, 5), fc.integer({ min: -3, max: 2 }), async (x, axis) => {
      const coarse = f32(
        x.shape,
        numbers(x).map((one) => Math.round(one / 10)),
      )
      const mine = given({ step: 'argmax', in: 'x', out: 'y', axis }, { x: coarse })['y']
      const graph = single('ArgMax', 3, { axis, keepdims: 0 }, ['FP32', 'INT64'])
      const theirs = await ortAnswer({ ...graph, outputs: [value('y', 'INT64', any(2))] }, { x: coarse })
      expect(numbers(mine)).toEqual(theirs)
    }),
    runs,
  )
})

test('transpose is Transpose', async () => {
  await fc.assert(
    fc.asyncProperty(tensors(4, 4), fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }), async (x, order) => {
      const mine = given({ step: 'transpose', in: 'x', out: 'y', order }, { x })['y']
      expect(numbers(mine)).toEqual(await ortAnswer(single('Transpose', 4, { perm: order }), { x }))
    }),
    runs,
  )
})

test.each([0, 1, 2])('concat along axis %i is Concat, and slice takes it apart again', async (axis) => {
  await fc.assert(
    fc.asyncProperty(tensors(3, 4), fc.integer({ min: 1, max: 4 }), async (x, length) => {
      const shape = x.shape.map((one, at) => (at === axis ? length : one))
      const size = shape.reduce((a, b) => a * b, 1)
      const other = f32(
        shape,
        Array.from({ length: size }, (_, at) => at),
      )
      const mine = given({ step: 'concat', in: ['x', 'z'], out: 'y', axis }, { x, z: other })['y'] as Content
      const graph = {
        inputs: [value('x', 'FP32', any(3)), value('z', 'FP32', shape)],
        outputs: [value('y', 'FP32', any(3))],
        nodes: [node('Concat', ['x', 'z'], ['y'], { axis })],
      } as const
      expect(numbers(mine)).toEqual(await ortAnswer(graph, { x, z: other }))
      const from = x.shape[axis] as number
      expect(numbers(given({ step: 'slice', in: 'y', out: 'z', axis, from }, { y: mine })['z'])).toEqual(
        numbers(other),
      )
    }),
    runs,
  )
})

test.each([
  ['UINT8', 128],
  ['INT8', -3],
] as const)('quantize to %s is QuantizeLinear, and dequantize DequantizeLinear', async (to, zeroPoint) => {
  const scale = 0.25
  await fc.assert(
    fc.asyncProperty(tensors(2), async (x) => {
      // Halves too: they go to the even neighbour.
      const halves = f32(
        x.shape,
        numbers(x).map((one) => Math.round(one * 8) / 8 + 30 * Math.sign(one)),
      )
      const mine = given({ step: 'quantize', in: 'x', out: 'y', to, scale, zeroPoint }, { x: halves })[
        'y'
      ] as Content
      const type = { UINT8: 2, INT8: 3 }[to]
      const quantizing = {
        inputs: [value('x', 'FP32', any(2))],
        outputs: [value('y', to, any(2))],
        nodes: [
          node('Cast', ['zero'], ['z'], { to: type }),
          node('QuantizeLinear', ['x', 'scale', 'z'], ['y']),
        ],
        constants: [floats('scale', [], [scale]), ints('zero', [], [zeroPoint])],
      } as const
      expect(numbers(mine)).toEqual(await ortAnswer(quantizing, { x: halves }))
      const back = given({ step: 'dequantize', in: 'y', out: 'x', scale, zeroPoint }, { y: mine })['x']
      const restoring = {
        inputs: [value('y', to, any(2))],
        outputs: [value('x', 'FP32', any(2))],
        nodes: [
          node('Cast', ['zero'], ['z'], { to: type }),
          node('DequantizeLinear', ['y', 'scale', 'z'], ['x']),
        ],
        constants: quantizing.constants,
      } as const
      expectNear(numbers(back), await ortAnswer(restoring, { y: mine }), 1e-6)
    }),
    runs,
  )
})

test('cast to INT32 cuts the fraction off, as Cast does', async () => {
  await fc.assert(
    fc.asyncProperty(tensors(2), async (x) => {
      const mine = given({ step: 'cast', in: 'x', out: 'y', to: 'INT32' }, { x })['y']
      expect(numbers(mine)).toEqual(await ortAnswer(single('Cast', 2, { to: 6 }, ['FP32', 'INT32']), { x }))
    }),
    runs,
  )
})

test('cast keeps to what the new type can hold', () => {
  const x = f32([4], [-5, 300, 1e12, 7.9])
  expect(numbers(given({ step: 'cast', in: 'x', out: 'y', to: 'UINT8' }, { x })['y'])).toEqual([
    0, 255, 255, 7,
  ])
})

const places = fc.integer({ min: 0, max: 40 })
const boxes = fc.array(
  fc.tuple(places, places, fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 30 })),
  {
    minLength: 1,
    maxLength: 25,
  },
)

test('nms is NonMaxSuppression, class by class', async () => {
  await fc.assert(
    fc.asyncProperty(
      boxes,
      fc.integer({ min: 1, max: 3 }),
      fc.constantFrom(0.2, 0.5, 0.8),
      async (list, classes, iou) => {
        const data = list.flatMap(([left, top, width, height]) => [left, top, left + width, top + height])
        // No two scores are equal: which of equals comes first is nobody's promise.
        const scores = Array.from(
          { length: list.length * classes },
          (_, at) => ((at * 37) % 101) / 101 + at * 1e-4,
        )
        const found = given(
          {
            step: 'nms',
            in: { boxes: 'b', scores: 's' },
            out: { boxes: 'kept', scores: 'sure', classes: 'which' },
            iou,
            score: 0.3,
            max: 1000,
          },
          { b: f32([list.length, 4], data), s: f32([list.length, classes], scores) },
        )
        const turned = Array.from({ length: classes }, (_, c) =>
          list.map((_, row) => scores[row * classes + c] as number),
        ).flat()
        const theirs = await ortAnswer(
          {
            inputs: [value('b', 'FP32', any(3)), value('s', 'FP32', any(3))],
            outputs: [value('kept', 'INT64', ['n', 3])],
            nodes: [node('NonMaxSuppression', ['b', 's', 'max', 'iou', 'score'], ['kept'])],
            constants: [ints('max', [1], [1000]), floats('iou', [1], [iou]), floats('score', [1], [0.3])],
          },
          { b: f32([1, list.length, 4], data), s: f32([1, classes, list.length], turned) },
        )
        const wanted = Array.from({ length: theirs.length / 3 }, (_, at) => {
          const [, which = 0, row = 0] = theirs.slice(at * 3, at * 3 + 3)
          return {
            which,
            box: data.slice(row * 4, row * 4 + 4),
            score: Math.fround(scores[row * classes + which] as number),
          }
        }).sort((a, b) => b.score - a.score)
        expect(numbers(found['which'])).toEqual(wanted.map(({ which }) => which))
        expect(numbers(found['sure'])).toEqual(wanted.map(({ score }) => score))
        expect(numbers(found['kept'])).toEqual(wanted.flatMap(({ box }) => box))
      },
    ),
    runs,
  )
})

test('the power spectrum of mel is STFT, frame by frame', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.float({ min: -1, max: 1, noNaN: true }), { minLength: 96, maxLength: 160 }),
      async (sound) => {
        const x = f32([sound.length], sound)
        // Filters that are as narrow as the spectrum show it: at 64 Hz its 32 places are 1 Hz apart.
        const spectrum = {
          step: 'mel',
          in: 'x',
          out: 'y',
          rateHz: 64,
          window: 64,
          stride: 16,
          fft: 64,
          bins: 30,
          lowHz: 0.5,
          highHz: 31.5,
          filters: 'librosa',
          power: 2,
          log: 'none',
        }
        const mine = numbers(given(spectrum, { x })['y'])
        const hann = Array.from({ length: 64 }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / 64))
        const theirs = await ortAnswer(
          {
            inputs: [value('x', 'FP32', [1, 'n', 1])],
            outputs: [value('y', 'FP32', ['b', 'frames', 33, 2])],
            nodes: [node('STFT', ['x', 'step', 'window', 'length'], ['y'], { onesided: 1 })],
            constants: [ints('step', [], [16]), floats('window', [64], hann), ints('length', [], [64])],
          },
          { x: { ...x, shape: [1, sound.length, 1] } as Content },
        )
        const frames = theirs.length / 66
        expect(mine).toHaveLength(frames * 30)
        const power = (frame: number, k: number) =>
          (theirs[(frame * 33 + k) * 2] as number) ** 2 + (theirs[(frame * 33 + k) * 2 + 1] as number) ** 2
        const edges = Array.from({ length: 32 }, (_, at) => 0.5 + (31 * at) / 31)
        const wanted = Array.from({ length: frames }, (_, frame) =>
          Array.from({ length: 30 }, (_, bin) => {
            const [low, centre, high] = edges.slice(bin, bin + 3) as [number, number, number]
            let sum = 0
            for (let k = 0; k <= 32; k += 1)
              sum +=
                power(frame, k) *
                Math.max(0, Math.min((k - low) / (centre - low), (high - k) / (high - centre))) *
                (2 / (high - low))
            return sum
          }),
        ).flat()
        expectNear(mine, wanted, 2e-3)
      },
    ),
    { numRuns: 10 },
  )
})

test('a picture of bytes resizes as one of floats, rounded', () => {
  const data = Array.from({ length: 5 * 7 * 3 }, (_, at) => (at * 61) % 256)
  const step = { step: 'resize', in: 'x', out: 'y', fit: 'stretch', width: 4, height: 9, antialias: true }
  const bytes = given(step, { x: u8([5, 7, 3], data) })['y']
  const exact = given(step, { x: f32([5, 7, 3], data) })['y']
  expectNear(numbers(bytes), numbers(exact), 0.5001)
})
