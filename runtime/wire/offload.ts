/**
 * Inference at a gateway: what devices and the workers of a gateway say to each other. Every message has a version, a schema
 * and a limit; unknown fields are ignored. Requests and answers are CBOR with tensors as RFC 8746 typed arrays, adverts JSON.
 *
 * A request of at most 128 KiB goes to `<base>/gateway/<worker>/infer/<device>`. A larger one: the device asks on `…/ticket/<device>`,
 * and PUTs the same envelope to the gateway's HTTP API under the ticket it was given; the upload is the request. Answers come as
 * `Reply` on the topic that the request names; of a large one the reply names the ticket to GET it by.
 */
import * as v from 'valibot'
import { decodeCbor, encodeCbor } from './cbor.ts'
import { inferErrorCodes } from './engine-protocol.ts'
import type { ServedBy, Tensor } from './infer.ts'
import { wireLimits } from './limits.ts'
import { check, type Parsed, parseJson } from './messages.ts'
import { isTensor } from './tensor.ts'
import { isTopicId, isWorkerId } from './topics.ts'

/** Version of all messages here. One of another is refused, and said so where there is somebody to say it to. */
export const offloadVersion = 1

const version = v.literal(offloadVersion)
/** Of one attempt to have a request answered: unguessable, and never used again. */
const id = v.pipe(v.string(), v.check(isTopicId, 'is not an id'))
const name = v.pipe(v.string(), v.minLength(1), v.maxLength(128))
/** Of a model; a gateway's upstreams choose theirs. */
const modelName = v.pipe(v.string(), v.minLength(1), v.maxLength(256))
const count = v.pipe(v.number(), v.integer(), v.minValue(0))
const ms = v.pipe(v.number(), v.finite(), v.minValue(0))
const replyTo = v.pipe(v.string(), v.minLength(1), v.maxLength(400))
const privacy = v.picklist(['device', 'site', 'cloud'])
/** 144 random bits or more, as base64url. */
export const ticketId = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{24,64}$/, 'is not a ticket'))

/** What a device may have unanswered at one worker. A request gives back what it took with its last reply. */
export const credits = v.object({ requests: count, bytes: count })
export type Credits = v.InferOutput<typeof credits>

/** `…/infer/<device>`, and what is uploaded. Inputs are looked at by the listener, which names the wrong one. */
export const inferMessage = v.object({
  v: version,
  id,
  replyTo,
  model: modelName,
  priority: v.picklist(['control', 'interactive', 'background']),
  /** Time left when it was sent, milliseconds, with the way to the worker taken off. */
  deadlineMs: v.pipe(ms, v.maxValue(3_600_000)),
  privacy,
  inputs: v.pipe(v.array(v.unknown()), v.maxLength(256)),
  /** Largest outputs that can be taken, bytes; absent: any that a gateway gives, by ticket where they are large. */
  answerBytesMax: v.optional(count),
  parameters: v.optional(v.record(name, v.union([v.string(), v.number(), v.boolean()]))),
})
export type InferMessage = v.InferOutput<typeof inferMessage>

/** `…/ticket/<device>`: a place for a request of `bytes`, which will have this id and this `replyTo`. */
export const ticketMessage = v.object({ v: version, id, replyTo, bytes: v.pipe(count, v.minValue(1)) })
export type TicketMessage = v.InferOutput<typeof ticketMessage>

/** `…/cancel/<device>`: nobody waits for these any more. */
export const cancelMessage = v.object({ v: version, ids: v.pipe(v.array(id), v.maxLength(256)) })

/** `ServedBy` as it comes over the wire. */
export const servedBy = v.object({
  backend: name,
  failed: v.pipe(v.array(v.object({ backend: name, code: v.picklist(inferErrorCodes) })), v.maxLength(8)),
  cached: v.boolean(),
  queueMs: ms,
  runMs: ms,
}) satisfies v.GenericSchema<unknown, ServedBy>
export type { ServedBy }

const outputs = v.pipe(v.array(v.custom<Tensor>(isTensor, 'not a tensor')), v.maxLength(256))
const answered = {
  v: version,
  id,
  /** On the last reply: time from its arrival at the worker to this reply, milliseconds. */
  tookMs: v.optional(ms),
  /** What the device may have unanswered from now on. Absent: as before. */
  credits: v.optional(credits),
  /** Expected wait of a request for the same model that comes now, milliseconds: fresher than the advert. */
  queueMs: v.optional(ms),
}

