/**
 * What a device answers when it is asked about its agents over the wire: list, run, stop, resume, remove, logs. A bundle is loaded
 * here again before this device vouches for it, and a grant that is wider than what the agent asks for is refused.
 *
 * Invariants: [agent-calls-1] nothing that is not an agent's own bundle is kept; [agent-calls-2] an agent is never given more than
 * it asks for, nor anything that was not granted with this call.
 */
import type { Clock } from '../base/clock.ts'
import { CodedError, messageOf } from '../base/errors.ts'
import { HttpError, httpGet } from '../base/http-get.ts'
import { Identity } from '../base/identity.ts'
import type { Log } from '../base/log.ts'
import type { DeviceConfig } from '../config/config.ts'
import { RpcError } from '../link/rpc-server.ts'
import {
  type AgentAsk,
  type AgentDone,
  type AgentList,
  type AgentLogs,
  type AgentView,
  agentPageMax,
  agentParams,
} from '../wire/agents.ts'
import type { ApprovalsResult, ApproveResult } from '../wire/approvals.ts'
import { decodeCbor } from '../wire/cbor.ts'
import { wireLimits } from '../wire/limits.ts'
import { check } from '../wire/messages.ts'
import type { TopResult } from '../wire/top.ts'
import type { AgentError, AgentStatus } from './agents.ts'
import { readContent, sealed } from './bundle/bundle.ts'
import type { DeviceAgents } from './device-agents.ts'
import type { Approvals } from './permissions/approvals.ts'
import { parseGrants, printGrants, refuseWider } from './permissions/grant.ts'
import { MachinePool } from './vm/machine-pool.ts'

export interface AgentCallsDeps {
  readonly clock: Clock
  readonly log: Log
  readonly agents: DeviceAgents
}

/** `gateway`: its HTTP address; large bundles are fetched from there and nowhere else. */
export type AgentCallsConfig = Pick<DeviceConfig, 'id' | 'stateDir' | 'gateway'>

type Run = Extract<AgentAsk, { ask: 'run' }>
type Named = Extract<AgentAsk, { name: string }>
type Approve = Extract<AgentAsk, { ask: 'approve' }>
type Approving = ApprovalsResult | ApproveResult

export class AgentCalls {
  readonly #deps: AgentCallsDeps
  readonly #config: AgentCallsConfig
  #installing = false

  constructor(deps: AgentCallsDeps, config: AgentCallsConfig) {
    this.#deps = deps
    this.#config = config
  }

  /** Throws RpcError. */
  async answer(
    request: unknown,
    signal: AbortSignal,
  ): Promise<AgentList | AgentDone | AgentLogs | Approving> {
    const parsed = check(agentParams, request)
    if (!parsed.ok) throw new RpcError('bad-request', parsed.reason)
    const ask = parsed.value
    const { agents } = this.#deps
    try {
      if (ask.ask === 'list') return await this.#list(agents, ask.after)
      if (ask.ask === 'run') return await this.#run(agents, ask, signal)
      const approvals = await agents.approvals()
      if (ask.ask === 'approvals') return { approvals: [...(approvals?.waiting() ?? [])] }
      if (ask.ask === 'approve') return this.#approve(approvals, ask)
      return await this.#named(agents, ask)
    } catch (error) {
      throw asRpcError(error)
    }
  }

  top(): Promise<TopResult> {
    return this.#deps.agents.top()
  }

