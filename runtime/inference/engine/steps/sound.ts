/**
 * Steps over samples FP32 [n]. `resample`: another rate, band-limited (`resampler.ts`). `peak`: divided by the largest sample,
 * as the MLPerf Tiny keyword spotter was trained (mlcommons/tiny, keyword_spotting/get_dataset.py); a sound whose largest is
 * below `floor` is divided by `floor`, so that silence stays silence.
 */
import type { StepOf } from '../../../wire/steps.ts'
import { resample as resampled } from './resampler.ts'
import { type Content, describe, fault, floatsOf, type StepKind } from './step.ts'

export const resample: StepKind<StepOf<'resample'>, 'in', 'out'> = {
  takes: { in: ['FP32'] },
  prepare({ fromHz, toHz }) {
    return {
      types: { out: 'FP32' },
      run({ in: content }, buffers) {
        const sound = soundOf(content)
        buffers.bound(Math.ceil((sound.length * toHz) / fromHz))
        const data = resampled(sound, fromHz, toHz)
        return { out: { datatype: 'FP32', shape: [data.length], data } }
      },
    }
  },
}

export const peak: StepKind<StepOf<'peak'>, 'in', 'out'> = {
  takes: { in: ['FP32'] },
  prepare({ floor }) {
    return {
      types: { out: 'FP32' },
      run({ in: content }, buffers) {
        const sound = soundOf(content)
        const largest = sound.reduce((most, sample) => Math.max(most, sample), floor)
        const data = buffers.take('FP32', sound.length)
        for (let at = 0; at < data.length; at += 1) data[at] = (sound[at] as number) / largest
        return { out: { datatype: 'FP32', shape: content.shape, data } }
      },
    }
  },
}

/** The samples of a tensor [n]. Throws StepFault. */
export function soundOf(content: Content): Float32Array {
  if (content.shape.length !== 1) fault(`${describe(content)} is no sound; expected [samples]`)
  return floatsOf(content)
}
