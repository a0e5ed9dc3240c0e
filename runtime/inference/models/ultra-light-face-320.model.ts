/**
 * Ultra-Light-Fast-Generic-Face-Detector-1MB, slim, 320 × 240: faces in pictures. Source:
 * https://github.com/Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB (MIT); the file is the export without decoding, which
 * steps do here, tidied by `scripts/models/tidy-face-detector.py`. Thresholds are those of its demonstrations.
 */
import type { ModelManifestInput } from '../store/manifest.ts'

export const ultraLightFace320: ModelManifestInput = {
  name: 'ultra-light-face-320',
  version: '1.0.0',
  description: 'Faces in pictures: where, and how certain; 0.27 M parameters',
  licence: 'MIT',
  attribution: 'Ultra-Light-Fast-Generic-Face-Detector-1MB, © 2019 Linzaer',
  pipeline: 'steps',
  task: 'faces',
  idempotent: true,
  steps: [
    {
      step: 'resize',
      in: 'image',
      out: { image: 'small', frame: 'frame' },
      fit: 'letterbox',
      width: 320,
      height: 240,
      fill: 127,
      antialias: true,
    },
    { step: 'layout', in: 'small', out: 'planes', to: 'nchw' },
    { step: 'normalise', in: 'planes', out: 'x', mean: [127], deviation: [128] },
    {
      step: 'run',
      file: 'model',
      feeds: { input: 'x' },
      gives: { boxes: 'offsets', scores: 'probabilities' },
    },
    {
      step: 'priors',
      in: 'offsets',
      out: 'shares',
      width: 320,
      height: 240,
      strides: [8, 16, 32, 64],
      sizes: [
        [10, 16, 24],
        [32, 48],
        [64, 96],
        [128, 192, 256],
      ],
      centreVariance: 0.1,
      sizeVariance: 0.2,
    },
    {
      step: 'nms',
      in: { boxes: 'shares', scores: 'probabilities' },
      out: { boxes: 'faces', scores: 'scores' },
      from: 1,
      score: 0.7,
      iou: 0.3,
      max: 100,
    },
    { step: 'unmap', in: { boxes: 'faces', frame: 'frame' }, out: 'boxes', units: 'shares' },
  ],
  files: [
    {
      role: 'model',
      path: 'face-slim-320.onnx',
      source: new URL('./files/face-slim-320.onnx', import.meta.url).href,
      sha256: '0fa11c7949ea4f05b9b3af004317e325cff7740127152fa4292a7466158607b7',
      bytes: 1_044_424,
    },
  ],
  // Growth of PSS on x86-64, pictures of up to 1024 × 1024.
  memoryMb: 24,
  inputs: [{ name: 'image', datatype: 'UINT8', shape: [-1, -1, 3], description: 'RGB, rows of pixels' }],
  outputs: [
    {
      name: 'boxes',
      datatype: 'FP32',
      shape: [-1, 4],
      description: 'left, top, right, bottom in pixels of the picture',
    },
    {
      name: 'scores',
      datatype: 'FP32',
      shape: [-1],
      description: 'how certainly each is a face, best first',
    },
  ],
}
