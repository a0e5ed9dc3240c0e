/** `ganglion infer MODEL`: one inference by a running device, which decides where it runs; what came out, and where. */
import { UsageError } from '../../base/errors.ts'
import { encodeCbor } from '../../wire/cbor.ts'
import type { TensorSpec } from '../../wire/engine-protocol.ts'
import { type Privacy, privacies, type Tensor } from '../../wire/infer.ts'
import { wireLimits } from '../../wire/limits.ts'
import type { StatusResult } from '../../wire/messages.ts'
import type { Context } from '../context.ts'
import { decodePicture, decodeSound } from '../decode-file.ts'
import { openHub } from '../hub.ts'
import type { HubClient } from '../hub-client.ts'
import { type JsonTensor, outputLines } from '../infer-output.ts'
import { pictureInput, pictureTensor, soundRateHz, soundTensor } from '../model-inputs.ts'
import { tensorFrom } from '../tensor-file.ts'
import { milliseconds } from '../terminal.ts'

export interface InferOptions {
  readonly url?: string
  readonly device?: string
  readonly image?: string
  readonly audio?: string
  readonly input: readonly string[]
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

export async function infer(model: string, options: InferOptions, context: Context): Promise<number> {
  const { terminal } = context
  const privacy = privacyOf(options.privacy)
  const hub = openHub(options, context)
  const device = options.device ?? (await onlyDevice(hub))
  const specs = await inputsOf(hub, device, model)
  const inputs = await inputsFrom(options, specs, context.signal)
  const body = encodeCbor({ model, device, privacy, deadlineMs: inferMsMax, inputs })
  if (body.byteLength > wireLimits.inputsBytesMax)
    throw new UsageError(
      `the inputs have ${body.byteLength} bytes, more than the ${wireLimits.inputsBytesMax} allowed`,
    )
  const blob = new Blob([new Uint8Array(body)])
  const answer = await hub.upload<InferAnswer>('/api/infer', blob, 'application/cbor', inferMsMax)
  if (terminal.json) {
    terminal.out(JSON.stringify({ model, device, ...answer }))
    return 0
  }
  for (const line of outputLines(answer.outputs)) terminal.out(line)
  const { route, ms, modelMs, decision, cached } = answer
  const took = `${milliseconds(ms)}${modelMs === undefined ? '' : `, ${milliseconds(modelMs)} of it in the model`}`
  const why = decision === undefined ? '' : `; ganglion why ${decision}`
  terminal.note(terminal.style('dim', `${cached ? 'kept from before, ' : ''}by ${route} in ${took}${why}`))
  return 0
}

/** Throws UsageError. */
function privacyOf(text: string): Privacy {
  const privacy = privacies.find((one) => one === text)
  if (privacy) return privacy
  throw new UsageError(`--privacy ${text}: device, site or cloud`)
}

/** Throws UsageError where it is not clear which one is meant. */
async function onlyDevice(hub: HubClient): Promise<string> {
  const { devices } = await hub.get<{ devices: { id: string; availability: string }[] }>('/api/devices')
  const online = devices.filter(({ availability }) => availability === 'online').map(({ id }) => id)
  const [only, ...others] = online
  if (only === undefined) throw new UsageError('no device is online')
  if (others.length > 0)
    throw new UsageError(`several devices are online, name one with --device: ${online.join(', ')}`)
  return only
}

/** What the model takes; nothing where the device does not have it, which the device then says itself. */
async function inputsOf(hub: HubClient, device: string, model: string): Promise<readonly TensorSpec[]> {
  const { models } = await hub.get<StatusResult>(`/api/devices/${encodeURIComponent(device)}/status`)
  return models.find(({ name }) => name === model)?.inputs ?? []
}

/** Throws UsageError. */
async function inputsFrom(
  { image, audio, input }: InferOptions,
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
