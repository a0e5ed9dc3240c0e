/**
 * Messages between a process and the engine that it started, as frames on one duplex pipe. The engine lives exactly as
 * long as that pipe. Well-framed messages that the other side does not know are ignored, so that either may be newer.
 */
import * as v from 'valibot'
import { datatypes, isTensor } from './tensor.ts'

const name = v.pipe(v.string(), v.minLength(1), v.maxLength(128))
const line = v.pipe(v.string(), v.maxLength(4096))
const count = v.pipe(v.number(), v.integer(), v.minValue(0))

/** A tensor's place in a model: a text dimension may take any length. */
export const tensorSpec = v.object({
  name,
  datatype: v.picklist(datatypes),
  shape: v.array(v.union([count, v.string()])),
})
export type TensorSpec = v.InferOutput<typeof tensorSpec>

/** One model as the engine needs it: which pipeline drives which files. */
export const engineModel = v.object({
  name,
  /** One of the engine's pipelines (`runtime/inference/engine/pipelines`). */
  pipeline: name,
  /** Absolute path of each file, by the role that the pipeline gives it. */
  files: v.record(v.string(), v.string()),
  /** Where given, the graph must agree, or the model does not load. */
  inputs: v.optional(v.array(tensorSpec)),
  /** Where given, the graph must agree, and only these are computed and answered. */
  outputs: v.optional(v.array(tensorSpec)),
  options: v.optional(v.record(v.string(), v.union([v.string(), v.number(), v.boolean()]))),
  /** Of pipeline `steps`: what is done before and after the graph, in order (`steps.ts`). */
  steps: v.optional(v.pipe(v.array(v.looseObject({ step: name })), v.maxLength(64))),
  /** Memory that it is said to need, megabytes; replaced by what is measured once it was loaded. */
  memoryMb: v.optional(v.pipe(v.number(), v.minValue(0))),
  /** Stays loaded whatever else wants its memory. */
  pin: v.optional(v.boolean()),
  /** Rows of several requests that may run as one, stacked along the first axis; and how long the first may wait for others. */
  batch: v.optional(
    v.object({
      max: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(256)),
      delayMs: v.pipe(v.number(), v.minValue(0), v.maxValue(1000)),
    }),
  ),
})
export type EngineModel = v.InferOutput<typeof engineModel>

const tensors = v.array(v.custom<import('./infer.ts').Tensor>(isTensor, 'not a tensor'))

/** Inputs are not looked at here: the engine names the wrong one in its answer, `bad-input`. */
export const inferRequest = v.object({
  id: name,
  model: name,
  priority: v.picklist(['control', 'interactive', 'background']),
  deadlineMs: v.pipe(v.number(), v.minValue(0)),
  privacy: v.picklist(['device', 'site', 'cloud']),
  inputs: v.array(v.unknown()),
  parameters: v.optional(v.record(v.string(), v.union([v.string(), v.number(), v.boolean()]))),
})

export const toEngine = v.variant('t', [
  /** Replaces the list of models: those that are gone or changed are unloaded. */
  v.object({ t: v.literal('models'), models: v.pipe(v.array(engineModel), v.maxLength(64)) }),
  v.object({ t: v.literal('load'), model: name }),
  v.object({ t: v.literal('unload'), model: name }),
  /** What loaded models may take together, megabytes; absent: as much as there is. Room is made at once. */
  v.object({ t: v.literal('limits'), budgetMb: v.optional(v.pipe(v.number(), v.minValue(0))) }),
  v.object({ t: v.literal('infer'), request: inferRequest }),
  v.object({ t: v.literal('cancel'), id: name }),
  /** Asks for a status, which comes between two steps. */
  v.object({ t: v.literal('status') }),
  v.object({ t: v.literal('stop') }),
])
export type ToEngine = v.InferOutput<typeof toEngine>

export const engineModelStates = ['present', 'loading', 'loaded', 'failed'] as const

/** What became of one model's requests since the engine started, and of the model itself. */
export const engineModelFigures = v.object({
  /** What its being loaded takes, megabytes: as declared until it was measured. */
  memoryMb: v.number(),
  measured: v.boolean(),
  pinned: v.boolean(),
  loads: count,
  /** Times that it made room for another. */
  evictions: count,
  /** Requests that wait, for the model or for their turn. */
  queued: count,
  /** Requests between their first step and their last. */
  running: count,
  answered: count,
  /** Dropped at their deadline; those that had not begun never ran. */
  expired: count,
  /** Turned away: queue full, no memory, bad input. */
  refused: count,
  /** Runs that stacked several requests, and the rows they had together. */
  batches: count,
  batchedRows: count,
  /** Time inside the model of one request, milliseconds, over the last `samples` requests (at most 256). */
  runMs: v.object({ samples: count, p50: v.number(), p95: v.number() }),
})
export type EngineModelFigures = v.InferOutput<typeof engineModelFigures>

export const engineModelStatus = v.object({
  name,
  state: v.picklist(engineModelStates),
  reason: v.optional(line),
  figures: v.optional(engineModelFigures),
})
export type EngineModelStatus = v.InferOutput<typeof engineModelStatus>

/** Memory of all models together, megabytes. */
export const engineMemory = v.object({
  budgetMb: v.optional(v.number()),
  /** What loaded models, and those loading, are counted with. */
  usedMb: v.number(),
  pinnedMb: v.number(),
})
export type EngineMemory = v.InferOutput<typeof engineMemory>

export const inferErrorCodes = [
  'model-unknown',
  'model-load',
  'bad-input',
  'deadline',
  'cancelled',
  'engine-lost',
  'engine-stopped',
  'overloaded',
  'memory',
  'refused',
  'unavailable',
  'run',
] as const satisfies readonly import('./infer.ts').InferErrorCode[]

const inferResponse = v.union([
  v.object({ id: name, final: v.boolean(), outputs: tensors, modelMs: v.optional(v.number()) }),
  v.object({
    id: name,
    final: v.literal(true),
    error: v.object({
      code: v.picklist(inferErrorCodes),
      message: line,
      retryAfterMs: v.optional(v.pipe(v.number(), v.minValue(0))),
    }),
  }),
])

export const fromEngine = v.variant('t', [
  v.object({ t: v.literal('ready'), pid: count }),
  v.object({
    t: v.literal('loaded'),
    model: name,
    ms: v.number(),
    /** What it is counted with, megabytes. */
    memoryMb: v.optional(v.number()),
    /** What the graph takes and gives, for models that hand tensors through. */
    inputs: v.optional(v.array(tensorSpec)),
    outputs: v.optional(v.array(tensorSpec)),
  }),
  v.object({
    t: v.literal('failed'),
    model: name,
    message: line,
    /** `memory`: nothing is wrong with the model, there is no room for it now. */
    code: v.optional(v.picklist(['model-load', 'memory'])),
  }),
  /**
   * A loaded model made room for another; it loads again at its next request. A `load` sent meanwhile is answered after
   * this by a `loaded` or `failed` of its own.
   */
  v.object({ t: v.literal('evicted'), model: name, memoryMb: v.number() }),
  v.object({ t: v.literal('response'), response: inferResponse }),
  v.object({
    t: v.literal('status'),
    models: v.array(engineModelStatus),
    /** Resident memory of the whole process. */
    rssMb: v.number(),
    memory: v.optional(engineMemory),
  }),
])
export type FromEngine = v.InferOutput<typeof fromEngine>
