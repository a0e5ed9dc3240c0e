/** The API's work on devices: which one is meant, the call, and the check that its answer is what the wire says. */
import type { Readable } from 'node:stream'
import type * as v from 'valibot'
import type { AgentAsk } from '../../runtime/wire/agents.ts'
import { type BoardFact, type BoardResult, boardResult } from '../../runtime/wire/board.ts'
import { encodeCbor } from '../../runtime/wire/cbor.ts'
import { type WhyResult, whyResult } from '../../runtime/wire/decisions.ts'
import type { Priority, Privacy } from '../../runtime/wire/infer.ts'
import { wireLimits } from '../../runtime/wire/limits.ts'
import {
  type CommandReport,
  check,
  commandReport,
  type SayResult,
  type StatusResult,
  sayResult,
  statusResult,
} from '../../runtime/wire/messages.ts'
import { parseOutputs } from '../../runtime/wire/offload.ts'
import { type InferReply, type InferResult, inferReply, type RpcMethod } from '../../runtime/wire/rpc.ts'
import { type TogetherResult, togetherResult } from '../../runtime/wire/together.ts'
import { type TopResult, topResult } from '../../runtime/wire/top.ts'
import { ApiError } from './api-error.ts'
import { CallError, type DeviceBus } from './device-bus.ts'
import type { DeviceDirectory } from './device-directory.ts'
import type { AnswerPlace, LargeAnswers } from './large-answers.ts'
import type { Tickets } from './tickets.ts'

/** With room for the rest of the call in one message. */
const inlineBytesMax = wireLimits.mqttPayloadBytesMax - 8 * 1024

/** Devices that are asked for the board, one after the other, until one has it. */
const boardTriesMax = 4

/** How long each call may take. `say` and `command` wait for telemetry to prove the effect: a cover takes half a minute. */
export interface CallDeadlines {
  readonly sayMs: number
  readonly hearMs: number
  readonly commandMs: number
  readonly statusMs: number
  readonly faultMs: number
  readonly agentMs: number
}

export const defaultCallDeadlines: CallDeadlines = {
  sayMs: 60_000,
  /** Ten minutes of speech on a small board. */
  hearMs: 300_000,
  commandMs: 60_000,
  statusMs: 5_000,
  faultMs: 5_000,
  /** To load what came in a machine of its own, on a small board; to wait for the end of a turn. */
  agentMs: 30_000,
}

/** One inference that a device is asked for; without a device: the only one that is online. */
export interface DeviceInference {
  readonly model: string
  readonly device?: string | undefined
  readonly privacy?: Privacy | undefined
  readonly priority?: Priority | undefined
  readonly parameters?: Readonly<Record<string, string | number | boolean>> | undefined
  readonly inputs: readonly unknown[]
}

export interface DevicesDeps {
  readonly bus: DeviceBus
  readonly directory: DeviceDirectory
  readonly tickets: Tickets
  readonly largeAnswers: LargeAnswers
  readonly deadlines: CallDeadlines
}

export class Devices {
  readonly #deps: DevicesDeps

  constructor(deps: DevicesDeps) {
    this.#deps = deps
  }

  async say(device: string | undefined, text: string, area: string | undefined): Promise<SayResult> {
    if (text.trim() === '') throw new ApiError('bad-request', 'text is empty')
    if (text.length > wireLimits.utteranceCharsMax)
      throw new ApiError('bad-request', `text has more than ${wireLimits.utteranceCharsMax} characters`)
    const { sayMs } = this.#deps.deadlines
    return this.#call(this.#online(device), 'say', { text, ...(area && { area }) }, sayMs, sayResult)
  }

  async hear(
    device: string | undefined,
    recording: Readable,
    area: string | undefined,
    deadlineMs = this.#deps.deadlines.hearMs,
  ): Promise<SayResult> {
    const id = this.#online(device)
    await using ticket = await this.#deps.tickets.store(recording)
    return await this.#call(id, 'hear', { ticket: ticket.id, ...(area && { area }) }, deadlineMs, sayResult)
  }

  async command(
    device: string | undefined,
    entity: string,
    command: Readonly<Record<string, unknown>>,
  ): Promise<CommandReport> {
    const id = this.#owner(device, entity)
    return this.#call(id, 'command', { entity, command }, this.#deps.deadlines.commandMs, commandReport)
  }

