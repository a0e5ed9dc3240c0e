/**
 * Chooses temperature and threshold of a cascade from labelled examples, on a person's computer:
 *
 *     node scripts/calibrate.ts SMALL EXAMPLES.jsonl --output NAME [--large LARGE] [--write] [--accuracy 0.95]
 *         [--confidence 0.95]
 *
 * SMALL and LARGE are ONNX files, or folders with a `model.yaml` as people add them, with the steps that it names. Each
 * line of EXAMPLES: `{"inputs": [{"name", "datatype", "shape", "data": […]}], "label": 3}`, the label an index into the
 * output NAME. The temperature comes from every other line, the threshold and all that is reported from the others. With
 * the large model its answers are used to say how good the cascade is as a whole; `label` may then be left out, and what
 * the large one says counts as right. Prints JSON: how sure against how right before and after (`eceBefore`, `eceAfter`),
 * the threshold with the bound that holds at that confidence (`keptAccuracyBound`), the share of requests that the large
 * model gets (`askedShare`), and what belongs into the small one's manifest (`cascade`), where `--write` puts it: a
 * running device takes it from there.
 */
import { createReadStream } from 'node:fs'
import { appendFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { realClock } from '../runtime/base/clock.ts'
import { yamlOf } from '../runtime/base/config-file.ts'
import { messageOf, UsageError } from '../runtime/base/errors.ts'
import { silentLog } from '../runtime/base/log.ts'
import {
  calibrate,
  chooseThreshold,
  type Example,
  expectedCalibrationError,
} from '../runtime/inference/router/calibration.ts'
import { answerOf } from '../runtime/inference/router/cascade.ts'
import {
  type AddedManifest,
  manifestFile,
  placeFiles,
  readAddedManifest,
} from '../runtime/inference/store/added-manifest.ts'
import { engineModelOf } from '../runtime/inference/store/engine-model.ts'
import { EngineSupervisor } from '../runtime/inference/supervisor/engine-supervisor.ts'
import type { EngineModel } from '../runtime/wire/engine-protocol.ts'
import { type Datatype, InferError, type Tensor } from '../runtime/wire/infer.ts'
import { tensorFault } from '../runtime/wire/tensor.ts'

const usage =
  'usage: calibrate.ts SMALL EXAMPLES.jsonl --output NAME [--large LARGE] [--write] [--accuracy 0.95] [--confidence 0.95]'
/** Of one run: a model that needs longer is no small one. */
const deadlineMs = 60_000
const forever = new AbortController().signal

interface Line {
  readonly inputs: readonly Tensor[]
  readonly label?: number
}

const arrays = {
  BOOL: Uint8Array,
  UINT8: Uint8Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  FP32: Float32Array,
  FP64: Float64Array,
} as const

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      output: { type: 'string' },
      large: { type: 'string' },
      write: { type: 'boolean', default: false },
      accuracy: { type: 'string', default: '0.95' },
      confidence: { type: 'string', default: '0.95' },
    },
  })
  const [small, file] = positionals
  if (small === undefined || file === undefined || values.output === undefined) throw new UsageError(usage)
  const manifest = await manifestAt(small)
  const large = values.large === undefined ? undefined : await manifestAt(values.large)
  if (values.write && (!manifest || !large || manifest.cascade))
    throw new UsageError(
      `--write needs two folders with a ${manifestFile}, the first without a cascade as yet: ${small}, ${values.large}`,
    )
  const models = [await modelAt('small', small, manifest)]
  if (values.large !== undefined) models.push(await modelAt('large', values.large, large))
  await using engine = await EngineSupervisor.open({ clock: realClock, log: silentLog }, { models }, forever)
  const examples = await examplesOf(engine, file, values.output, values.large !== undefined)
  const fitted = examples.filter((_, at) => at % 2 === 0)
  const judged = examples.filter((_, at) => at % 2 === 1)
  if (judged.length === 0) throw new UsageError(`${file}: two examples at least`)
  const { temperature } = calibrate(fitted)
  const confidence = share(values.confidence, '--confidence')
  const accuracy = share(values.accuracy, '--accuracy')
  const choice = chooseThreshold(judged, { temperature, accuracy, confidence })
  const { smallAccuracy, largeAccuracy } = calibrate(judged)
  const cascade =
    choice.threshold > 1
      ? undefined
      : {
          large: large?.name ?? 'NAME',
          threshold: choice.threshold,
          temperature: rounded(temperature),
          output: values.output,
        }
  const report = {
    examples: { fitted: fitted.length, judged: judged.length },
    eceBefore: expectedCalibrationError(judged, 1),
    eceAfter: expectedCalibrationError(judged, temperature),
    smallAccuracy,
    largeAccuracy,
    ...choice,
    ...{ confidence, askedShare: 1 - choice.keptShare },
    cascade: cascade ?? 'none: too few examples, or the small model is too often wrong where it is sure',
  }
  if (values.write && cascade) await appendFile(join(small, manifestFile), `\n${yamlOf({ cascade })}`)
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
  return 0
}

