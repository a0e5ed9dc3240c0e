/**
 * A pipeline as data: steps over named tensors, before and after a model's graphs. What each step may say is here, closed;
 * what it does is in `runtime/inference/engine/steps`. Checked as a whole before anything runs: every tensor that a step
 * reads was made before it, no name is written twice, nothing is made that nobody reads, every output is made.
 */
import * as v from 'valibot'
import { check } from './messages.ts'

const tensor = v.pipe(v.string(), v.regex(/^[A-Za-z][A-Za-z0-9_.-]{0,63}$/, 'is not the name of a tensor'))
const role = v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9.-]{0,63}$/, 'is not the role of a file'))
const graphName = v.pipe(v.string(), v.minLength(1), v.maxLength(128))
const number = v.pipe(v.number(), v.finite())
const positive = v.pipe(number, v.gtValue(0))
const share = v.pipe(number, v.minValue(0), v.maxValue(1))
const whole = (min: number, max: number) => v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max))
/** The side of a picture, pixels. */
const side = whole(1, 16_384)
const axis = whole(-8, 7)
const byte = whole(0, 255)
const hertz = whole(1, 1_000_000)
const samples = whole(1, 65_536)
const perChannel = v.pipe(v.array(number), v.minLength(1), v.maxLength(64))
const lengths = v.pipe(v.array(whole(-1, 2 ** 31 - 1)), v.maxLength(8))
const order = v.pipe(v.array(whole(0, 63)), v.minLength(1), v.maxLength(64))
const label = v.pipe(v.string(), v.maxLength(200))
/** Words in the manifest, or the role of a text file with one a line. */
const words = v.union([v.pipe(v.array(label), v.minLength(1), v.maxLength(10_000)), role])

const numeric = v.picklist(['UINT8', 'INT8', 'INT16', 'INT32', 'FP32', 'FP64'])
const quantized = v.picklist(['UINT8', 'INT8'])
const channels = v.optional(v.picklist(['last', 'first']), 'last')

/** A step with one tensor in and one out. */
const one = <N extends string, E extends v.ObjectEntries>(step: N, entries: E) =>
  v.strictObject({ step: v.literal(step), in: tensor, out: tensor, ...entries })

const resizeBase = {
  step: v.literal('resize'),
  in: tensor,
  /** `frame`, FP32 [8]: where the picture went, for `unmap`. */
  out: v.union([
    v.pipe(
      tensor,
      v.transform((image): { image: string; frame?: string | undefined } => ({ image })),
    ),
    v.strictObject({ image: tensor, frame: v.optional(tensor) }),
  ]),
  method: v.optional(v.picklist(['nearest', 'bilinear']), 'bilinear'),
  /** Where it shrinks, every pixel counts, not only the nearest four. */
  antialias: v.optional(v.boolean(), false),
}

const resize = v.variant('fit', [
  /** To exactly this size, whatever the shape. */
  v.strictObject({ ...resizeBase, fit: v.literal('stretch'), width: side, height: side }),
  /** Keeps its shape, centred in this size. */
  v.strictObject({
    ...resizeBase,
    fit: v.literal('letterbox'),
    width: side,
    height: side,
    fill: v.optional(byte, 0),
  }),
  /** To this height, keeping its shape up to `widthMax`; filled on the right up to `widthMin`. */
  v.strictObject({
    ...resizeBase,
    fit: v.literal('height'),
    height: side,
    widthMin: v.optional(side, 1),
    widthMax: side,
    fill: v.optional(byte, 0),
  }),
  /** Keeps its shape: the longer side at most `sideMax`, the shorter at least `sideMin`; both multiples of `multiple`. */
  v.strictObject({
    ...resizeBase,
    fit: v.literal('limit'),
    sideMax: side,
    sideMin: v.optional(side, 1),
    multiple: v.optional(side, 1),
  }),
])

const filterPorts = v.pipe(
  v.record(tensor, tensor),
  v.check((ports) => 'by' in ports && Object.keys(ports).length <= 8, 'needs `by`, and at most 7 more'),
)

