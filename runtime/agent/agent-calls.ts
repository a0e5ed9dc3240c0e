/**
 * What a device answers when it is asked about its agents over the wire: list, run, stop, resume, remove, grant, logs, approvals. A
 * bundle is loaded here again before this device vouches for it, and a grant that is wider than what the agent asks for is refused.
 *
 * Invariants: [agent-calls-1] nothing that is not an agent's own bundle is kept; [agent-calls-2] an agent is never given more than
 * it asks for unless that was said in as many words, nor anything that was not granted; [agent-calls-3] every change is on record before
 * it is made, with who asked for it, and how it ended after; what makes an agent do less is made also where the disk takes no record of it,
 * and the answer says so: the record follows when there is room; [agent-calls-4] where a device knows its people, one of them must say who
 * they are before an agent begins, goes on, goes elsewhere, may do more than before or is removed; what makes it do less needs nobody's
 * leave, and so does what the policy lets begin (the table in `permissions/README.md`); [agent-calls-6] a yes is never given by a name alone;
 * [agent-calls-5] a change is judged by what the one before it has left: of two at once neither undoes the other.
 */
import type { Clock } from '../base/clock.ts'
import { CodedError, messageOf } from '../base/errors.ts'
import { HttpError, httpGet } from '../base/http-get.ts'
import type { Identity } from '../base/identity.ts'
import type { Log } from '../base/log.ts'
import type { DeviceConfig } from '../config/config.ts'
import { RpcError } from '../link/rpc-server.ts'
import type { AuditEntry } from '../observe/audit-chain.ts'
import type { DeviceAudit } from '../observe/device-audit.ts'
import {
  type AgentAsk,
  type AgentDone,
  type AgentForgot,
  type AgentList,
  type AgentLogs,
  type AgentMay,
  type AgentMoved,
  type AgentPolicy,
  type AgentView,
  agentMayLinesMax,
  agentPageMax,
  agentParams,
  signedParts,
} from '../wire/agents.ts'
import type { ApprovalsResult, ApproveResult } from '../wire/approvals.ts'
import { decodeCbor } from '../wire/cbor.ts'
import { wireLimits } from '../wire/limits.ts'
import { check } from '../wire/messages.ts'
import type { TopResult } from '../wire/top.ts'
import type { AgentError, AgentStatus, Agents } from './agents.ts'
import { openBundle, readContent, sealed } from './bundle/bundle.ts'
import type { Manifest } from './bundle/manifest.ts'
import { plainWords } from './bundle/plain-words.ts'
import type { Want } from './contract.ts'
import type { DeviceAgents } from './device-agents.ts'
import { orStop, refusedUnrecorded, roomHint, type Unrecorded } from './full-disk.ts'
import type { Mover } from './move/mover.ts'
import { printCapability } from './permissions/capability.ts'
import { changed, narrows } from './permissions/change.ts'
import {
  type Grant,
  grantsOfWants,
  isWithin,
  parseGrants,
  printGrants,
  refuseWider,
} from './permissions/grant.ts'
import { claimedBy, People, type Person, PersonError } from './permissions/people.ts'
import { effective, grantedBy, priorityOf, refuseNever } from './permissions/policy.ts'
import { Refusals } from './permissions/refusals.ts'
import { MachinePool } from './vm/machine-pool.ts'

export interface AgentCallsDeps {
  readonly clock: Clock
  readonly log: Log
  readonly identity: Identity
  readonly agents: DeviceAgents
  readonly audit: Pick<DeviceAudit, 'record'>
  readonly mover: Mover
}

/** `gateway`: its HTTP address; large bundles are fetched from there and nowhere else. */
export type AgentCallsConfig = Pick<DeviceConfig, 'agents' | 'gateway' | 'people' | 'stateDir'>