  async fault(device: string | undefined, entity: string, fault: unknown): Promise<void> {
    const id = this.#owner(device, entity)
    if (this.#deps.directory.entity(id, entity)?.simulated !== true)
      throw new ApiError('conflict', `${entity} is real: faults can only be injected into simulated devices`)
    await this.#deps.bus.call(id, 'fault', { entity, fault }, this.#deps.deadlines.faultMs)
  }

  async status(device: string): Promise<StatusResult> {
    this.#refuseUnknown(device)
    return this.#call(this.#online(device), 'status', {}, this.#deps.deadlines.statusMs, statusResult)
  }

  /** One inference by a device; inputs larger than a message go there by a ticket. */
  async infer({ device, inputs, ...params }: DeviceInference, deadlineMs: number): Promise<InferResult> {
    const id = this.#online(device)
    using place = this.#deps.largeAnswers.expect(deadlineMs)
    const asked = { ...params, ...(place && { answerTicket: place.ticket }) }
    const content = encodeCbor({ inputs })
    if (content.byteLength <= inlineBytesMax)
      return outputsOf(await this.#call(id, 'infer', { ...asked, inputs }, deadlineMs, inferReply), place)
    await using ticket = await this.#deps.tickets.keep(content)
    const reply = await this.#call(id, 'infer', { ...asked, ticket: ticket.id }, deadlineMs, inferReply)
    return outputsOf(reply, place)
  }

  /** Where the device had models run lately, and why; or the one decision that is asked for. */
  async decisions(device: string, decision?: string): Promise<WhyResult> {
    this.#refuseUnknown(device)
    const { statusMs } = this.#deps.deadlines
    const asked = decision === undefined ? {} : { decision }
    return this.#call(this.#online(device), 'why', asked, statusMs, whyResult)
  }

  /** Whom it believes, what it decided with them lately, who holds which lease. */
  async together(device: string): Promise<TogetherResult> {
    this.#refuseUnknown(device)
    return this.#call(this.#online(device), 'together', {}, this.#deps.deadlines.statusMs, togetherResult)
  }

  /** What its agents use and wait for now. */
  async top(device: string): Promise<TopResult> {
    this.#refuseUnknown(device)
    return this.#call(this.#online(device), 'top', {}, this.#deps.deadlines.statusMs, topResult)
  }

  /** Facts that the devices share, as this one has checked them: a page of those that fit, after a key. */
  async boardOf(
    device: string,
    asked: { readonly pattern?: string | undefined; readonly after?: string | undefined },
  ): Promise<BoardResult> {
    this.#refuseUnknown(device)
    return this.#call(this.#online(device), 'board', asked, this.#deps.deadlines.statusMs, boardResult)
  }

  /** Facts that the devices share, as one of them that is online has checked them. */
  async board(): Promise<{ device?: string; facts: readonly BoardFact[]; more: boolean }> {
    this.#assertBroker()
    const { statusMs } = this.#deps.deadlines
    const online = this.#deps.directory.devices().filter(({ availability }) => availability === 'online')
    for (const { id } of online.slice(0, boardTriesMax)) {
      try {
        const { facts, more } = await this.#call(id, 'board', {}, statusMs, boardResult)
        return { device: id, facts, more }
      } catch (error) {
        // A device on which no agents may run has no board.
        if (!(error instanceof CallError) || error.code !== 'unsupported') throw error
      }
    }
    return { facts: [], more: false }
  }

  /** What a person asks of a device about its agents; a bundle larger than a message goes there by a ticket. */
  async agent<T>(device: string, ask: AgentAsk, schema: v.GenericSchema<unknown, T>): Promise<T> {
    this.#refuseUnknown(device)
    const id = this.#online(device)
    const { agentMs } = this.#deps.deadlines
    if (
      ask.ask !== 'run' ||
      Buffer.byteLength(ask.bundle ?? '') <= inlineBytesMax - (ask.grants ?? '').length
    )
      return this.#call(id, 'agent', ask, agentMs, schema)
    const { bundle, ...rest } = ask
    await using ticket = await this.#deps.tickets.keep(encodeCbor({ bundle }))
    return await this.#call(id, 'agent', { ...rest, ticket: ticket.id }, agentMs, schema)
  }

  /** Also where it is offline it is known. */
  #refuseUnknown(device: string): void {
    if (this.#deps.directory.device(device)) return
    const ids = this.#deps.directory.devices().map(({ id }) => id)
    const known = ids.length > 0 ? `there is ${ids.slice(0, 16).join(', ')}` : 'none has been seen'
    throw new ApiError('not-found', `no device ${device}: ${known}`)
  }

  async #call<T>(
    device: string,
    method: RpcMethod,
    params: Readonly<Record<string, unknown>>,
    deadlineMs: number,
    schema: v.GenericSchema<unknown, T>,
  ): Promise<T> {
    const result = check(schema, await this.#deps.bus.call(device, method, params, deadlineMs))
    if (result.ok) return result.value
    throw new ApiError('device-failed', `${device} answered ${method} with something else: ${result.reason}`)
  }

  /** The device that is meant: the named one, or the only one that is online. */
  #online(device: string | undefined): string {
    this.#assertBroker()
    const devices = this.#deps.directory.devices()
    const online = devices.filter(({ availability }) => availability === 'online').map(({ id }) => id)
    if (device !== undefined) {
      if (online.includes(device)) return device
      this.#refuseUnknown(device)
      throw new ApiError('no-device', `device ${device} is offline: check its power and its network`)
    }
    const [only, ...others] = online
    if (only === undefined)
      throw new ApiError('no-device', 'no device is online: start one with `npm start` or `ganglion up`')
    if (others.length > 0)
      throw new ApiError(
        'bad-request',
        `several devices are online, name one with --device, or as "device": ${online.join(', ')}`,
      )
    return only
  }

  /** The device whose entity is meant. */
  #owner(device: string | undefined, entity: string): string {
    this.#assertBroker()
    const owners = this.#deps.directory.owners(entity)
    if (device === undefined && owners.length > 1)
      throw new ApiError(
        'bad-request',
        `several devices have ${entity}, name one with --device, or as "device": ${owners.join(', ')}`,
      )
    const owner = device ?? owners[0]
    if (owner === undefined || !owners.includes(owner))
      throw new ApiError('not-found', device ? `no entity ${entity} on ${device}` : `no entity ${entity}`)
    return this.#online(owner)
  }

  #assertBroker(): void {
    const { bus } = this.#deps
    if (!bus.connected)
      throw new ApiError(
        'unreachable',
        `no connection to the broker ${bus.url}: ${bus.lastError ?? 'connecting'}`,
      )
  }
}

/** With the outputs that came in the reply, or by the ticket beside it. Throws ApiError `device-failed`. */
function outputsOf({ outputs, ...reply }: InferReply, place: AnswerPlace | undefined): InferResult {
  if (outputs) return { ...reply, outputs }
  if (!place?.body) throw new ApiError('device-failed', 'the device answered without outputs')
  const parsed = parseOutputs(place.body)
  if (parsed.ok) return { ...reply, outputs: parsed.value }
  throw new ApiError('device-failed', `the device uploaded something else than outputs: ${parsed.reason}`)
}
