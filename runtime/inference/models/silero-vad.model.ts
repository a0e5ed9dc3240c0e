/** Silero VAD v5: is somebody speaking? Source: https://github.com/snakers4/silero-vad (MIT). */
import type { ModelManifestInput } from '../store/manifest.ts'

export const sileroVad: ModelManifestInput = {
  name: 'silero-vad',
  version: '5.0.0',
  description: 'Voice activity detection: the probability of speech in each 32 ms of sound',
  licence: 'MIT',
  attribution: 'Silero VAD, © 2020-present Silero Team; ISC-licensed package @ricky0123/vad-web',
  pipeline: 'silero-vad',
  idempotent: true,
  files: [
    {
      role: 'model',
      path: 'silero_vad_v5.onnx',
      source: 'npm:@ricky0123/vad-web@0.0.31#dist/silero_vad_v5.onnx',
      sha256: '2623a2953f6ff3d2c1e61740c6cdb7168133479b267dfef114a4a3cc5bdd788f',
      bytes: 2_327_524,
    },
  ],
  packageBytes: { '@ricky0123/vad-web@0.0.31': 5_471_324 },
  // Growth of the engine's PSS on x86-64, with the inference library itself, which the first model brings in.
  memoryMb: 34,
  inputs: [
    { name: 'audio', datatype: 'FP32', shape: [-1], description: 'samples in [-1, 1], 16 kHz mono' },
    {
      name: 'state',
      datatype: 'FP32',
      shape: [320],
      description: 'optional: the state that the previous answer gave, to go on where it ended',
    },
  ],
  outputs: [
    { name: 'speech', datatype: 'FP32', shape: [-1], description: 'probability per 512 samples (32 ms)' },
    { name: 'state', datatype: 'FP32', shape: [320], description: 'to pass on with the next samples' },
  ],
}
