/**
 * A manifest says what a model is, where its files come from and what their bytes must be. It is a value, checked
 * here; nothing is trusted that its digests do not cover.
 */
import * as v from 'valibot'
import { check } from '../../wire/messages.ts'
import { checkSteps } from '../../wire/steps.ts'
import { parseSource } from './source.ts'
import { StoreError } from './store-error.ts'

/** Largest model file: what a gateway with 24 GB can hold in one. */
const fileBytesMax = 16 * 1024 ** 3
const line = v.pipe(v.string(), v.minLength(1), v.maxLength(500))
const name = v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9.-]{0,63}$/, 'is not a name such as silero-vad'))
const digest = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'is not a SHA-256 in 64 lower-case hex digits'))
const bytes = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(fileBytesMax))
const relativePath = v.pipe(
  v.string(),
  v.maxLength(512),
  v.check((path) => isPlainPath(path), 'is not a relative path without . or .. parts'),
)
const source = v.pipe(
  v.string(),
  v.maxLength(2048),
  v.check(
    (text) => parseSource(text) !== undefined,
    'is not npm:package@version#path, https:, http: on this machine, or file:',
  ),
)

const tensor = v.object({
  name: line,
  datatype: v.picklist(['BOOL', 'UINT8', 'INT8', 'INT16', 'INT32', 'INT64', 'FP32', 'FP64', 'BYTES']),
  /** -1 stands for any length. */
  shape: v.pipe(v.array(v.pipe(v.number(), v.integer(), v.minValue(-1))), v.maxLength(8)),
  description: line,
})

export const modelManifest = v.object({
  name,
  version: v.pipe(v.string(), v.regex(/^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$/, 'is not a version')),
  description: line,
  /** SPDX identifier. */
  licence: line,
  /** Who made it, as the licence asks to be said. */
  attribution: line,
  /** How the engine runs it. */
  pipeline: v.picklist(['tensor', 'steps', 'silero-vad', 'moonshine', 'use-lite']),
  /** Of pipeline `steps`: what is done before and after the graph (`runtime/wire/steps.ts`). */
  steps: v.optional(v.pipe(v.array(v.looseObject({ step: line })), v.minLength(1), v.maxLength(64))),
  /** Options of the pipeline. */
  options: v.optional(v.record(line, v.union([v.string(), v.number(), v.boolean()]))),
  /** What it does, for those who ask by task: OpenAI's API, perception. */
  task: v.optional(name),
  /** The same inputs give the same outputs: it may be asked again, elsewhere, or of two at once. */
  idempotent: v.optional(v.boolean(), false),
  /** How long an answer may be kept for the same inputs, seconds. Only where idempotent. */
  cacheS: v.optional(v.pipe(v.number(), v.minValue(1), v.maxValue(86_400))),
  /** Requests that may run as one, along the first axis, and how long the first may wait for others. */
  batch: v.optional(
    v.object({
      max: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(256)),
      delayMs: v.pipe(v.number(), v.minValue(0), v.maxValue(1000)),
    }),
  ),
  /**
   * It answers where it is sure; otherwise `large` does, which takes the same inputs and gives the same outputs. How sure:
   * highest probability of `output` after temperature scaling; both numbers from `scripts/calibrate.ts`.
   */
  cascade: v.optional(
    v.object({
      large: name,
      threshold: v.pipe(v.number(), v.minValue(0), v.maxValue(1)),
      temperature: v.pipe(v.number(), v.minValue(0.01), v.maxValue(100)),
      output: line,
    }),
  ),
  /** Places where it can be cut in two models, the first of which runs here and the second at the gateway. */
  split: v.optional(
    v.object({
      cuts: v.pipe(
        v.array(
          v.object({
            /** In between, and its size. */
            tensor: line,
            bytes,
            /** Time in the layers before and after, milliseconds, measured on one machine. */
            headMs: v.pipe(v.number(), v.minValue(0)),
            tailMs: v.pipe(v.number(), v.minValue(0)),
            /** Models whose outputs and inputs are that tensor. */
            head: name,
            tail: name,
          }),
        ),
        v.minLength(1),
        v.maxLength(64),
      ),
    }),
  ),
  /** Stays loaded whatever else wants its memory. */
  pin: v.optional(v.boolean(), false),
  files: v.pipe(
    v.array(v.object({ role: name, path: relativePath, source, sha256: digest, bytes })),
    v.minLength(1),
    v.maxLength(64),
  ),
  /** Size of each npm package named in `files`, so that progress has an end. */
  packageBytes: v.optional(v.record(v.string(), bytes)),
  /** Memory that the engine needs for it, megabytes, measured. */
  memoryMb: v.pipe(v.number(), v.minValue(1)),
  inputs: v.pipe(v.array(tensor), v.minLength(1)),
  outputs: v.pipe(v.array(tensor), v.minLength(1)),
})

export type ModelManifest = v.InferOutput<typeof modelManifest>
/** As a person writes it, without what has a default. */
export type ModelManifestInput = v.InferInput<typeof modelManifest>
export type ModelFile = ModelManifest['files'][number]

/** True for a path that stays below the folder it is joined to. */
export function isPlainPath(path: string): boolean {
  const parts = path.split('/')
  return (
    path.length > 0 &&
    !path.includes('\\') &&
    !path.includes('\0') &&
    parts.every((part) => part !== '' && part !== '.' && part !== '..')
  )
}

/** The checked manifest. Throws StoreError `malformed` that names the field. */
export function parseManifest(value: unknown): ModelManifest {
  const parsed = check(modelManifest, value)
  if (!parsed.ok) throw new StoreError('malformed', `model manifest: ${parsed.reason}`)
  const roles = new Set(parsed.value.files.map((file) => file.role))
  if (roles.size !== parsed.value.files.length)
    throw new StoreError('malformed', `model manifest ${parsed.value.name}: two files have the same role`)
  const fault = stepsFault(parsed.value) ?? planFault(parsed.value)
  if (fault) throw new StoreError('malformed', `model manifest ${parsed.value.name}: ${fault}`)
  return parsed.value
}

/** One line about the steps of a manifest whose pipeline they are, or undefined. */
function stepsFault({ pipeline, steps, inputs, outputs }: ModelManifest): string | undefined {
  if (pipeline !== 'steps') return undefined
  const names = { inputs: inputs.map(({ name }) => name), outputs: outputs.map(({ name }) => name) }
  const checked = checkSteps(steps ?? [], names)
  return checked.ok ? undefined : checked.reason
}

/** One line about a cascade or a split that leads back to the model itself, or undefined. */
export function planFault({
  name: own,
  cascade,
  split,
}: Pick<ModelManifest, 'name' | 'cascade' | 'split'>): string | undefined {
  if (cascade?.large === own) return `cascade.large: ${own} is this model itself`
  const at = split?.cuts.findIndex(({ head, tail }) => head === own || tail === own || head === tail) ?? -1
  return at < 0 ? undefined : `split.cuts.${at}: head and tail are two models beside ${own}`
}
