/** What this device answers when it is called over the wire: say, hear, command, status, fault, infer, why, agent, top. */
import * as v from 'valibot'
import type { SimControl } from '../../hal/contract/board.ts'
import type { Clock } from '../base/clock.ts'
import { CodedError, messageOf } from '../base/errors.ts'
import type { Router } from '../inference/router/router.ts'
import { RpcError } from '../link/rpc-server.ts'
import type { Voice } from '../perception/voice.ts'
import { type BoardResult, boardParams } from '../wire/board.ts'
import type { WhyResult } from '../wire/decisions.ts'
import { wireLimits } from '../wire/limits.ts'
import { check, type SayResult, type StatusResult } from '../wire/messages.ts'
import {
  commandParams,
  faultParams,
  hearParams,
  type InferReply,
  inferParams,
  type RpcMethod,
  rpcRequest,
  sayParams,
  whyParams,
} from '../wire/rpc.ts'
import type { TogetherResult } from '../wire/together.ts'
import type { TopResult } from '../wire/top.ts'
import type { Assistant } from './assistant.ts'
import { inferCall } from './infer-call.ts'
import { fetchRecording } from './recording.ts'

interface AgentAnswers {
  answer(request: unknown, signal: AbortSignal): Promise<unknown>
  /** What agents use and wait for now. */
  top(): Promise<TopResult>
}

export interface CallDeps {
  readonly clock: Clock
  readonly assistant: Assistant
  /** Absent where voice is switched off. */
  readonly voice: Voice | undefined
  readonly sim: SimControl | undefined
  readonly status: () => Promise<StatusResult>
  /** What decides where models run; absent where there is none. */
  readonly router?: Pick<Router, 'decisionsOf' | 'decisions' | 'infer'> | undefined
  /** Absent where agents are switched off. */
  readonly agents?: AgentAnswers | undefined
  /** What this device does with the others of its site; absent where agents are switched off. */
  readonly together?: (() => TogetherResult) | undefined
  /** Facts that the devices share, those that fit a pattern and come after a key. */
  readonly board?: ((pattern: string | undefined, after: string | undefined) => BoardResult) | undefined
  /** HTTP address of the gateway: recordings are fetched from there and nowhere else. */
  readonly recordingsFrom: string | undefined
}

const { deadlineMs } = rpcRequest.entries
const inferRpc = v.looseObject({ ...inferParams.entries, deadlineMs })
const hearRpc = v.looseObject({ ...hearParams.entries, deadlineMs: v.optional(deadlineMs) })
const sayRpc = v.looseObject({ ...sayParams.entries, deadlineMs: v.optional(deadlineMs) })

/** A page or a terminal, as it says; but whoever reaches the broker can say so, hence no higher rank than the broker's. */
const caller = { principal: 'mqtt:user', viaNetwork: true } as const

export class Calls {
  readonly #deps: CallDeps

  constructor(deps: CallDeps) {
    this.#deps = deps
  }

  /** Throws RpcError: the caller gets its code and message. */
  async answer(method: RpcMethod, request: unknown, signal: AbortSignal): Promise<unknown> {
    const { assistant } = this.#deps
    if (method === 'say') {
      const { text, area, deadlineMs } = params(sayRpc, request)
      const options = { ...caller, withinMs: deadlineMs, ...(area === undefined ? {} : { area }) }
      return assistant.say(text, options, signal)
    }
    if (method === 'hear') return this.#hear(params(hearRpc, request), signal)
    if (method === 'command') {
      const { entity, command } = params(commandParams, request)
      return assistant.command({ entity, command, ...caller }, signal)
    }
    if (method === 'infer') return this.#infer(params(inferRpc, request), signal)
    if (method === 'why') return this.#why(params(whyParams, request))
    if (method === 'agent') return this.#agents.answer(request, signal)
    if (method === 'top') return this.#agents.top()
    if (method === 'together') return this.#together()
    if (method === 'board') return this.#board(params(boardParams, request))
    if (method === 'fault') return this.#fault(params(faultParams, request))
    return this.#deps.status()
  }