type Run = Extract<AgentAsk, { ask: 'run' }>
type Named = Extract<AgentAsk, { name: string }>
type Changing = Extract<AgentAsk, { ask: 'stop' | 'resume' | 'remove' }>
type Move = Extract<AgentAsk, { ask: 'move' }>
type GrantAsk = Extract<AgentAsk, { ask: 'grant' }>
type Approve = Extract<AgentAsk, { ask: 'approve' }>
type ReadPolicy = Extract<AgentAsk, { ask: 'policy' }>
type Forget = Extract<AgentAsk, { ask: 'forget' }>
type Result =
  | AgentList
  | AgentDone
  | AgentForgot
  | AgentLogs
  | AgentMoved
  | AgentMay
  | AgentPolicy
  | ApprovalsResult
  | ApproveResult

export class AgentCalls {
  readonly #deps: AgentCallsDeps
  readonly #config: AgentCallsConfig
  readonly #people: People
  readonly #refusals: Refusals
  /** The last change of each agent and answer to each question, until it is made. */
  readonly #lines = new Map<string, Promise<void>>()
  #installing = false

  constructor(deps: AgentCallsDeps, config: AgentCallsConfig) {
    this.#deps = deps
    this.#config = config
    this.#people = new People(deps, config)
    this.#refusals = new Refusals(deps)
  }

  /** Throws RpcError. */
  async answer(request: unknown, signal: AbortSignal): Promise<Result> {
    const parsed = check(agentParams, request)
    if (!parsed.ok) throw new RpcError('bad-request', parsed.reason)
    const ask = parsed.value
    const { agents } = this.#deps
    try {
      if (ask.ask === 'list') return await this.#list(agents, ask.after)
      if (ask.ask === 'run') return await this.#run(agents, ask, signal)
      if (ask.ask === 'approvals') return await this.#approvals(agents)
      if (ask.ask === 'approve') return await this.#approve(agents, ask)
      if (ask.ask === 'policy') return await this.#readPolicy(agents, ask)
      if (ask.ask === 'forget') return await this.#forget(agents, ask)
      return await this.#named(agents, ask, signal)
    } catch (error) {
      if (error instanceof PersonError) await this.#refusals.keep(ask, error)
      throw asRpcError(error)
    }
  }

  top(): Promise<TopResult> {
    return this.#deps.agents.top()
  }

