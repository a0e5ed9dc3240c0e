/**
 * Steps against the libraries that networks were trained with: values that `scripts/models/reference-steps.py` had from
 * TensorFlow, librosa and OpenCV. [steps-4]
 */
import { expect, test } from 'vitest'
import type { Content } from '../../../../runtime/inference/engine/steps/step.ts'
import { keywords } from '../../../../runtime/inference/models/keywords.model.ts'
import { ultraLightFace320 } from '../../../../runtime/inference/models/ultra-light-face-320.model.ts'
import { golden } from '../../../fixtures/models/golden.ts'
import { expectNear, f32, given, numbers } from './one-step.ts'

const kept = golden('steps')
const of = (name: string) => kept[name] as Content
const stepOf = (manifest: typeof keywords, name: string) =>
  manifest.steps?.find(({ step }) => step === name) as {
    readonly step: string
    readonly in: string
    readonly out: string
  }

/** A step of the manifest, from `x` to `y`. */
const keywordStep = (name: string, x: Content) =>
  given({ ...stepOf(keywords, name), in: 'x', out: 'y' }, { x })['y'] as Content

test('the features of keywords are those that TensorFlow gave it in training', () => {
  const spectrogram = keywordStep('mel', keywordStep('peak', of('sound')))
  expect(spectrogram.shape).toEqual([49, 40])
  expectNear(numbers(spectrogram), numbers(of('tensorflow.mel')), 2e-3)
  const coefficients = keywordStep('mfcc', spectrogram)
  expect(coefficients.shape).toEqual([49, 10])
  expectNear(numbers(coefficients), numbers(of('tensorflow.mfcc')), 2e-3)
})

test('the features of machine sound are those of librosa, five frames in a row', () => {
  const x = of('sound')
  const mel = {
    step: 'mel',
    in: 'x',
    out: 'y',
    rateHz: 16_000,
    window: 1024,
    stride: 512,
    fft: 1024,
    pad: 'reflect',
    bins: 128,
    lowHz: 0,
    highHz: 8000,
    filters: 'librosa',
    power: 2,
    log: 'decibel',
    offset: 2 ** -52,
  }
  const y = given(mel, { x })['y'] as Content
  expect(y.shape).toEqual(of('librosa.mel').shape)
  expectNear(numbers(y), numbers(of('librosa.mel')), 0.02)
  const rows = given({ step: 'frames', in: 'y', out: 'z', count: 5 }, { y })['z'] as Content
  expect(rows.shape).toEqual(of('librosa.stacked').shape)
  expectNear(numbers(rows), numbers(of('librosa.stacked')), 0.02)
})

test('faces are decoded as their detector was trained', () => {
  const step = { ...stepOf(ultraLightFace320, 'priors'), in: 'x', out: 'y' }
  const { y } = given(step, { x: of('priors.offsets') })
  expectNear(numbers(y), numbers(of('priors.boxes')), 1e-5)
})

/** Corners as a set: where they begin is the step's own promise, and another test's. */
const sorted = (quad: readonly number[]) =>
  Array.from({ length: 4 }, (_, at) => quad.slice(at * 2, at * 2 + 2) as [number, number]).sort(
    (a, b) => a[0] - b[0] || a[1] - b[1],
  )
const quadsOf = (content: Content) =>
  Array.from({ length: content.data.length / 8 }, (_, at) => numbers(content).slice(at * 8, at * 8 + 8))
const middle = (quad: readonly number[], axis: 0 | 1) =>
  quad.reduce((sum, place, at) => sum + (at % 2 === axis ? place : 0), 0) / 4

test('lines of text are where OpenCV and PaddleOCR find them', () => {
  const { quads, scores } = given(
    {
      step: 'text-boxes',
      in: 'map',
      out: { quads: 'quads', scores: 'scores' },
      threshold: 0.3,
      score: 0.6,
      unclip: 1.6,
      max: 100,
    },
    { map: of('text.map') },
  ) as Record<string, Content>
  const mine = quadsOf(quads as Content)
  const theirs = quadsOf(of('text.quads'))
  expect(mine).toHaveLength(5)
  expect(theirs).toHaveLength(5)
  for (const [at, quad] of mine.entries()) {
    const near = theirs.findIndex(
      (other) => Math.hypot(middle(other, 0) - middle(quad, 0), middle(other, 1) - middle(quad, 1)) < 2,
    )
    expectNear(sorted(quad).flat(), sorted(theirs[near] ?? []).flat(), 0.05)
    expectNear([numbers(scores)[at] as number], [numbers(of('text.scores'))[near] as number], 1e-4)
  }
})

