/**
 * POST /v1/audio/transcriptions: a recording as a form (multipart/form-data) to words. A model here hears as a device does
 * (detector, then transcriber, sentence by sentence); a server elsewhere gets the recording as it came.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { CodedError } from '../../runtime/base/errors.ts'
import type { Heard } from '../../runtime/perception/hearing/heard.ts'
import { type InferChunk, InferError, type InferRequest } from '../../runtime/wire/infer.ts'
import { wireLimits } from '../../runtime/wire/limits.ts'
import { lastOf, speechDetector, takesFiles, textIn, textTensor } from '../offload/tasks.ts'
import { AudioError, decodeAudio, decodedBytes, isWave } from './audio-decode.ts'
import type { BodyBudget } from './body-budget.ts'
import { httpCall, hungUp } from './infer-call.ts'
import { labelOf, modelOf, type OpenAiDeps, sendEvents } from './openai-call.ts'
import { OpenAiRequestError } from './openai-error.ts'
import { type ResponseFormat, responseFormats, transcriptAs } from './openai-transcript.ts'

/** Ten minutes: what detector and transcriber take a minute for on a small gateway. */
const audioSMax = 600
const deadlineMsDefault = 300_000
const fieldsMax = 32
const fieldCharsMax = 16_384

interface Form {
  readonly file: Uint8Array
  readonly filename: string
  readonly contentType: string
  /** Each other field; those that came more than once as a list. */
  readonly fields: Readonly<Record<string, string | readonly string[]>>
}

export interface TranscriptionDeps extends OpenAiDeps {
  readonly bodies: BodyBudget
}

interface Asked {
  readonly deps: OpenAiDeps
  readonly model: string
  readonly form: Form
  /** Runs a request under the caller's name, label and what is left of its time. */
  readonly infer: (request: Omit<InferRequest, 'id'>, signal: AbortSignal) => AsyncIterable<InferChunk>
  readonly deadlineMs: number
  readonly gone: AbortSignal
}

export function addTranscriptions(scope: FastifyInstance, deps: TranscriptionDeps): void {
  scope.addContentTypeParser('multipart/form-data', { parseAs: 'buffer' }, (_request, body, done) =>
    done(null, body),
  )
  scope.post('/audio/transcriptions', { bodyLimit: wireLimits.recordingBytesMax }, (request, reply) =>
    transcribe(deps, request, reply),
  )
}

async function transcribe(
  deps: TranscriptionDeps,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  const form = await formOf(request)
  const model = modelOf(deps.inference, form.fields['model'], 'transcription')
  const streams = form.fields['stream'] === 'true'
  const asked = askedOf(deps, model.name, form, request, reply)
  if (takesFiles(model)) return passOn(asked, streams, reply)
  const format = formatOf(form)
  const samplesOf = await samplesIn(asked, deps.bodies, reply)
  if (streams) {
    await sendEvents(deps, reply, wordsAsEvents(asked, samplesOf))
    return reply
  }
  const heard = await hear(asked, samplesOf)
  const { type, body } = transcriptAs(heard, format)
  return reply.type(type).send(body)
}

function askedOf(
  deps: OpenAiDeps,
  model: string,
  form: Form,
  request: FastifyRequest,
  reply: FastifyReply,
): Asked {
  const { clock, inference } = deps
  const call = httpCall(request)
  const privacy = labelOf(inference, call, model)
  const deadlineMs = call.deadlineMs ?? deadlineMsDefault
  const expiresAtMs = clock.monotonicMs() + deadlineMs
  const priority = call.priority ?? 'interactive'
  return {
    deps,
    model,
    form,
    deadlineMs,
    gone: hungUp(reply),
    infer: (one, signal) => {
      const leftMs = Math.max(1, expiresAtMs - clock.monotonicMs())
      const limits = { privacy, priority, deadlineMs: Math.min(one.deadlineMs, leftMs) }
      return inference.infer({ ...one, ...limits, caller: call.caller }, signal)
    },
  }
}

/** To a server elsewhere: the file as it came, with every field. */
async function passOn(asked: Asked, streams: boolean, reply: FastifyReply): Promise<unknown> {
  const { model, form, deadlineMs, gone } = asked
  const { model: _, ...fields } = form.fields
  const about = { ...fields, filename: form.filename, contentType: form.contentType }
  const chunks = asked.infer(
    {
      model,
      deadlineMs,
      priority: 'interactive',
      privacy: 'site',
      inputs: [
        { name: 'file', datatype: 'UINT8', shape: [form.file.byteLength], data: form.file },
        textTensor('request', JSON.stringify(about)),
      ],
    },
    gone,
  )
  if (streams) {
    await sendEvents(asked.deps, reply, eventsOf(chunks))
    return reply
  }
  const { outputs, route = '' } = await lastOf(chunks)
  const format = form.fields['response_format']
  const json = format === undefined || format === 'json' || format === 'verbose_json'
  reply.header('ganglion-route', route).type(json ? 'application/json' : 'text/plain; charset=utf-8')
  return reply.send(textIn(outputs, 'response') ?? '')
}

