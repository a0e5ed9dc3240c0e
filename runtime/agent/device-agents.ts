/**
 * The agents of a device, opened when there is one: a device without agents starts no thread, reads no engine, keeps no database and
 * loads next to no code for them.
 *
 * Invariants: [agents-5] nothing is opened before an agent is installed or one was left on the disk.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../base/clock.ts'
import { messageOf, UsageError } from '../base/errors.ts'
import type { Identity } from '../base/identity.ts'
import type { Log } from '../base/log.ts'
import type { DeviceConfig } from '../config/config.ts'
import { readPolicy } from '../config/policy.ts'
import type { DeviceAudit } from '../observe/device-audit.ts'
import type { AgentsNow } from '../wire/agents-now.ts'
import type { Priority } from '../wire/infer.ts'
import type { TopResult } from '../wire/top.ts'
import type { AgentStatus, Agents, AgentsDeps } from './agents.ts'
import type { AgentsTold } from './agents-told.ts'
import type { CallsAcross } from './calling/across.ts'
import type { Calling, CallingDeps, Handed, HostCall } from './calling/calling.service.ts'
import { agentContractor, mayDecide } from './decide/contractor.ts'
import type { Contractor } from './decide/decisions.ts'
import type { Approvals } from './permissions/approvals.ts'
import { describeCapability } from './permissions/capability.ts'
import { DevicePermissions, type DevicePermissionsDeps } from './permissions/device-permissions.ts'
import { parseGrants } from './permissions/grant.ts'
import { isStillGranted } from './permissions/judge.ts'
import { effective, type Policy, touchesNever } from './permissions/policy.ts'
import { Recordings, recordingsIn } from './replay/recordings.ts'
import { schedulerOf } from './scheduler/device-resources.ts'
import type { DeviceSchedule } from './scheduler/device-schedule.ts'
import type { Scheduler } from './scheduler/scheduler.ts'
import { hostName, type Service } from './service.ts'
import { agentsFile, agentsIn } from './store/agents-dir.ts'
import type { ChatModels } from './think/chat.ts'
import type { Namesakes } from './together/namesakes.ts'
import { topOf } from './top.ts'

const mib = 1024 * 1024

/** How much went. */
export interface Forgotten {
  readonly erased: number
  readonly runs: number
}

/** What became of a call of this device to one of its agents. */
export type HandedHere =
  /** No agent of this name is this device's to ask: none is installed, or a person stopped it. */
  | { readonly taken: false; readonly installed: false }
  /** There is one, and it did not take it: in one line why. */
  | { readonly taken: false; readonly installed: true; readonly why: string }
  | Extract<Handed, { readonly taken: true }>

export interface DeviceAgentsDeps {
  readonly clock: Clock
  readonly log: Log
  readonly identity: Identity
  readonly audit: Pick<DeviceAudit, 'get'>
  readonly services: readonly Service[]
  /** Who has what agents share, on a device where others wait there too; absent: its own. */
  readonly scheduler?: Scheduler
  /** The agent here that holds a lease of the site; absent: this device is of none. */
  readonly leaseHolder?: (lease: string) => string | undefined
  /** Calls to and from agents of other devices. */
  readonly across?: CallsAcross | undefined
  /** Agents of the others of the site; absent: this device is of none. */
  readonly namesakes?: Pick<Namesakes, 'marked' | 'where'> | undefined
  /** What this device answers an agent that calls it. */
  readonly home?: CallingDeps['home']
  /** The device's router. */
  readonly models: ChatModels
  /** Tells people what waits for their yes. Never throws. */
  readonly publishApproval: DevicePermissionsDeps['publish']
  /** Keeps what the site is told of the agents; nothing: there are none. Throws where it cannot. */
  readonly publishAgents: (now: AgentsNow | undefined) => void
  /** Told when something was done with an agent, or one has come to its end. */
  readonly changed?: () => void
}