  #approve(approvals: Approvals | undefined, ask: Approve): ApproveResult {
    if (!approvals) throw new RpcError('not-found', 'nothing of this id waits for an answer')
    const { approval, answer, by } = ask
    const { agent, words } = approvals.answer(approval, answer, by)
    return { approval, answer, agent, words }
  }

  async #list(agents: DeviceAgents, after = ''): Promise<AgentList> {
    const all = (await agents.known())?.list() ?? []
    const rest = all
      .filter(({ name }) => name > after)
      .sort((left, right) => (left.name < right.name ? -1 : 1))
    return { agents: rest.slice(0, agentPageMax).map(viewOf), more: rest.length > agentPageMax }
  }

  async #named(agents: DeviceAgents, ask: Named): Promise<AgentDone | AgentLogs> {
    const { name } = ask
    const known = await agents.known()
    if (!known) throw new RpcError('not-found', `there is no agent called ${name}`)
    if (ask.ask === 'logs') return { lines: fitting(known.log(name, ask.lines)) }
    if (ask.ask === 'stop') await known.stop(name)
    else if (ask.ask === 'resume') await known.resume(name)
    else await known.remove(name)
    return { name }
  }

  /** One at a time: each starts a thread to look at what came. */
  async #run(agents: DeviceAgents, ask: Run, signal: AbortSignal): Promise<AgentDone> {
    if (this.#installing)
      throw new RpcError('unavailable', 'another agent is being installed: try again in a moment')
    this.#installing = true
    try {
      return await this.#install(agents, ask, signal)
    } finally {
      this.#installing = false
    }
  }

  async #install(agents: DeviceAgents, { grants, ...from }: Run, signal: AbortSignal): Promise<AgentDone> {
    const { clock, log } = this.#deps
    const { id, stateDir } = this.#config
    const granted = parseGrants(grants)
    const text = from.bundle ?? (await this.#fetched(from.ticket, signal))
    await using pool = new MachinePool({ clock, log }, { threadsMax: 1 })
    const content = await readContent(pool, text)
    refuseWider(granted, content.manifest.wants ?? [])
    signal.throwIfAborted()
    const bundle = sealed(content, Identity.open(id, stateDir))
    await (await agents.get()).run(bundle, printGrants(granted))
    return { name: bundle.name, program: bundle.hash }
  }

  async #fetched(ticket: string | undefined, signal: AbortSignal): Promise<string> {
    const { gateway } = this.#config
    if (ticket === undefined) throw new RpcError('bad-request', 'there is no bundle in this call')
    if (gateway === undefined)
      throw new RpcError(
        'unavailable',
        'this device was given no gateway to fetch a bundle from: start it with --gateway',
      )
    const url = new URL(`/api/tickets/${encodeURIComponent(ticket)}`, gateway).href
    const decoded = decodeCbor(await httpGet(url, ticketBytesMax, signal), ticketBytesMax)
    const bundle = decoded.ok ? (decoded.value as { bundle?: unknown } | null)?.bundle : undefined
    if (typeof bundle !== 'string') throw new RpcError('bad-request', 'what the gateway keeps is no bundle')
    return bundle
  }
}

/** The bundle, and what CBOR says of it. */
const ticketBytesMax = wireLimits.bundleBytesMax + 1024

const viewOf = ({
  name,
  state,
  reason,
  token,
  startedMs,
  program,
  turns,
  waiting,
  inMemory,
}: AgentStatus): AgentView => ({
  ...{ name, state, token, startedMs, program, turns, inMemory },
  ...(reason === undefined || reason === '' ? {} : { reason: oneLine(reason) }),
  waiting: Object.entries(Object.groupBy(waiting, (op) => op)).map(([op, all]) => ({
    op,
    count: all?.length ?? 0,
  })),
})

const oneLine = (text: string) => {
  const [first = ''] = text.split('\n')
  return first.length > 300 ? `${first.slice(0, 299)}…` : first
}

/** The newest lines that fit into an answer; text of other scripts takes three bytes a character. */
function fitting(lines: readonly { atMs: number; level: string; text: string }[]): AgentLogs['lines'] {
  let left: number = wireLimits.mqttPayloadBytesMax - 8 * 1024
  const kept: AgentLogs['lines'] = []
  for (const { atMs, level, text } of lines.toReversed()) {
    left -= Buffer.byteLength(text) + 64
    if (left < 0) break
    kept.unshift({ atMs, level: level === 'error' ? 'error' : 'info', text })
  }
  return kept
}

/** Operating errors go to the caller with their line; anything else is a bug and crashes where it belongs. */
function asRpcError(error: unknown): unknown {
  if (error instanceof RpcError || !(error instanceof CodedError)) return error
  if (error instanceof HttpError || error.retryable)
    return new RpcError('unavailable', `the bundle could not be fetched: ${messageOf(error)}`, {
      cause: error,
    })
  const code = error.name === 'AgentError' ? (error as AgentError).code : undefined
  return new RpcError(code === 'not-found' ? 'not-found' : 'bad-request', error.message, { cause: error })
}