  async #approvals(agents: DeviceAgents): Promise<ApprovalsResult> {
    const approvals = await agents.approvals()
    return { approvals: [...(approvals?.waiting() ?? [])], people: [...this.#people.names] }
  }

  async #approve(agents: DeviceAgents, ask: Approve): Promise<ApproveResult> {
    const { approval, answer } = ask
    const approvals = await agents.approvals()
    if (!approvals) throw new RpcError('not-found', 'nothing of this id waits for an answer')
    const { person, require } = await this.#whoever(ask)
    return await this.#inLine(`approval ${approval}`, async () => {
      const { agent, kind } = approvals.find(approval, answer)
      // A no only makes an agent do less: it needs nobody's leave, and no name.
      const isNo = kind === 'permission' && answer === 'no'
      if (!isNo) require(kind === 'permission' ? `ganglion approve ${approval} yes` : undefined)
      if (!isNo && ask.by === undefined) throw new RpcError('bad-request', 'by: must say who answers')
      // What a question was answered is nobody else's.
      const what = kind === 'permission' ? { answer } : {}
      const entry = { kind: 'answered', approval, agent, by: person.shown, ...what }
      const unrecorded = await this.#record(entry, isNo)
      const { words } = approvals.answer(approval, answer, person.shown)
      return { approval, answer, agent, words, by: person.shown, ...unrecorded }
    })
  }

  /** That somebody was forgotten is on record, and not who. */
  async #forget(agents: DeviceAgents, ask: Forget): Promise<AgentForgot> {
    const person = await this.#people.whoIs(ask, signedParts(ask))
    this.#people.require(person, ask)
    return await this.#recorded({ ask: ask.ask, by: person.shown }, () => agents.forget(ask.about))
  }

  async #readPolicy(agents: DeviceAgents, ask: ReadPolicy): Promise<AgentPolicy> {
    const person = await this.#people.whoIs(ask, signedParts(ask))
    this.#people.require(person, ask)
    const held = await this.#recorded({ ask: ask.ask, by: person.shown }, () => agents.readPolicy())
    const { allow, never, priority } = agents.policy
    return { allow: allow.length, never: never.length, priority, agents: held }
  }

  /** One after the other for each key. */
  #inLine<T>(key: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.#lines.get(key) ?? Promise.resolve()).then(work)
    const forget = () => {
      if (this.#lines.get(key) === over) this.#lines.delete(key)
    }
    const over: Promise<void> = turn.then(forget, forget)
    this.#lines.set(key, over)
    return turn
  }

  async #list(agents: DeviceAgents, after = ''): Promise<AgentList> {
    const all = await agents.list()
    const rest = all
      .filter(({ name }) => name > after)
      .sort((left, right) => (left.name < right.name ? -1 : 1))
    return { agents: rest.slice(0, agentPageMax).map(viewOf), more: rest.length > agentPageMax }
  }

  async #named(agents: DeviceAgents, ask: Named, signal: AbortSignal): Promise<Result> {
    const { name } = ask
    const known = await agents.known()
    if (!known) throw new RpcError('not-found', `there is no agent called ${name}`)
    if (ask.ask === 'logs') return { lines: fitting(known.log(name, ask.lines)) }
    if (ask.ask === 'grants') return this.#may(known, name)
    if (ask.ask === 'grant') return await this.#grant(known, ask)
    if (ask.ask === 'move') return await this.#move(ask, signal)
    const { person, require } = await this.#whoever(ask)
    // In an emergency nobody is asked for a PIN, nor sent away with a wrong one.
    if (ask.ask !== 'stop') require()
    // What is begun here by hand the other device is to hear of.
    const here = ask.ask === 'resume' && ask.here === true
    const stored = ask.ask === 'resume' && !here && known.list().find((one) => one.name === name)
    if (stored) refuseNamesake(agents, stored)
    const work = () => (here ? this.#deps.mover.begin(name) : change(known, ask))
    const entry = { ask: ask.ask, agent: name, by: person.shown }
    if (ask.ask === 'stop') return { name, ...(await this.#lessened(entry, work)) }
    const anew = await this.#recorded(here ? { ...entry, here } : entry, work)
    return anew === true ? { name, anew } : { name }
  }

  /**
   * Who asks for what anybody may, also where what they prove it with is wrong; `require` throws PersonError where they may not: with the
   * command that gives it on the device, for a yes.
   */
  async #whoever(
    ask: Changing | GrantAsk | Approve,
  ): Promise<{ person: Person; require: (yes?: string) => void }> {
    try {
      const person = await this.#people.whoIs(ask, signedParts(ask))
      const require = (yes?: string) =>
        yes === undefined ? this.#people.require(person, ask) : this.#people.requireKnown(person, ask, yes)
      return { person, require }
    } catch (error) {
      if (!(error instanceof PersonError)) throw error
      const refuse = () => {
        throw error
      }
      return { person: claimedBy(ask), require: refuse }
    }
  }

  /** On record before it is done, and how it ended. Where the second cannot be recorded the first says so: it has no end. */
  async #recorded<T>(entry: Omit<AuditEntry, 'kind'>, work: () => Promise<T>): Promise<T> {
    await this.#record({ kind: 'asked-for', ...entry }, false)
    return await this.#ended(entry, work)
  }

  /** The same of what makes an agent do less: it is done in any case. */
  async #lessened(entry: Omit<AuditEntry, 'kind'>, work: () => Promise<unknown>): Promise<Unrecorded> {
    const unrecorded = await this.#record({ kind: 'asked-for', ...entry }, true)
    await this.#ended(entry, work)
    return unrecorded
  }

  /** Throws RpcError where it cannot be recorded, and more than less is asked for. */
  async #record(entry: AuditEntry, isLess: boolean): Promise<Unrecorded> {
    const { audit, log } = this.#deps
    try {
      await audit.record(entry)
      return {}
    } catch (error) {
      if (!isLess) throw refusedUnrecorded(error)
      const reason = messageOf(error)
      const { kind, ask = kind, agent = '' } = entry
      log.error('done, and not on record: the audit log cannot be written', { ask, agent, reason })
      return { unrecorded: oneLine(`the audit log cannot be written (${reason}); ${roomHint}`) }
    }
  }

  async #ended<T>(entry: Omit<AuditEntry, 'kind'>, work: () => Promise<T>): Promise<T> {
    const { audit, log } = this.#deps
    let outcome = 'ok'
    try {
      return await work()
    } catch (error) {
      outcome = error instanceof CodedError ? error.code : 'failed'
      throw error
    } finally {
      const { ask = '', agent = '' } = entry
      await audit
        .record({ kind: 'done', ask, agent, outcome })
        .catch((error) => log.error('the audit log cannot be written', { reason: messageOf(error) }))
    }
  }

  /** What was begun is brought to its end, also where nobody waits for it any more. */
  async #move(ask: Move, signal: AbortSignal): Promise<AgentMoved> {
    const { name, to } = ask
    const person = await this.#people.whoIs(ask, signedParts(ask))
    this.#people.require(person, ask)
    signal.throwIfAborted()
    const entry = { ask: ask.ask, agent: name, to, by: person.shown }
    const { bytes, pending } = await this.#recorded(entry, () => this.#deps.mover.move(name, to, person))
    return { name, device: to, bytes, pending }
  }

  #may(known: Agents, name: string): AgentMay {
    const { wants, grants, priority } = this.#installed(known, name)
    const wanted = grantsOfWants(wants)
    const lines = linesOf(grants, effective(this.#deps.agents.policy, wanted))
    return { name, wants: printGrants(wanted), grants: printGrants(grants), lines, priority }
  }

  #installed(known: Agents, name: string) {
    const { bundle, grants } = known.installed(name)
    const { manifest } = openBundle(bundle, this.#deps.identity)
    const { policy } = this.#deps.agents
    const holding = effective(policy, parseGrants(grants))
    const priority = priorityOf(manifest.priority ?? 'background', holding, policy)
    return { wants: wantsOf(manifest), grants: holding, priority }
  }

  async #grant(known: Agents, ask: GrantAsk): Promise<AgentMay> {
    const { name, beyond = false } = ask
    const { person, require } = await this.#whoever(ask)
    return await this.#inLine(`agent ${name}`, async () => {
      const { wants, grants } = this.#installed(known, name)
      const after = changed(grants, wants, ask)
      refuseNever(this.#deps.agents.policy, after)
      const isLess = narrows(grants, after)
      if (!isLess) require()
      const text = printGrants(after)
      const entry = { ask: ask.ask, agent: name, grants: JSON.parse(text), by: person.shown }
      const work = () => known.grant(name, text)
      if (isLess)
        return {
          ...(await this.#lessened(entry, () => work().catch(orStop(name)))),
          ...this.#may(known, name),
        }
      await this.#recorded(beyond ? { ...entry, beyond } : entry, work)
      return this.#may(known, name)
    })
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

  async #install(agents: DeviceAgents, ask: Run, signal: AbortSignal): Promise<AgentDone> {
    const { clock, log, identity } = this.#deps
    const text = ask.bundle ?? (await this.#fetched(ask.ticket, signal))
    const asked = ask.grants === undefined ? undefined : parseGrants(ask.grants)
    await using pool = new MachinePool({ clock, log }, { threadsMax: 1 })
    const content = await readContent(pool, text)
    const wants = wantsOf(content.manifest)
    const granted = asked ?? this.#byPolicy(agents, wants)
    refuseWider(granted, wants)
    refuseNever(agents.policy, granted)
    const person = await this.#people.whoIs(ask, signedParts(ask, text))
    const before = (await agents.known())?.list().find(({ name }) => name === content.manifest.name)
    // It takes the place, and the memory, of another program of its name; or begins what somebody has stopped.
    const instead = before !== undefined && (before.program !== content.hash || before.state !== 'ended')
    // Without a person: what the policy grants holds only as long as it does.
    if (instead || asked) this.#people.require(person, ask)
    signal.throwIfAborted()
    const bundle = sealed(content, identity)
    const grants = printGrants(granted)
    const known = await agents.get()
    const { record = this.#config.agents.record.all } = ask
    refuseNamesake(agents, { name: bundle.name })
    const what = { agent: bundle.name, program: bundle.hash, grants: JSON.parse(grants), record }
    await this.#inLine(`agent ${bundle.name}`, () =>
      this.#recorded({ ask: 'run', ...what, by: person.shown }, () =>
        known.run({ ...bundle, restartsMax: agents.restartsMax(bundle.name) }, grants, ask),
      ),
    )
    return { name: bundle.name, program: bundle.hash, grants }
  }

  #byPolicy({ policy }: DeviceAgents, wants: readonly Want[]): readonly Grant[] {
    const wanted = grantsOfWants(wants)
    const { granted } = grantedBy(policy, wanted)
    if (granted.length === 0 && wanted.length > 0)
      throw new RpcError('bad-request', 'the policy of this device grants nothing of what the agent wants')
    return granted
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

