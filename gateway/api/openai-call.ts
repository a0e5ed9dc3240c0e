/** What the routes under /v1 share: which model, under which label, as a stream of events or at once. */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { FastifyReply } from 'fastify'
import type { Clock } from '../../runtime/base/clock.ts'
import type { Log } from '../../runtime/base/log.ts'
import { InferError, type Privacy } from '../../runtime/wire/infer.ts'
import type { ServedModel } from '../offload/backends/backend.ts'
import type { InferenceService } from '../offload/service.ts'
import type { Task } from '../offload/tasks.ts'
import type { HttpCall } from './infer-call.ts'
import { OpenAiRequestError, openAiFailure } from './openai-error.ts'

export interface OpenAiDeps {
  readonly clock: Clock
  readonly log: Log
  readonly inference: InferenceService
}

/** Whoever takes nothing of a stream for so long is not there, whatever its connection says. */
const readerMsMax = 60_000

const configure: Readonly<Record<Task, string>> = {
  chat: "name a server with OpenAI's API (vLLM, llama.cpp server, Ollama, a cloud) in gateway.upstreams: {id, kind: openai, url, reach}",
  embeddings:
    'put a model of that task into gateway.inference.models, or name a server in gateway.upstreams with models: [{name, task: embeddings}]',
  transcription: 'put moonshine-tiny-en into gateway.inference.models, or name a server in gateway.upstreams',
}

/** The model, of this task. Throws OpenAiRequestError, InferError `unavailable`. */
export function modelOf(inference: InferenceService, name: unknown, task: Task): ServedModel {
  if (typeof name !== 'string' || name === '')
    throw new OpenAiRequestError('model is missing: name one of GET /v1/models', 'model')
  const models = inference.models()
  const found = models.find((one) => one.name === name)
  if (found?.task === task) return found
  if (found) {
    const does = found.task === undefined ? 'works on tensors: ask it at /v2' : `is for ${found.task}`
    throw new OpenAiRequestError(`model ${name} is not for ${task}: it ${does}`, 'model')
  }
  const [knower] = inference.whoKnows(name)
  if (knower)
    throw new InferError('unavailable', `model ${name} is not ready: ${knower.id} cannot serve it now`, {
      retryable: true,
    })
  // Said with 503, since it may be there: a client that tries again is right to.
  const silent = inference
    .health()
    .backends.find(({ state, models: had }) => state === 'away' && had.length === 0)
  if (silent)
    throw new InferError(
      'unavailable',
      `${silent.id}, which may have model ${name.slice(0, 200)}, cannot be asked now: ${silent.reason ?? 'it is away'}`,
      { retryable: true },
    )
  const others = models.filter((one) => one.task === task).map((one) => one.name)
  const line =
    others.length > 0
      ? `no model is named ${name.slice(0, 200)}; for ${task} there are: ${others.slice(0, 20).join(', ')}`
      : `no model for ${task} is served here: ${configure[task]}`
  throw new OpenAiRequestError(line, 'model', 'model_not_found')
}

/**
 * How far the request may travel: as its header says. Without one it stays on the site, unless the model that it names is one
 * that only a cloud has: naming that is asking for it. A model that the site has, but cannot serve now, never goes to a cloud.
 */
export function labelOf(inference: InferenceService, { privacy }: HttpCall, model: string): Privacy {
  if (privacy !== undefined) return privacy
  return inference.whoKnows(model).some(({ reach }) => reach === 'site') ? 'site' : 'cloud'
}

/**
 * Writes server-sent events; each item is the data of one. What fails before the first is the caller's to answer; afterwards
 * the error is the last event, as OpenAI's clients expect. A reader that is slow slows the source; one that takes nothing for a
 * minute is hung up on.
 */
export async function sendEvents(
  { clock, log }: Pick<OpenAiDeps, 'clock' | 'log'>,
  reply: FastifyReply,
  events: AsyncGenerator<string>,
): Promise<void> {
  const first = await events.next()
  reply.hijack()
  const { raw } = reply
  raw.writeHead(200, {
    ...(reply.getHeaders() as OutgoingHttpHeaders),
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  })
  const write = async (data: string) => {
    if (!raw.write(`data: ${data}\n\n`)) await roomIn(clock, raw)
  }
  try {
    if (!first.done) await write(first.value)
    for await (const data of events) {
      if (raw.destroyed) return
      await write(data)
    }
  } catch (error) {
    const { body, internal } = openAiFailure(error)
    if (internal) log.error('a stream failed', { error: String(error) })
    await write(JSON.stringify(body))
  } finally {
    raw.end()
  }
}

/** Resolves when there is room, or nobody any more. */
function roomIn(clock: Clock, raw: ServerResponse): Promise<void> {
  if (raw.destroyed) return Promise.resolve()
  return new Promise((resolve) => {
    const cancel = clock.after(readerMsMax, () => raw.destroy())
    const done = () => {
      cancel()
      raw.off('drain', done).off('close', done)
      resolve()
    }
    raw.on('drain', done).on('close', done)
  })
}
