/**
 * MLPerf Tiny visual wake words: is a person in the picture? MobileNetV1 0.25 at 96 × 96, int8, rebuilt as ONNX from mlcommons/tiny's
 * trained model by `scripts/models/rebuild-mlperf-tiny.py`, which shows it equal to the original. It was trained on whole pictures
 * squeezed to a square (COCO 2014, people of at least 2.5 % of the picture).
 */
import type { ModelManifestInput } from '../store/manifest.ts'

export const person: ModelManifestInput = {
  name: 'person',
  version: '1.0.0',
  description: 'Is a person in the picture; MobileNetV1 0.25, 96 × 96, int8',
  licence: 'Apache-2.0',
  attribution: 'MLPerf Tiny visual wake words, © mlcommons/tiny authors',
  pipeline: 'steps',
  task: 'person',
  idempotent: true,
  steps: [
    { step: 'resize', in: 'image', out: 'small', fit: 'stretch', width: 96, height: 96, antialias: true },
    { step: 'reshape', in: 'small', out: 'x', shape: [1, 96, 96, 3] },
    { step: 'run', file: 'model', feeds: { image: 'x' }, gives: { probabilities: 'both' } },
    { step: 'slice', in: 'both', out: 'second', axis: 1, from: 1, to: 2 },
    { step: 'reshape', in: 'second', out: 'person', shape: [1] },
  ],
  files: [
    {
      role: 'model',
      path: 'vww-96-int8.onnx',
      source: new URL('./files/vww-96-int8.onnx', import.meta.url).href,
      sha256: '647540be03f401aa95078e146258b7468f675541cbdac50585052d5d46c041d9',
      bytes: 275_882,
    },
  ],
  // Growth of PSS on x86-64, pictures of up to 1024 × 1024.
  memoryMb: 10,
  inputs: [{ name: 'image', datatype: 'UINT8', shape: [-1, -1, 3], description: 'RGB, rows of pixels' }],
  outputs: [
    { name: 'person', datatype: 'FP32', shape: [1], description: 'probability that there is a person' },
  ],
}