export class DeviceAgents implements AsyncDisposable {
  /** Does tasks of other devices, where an agent here does such. */
  readonly contractor: Contractor = {
    offer: async (...asked) => {
      await this.known()
      return await this.#contractor?.offer(...asked)
    },
  }
  readonly #deps: DeviceAgentsDeps
  readonly #config: DeviceConfig
  readonly #scheduler: Scheduler
  readonly #stop = new AbortController()
  readonly #priorities = new Map<string, Priority>()
  #agents: Promise<Agents> | undefined
  #running: Agents | undefined
  #contractor: Contractor | undefined
  #schedule: DeviceSchedule | undefined
  #permissions: DevicePermissions | undefined
  #told: AgentsTold | undefined
  #policy: Policy
  #parts: AsyncDisposable | undefined
  #calling: Pick<Calling, 'hand'> | undefined
  #forget: ((about: string) => Promise<Forgotten>) | undefined

  /** Agents that were running when the device ended go on. Throws UsageError for a policy that cannot be read. */
  static async open(
    deps: DeviceAgentsDeps,
    config: DeviceConfig,
    signal: AbortSignal,
  ): Promise<DeviceAgents> {
    signal.throwIfAborted()
    const agents = new DeviceAgents(deps, config, readPolicy(config.agents.policy))
    if (existsSync(join(agents.#directory, agentsFile)))
      // A device whose agents cannot be read is still a device.
      await agents.get().catch((error) => {
        signal.throwIfAborted()
        deps.log.error('no agent runs', { reason: messageOf(error) })
      })
    else deps.publishAgents(undefined)
    deps.across?.opened()
    return agents
  }

  private constructor(deps: DeviceAgentsDeps, config: DeviceConfig, policy: Policy) {
    this.#policy = policy
    this.#deps = deps
    this.#config = config
    this.#scheduler = deps.scheduler ?? schedulerOf(deps.clock, config.agents)
  }

  get policy(): Policy {
    return this.#policy
  }

  /** Reads the policy's file anew; says against how many agents it was held. Throws UsageError, or where it cannot be recorded: the old one holds. */
  async readPolicy(): Promise<number> {
    const { policy } = this.#config.agents
    if (typeof policy !== 'string')
      throw new UsageError(
        policy
          ? 'the policy of this device is in its configuration, which is read when it starts'
          : 'this device has no policy: device.agents.policy names its file',
      )
    const next = readPolicy(policy)
    const agents = await this.known()
    if (this.#permissions) this.#permissions.permissions.policy = next
    this.#policy = next
    if (!agents) return 0
    const all = agents.list()
    for (const { name } of all) agents.reconsider(name)
    this.#told?.changed()
    return all.length
  }

  /** The agents of this device, opened if they are not yet. Throws where the disk cannot be used, or the device is stopping. */
  async get(): Promise<Agents> {
    this.#stop.signal.throwIfAborted()
    this.#agents ??= this.#open().catch((error) => {
      this.#agents = undefined
      throw error
    })
    return await this.#agents
  }

  /** The agents where there are any: what asks about agents must not be what brings them here. */
  async known(): Promise<Agents | undefined> {
    return await this.#agents?.catch(() => undefined)
  }

  /** How all of them are. */
  async list(): Promise<AgentStatus[]> {
    return this.#marked((await this.known())?.list() ?? [])
  }

  /** The device of the site on which another agent of this name runs; `startedMs`: of the one that is none other. */
  namesake(agent: { readonly name: string; readonly startedMs?: number }): string | undefined {
    return this.#deps.namesakes?.where(agent)
  }

  /** Whether an agent of this name runs here; until they are known, one that is asked for may be on its way. */
  runs(agent: string): boolean {
    return this.#running?.runs(agent) ?? true
  }

  /** Whether an agent here may decide about this subject. */
  decidesOn(subject: string): boolean {
    const running = this.#running?.list().filter(({ state }) => state === 'running')
    // Until they are known, there may be one.
    return running ? running.some(({ grants }) => mayDecide(grants, subject)) : this.#agents !== undefined
  }

  /** How often in an hour an agent of this name begins anew that failed, where it is run here. */
  restartsMax(agent: string): number {
    const { byName, restartsPerHour } = this.#config.agents
    return byName[agent]?.restartsPerHour ?? restartsPerHour
  }

  /** An agent, or a copy of it, was sent to another device: as people or the configuration said, so it is off no quota of the agent. */
  carried(agent: string, bytes: number): void {
    this.#schedule?.accounts.note(agent, { bytes })
  }

  /** What agents use and wait for now. */
  async top(): Promise<TopResult> {
    const agents = await this.known()
    const scheduler = this.#scheduler
    return topOf({
      agents: agents?.list() ?? [],
      usage: this.#schedule?.accounts.report() ?? [],
      loads: agents ? scheduler.loads() : [],
      priorityOf: this.#priorityOf,
      waitsOf: (agent) => scheduler.waitsOf(agent),
    })
  }

  /** What waits for a person's yes; absent where no agent is. */
  async approvals(): Promise<Approvals | undefined> {
    await this.known()
    return this.#permissions?.approvals
  }

  /** Hands a call of this device to one of its agents. Never throws. */
  async hand(call: HostCall, signal: AbortSignal): Promise<HandedHere> {
    const agents = await this.known()
    if (!agents) return { taken: false, installed: false }
    const deaf = this.#whyDeaf(call.to, agents.grantsOf(call.to))
    const handed = deaf === undefined ? await this.#calling?.hand(call, signal) : undefined
    if (handed?.taken) return handed
    if (this.#stop.signal.aborted) return { taken: false, installed: true, why: 'the device is stopping' }
    const status = agents.list().find(({ name }) => name === call.to)
    if (!status || notHere.has(status.state)) return { taken: false, installed: false }
    return { taken: false, installed: true, why: deaf ?? whyNotTaken(status) }
  }

  /** Erases what agents remember about a person, and all recorded runs: nobody knows whom those name. */
  async forget(about: string): Promise<Forgotten> {
    await this.known()
    const went = (await this.#forget?.(about)) ?? { erased: 0, runs: 0 }
    // Others that have copies are to have what is left.
    this.#deps.changed?.()
    return went
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('the device is stopping'))
    this.#deps.across?.[Symbol.dispose]()
    const agents = await this.#agents?.catch(() => undefined)
    await agents?.[Symbol.asyncDispose]()
    await this.#parts?.[Symbol.asyncDispose]()
  }

  get #directory(): string {
    return agentsIn(this.#config.stateDir)
  }

  async #open(): Promise<Agents> {
    const { clock, log, identity, services, models, publishAgents, across, home } = this.#deps
    const { leaseHolder = () => undefined } = this.#deps
    const { agents } = this.#config
    const { signal } = this.#stop
    const code = await import('./device-parts.ts')
    const shared = { directory: this.#directory, ...agents }
    await using parts = new AsyncDisposableStack()
    const schedule = parts.use(
      await code.openSchedule(
        {
          ...{ clock, log, leaseHolder, own: identity.device },
          ...{ scheduler: this.#scheduler, priorityOf: this.#priorityOf },
        },
        shared,
        signal,
      ),
    )
    let running: Agents | undefined
    const read = () =>
      running && {
        agents: this.#marked(running.list()),
        approvals: this.#permissions?.approvals.waiting() ?? [],
        policy: this.#policy,
      }
    const told = parts.use(new code.AgentsTold({ clock, log, read, publish: publishAgents }))
    let performing: readonly Service[] = []
    const refuses: DevicePermissionsDeps['refuses'] = async (call, left) =>
      performing.find(({ ops }) => ops.includes(call.op))?.refuses?.(call, left)
    const kept = parts.use(await this.#openPermissions(refuses, told.changed, signal))
    const ready = Promise.withResolvers<Agents>()
    const toolServers = parts.use(new code.ToolServers({ clock, log }, agents.mcp))
    const mind = parts.use(
      await code.openMind(
        {
          ...{ clock, log, models, across, home, outside: toolServers },
          perform: async (...asked) => (await ready.promise).performFor(...asked),
          // Before they all are: whoever is called may still be on its way.
          runs: (agent) => running?.runs(agent) ?? true,
        },
        this.#directory,
      ),
    )
    const recordings = this.#recordings()
    performing = [
      ...services,
      ...mind.services,
      toolServers.service,
      code.askService({ clock, approvals: kept.approvals }),
    ]
    const deps: AgentsDeps = {
      ...{ clock, log, identity, turns: told.after(schedule.turns) },
      services: schedule.scheduled(performing),
      belongings: { ...mind, adopt: (bytes) => code.adopted(bytes, identity) },
      recordings,
      removed: (agent) => mind.remove(agent),
      changed: () => {
        told.changed()
        this.#deps.changed?.()
      },
      revoked: kept.permissions.revoked,
      decide: (...asked) => kept.permissions.decide(...asked),
      programOf: (bytes) => {
        const { name, manifest, program } = code.openBundle(bytes, identity)
        this.#priorities.set(name, manifest.priority ?? 'background')
        return program
      },
    }
    const options = {
      directory: this.#directory,
      threadsMax: agents.threads,
      agentsMax: agents.max,
      bytesMax: agents.megabytesMax * mib,
    }
    const opened = await code.Agents.open(deps, options, signal)
    running = opened
    ready.resolve(opened)
    told.changed()
    this.#running = opened
    const calling = mind.services.find(({ ops }) => ops.includes('call'))
    this.#contractor = calling && agentContractor({ clock, agents: () => opened.list(), calling })
    this.#schedule = schedule
    this.#permissions = kept
    this.#told = told
    this.#calling = mind.calling
    this.#parts = parts.move()
    this.#forget = async (about) => {
      let runs = 0
      const own = async () => {
        runs = await recordings.forgetAll()
        return await mind.forget(about)
      }
      return { erased: await opened.moves.copies.forget(about, own), runs }
    }
    return opened
  }

  /** What is said of the home is for those alone that somebody let hear it: why this one is not told; undefined: it is. */
  #whyDeaf(agent: string, grants: string): string | undefined {
    const hearing = { kind: 'agent', pattern: hostName } as const
    if (touchesNever(this.policy, hearing))
      return `the policy of this device lets no agent ${describeCapability(hearing)}`
    const asked = { op: 'call', args: { agent: hostName } } as const
    const hears = grants !== '' && isStillGranted(asked, effective(this.policy, parseGrants(grants)))
    return hears ? undefined : lacks(agent)
  }

  #marked(agents: AgentStatus[]): AgentStatus[] {
    return this.#deps.namesakes?.marked(agents) ?? agents
  }

  #recordings(): Recordings {
    const { all, megabytesMax, megabytesOfRunMax } = this.#config.agents.record
    return new Recordings(
      { log: this.#deps.log },
      {
        all,
        directory: recordingsIn(this.#directory),
        bytesMax: megabytesMax * mib,
        runBytesMax: megabytesOfRunMax * mib,
      },
    )
  }

  #openPermissions(
    refuses: DevicePermissionsDeps['refuses'],
    changed: () => void,
    signal: AbortSignal,
  ): Promise<DevicePermissions> {
    const { clock, log, audit, publishApproval } = this.#deps
    const publish: typeof publishApproval = (event) => {
      publishApproval(event)
      changed()
    }
    const timezone = Intl.DateTimeFormat().resolvedOptions().timeZone
    const options = { directory: this.#directory, timezone, policy: this.policy }
    return DevicePermissions.open({ clock, log, audit, publish, refuses }, options, signal)
  }

  /** As it asks for, as far as it was granted. */
  readonly #priorityOf = (agent: string): Priority => {
    const asked = this.#priorities.get(agent) ?? 'background'
    const grants = this.#running?.grantsOf(agent) ?? ''
    return this.#permissions?.permissions.priorityOf(asked, grants) ?? 'background'
  }
}

/** States in which a person's word took an agent from this device, or it is not yet this device's. */
const notHere: ReadonlySet<string> = new Set(['stopped', 'moved', 'arriving', 'standby'])

const lacks = (agent: string) =>
  `${agent} lacks the grant agent:${hostName}: "ganglion agent grant ${agent} --allow agent:${hostName}" gives it`

function whyNotTaken({ name, state, reason, problem }: AgentStatus): string {
  const [line = ''] = (reason ?? problem ?? '').split('\n')
  const because = line === '' ? '' : `: ${line}`
  if (state === 'running') return `${name} did not take it${because}`
  if (state === 'moving') return `${name} is on its way${because}`
  const mend = state === 'failed' ? `resume ${name}" lets it go on` : `run ${name}" begins it anew`
  return `${name} has ${state}${because}; "ganglion agent ${mend}, "ganglion agent remove ${name}" does without`
}