/** On `replyTo`. The replies to one request are numbered from 0, so that a gap shows. */
export const reply = v.variant('t', [
  v.object({
    t: v.literal('chunk'),
    ...answered,
    seq: count,
    final: v.boolean(),
    /** Absent where the outputs are too large for this message. */
    outputs: v.optional(outputs),
    /** By which the outputs can be fetched: a CBOR array of tensors. */
    ticket: v.optional(ticketId),
    modelMs: v.optional(ms),
    privacy: v.optional(privacy),
    route: v.optional(v.pipe(v.string(), v.maxLength(256))),
    cached: v.optional(v.boolean()),
    /** On the last reply. */
    served: v.optional(servedBy),
  }),
  v.object({
    t: v.literal('failed'),
    ...answered,
    error: v.object({
      code: v.picklist(inferErrorCodes),
      message: v.pipe(v.string(), v.maxLength(4096)),
      retryAfterMs: v.optional(ms),
    }),
  }),
  /** Where to upload the request of this id. */
  v.object({ t: v.literal('ticket'), v: version, id, ticket: ticketId }),
  /** These are still being worked on: said every `aliveEveryMs` to whoever waits that long. */
  v.object({ t: v.literal('alive'), v: version, ids: v.pipe(v.array(id), v.maxLength(1024)) }),
])
export type Reply = v.InferOutput<typeof reply>

const advertModel = v.object({
  name: modelName,
  /** Empty where its upstream names none. */
  version: v.pipe(v.string(), v.maxLength(256)),
  /** The nearest place where it runs. */
  reach: v.picklist(['site', 'cloud']),
  /** Expected wait of a request that comes now, milliseconds. */
  queueMs: ms,
  queued: count,
  running: v.optional(count),
  /** Time in the model, milliseconds; absent before the first answer. */
  p50Ms: v.optional(ms),
  p95Ms: v.optional(ms),
  loaded: v.boolean(),
  /** What loading it first is expected to take, milliseconds. */
  loadMs: v.optional(ms),
  idempotent: v.boolean(),
  /** Of one request; 0 where nobody pays by the request. */
  price: v.pipe(v.number(), v.minValue(0)),
  /** What it is for, where that has a name: `chat`, `embeddings`, `transcription`. */
  task: v.optional(name),
})
export type AdvertModel = v.InferOutput<typeof advertModel>

/** `<base>/gateway/<worker>/advert`, retained; an empty message when the worker is gone. JSON. */
export const advert = v.object({
  v: version,
  worker: v.pipe(v.string(), v.check(isWorkerId, 'is not a worker id')),
  /** Of the process that says it: made anew at each start, so that a worker sees another one under its id. */
  instance: v.optional(name),
  models: v.pipe(v.array(advertModel), v.maxLength(512)),
  /** Of a device that has not been told otherwise in a reply. */
  credits,
})
export type Advert = v.InferOutput<typeof advert>

/** How often a worker says what it offers at least, and how long that is believed, milliseconds. */
export const advertEveryMs = 10_000
export const advertLifeMs = 30_000
/** A retained one may be what a worker left behind: believed only until a living one would have come. */
export const advertRetainedLifeMs = 15_000
/** A worker speaks of each request at least this often; silent for three times as long, it is not working on it. */
export const aliveEveryMs = 2_000
export const silentMsMax = 3 * aliveEveryMs

export const encodeMessage = (message: object): Uint8Array => encodeCbor({ v: offloadVersion, ...message })

/** Decodes and checks one CBOR message. Never throws. */
export function parseMessage<T>(
  schema: v.GenericSchema<unknown, T>,
  payload: Uint8Array,
  bytesMax: number = wireLimits.mqttPayloadBytesMax,
): Parsed<T> {
  const decoded = decodeCbor(payload, bytesMax)
  if (!decoded.ok) return decoded
  return check(schema, decoded.value)
}

export function parseAdvert(payload: Uint8Array): Parsed<Advert> {
  return parseJson(advert, payload, wireLimits.mqttPayloadBytesMax)
}

/** The outputs behind a ticket. Never throws. */
export function parseOutputs(payload: Uint8Array): Parsed<Tensor[]> {
  const decoded = decodeCbor(payload, wireLimits.ticketBytesMax)
  return decoded.ok ? check(outputs, decoded.value) : decoded
}

/** Bytes that tensors take on the wire, about: their elements, and room for names and shapes. */
export function tensorBytes(tensors: readonly Tensor[]): number {
  let bytes = 0
  for (const { name, shape, data } of tensors) {
    bytes += 128 + 3 * name.length + 9 * shape.length
    if (ArrayBuffer.isView(data)) bytes += data.byteLength
    else for (const item of data) bytes += 9 + 3 * item.length
  }
  return bytes
}
