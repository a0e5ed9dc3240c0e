/**
 * MLPerf Tiny keyword spotting: one of ten words, silence or something else in a second of sound. DS-CNN, rebuilt as ONNX from
 * mlcommons/tiny's trained model by `scripts/models/rebuild-mlperf-tiny.py`, which shows it equal to the original. The steps in front are
 * those it was trained with (keyword_spotting/get_dataset.py): peak, 49 frames of 30 ms, 40 mel bins, 10 coefficients.
 */
import type { ModelManifestInput } from '../store/manifest.ts'

/** Words that it knows. */
export const keywordList = ['down', 'go', 'left', 'no', 'off', 'on', 'right', 'stop', 'up', 'yes'] as const
/** What its scores are of, in their order. */
export const keywordScores: readonly string[] = [...keywordList, 'silence', 'unknown']

export const keywords: ModelManifestInput = {
  name: 'keywords',
  version: '1.0.0',
  description: `Which word is in a second of sound: ${keywordScores.join(', ')}`,
  licence: 'Apache-2.0',
  attribution: 'MLPerf Tiny keyword spotting, © mlcommons/tiny authors',
  pipeline: 'steps',
  task: 'keywords',
  idempotent: true,
  steps: [
    // Louder than this is no sample of sound in [-1, 1].
    { step: 'check', in: 'audio', out: 'sound', min: -4, max: 4 },
    { step: 'peak', in: 'sound', out: 'loud' },
    {
      step: 'mel',
      in: 'loud',
      out: 'spectrogram',
      rateHz: 16_000,
      window: 480,
      stride: 320,
      fft: 512,
      bins: 40,
      lowHz: 20,
      highHz: 4000,
      filters: 'tensorflow',
      power: 1,
      log: 'natural',
      offset: 1e-6,
    },
    { step: 'mfcc', in: 'spectrogram', out: 'coefficients', count: 10 },
    { step: 'reshape', in: 'coefficients', out: 'x', shape: [1, 49, 10, 1] },
    { step: 'run', file: 'model', feeds: { features: 'x' }, gives: { probabilities: 'probabilities' } },
    { step: 'reshape', in: 'probabilities', out: 'scores', shape: [12] },
    {
      step: 'top',
      in: 'probabilities',
      out: { labels: 'keyword', scores: 'confidence' },
      labels: [...keywordScores],
    },
  ],
  files: [
    {
      role: 'model',
      path: 'kws.onnx',
      source: new URL('./files/kws.onnx', import.meta.url).href,
      sha256: '2c57e5b90126e80ea3d6e22d1ae9af7293a9320d02a02c0a5b182a164cc7f358',
      bytes: 92_848,
    },
  ],
  memoryMb: 4,
  inputs: [
    {
      name: 'audio',
      datatype: 'FP32',
      shape: [16_000],
      description: 'samples in [-1, 1], 16 kHz mono: one second',
    },
  ],
  outputs: [
    { name: 'keyword', datatype: 'BYTES', shape: [1], description: 'the likeliest word' },
    { name: 'confidence', datatype: 'FP32', shape: [1], description: 'its probability' },
    {
      name: 'scores',
      datatype: 'FP32',
      shape: [12],
      description: `probabilities of ${keywordScores.join(', ')}`,
    },
  ],
}