/** Every step, by its name. */
export const stepSchemas = {
  run: v.strictObject({
    step: v.literal('run'),
    file: role,
    /** Tensor for each input of the graph. */
    feeds: v.record(graphName, tensor),
    /** Name for each output of the graph that is wanted. */
    gives: v.record(graphName, tensor),
  }),
  check: one('check', { min: v.optional(number), max: v.optional(number) }),

  resize,
  crop: one('crop', { left: whole(0, 16_384), top: whole(0, 16_384), width: side, height: side }),
  normalise: one('normalise', {
    scale: v.optional(number, 1),
    mean: v.optional(perChannel, [0]),
    deviation: v.optional(v.pipe(v.array(positive), v.minLength(1), v.maxLength(64)), [1]),
    channels,
  }),
  layout: one('layout', { to: v.picklist(['hwc', 'chw', 'nchw']), channels: v.optional(order) }),
  'crop-quads': v.strictObject({
    step: v.literal('crop-quads'),
    in: v.strictObject({ image: tensor, quads: tensor }),
    out: tensor,
    max: whole(1, 1000),
    /** Taller than this share of its width: turned a quarter to the left. 0: never. */
    tall: v.optional(v.pipe(number, v.minValue(0)), 0),
  }),
  reshape: one('reshape', { shape: lengths }),
  transpose: one('transpose', { order }),
  concat: v.strictObject({
    step: v.literal('concat'),
    in: v.pipe(v.array(tensor), v.minLength(2), v.maxLength(16)),
    out: tensor,
    axis,
  }),
  slice: one('slice', { axis, from: whole(0, 2 ** 31 - 1), to: v.optional(whole(1, 2 ** 31 - 1)) }),
  frames: one('frames', { count: whole(1, 1000), stride: v.optional(whole(1, 1000), 1) }),
  join: one('join', {}),

  cast: one('cast', { to: numeric }),
  quantize: one('quantize', { to: quantized, scale: positive, zeroPoint: whole(-128, 255) }),
  dequantize: one('dequantize', { scale: positive, zeroPoint: whole(-128, 255) }),

  softmax: one('softmax', { axis: v.optional(axis, -1) }),
  sigmoid: one('sigmoid', {}),
  argmax: one('argmax', { axis: v.optional(axis, -1) }),
  threshold: one('threshold', { min: number }),
  top: v.strictObject({
    step: v.literal('top'),
    in: tensor,
    out: v.strictObject({ labels: tensor, scores: tensor }),
    count: v.optional(whole(1, 1000), 1),
    labels: words,
  }),
  filter: v.strictObject({ step: v.literal('filter'), in: filterPorts, out: filterPorts, min: number }),

  priors: one('priors', {
    width: side,
    height: side,
    strides: v.pipe(v.array(side), v.minLength(1), v.maxLength(16)),
    /** Sides of the squares at each cell, pixels, for each stride. */
    sizes: v.pipe(v.array(v.pipe(v.array(positive), v.minLength(1), v.maxLength(16))), v.minLength(1)),
    centreVariance: positive,
    sizeVariance: positive,
  }),
  nms: v.strictObject({
    step: v.literal('nms'),
    in: v.strictObject({ boxes: tensor, scores: tensor }),
    out: v.strictObject({ boxes: tensor, scores: tensor, classes: v.optional(tensor) }),
    iou: share,
    score: number,
    max: whole(1, 1000),
    /** First class that counts: 1 where 0 is the background. */
    from: v.optional(whole(0, 1000), 0),
  }),
  unmap: v.strictObject({
    step: v.literal('unmap'),
    in: v.strictObject({ boxes: tensor, frame: tensor }),
    out: tensor,
    units: v.picklist(['pixels', 'shares']),
  }),
  'text-boxes': v.strictObject({
    step: v.literal('text-boxes'),
    in: tensor,
    out: v.strictObject({ quads: tensor, scores: v.optional(tensor) }),
    threshold: share,
    score: share,
    unclip: v.pipe(number, v.minValue(0), v.maxValue(10)),
    sideMin: v.optional(v.pipe(number, v.minValue(1)), 3),
    max: whole(1, 1000),
  }),
  ctc: v.strictObject({
    step: v.literal('ctc'),
    in: tensor,
    out: v.strictObject({ text: tensor, confidence: tensor }),
    /** What class 1 and on stand for; `blank` is class 0. */
    dictionary: words,
    /** One more class at the end stands for a space. */
    space: v.optional(v.boolean(), false),
  }),

  resample: v.pipe(
    one('resample', { fromHz: hertz, toHz: hertz }),
    // The filter is as long as they are apart.
    v.check(
      ({ fromHz, toHz }) => Math.max(fromHz / toHz, toHz / fromHz) <= 100,
      'the rates are more than 100 times apart',
    ),
  ),
  peak: one('peak', { floor: v.optional(positive, 1e-4) }),
  mel: v.pipe(
    one('mel', {
      rateHz: hertz,
      /** Samples of a frame, of the step to the next, and of its transform (a power of two). */
      window: samples,
      stride: samples,
      fft: samples,
      /** Half a transform of nothing, or of the sound mirrored, on each side. */
      pad: v.optional(v.picklist(['none', 'zero', 'reflect']), 'none'),
      bins: whole(1, 512),
      lowHz: v.pipe(number, v.minValue(0)),
      highHz: positive,
      filters: v.picklist(['tensorflow', 'librosa']),
      power: v.picklist([1, 2]),
      log: v.picklist(['none', 'natural', 'decibel']),
      offset: v.optional(v.pipe(number, v.minValue(0)), 0),
    }),
    v.check(
      ({ fft, window }) => Number.isInteger(Math.log2(fft)) && fft >= window,
      'fft is not a power of two that holds the window',
    ),
    v.check(
      ({ lowHz, highHz, rateHz }) => lowHz < highHz && highHz <= rateHz / 2,
      'highHz is not between lowHz and half the rate',
    ),
  ),
  mfcc: one('mfcc', { count: whole(1, 512) }),
} as const

