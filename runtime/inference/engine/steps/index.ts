/** Every step but `run` and `join`, which the pipeline does itself. One more is its schema in `runtime/wire/steps.ts` and a line here. */
import type { StepName, StepOf } from '../../../wire/steps.ts'
import { sigmoid, softmax } from './activation.ts'
import { check } from './check.ts'
import { argmax, filter, threshold, top } from './choose.ts'
import { cast, dequantize, quantize } from './convert.ts'
import { crop } from './crop.ts'
import { cropQuads } from './crop-quads.ts'
import { ctc } from './ctc.ts'
import { layout } from './layout.ts'
import { mel, mfcc } from './mel.ts'
import { nms } from './nms.ts'
import { normalise } from './normalise.ts'
import { priors } from './priors.ts'
import { resize } from './resize.ts'
import { concat, frames, reshape, slice, transpose } from './shape.ts'
import { peak, resample } from './sound.ts'
import type { Lines, StepKind } from './step.ts'
import { textBoxes } from './text-boxes.ts'
import { unmap } from './unmap.ts'

type PlainStep = Exclude<StepName, 'run' | 'join'>

const kinds = {
  check,
  resize,
  crop,
  normalise,
  layout,
  'crop-quads': cropQuads,
  reshape,
  transpose,
  concat,
  slice,
  frames,
  cast,
  quantize,
  dequantize,
  softmax,
  sigmoid,
  argmax,
  threshold,
  top,
  filter,
  priors,
  nms,
  unmap,
  'text-boxes': textBoxes,
  ctc,
  resample,
  peak,
  mel,
  mfcc,
} satisfies { readonly [N in PlainStep]: { prepare(step: StepOf<N>, types: never, files: Lines): object } }

/** The kind of a step, its ports by any name: the schema has checked them. */
export function kindOf(name: PlainStep): StepKind<StepOf<PlainStep>> {
  return kinds[name] as unknown as StepKind<StepOf<PlainStep>>
}