/** Of a name there is one agent in a home: another that runs is in the way [names-1]. */
function refuseNamesake(agents: DeviceAgents, agent: { readonly name: string; readonly startedMs?: number }) {
  const device = agents.namesake(agent)
  if (device === undefined) return
  const line = `an agent called ${agent.name} runs on ${device}, and a home has one of a name: stop that one`
  // What was begun keeps its name.
  const hint = agent.startedMs === undefined ? ', or run this one under another name with --as' : ' first'
  throw new RpcError('bad-request', `${line}${hint}`)
}

/** What it asks for, and may be granted. To be served before people is never part of "all": it is named. */
function wantsOf({ wants = [], priority }: Manifest): readonly Want[] {
  return priority === 'control' ? [...wants, 'priority:control'] : wants
}

/** Settles with `true` where it was resumed and began anew. */
function change(known: Agents, asked: Changing): Promise<unknown> {
  const { ask, name } = asked
  if (ask === 'stop') return known.stop(name)
  return ask === 'resume' ? known.resume(name, asked) : known.remove(name)
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
  problem,
}: AgentStatus): AgentView => ({
  ...{ name, state, token, startedMs, program, turns, inMemory },
  ...(reason === undefined || reason === '' ? {} : { reason: oneLine(reason) }),
  ...(problem === undefined ? {} : { problem: oneLine(problem) }),
  waiting: Object.entries(Object.groupBy(waiting, (op) => op)).map(([op, all]) => ({
    op,
    count: all?.length ?? 0,
  })),
})