export type StepName = keyof typeof stepSchemas
export type StepOf<N extends StepName> = v.InferOutput<(typeof stepSchemas)[N]>
export type Step = { [N in StepName]: StepOf<N> }[StepName]

/** Tensor by the place that it has in a step. */
export type Ports = Readonly<Record<string, string>>

/** What a step reads. The only one is `in`; those of a list are numbered. */
export function reads(step: Step): Ports {
  return step.step === 'run' ? step.feeds : portsOf('in', step.in)
}

/** What a step makes. The only one is `out`. */
export function writes(step: Step): Ports {
  return step.step === 'run' ? step.gives : portsOf('out', step.out)
}

/** Roles of the files that a step needs. */
export function roleOf(step: Step): string | undefined {
  if (step.step === 'run') return step.file
  if (step.step === 'top' && typeof step.labels === 'string') return step.labels
  if (step.step === 'ctc' && typeof step.dictionary === 'string') return step.dictionary
  return undefined
}

export type CheckedSteps =
  | { readonly ok: true; readonly steps: readonly Step[] }
  | { readonly ok: false; readonly reason: string }

export const stepsMax = 64

/** The steps of a pipeline with these inputs and outputs, or one line that names the step, the key or the tensor. */
export function checkSteps(
  steps: readonly unknown[],
  names: { readonly inputs: readonly string[]; readonly outputs: readonly string[] },
): CheckedSteps {
  if (steps.length === 0 || steps.length > stepsMax)
    return { ok: false, reason: `there are ${steps.length} steps; expected 1 to ${stepsMax}` }
  const checked: Step[] = []
  for (const [at, value] of steps.entries()) {
    const step = parseStep(value)
    if (typeof step === 'string') return { ok: false, reason: `step ${at + 1}${step}` }
    checked.push(step)
  }
  const fault = dataflowFault(checked, names.inputs, names.outputs)
  return fault === undefined ? { ok: true, steps: checked } : { ok: false, reason: fault }
}

function parseStep(value: unknown): Step | string {
  const name: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, 'step') : undefined
  if (typeof name !== 'string') return ' has no name'
  if (!Object.hasOwn(stepSchemas, name))
    return `: no step is named ${name.slice(0, 64)}; there are: ${Object.keys(stepSchemas).join(', ')}`
  const result = check(stepSchemas[name as StepName] as v.GenericSchema<unknown, Step>, value)
  return result.ok ? result.value : ` (${name}): ${result.reason}`
}

function dataflowFault(
  steps: readonly Step[],
  inputs: readonly string[],
  outputs: readonly string[],
): string | undefined {
  const known = new Set(inputs)
  const unread = new Set(inputs)
  for (const [at, step] of steps.entries()) {
    const where = `step ${at + 1} (${step.step})`
    if (Object.keys(writes(step)).length === 0) return `${where}: it gives nothing`
    for (const name of Object.values(reads(step))) {
      if (!known.has(name)) return `${where}: it reads ${name}, which nothing before it makes`
      unread.delete(name)
    }
    for (const name of Object.values(writes(step))) {
      if (known.has(name)) return `${where}: it writes ${name}, which is there already`
      known.add(name)
      unread.add(name)
    }
  }
  for (const name of outputs) {
    if (!known.has(name)) return `output ${name} is made by no step`
    unread.delete(name)
  }
  const [idle] = unread
  return idle === undefined ? undefined : `nothing reads ${idle}`
}

function portsOf(
  only: string,
  place: string | readonly string[] | Readonly<Record<string, string | undefined>>,
): Ports {
  if (typeof place === 'string') return { [only]: place }
  const ports: Record<string, string> = {}
  for (const [port, name] of Object.entries(place)) if (name !== undefined) ports[port] = name
  return ports
}