test('corners go clockwise from the top left, and lines in reading order', () => {
  const width = 100
  const map = new Float32Array(100 * width)
  const paint = (left: number, top: number) => {
    for (let y = top; y < top + 10; y += 1) map.fill(0.9, y * width + left, y * width + left + 30)
  }
  paint(60, 12)
  paint(10, 70)
  paint(10, 10)
  paint(10, 40)
  const { quads } = given(
    {
      step: 'text-boxes',
      in: 'map',
      out: { quads: 'quads' },
      threshold: 0.3,
      score: 0.6,
      unclip: 0,
      max: 100,
    },
    { map: f32([100, width], map) },
  )
  const corners = quadsOf(quads as Content)
  expect(corners.map(([x, y]) => [x, y])).toEqual([
    [10.5, 10.5],
    [60.5, 12.5],
    [10.5, 40.5],
    [10.5, 70.5],
  ])
  expect(corners[0]).toEqual([10.5, 10.5, 39.5, 10.5, 39.5, 19.5, 10.5, 19.5])
})

test('a quad is set upright as OpenCV does it', () => {
  const inputs = { image: of('crop.image'), quads: of('crop.quad') }
  const { out = [] } = given.lists(
    { step: 'crop-quads', in: { image: 'image', quads: 'quads' }, out: 'out', max: 4 },
    inputs,
  )
  const upright = out[0] as Content
  expect(upright.shape).toEqual(of('crop.upright').shape)
  // OpenCV interpolates in steps of 1/32 of a pixel.
  const theirs = numbers(of('crop.upright'))
  const differences = numbers(upright).map((byte, at) => Math.abs(byte - (theirs[at] as number)))
  expect(Math.max(...differences)).toBeLessThanOrEqual(8)
  expect(differences.reduce((a, b) => a + b, 0) / differences.length).toBeLessThan(0.5)
})

test('a quad that stands is turned a quarter to the left', () => {
  const image: Content = {
    datatype: 'UINT8',
    shape: [6, 2, 1],
    data: Uint8Array.from({ length: 12 }, (_, at) => at),
  }
  const quads = f32([1, 4, 2], [0, 0, 2, 0, 2, 6, 0, 6])
  const crop = { step: 'crop-quads', in: { image: 'image', quads: 'quads' }, out: 'out', max: 4, tall: 1.5 }
  const { out = [] } = given.lists(crop, { image, quads })
  expect(out[0]?.shape).toEqual([2, 6, 1])
  expect(numbers(out[0])).toEqual([1, 3, 5, 7, 9, 11, 0, 2, 4, 6, 8, 10])
})

test('text is what the greedy decoder of TensorFlow reads', () => {
  const { text, confidence } = given(
    {
      step: 'ctc',
      in: 'x',
      out: { text: 'text', confidence: 'confidence' },
      dictionary: ['a', 'b', 'c', 'd'],
      space: true,
    },
    { x: of('ctc.scores') },
  )
  const words = numbers(of('ctc.classes'))
    .map((index) => '-abcd '[index])
    .join('')
  expect(text?.data).toEqual([words])
  expect(words.length).toBeGreaterThan(10)
  expect(numbers(confidence)[0]).toBeGreaterThan(1 / 6)
})

test('no character gives an empty text and no confidence', () => {
  const { text, confidence } = given(
    { step: 'ctc', in: 'x', out: { text: 'text', confidence: 'confidence' }, dictionary: 'words' },
    { x: f32([1, 2, 3], [0.9, 0.05, 0.05, 0.8, 0.1, 0.1]) },
    { words: ['a', 'b'] },
  )
  expect(text?.data).toEqual([''])
  expect(numbers(confidence)).toEqual([0])
})
