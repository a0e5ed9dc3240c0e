/**
 * Calls to a device: CBOR on `<base>/<device>/rpc/<method>`, answer on the topic that the caller names in `replyTo`,
 * so it works on MQTT 3.1.1. One answer a call.
 */
import * as v from 'valibot'
import { privacies, type Tensor } from './infer.ts'
import { jsonRecord } from './messages.ts'
import { isTensor } from './tensor.ts'

export const rpcMethods = [
  'say',
  'hear',
  'command',
  'status',
  'fault',
  'infer',
  'why',
  'agent',
  'top',
  'together',
  'board',
] as const
export type RpcMethod = (typeof rpcMethods)[number]

export const rpcRequest = v.looseObject({
  id: v.pipe(v.string(), v.minLength(1), v.maxLength(128)),
  replyTo: v.pipe(v.string(), v.minLength(1), v.maxLength(512)),
  /** Time left when sent, milliseconds. */
  deadlineMs: v.pipe(v.number(), v.minValue(1), v.maxValue(600_000)),
})

/** `say`: a line of text. `area` is where the speaker is, an area id or name. */
export const sayParams = v.looseObject({ text: v.string(), area: v.optional(v.string()) })
const ticket = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{16,128}$/, 'is not a ticket'))
/**
 * `hear`: a recording that the gateway keeps under this ticket, for the device to fetch over HTTP from the gateway it was
 * told to belong to. An id and no address: nobody can make a device fetch from elsewhere.
 */
export const hearParams = v.looseObject({
  ticket,
  area: v.optional(v.string()),
})
/** `command`: one command to one entity, with verification. */
export const commandParams = v.looseObject({ entity: v.string(), command: jsonRecord })
/** `fault`: injects a fault into a simulated device, or clears it with null. */
export const faultParams = v.looseObject({
  entity: v.string(),
  fault: v.nullable(
    v.looseObject({
      kind: v.picklist(['stuck', 'slow', 'lost-command', 'lying', 'offline']),
      factor: v.optional(v.number()),
      count: v.optional(v.number()),
    }),
  ),
})

/**
 * `infer`: one inference by the device's router, so wherever its policy sends it. Tensors are unchecked here: the engine
 * names the wrong one. Larger inputs are fetched from the gateway under `ticket`, as recordings are.
 */
export const inferParams = v.looseObject({
  model: v.string(),
  inputs: v.optional(v.array(v.unknown())),
  ticket: v.optional(ticket),
  /** Under which outputs larger than a message are uploaded to the gateway: a CBOR array of tensors. */
  answerTicket: v.optional(ticket),
  priority: v.optional(v.picklist(['control', 'interactive', 'background']), 'interactive'),
  privacy: v.optional(v.picklist(['device', 'site', 'cloud']), 'device'),
  parameters: v.optional(v.record(v.string(), v.union([v.string(), v.number(), v.boolean()]))),
})
/** Answer to `infer`: outputs, where it ran, the router's decision for `ganglion why`, and how long it took. */
export const inferReply = v.object({
  /** Absent where they were uploaded under `answerTicket`. */
  outputs: v.optional(v.array(v.custom<Tensor>(isTensor, 'is not a tensor'))),
  route: v.string(),
  decision: v.optional(v.string()),
  /** Label of the outputs. */
  privacy: v.picklist(privacies),
  /** From the call to its answer, and of that in the model, milliseconds. */
  ms: v.number(),
  modelMs: v.optional(v.number()),
  cached: v.optional(v.boolean()),
})
export type InferReply = v.InferOutput<typeof inferReply>
/** With its outputs, whichever way they came. */
export type InferResult = Omit<InferReply, 'outputs'> & { readonly outputs: readonly Tensor[] }
/** `why`: the router's decision of this id, or the latest ones. */
export const whyParams = v.looseObject({ decision: v.optional(v.string()) })

export const rpcErrorCodes = [
  'bad-request',
  /** Whoever asks is not who may, or did not prove it. */
  'forbidden',
  'not-found',
  'unsupported',
  'deadline',
  'unavailable',
  'internal',
] as const
export type RpcErrorCode = (typeof rpcErrorCodes)[number]

export const rpcReply = v.union([
  v.object({ id: v.string(), ok: v.literal(true), result: v.any() }),
  v.object({
    id: v.string(),
    ok: v.literal(false),
    error: v.object({ code: v.picklist(rpcErrorCodes), message: v.string() }),
  }),
])
export type RpcReply = v.InferOutput<typeof rpcReply>