const oneLine = (text: string) => {
  const [first = ''] = text.split('\n')
  return first.length > 300 ? `${first.slice(0, 299)}…` : first
}

/** What it may do, and what of its wants it may not: as far as that fits. */
function linesOf(grants: readonly Grant[], wanted: readonly Grant[]): NonNullable<AgentMay['lines']> {
  const lineOf = (grant: Grant) => {
    const words = plainWords(grant)
    const cut = words.length > 400 ? `${words.slice(0, 399)}…` : words
    return { capability: printCapability(grant.capability), words: cut }
  }
  const missing = wanted.filter((want) => !grants.some((grant) => isWithin(want, grant)))
  const lines = [
    ...grants.map(lineOf),
    ...missing.map((want) => ({ ...lineOf(want), allow: printGrants([want]) })),
  ]
  return lines.slice(0, agentMayLinesMax)
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
  if (error instanceof PersonError) return new RpcError('forbidden', error.message, { cause: error })
  if (error instanceof HttpError)
    return new RpcError('unavailable', `the bundle could not be fetched: ${error.message}`, { cause: error })
  if (error.retryable) return new RpcError('unavailable', error.message, { cause: error })
  const code = error.name === 'AgentError' ? (error as AgentError).code : undefined
  return new RpcError(code === 'not-found' ? 'not-found' : 'bad-request', error.message, { cause: error })
}
