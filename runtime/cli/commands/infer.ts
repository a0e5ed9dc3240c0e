/** `ganglion infer MODEL`: one inference by a running device, which decides where it runs; what came out, and where. */
import { UsageError } from '../../base/errors.ts'
import { models as knownModels } from '../../inference/models/index.ts'
import { specOf } from '../../inference/store/engine-model.ts'
import { type ModelManifest, parseManifest } from '../../inference/store/manifest.ts'
import { encodeCbor } from '../../wire/cbor.ts'
import type { TensorSpec } from '../../wire/engine-protocol.ts'
import { type Privacy, privacies, type Tensor } from '../../wire/infer.ts'
import { wireLimits } from '../../wire/limits.ts'
import type { StatusResult } from '../../wire/messages.ts'
import type { Context } from '../context.ts'
import { decodePicture, decodeSound } from '../decode-file.ts'
import { openHub } from '../hub.ts'
import { type HubClient, HubError } from '../hub-client.ts'
import { type JsonTensor, outputLines } from '../infer-output.ts'
import { pictureInput, pictureTensor, soundRateHz, soundTensor } from '../model-inputs.ts'
import { onlyDevice } from '../only-device.ts'
import { tensorFrom } from '../tensor-file.ts'
import { milliseconds } from '../terminal.ts'
import { unknownModel } from '../unknown-model.ts'

export interface InferOptions {
  readonly url?: string
  readonly device?: string
  readonly image?: string
  readonly audio?: string
  readonly input?: readonly string[]
  readonly privacy: string
}

interface InferAnswer {
  readonly outputs: readonly JsonTensor[]
  readonly route: string
  readonly decision?: string
  readonly privacy: Privacy
  readonly ms: number
  readonly modelMs?: number
  readonly cached?: boolean
}

/** A first load on a small board included. */
const inferMsMax = 120_000
/** The device's own word on a request that came too late is worth waiting for. */
const lateWordMs = 5_000

export async function infer(model: string, options: InferOptions, context: Context): Promise<number> {
  const { terminal } = context
  const privacy = privacyOf(options.privacy)
  const hub = openHub(options, context)
  const device = options.device ?? (await onlyDevice(hub))
  const { models } = await hub.get<StatusResult>(`/api/devices/${encodeURIComponent(device)}/status`)
  const specs = await inputsOf(hub, models, model)
  // Tensors say themselves what they are, and another gateway may know the model; a picture must be laid out here.
  const isFile = options.image !== undefined || options.audio !== undefined
  if (!specs && isFile) throw await unknownAnywhere(hub, models, model)
  const inputs = await inputsFrom(options, specs ?? [], context.signal)
  const body = encodeCbor({ model, device, privacy, deadlineMs: inferMsMax, inputs })
  if (body.byteLength > wireLimits.inputsBytesMax)
    throw new UsageError(
      `the inputs have ${body.byteLength} bytes, more than the ${wireLimits.inputsBytesMax} allowed`,
    )
  const blob = new Blob([new Uint8Array(body)])
  const asked = hub.upload<InferAnswer>('/api/infer', blob, 'application/cbor', inferMsMax + lateWordMs)
  const answer = await asked.catch(async (error) => {
    if (!(error instanceof HubError) || error.status !== 404) throw error
    if (!specs) throw await unknownAnywhere(hub, models, model)
    throw privacy === 'device' ? notHere(model, device) : error
  })
  if (terminal.json) {
    terminal.out(JSON.stringify({ model, device, ...answer }))
    return 0
  }
  for (const line of outputLines(answer.outputs)) terminal.out(line)
  const { route, ms, modelMs, decision, cached } = answer
  const took = `${milliseconds(ms)}${modelMs === undefined ? '' : `, ${milliseconds(modelMs)} of it in the model`}`
  const why = decision === undefined ? '' : `; ganglion why ${decision.slice(0, 8)}`
  terminal.note(terminal.style('dim', `${cached ? 'kept from before, ' : ''}by ${route} in ${took}${why}`))
  return 0
}

/** Throws UsageError. */
function privacyOf(text: string): Privacy {
  const privacy = privacies.find((one) => one === text)
  if (privacy) return privacy
  throw new UsageError(`--privacy ${text}: device, site or cloud`)
}

/** What the model takes: as the device says, the list that Ganglion ships, or the gateway. Undefined where none knows it. */
async function inputsOf(
  hub: HubClient,
  models: StatusResult['models'],
  model: string,
): Promise<readonly TensorSpec[] | undefined> {
  const here = models.find(({ name }) => name === model)?.inputs
  if (here) return here
  const shipped = knownModels.find(({ name }) => name === model)
  if (shipped) return parseManifest(shipped).inputs.map(specOf)
  try {
    const { inputs = [] } = await hub.get<{ inputs?: ModelManifest['inputs'] }>(
      `/v2/models/${encodeURIComponent(model)}`,
    )
    return inputs.map(specOf)
  } catch (error) {
    if (error instanceof HubError && error.status === 404) return undefined
    throw error
  }
}

async function unknownAnywhere(
  hub: HubClient,
  models: StatusResult['models'],
  model: string,
): Promise<UsageError> {
  const health = await hub.get<{ inference: { backends: readonly { models: readonly string[] }[] } }>(
    '/api/health',
  )
  const here = [...models, ...knownModels].map(({ name }) => name)
  const names = new Set([...here, ...health.inference.backends.flatMap((backend) => backend.models)])
  return unknownModel(model, [...names])
}

function notHere(model: string, device: string): UsageError {
  const isShipped = knownModels.some(({ name }) => name === model)
  const fetched = isShipped ? `fetch it with "ganglion models pull ${model}", or ` : ''
  return new UsageError(
    `${model} is not on ${device}, where the inputs have to stay: ${fetched}let them go to a gateway that has it, with --privacy site`,
  )
}

/** Throws UsageError. */
async function inputsFrom(
  { image, audio, input = [] }: InferOptions,
  specs: readonly TensorSpec[],
  signal: AbortSignal,
): Promise<Tensor[]> {
  const tensors = input.map((text) => tensorFrom(text, specs))
  if (image !== undefined) {
    const layout = pictureInput(specs)
    tensors.push(pictureTensor(layout, await decodePicture(image, layout.size, signal)))
  }
  if (audio !== undefined) tensors.push(soundTensor(specs, await decodeSound(audio, soundRateHz, signal)))
  if (tensors.length === 0) throw new UsageError('nothing to look at: give --image, --audio or --input')
  return tensors
}