async function* eventsOf(chunks: AsyncIterable<InferChunk>): AsyncGenerator<string> {
  for await (const { outputs } of chunks) {
    const event = textIn(outputs, 'event')
    if (event !== undefined) yield event
  }
}

type Samples = { readonly wave: Uint8Array } | { readonly samples: Float32Array }

async function samplesIn(
  { form, gone, deps }: Asked,
  bodies: BodyBudget,
  reply: FastifyReply,
): Promise<Samples> {
  if (!deps.inference.models().some(({ name }) => name === speechDetector))
    throw new InferError('unavailable', `model ${speechDetector}, which finds speech, is not ready`, {
      retryable: true,
    })
  if (isWave(form.file)) return { wave: form.file }
  // Ten minutes of silence are a kilobyte.
  const held = bodies.hold(reply, decodedBytes(audioSMax))
  try {
    const samples = await decodeAudio(form.file, audioSMax, gone)
    held.shrink(samples.byteLength)
    return { samples }
  } catch (error) {
    if (error instanceof AudioError) throw new OpenAiRequestError(error.message, 'file')
    throw error
  }
}

async function hear(asked: Asked, sound: Samples, onPartial?: (text: string) => void): Promise<Heard> {
  const { deps, model, gone } = asked
  // What hears is loaded when somebody speaks.
  const { Hearing } = await import('../../runtime/perception/hearing/hearing.ts')
  const hearing = new Hearing(
    { inference: { infer: asked.infer }, clock: deps.clock },
    { detector: speechDetector, transcriber: model, audioSMax },
  )
  try {
    if ('wave' in sound) return await hearing.hearWav(sound.wave, gone, onPartial)
    return await hearing.transcribe(sound.samples, gone, onPartial)
  } catch (error) {
    // Its own mistakes in one line: no WAVE file, too long, nothing in it.
    if (error instanceof CodedError && error.name === 'PerceptionError')
      throw new OpenAiRequestError(error.message, 'file')
    throw error
  }
}

/** OpenAI's events: a delta for each piece of text, and at the end the whole text, which is what counts. */
async function* wordsAsEvents(asked: Asked, sound: Samples): AsyncGenerator<string> {
  // Only the newest matters: each has all the words so far.
  let newest = ''
  let wake: () => void = () => {}
  let sent = ''
  const heard = hear(asked, sound, (text) => {
    newest = text
    wake()
  })
  let settled = false
  const done = heard.then(
    () => {},
    () => {},
  )
  void done.then(() => {
    settled = true
    wake()
  })
  for (;;) {
    const text = newest
    if (text.startsWith(sent) && text.length > sent.length) {
      yield JSON.stringify({ type: 'transcript.text.delta', delta: text.slice(sent.length) })
      sent = text
    } else if (settled) break
    else
      await new Promise<void>((resolve) => {
        wake = resolve
      })
  }
  yield JSON.stringify({ type: 'transcript.text.done', text: (await heard).text })
}

function formatOf({ fields }: Form): ResponseFormat {
  const asked = fields['response_format'] ?? 'json'
  const format = responseFormats.find((one) => one === asked)
  if (format) return format
  throw new OpenAiRequestError(
    `response_format is not one of ${responseFormats.join(', ')}`,
    'response_format',
  )
}

/** Node's own parser, over a body whose size was bounded before it was read. */
async function formOf(request: FastifyRequest): Promise<Form> {
  const type = request.headers['content-type'] ?? ''
  if (!/^multipart\/form-data\b/i.test(type) || !Buffer.isBuffer(request.body))
    throw new OpenAiRequestError('send a form (multipart/form-data) with file and model')
  let form: FormData
  try {
    form = await new Response(new Uint8Array(request.body), { headers: { 'content-type': type } }).formData()
  } catch {
    throw new OpenAiRequestError('the form cannot be read: it is no multipart/form-data')
  }
  const file = form.get('file')
  if (file === null || typeof file === 'string') throw new OpenAiRequestError('the form has no file', 'file')
  if (file.size === 0) throw new OpenAiRequestError('the file is empty', 'file')
  return {
    file: new Uint8Array(await file.arrayBuffer()),
    filename: file.name.slice(0, 200),
    contentType: file.type.slice(0, 100),
    fields: fieldsOf(form),
  }
}

function fieldsOf(form: FormData): Record<string, string | readonly string[]> {
  const fields: Record<string, string | readonly string[]> = Object.create(null)
  for (const name of new Set(form.keys())) {
    if (name === 'file') continue
    const values = form.getAll(name)
    const texts = values.filter((value) => typeof value === 'string')
    const fits = texts.length === values.length && texts.every((text) => text.length <= fieldCharsMax)
    if (!fits || texts.length > fieldsMax || Object.keys(fields).length >= fieldsMax)
      throw new OpenAiRequestError(`the form's fields are too many or too long`, name.slice(0, 100))
    fields[name] = texts.length === 1 ? (texts[0] as string) : texts
  }
  return fields
}