/** Of a folder; undefined for a file. Throws StoreError that names file and field. */
async function manifestAt(path: string): Promise<AddedManifest | undefined> {
  return (await stat(path)).isDirectory() ? readAddedManifest(path) : undefined
}

async function modelAt(
  name: string,
  path: string,
  manifest: AddedManifest | undefined,
): Promise<EngineModel> {
  if (!manifest) return { name, pipeline: 'tensor', files: { model: resolve(path) } }
  const placed = await placeFiles(resolve(path), manifest)
  const { memoryMb = 1, inputs = [], outputs = [] } = manifest
  const files = Object.fromEntries(placed.map((file) => [file.role, file.path]))
  return engineModelOf({ ...manifest, name, memoryMb, inputs, outputs }, files)
}

async function examplesOf(
  engine: EngineSupervisor,
  file: string,
  output: string,
  withLarge: boolean,
): Promise<Example[]> {
  const examples: Example[] = []
  let number = 0
  for await (const text of createInterface({ input: createReadStream(file) })) {
    number += 1
    if (text.trim() === '') continue
    const where = `${file}:${number}`
    const { inputs, label } = parsed(text, where)
    const scores = await scoresOf(engine, 'small', inputs, output, where)
    const large = withLarge ? await scoresOf(engine, 'large', inputs, output, where) : undefined
    const right = label ?? (large && indexOfGreatest(large))
    if (right === undefined) throw new UsageError(`${where}: no label, and no large model to ask`)
    if (right >= scores.length)
      throw new UsageError(`${where}: label ${right}, but ${output} has ${scores.length} classes`)
    examples.push({ scores, label: right, ...(large ? { large } : {}) })
  }
  return examples
}

/** Throws UsageError that names the example: what a model does not take, or does not answer. */
async function scoresOf(
  engine: EngineSupervisor,
  model: 'small' | 'large',
  inputs: readonly Tensor[],
  output: string,
  where: string,
): Promise<number[]> {
  const request = { model, inputs, priority: 'background', privacy: 'device', deadlineMs } as const
  try {
    for await (const chunk of engine.infer(request, forever))
      if (chunk.final) return [...Array.from(answerOf(chunk, output))]
  } catch (error) {
    if (!(error instanceof InferError)) throw error
    throw new UsageError(`${where}: the ${model} model: ${error.message}`, { cause: error })
  }
  throw new Error(`${model} gave no answer`)
}

function parsed(text: string, where: string): Line {
  try {
    const { inputs, label } = JSON.parse(text) as { inputs: Record<string, unknown>[]; label?: unknown }
    if (label !== undefined && !(Number.isInteger(label) && Number(label) >= 0))
      throw new Error('label is no index')
    const tensors = inputs.map((input) => tensorOf(input))
    return { inputs: tensors, ...(label === undefined ? {} : { label: Number(label) }) }
  } catch (error) {
    throw new UsageError(`${where}: ${messageOf(error)}`, { cause: error })
  }
}

function tensorOf(input: Record<string, unknown>): Tensor {
  const datatype = input['datatype'] as Datatype
  const list = input['data'] as number[]
  const data =
    datatype === 'INT64'
      ? BigInt64Array.from(list, BigInt)
      : datatype === 'BYTES'
        ? list
        : arrays[datatype]?.from(list)
  const tensor = { ...input, data }
  const fault = tensorFault(tensor)
  if (fault !== undefined) throw new Error(fault)
  return tensor as Tensor
}

function share(text: string, option: string): number {
  const value = Number(text)
  if (value > 0 && value < 1) return value
  throw new UsageError(`${option} ${text}: not between 0 and 1`)
}

function indexOfGreatest(scores: readonly number[]): number {
  return scores.indexOf(Math.max(...scores))
}

const rounded = (value: number) => Number(value.toPrecision(3))

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`calibrate: ${messageOf(error)}\n`)
  process.exitCode = error instanceof UsageError ? 2 : 1
}
