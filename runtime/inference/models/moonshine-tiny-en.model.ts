/** Moonshine tiny, English, int8: speech to text. Source: https://github.com/moonshine-ai/moonshine-js (MIT). */
import type { ModelManifestInput } from '../store/manifest.ts'

const npmPackage = '@moonshine-ai/moonshine-js@0.1.29'

export const moonshineTinyEn: ModelManifestInput = {
  name: 'moonshine-tiny-en',
  version: '0.1.29',
  description: 'Speech to text, English, 27 M parameters, int8',
  licence: 'MIT',
  attribution: 'Moonshine, © 2025 Useful Sensors, Inc.',
  pipeline: 'moonshine',
  task: 'transcription',
  idempotent: true,
  files: [
    {
      role: 'encoder',
      path: 'encoder_model.onnx',
      source: `npm:${npmPackage}#dist/model/tiny/quantized/encoder_model.onnx`,
      sha256: 'c6fc4b7bc5af75c0591fd157a1f3829b533d18e9769a888fd95a62e470dd4f4a',
      bytes: 7_937_661,
    },
    {
      role: 'decoder',
      path: 'decoder_model_merged.onnx',
      source: `npm:${npmPackage}#dist/model/tiny/quantized/decoder_model_merged.onnx`,
      sha256: 'eed87831c3a6103534aae7d47a5d485025c659a1323901513961c39fe8a1a367',
      bytes: 20_243_286,
    },
  ],
  packageBytes: { [npmPackage]: 21_514_347 },
  // Growth of the engine's PSS on x86-64: 98 loaded, 128 after commands of 2 s, 190 after 20 s of speech at one go.
  memoryMb: 190,
  inputs: [
    { name: 'audio', datatype: 'FP32', shape: [1, -1], description: 'samples in [-1, 1], 16 kHz mono' },
  ],
  outputs: [{ name: 'text', datatype: 'BYTES', shape: [1], description: 'what was said, so far' }],
}
