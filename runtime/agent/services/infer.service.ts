/**
 * `infer`: a model is asked, wherever the device's router sends it. Tensors are JSON both ways. A model changes nothing, so what was
 * under way when the power went is asked again.
 */
import * as v from 'valibot'
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Inference } from '../../inference/inference.ts'
import {
  type InferChunk,
  InferError,
  type InferErrorCode,
  type InferRequest,
  privacies,
  type Tensor,
} from '../../wire/infer.ts'
import { tensorOfJson } from '../../wire/oip-tensor.ts'
import type { CallErrorCode } from '../contract.ts'
import { dueMsOf } from '../scheduler/urgency.ts'
import { failed, type Outcome, type Service, unshared } from '../service.ts'
import { badRequest, cancelled, checkedService, inOneLine } from './checked-service.ts'
import { EngineTimes } from './engine-time.ts'
import { deadline, leftOf } from './waiting.ts'

/** Loading a model included. */
const deadlineMsDefault = 60_000
/** Elements of an answer, and characters of its JSON: an input of a machine takes no more ([turnLimits]). */
const elementsMax = 16_384
const answerCharsMax = 96 * 1024
const inputsMax = 32

const name = v.pipe(
  v.string('must be a name'),
  v.nonEmpty('must not be empty'),
  v.maxLength(256, 'is too long'),
)
const length = v.pipe(
  v.number('must be a number'),
  v.safeInteger('must be a whole number'),
  v.minValue(0, 'must not be negative'),
)
const schema = v.object({
  model: name,
  inputs: v.pipe(
    v.array(
      v.object({
        name,
        datatype: v.string('must be a datatype such as FP32'),
        shape: v.pipe(
          v.array(length, 'must be a list of numbers'),
          v.maxLength(8, 'has more than 8 dimensions'),
        ),
        data: v.array(v.unknown(), 'must be a list of numbers, texts or booleans'),
      }),
      'must be a list of tensors',
    ),
    v.maxLength(inputsMax, `are more than ${inputsMax}`),
  ),
  privacy: v.optional(v.picklist(privacies, 'must be device, site or cloud'), 'device'),
  deadlineMs: deadline,
})

const codes: Readonly<Record<InferErrorCode, CallErrorCode>> = {
  'model-unknown': 'not-found',
  'bad-input': 'bad-request',
  deadline: 'timeout',
  cancelled: 'cancelled',
  refused: 'refused',
  run: 'failed',
  'model-load': 'unavailable',
  'engine-lost': 'unavailable',
  'engine-stopped': 'unavailable',
  overloaded: 'unavailable',
  memory: 'unavailable',
  unavailable: 'unavailable',
}

export interface InferDeps {
  readonly clock: Clock
  readonly inference: Inference
}

export function inferService({ clock, inference }: InferDeps): Service {
  const times = new EngineTimes()
  return checkedService('infer', schema, async (args, performing, signal) => {
    const { caller, call, askedMs, sharing = unshared } = performing
    const { model, privacy, deadlineMs: untilMs } = args
    const ownMs = untilMs === undefined ? deadlineMsDefault : leftOf(clock, untilMs, askedMs)
    const deadlineMs = Math.min(ownMs, leftOf(clock, dueMsOf(call), askedMs))
    if (deadlineMs <= 0) return failed('timeout', inOneLine(`infer: it is too late to ask ${model}`))
    try {
      const inputs = args.inputs.map((input) => tensorOfJson(input, input.data, reading))
      const request = {
        model,
        privacy,
        deadlineMs,
        inputs,
        priority: caller.priority ?? ('background' as const),
      }
      const bytes = Buffer.byteLength(JSON.stringify(args.inputs))
      const drawn = privacy === 'device' ? () => {} : await sharing.draw('gateway', bytes, signal)
      const startMs = clock.monotonicMs()
      const tookMs = () => clock.monotonicMs() - startMs
      const answer = await last(inference.infer(request, signal)).catch((error) => {
        drawn(bytes)
        const code = signal.aborted ? 'cancelled' : error instanceof InferError ? error.code : undefined
        const engineMs = times.lost(model, code, tookMs())
        if (engineMs > 0) sharing.spend({ engineMs })
        throw error
      })
      drawn(answer.away ? bytes : 0)
      const came = answer.outputs.reduce((sum, tensor) => sum + bytesOf(tensor), 0)
      const engineMs = times.answered(model, answer, tookMs())
      sharing.spend({ engineMs, money: answer.price ?? 0, bytes: answer.away ? bytes + came : 0 })
      return answerOf(answer, request)
    } catch (error) {
      if (signal.aborted) return cancelled('infer')
      if (!(error instanceof InferError)) throw error
      if (error.code === 'bad-input') return badRequest('infer', messageOf(error))
      return failed(codes[error.code], inOneLine(messageOf(error)))
    }
  })
}

const reading = { side: 'input', fault: (line: string) => new InferError('bad-input', line) } as const

/** A pipeline streams; its last chunk says the whole. */
async function last(chunks: AsyncIterable<InferChunk>): Promise<InferChunk> {
  let final: InferChunk | undefined
  for await (const chunk of chunks) final = chunk
  if (!final?.final) throw new InferError('run', 'the answer has no end')
  return final
}

/** As it travels. */
const bytesOf = ({ datatype, data }: Tensor) =>
  datatype === 'BYTES' ? data.reduce((sum, text) => sum + Buffer.byteLength(text), 0) : data.byteLength

function answerOf(
  { outputs, route = 'engine', privacy }: InferChunk,
  request: Pick<InferRequest, 'model' | 'privacy'>,
): Outcome {
  const tooMuch = failed(
    'limit',
    inOneLine(
      `${request.model} answers with more than the ${elementsMax} numbers that an agent takes at once`,
    ),
  )
  if (outputs.reduce((sum, { data }) => sum + data.length, 0) > elementsMax) return tooMuch
  const value = {
    outputs: outputs.map((tensor) => ({
      ...{ name: tensor.name, datatype: tensor.datatype, shape: tensor.shape, data: elementsOf(tensor) },
    })),
    route,
    privacy: privacy ?? request.privacy,
  }
  return JSON.stringify(value).length > answerCharsMax ? tooMuch : { ok: true, value }
}

/** What JSON has no number for is text: the infinities, and integers beyond 2^53. */
function elementsOf({ datatype, data }: Tensor): (number | string | boolean)[] {
  if (datatype === 'BYTES') return data
  if (datatype === 'BOOL') return Array.from(data, (bit) => bit !== 0)
  if (datatype === 'INT64')
    return Array.from(data, (big) => (Number.isSafeInteger(Number(big)) ? Number(big) : `${big}`))
  return Array.from(data as ArrayLike<number>, (number) => (Number.isFinite(number) ? number : `${number}`))
}
