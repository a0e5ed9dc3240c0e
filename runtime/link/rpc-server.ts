/**
 * Answers calls: CBOR in on `<base>/<device>/rpc/<method>`, one CBOR answer out on the caller's `replyTo`. Calls that
 * run at once are bounded; each has the deadline that its caller gave; a repeated id is answered once.
 */
import type * as v from 'valibot'
import type { Clock } from '../base/clock.ts'
import { DeadlineError, withDeadline } from '../base/deadline.ts'
import { CodedError, messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { decodeCbor, encodeCbor } from '../wire/cbor.ts'
import { wireLimits } from '../wire/limits.ts'
import { check } from '../wire/messages.ts'
import { type RpcErrorCode, type RpcMethod, type RpcReply, rpcMethods, rpcRequest } from '../wire/rpc.ts'
import { RecentIds } from './recent-ids.ts'
import { isReplyTopic, type ReplyTopicRules } from './reply-topic.ts'

export type RpcRequest = v.InferOutput<typeof rpcRequest>

/** Resolves with the result to send; throws RpcError to answer with that code. `signal` aborts at the deadline. */
export type RpcHandler = (method: RpcMethod, request: RpcRequest, signal: AbortSignal) => Promise<unknown>

/** What a handler throws to answer with an error. The message goes to the caller. */
export class RpcError extends CodedError<RpcErrorCode> {
  override readonly name = 'RpcError'
  constructor(code: RpcErrorCode, message: string, options: { cause?: unknown } = {}) {
    super(code, message, options)
  }
}

export interface RpcServerOptions {
  readonly callsMax: number
  readonly replyTopics: ReplyTopicRules
}

/** Ids remembered: more than the calls that fit into the longest deadline of a busy device. */
const recentMax = 1024

export class RpcServer {
  readonly #clock: Clock
  readonly #log: Log
  readonly #options: RpcServerOptions
  readonly #reply: (topic: string, payload: Uint8Array) => Promise<void>
  readonly #recent = new RecentIds(recentMax)
  readonly #closing = new AbortController()
  #calls = 0
  #handler: RpcHandler | undefined

  /** `reply` settles when the answer is out or lost; until then its call counts as running. */
  constructor(
    deps: { readonly clock: Clock; readonly log: Log },
    options: RpcServerOptions,
    reply: (topic: string, payload: Uint8Array) => Promise<void>,
  ) {
    this.#clock = deps.clock
    this.#log = deps.log
    this.#options = options
    this.#reply = reply
  }

  get calls(): number {
    return this.#calls
  }

  setHandler(handler: RpcHandler | undefined): void {
    this.#handler = handler
  }

  /** Takes one inbound message; returns what is wrong with it, if it gets no answer for that. Never throws. */
  accept(method: string, payload: Uint8Array): string | undefined {
    const decoded = decodeCbor(payload, wireLimits.mqttPayloadBytesMax)
    const request = decoded.ok ? check(rpcRequest, decoded.value) : decoded
    if (!request.ok) return request.reason
    const { id, replyTo } = request.value
    if (!isReplyTopic(replyTo, this.#options.replyTopics))
      return 'replyTo is not a topic that answers may go to'
    if (!this.#recent.isNew(`${replyTo} ${id}`)) return undefined
    // Beyond the calls that run, as many again are told so; then silence, or a flood would be answered with a flood.
    if (this.#calls >= 2 * this.#options.callsMax) return 'too many calls at once'
    void this.#answer(method, request.value)
    return undefined
  }

  /** Aborts the calls that run; they are answered `unavailable`. */
  close(): void {
    this.#closing.abort(new RpcError('unavailable', 'the device is stopping'))
  }

  async #answer(method: string, request: RpcRequest): Promise<void> {
    this.#calls += 1
    try {
      const reply = await this.#perform(method, request)
      await this.#reply(request.replyTo, encodeReply(reply))
    } catch (error) {
      this.#log.debug('answer not delivered', { method, reason: messageOf(error) })
    } finally {
      this.#calls -= 1
    }
  }

  async #perform(method: string, request: RpcRequest): Promise<RpcReply> {
    const { id, deadlineMs } = request
    try {
      if (!isRpcMethod(method)) throw new RpcError('not-found', `no such method: ${method}`)
      const handler = this.#handler
      if (!handler) throw new RpcError('unavailable', 'the device is starting')
      if (this.#calls > this.#options.callsMax)
        throw new RpcError('unavailable', `${this.#options.callsMax} calls are running already`)
      const run = (signal: AbortSignal) => handler(method, request, signal)
      const result = await withDeadline(this.#clock, method, deadlineMs, run, this.#closing.signal)
      return { id, ok: true, result }
    } catch (error) {
      return { id, ok: false, error: this.#describe(method, error) }
    }
  }

  #describe(method: string, error: unknown): { code: RpcErrorCode; message: string } {
    if (error instanceof RpcError) return { code: error.code, message: error.message }
    if (error instanceof DeadlineError) return { code: 'deadline', message: error.message }
    this.#log.error('call failed', { method, reason: messageOf(error) })
    return { code: 'internal', message: `${method} failed: ${messageOf(error)}` }
  }
}

function isRpcMethod(method: string): method is RpcMethod {
  return (rpcMethods as readonly string[]).includes(method)
}

/** An answer that is too large, or that CBOR cannot say, becomes an error: the caller is never left waiting. */
function encodeReply(reply: RpcReply): Uint8Array {
  const fail = (message: string) =>
    encodeCbor({ id: reply.id, ok: false, error: { code: 'internal', message } } satisfies RpcReply)
  try {
    const payload = encodeCbor(reply)
    if (payload.byteLength <= wireLimits.mqttPayloadBytesMax) return payload
    return fail(
      `the answer has ${payload.byteLength} bytes, more than the ${wireLimits.mqttPayloadBytesMax} allowed`,
    )
  } catch (error) {
    return fail(`the answer cannot be encoded: ${messageOf(error)}`)
  }
}
