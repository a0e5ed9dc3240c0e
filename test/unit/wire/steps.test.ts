/** Which pipelines are refused before anything runs, and in which words. [steps-1] */
import { describe, expect, test } from 'vitest'
import { keywords } from '../../../runtime/inference/models/keywords.model.ts'
import { checkSteps } from '../../../runtime/wire/steps.ts'

const names = { inputs: ['image'], outputs: ['y'] }
const reason = (steps: readonly unknown[], given: { inputs: string[]; outputs: string[] } = names) => {
  const checked = checkSteps(steps, given)
  return checked.ok ? 'accepted' : checked.reason
}
const softmax = { step: 'softmax', in: 'image', out: 'y' }

describe('a pipeline as data', () => {
  test('is accepted where each tensor is made before it is read, and has its defaults filled in', () => {
    const checked = checkSteps(
      [
        { step: 'resize', in: 'image', out: 'small', fit: 'stretch', width: 4, height: 4 },
        { step: 'run', file: 'model', feeds: { input: 'small' }, gives: { output: 'y' } },
      ],
      names,
    )
    expect(checked).toMatchObject({
      ok: true,
      steps: [{ method: 'bilinear', out: { image: 'small' } }, { step: 'run' }],
    })
  })

  test.each([
    ['no step', [], /^there are 0 steps; expected 1 to 64$/],
    ['too many', Array(65).fill(softmax), /^there are 65 steps; expected 1 to 64$/],
    ['no object', [7], /^step 1 has no name$/],
    [
      'an unknown step',
      [{ step: 'blur', in: 'image', out: 'y' }],
      /^step 1: no step is named blur; there are: run, check, resize/,
    ],
    ['a name of every object', [{ step: 'constructor' }], /^step 1: no step is named constructor/],
    ['an unknown key', [{ ...softmax, axes: 1 }], /^step 1 \(softmax\): axes: /],
    ['a key that is missing', [{ step: 'crop', in: 'image', out: 'y' }], /^step 1 \(crop\): left: /],
    ['a key out of bounds', [{ ...softmax, axis: 99 }], /^step 1 \(softmax\): axis: /],
    [
      'a resize that is of no kind',
      [{ step: 'resize', in: 'image', out: 'y', fit: 'cover' }],
      /^step 1 \(resize\): fit: /,
    ],
    [
      'a transform that is no power of two',
      [mel({ fft: 500 })],
      /^step 1 \(mel\): fft is not a power of two/,
    ],
    [
      'rates so far apart that the filter alone takes a minute',
      [{ step: 'resample', in: 'image', out: 'y', fromHz: 1_000_000, toHz: 1 }],
      /^step 1 \(resample\): the rates are more than 100 times apart$/,
    ],
    ['filters beyond half the rate', [mel({ highHz: 9000 })], /^step 1 \(mel\): highHz is not between/],
    [
      'a tensor from nowhere',
      [{ ...softmax, in: 'picture' }],
      /^step 1 \(softmax\): it reads picture, which nothing before it makes$/,
    ],
    [
      'a tensor from later',
      [
        { ...softmax, in: 'z' },
        { ...softmax, out: 'z' },
      ],
      /^step 1 \(softmax\): it reads z/,
    ],
    ['a name written twice', [softmax, softmax], /^step 2 \(softmax\): it writes y, which is there already$/],
    [
      'an input written over',
      [{ ...softmax, out: 'image' }],
      /^step 1 \(softmax\): it writes image, which is there already$/,
    ],
    ['an output that nobody makes', [{ ...softmax, out: 'z' }], /^output y is made by no step$/],
    ['a tensor that nobody reads', [softmax, { ...softmax, out: 'z' }], /^nothing reads z$/],
    [
      'a run that gives nothing',
      [{ step: 'run', file: 'model', feeds: { x: 'image' }, gives: {} }],
      /^step 1 \(run\): it gives nothing$/,
    ],
    [
      'a role that is a path',
      [{ step: 'run', file: '../x', feeds: { x: 'image' }, gives: { y: 'y' } }],
      /^step 1 \(run\): file: is not the role/,
    ],
    [
      'a tensor with a strange name',
      [{ ...softmax, out: 'a b' }],
      /^step 1 \(softmax\): out: is not the name of a tensor$/,
    ],
  ])('is refused with %s, which is named', (_what, steps, expected) => {
    expect(reason(steps)).toMatch(expected)
  })

  test('is refused where an input is read by nobody', () => {
    expect(reason([softmax], { inputs: ['image', 'mask'], outputs: ['y'] })).toBe('nothing reads mask')
  })
})

/** That of the keyword model, changed. */
function mel(more: object): object {
  return { ...keywords.steps?.find(({ step }) => step === 'mel'), in: 'image', out: 'y', ...more }
}