  async #hear(request: v.InferOutput<typeof hearRpc>, signal: AbortSignal): Promise<SayResult> {
    const { voice, assistant, recordingsFrom, clock } = this.#deps
    if (!voice) throw new RpcError('unavailable', 'voice is switched off in this device’s configuration')
    if (recordingsFrom === undefined)
      throw new RpcError(
        'unavailable',
        'this device was given no gateway to fetch recordings from: start it with --gateway',
      )
    const calledMs = clock.monotonicMs()
    try {
      const wav = await fetchRecording(recordingsFrom, request.ticket, wireLimits.recordingBytesMax, signal)
      const arrivedMs = clock.monotonicMs()
      const heard = await voice.hear(wav, signal)
      if (heard.text === '') return nothingHeard(clock.monotonicMs() - arrivedMs)
      const { area, deadlineMs } = request
      const leftMs = deadlineMs === undefined ? undefined : deadlineMs - (clock.monotonicMs() - calledMs)
      const options = { ...caller, withinMs: leftMs, ...(area === undefined ? {} : { area }) }
      return await assistant.say(heard.text, { ...options, spokenAtMs: arrivedMs }, signal)
    } catch (error) {
      throw asRpcError(error)
    }
  }

  get #agents(): AgentAnswers {
    return this.#deps.agents ?? switchedOff()
  }

  get #together(): () => TogetherResult {
    return this.#deps.together ?? switchedOff()
  }

  #board({ pattern, after }: v.InferOutput<typeof boardParams>): BoardResult {
    const { board } = this.#deps
    return board ? board(pattern, after) : switchedOff()
  }

  #infer(request: v.InferOutput<typeof inferRpc>, signal: AbortSignal): Promise<InferReply> {
    const { router, clock, recordingsFrom } = this.#deps
    if (!router) throw new RpcError('unsupported', 'this device runs no models')
    return inferCall({ clock, inference: router, gateway: recordingsFrom }, request, signal)
  }

  #why({ decision }: { decision?: string | undefined }): WhyResult {
    const { router } = this.#deps
    if (!router) throw new RpcError('unsupported', 'this device decides nothing about where models run')
    if (decision === undefined) return { decisions: router.decisions() }
    const asked = decision.slice(0, 64)
    const found = router.decisionsOf(asked)
    if (found.length === 1) return { decisions: found }
    const why =
      found.length === 0
        ? `no decision ${asked}: only the latest ones are kept, until a restart`
        : `${found.length} decisions begin with ${asked}: give more of the id`
    throw new RpcError('not-found', why)
  }

  #fault(request: { entity: string; fault: { kind: string } | null }): { entity: string } {
    const { sim } = this.#deps
    if (!sim) throw new RpcError('unsupported', 'faults can be injected only where the board is simulated')
    try {
      sim.fault(request.entity, (request.fault ?? undefined) as Parameters<SimControl['fault']>[1])
    } catch (error) {
      throw new RpcError('not-found', messageOf(error), { cause: error })
    }
    return { entity: request.entity }
  }
}

function params<T>(schema: Parameters<typeof check<T>>[0], request: unknown): T {
  const parsed = check(schema, request)
  if (!parsed.ok) throw new RpcError('bad-request', parsed.reason)
  return parsed.value
}

function nothingHeard(elapsedMs: number): SayResult {
  return {
    outcome: 'refused',
    transcript: '',
    reply: 'I heard no words in that.',
    commands: [],
    latencyMs: Math.round(elapsedMs * 10) / 10,
  }
}

/** Operating errors go to the caller with their line; anything else is a bug and crashes where it belongs. */
function asRpcError(error: unknown): unknown {
  if (error instanceof RpcError || !(error instanceof CodedError)) return error
  if (error.name === 'VoiceError' || error.retryable)
    return new RpcError('unavailable', error.message, { cause: error })
  return new RpcError('bad-request', error.message, { cause: error })
}

function switchedOff(): never {
  throw new RpcError(
    'unsupported',
    'agents are switched off on this device: set agents.enabled in its configuration',
  )
}
