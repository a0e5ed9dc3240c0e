/**
 * The agents of a device, opened when there is one: a device without agents starts no thread, reads no engine and keeps no
 * database for them.
 *
 * Invariants: [agents-5] nothing is opened before an agent is installed or one was left on the disk.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { Identity } from '../base/identity.ts'
import type { Log } from '../base/log.ts'
import type { DeviceConfig } from '../config/config.ts'
import { Agents, type AgentsDeps } from './agents.ts'
import { openBundle } from './bundle/bundle.ts'
import { TurnQueue } from './life/turn-queue.ts'
import { parseGrants } from './permissions/grant.ts'
import { isStillGranted, judge } from './permissions/judge.ts'
import { failed, type Service } from './service.ts'
import { agentsFile } from './store/agent-store.ts'

export interface DeviceAgentsDeps {
  readonly clock: Clock
  readonly log: Log
  readonly services: readonly Service[]
}

export class DeviceAgents implements AsyncDisposable {
  readonly #deps: DeviceAgentsDeps
  readonly #config: DeviceConfig
  readonly #stop = new AbortController()
  #agents: Promise<Agents> | undefined

  /** Agents that were running when the device ended go on. */
  static async open(
    deps: DeviceAgentsDeps,
    config: DeviceConfig,
    signal: AbortSignal,
  ): Promise<DeviceAgents> {
    signal.throwIfAborted()
    const agents = new DeviceAgents(deps, config)
    if (!existsSync(join(agents.#directory, agentsFile))) return agents
    // A device whose agents cannot be read is still a device.
    await agents.get().catch((error) => {
      signal.throwIfAborted()
      deps.log.error('no agent runs', { reason: messageOf(error) })
    })
    return agents
  }

  private constructor(deps: DeviceAgentsDeps, config: DeviceConfig) {
    this.#deps = deps
    this.#config = config
  }

  /** The agents of this device, opened if they are not yet. Throws where the disk cannot be used, or the device is stopping. */
  async get(): Promise<Agents> {
    this.#stop.signal.throwIfAborted()
    this.#agents ??= this.#open()
    return await this.#agents
  }

  /** The agents where there are any: what asks about agents must not be what brings them here. */
  async known(): Promise<Agents | undefined> {
    return await this.#agents?.catch(() => undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('the device is stopping'))
    const agents = await this.#agents?.catch(() => undefined)
    await agents?.[Symbol.asyncDispose]()
  }

  get #directory(): string {
    return join(this.#config.stateDir, 'agents')
  }

  async #open(): Promise<Agents> {
    const { clock, log, services } = this.#deps
    const { id, stateDir, agents } = this.#config
    const identity = Identity.open(id, stateDir)
    const deps: AgentsDeps = {
      ...{ clock, log, identity, services, revoked },
      decide: decideWith(clock, Intl.DateTimeFormat().resolvedOptions().timeZone),
      programOf: (bundle) => openBundle(bundle, identity).program,
      turns: new TurnQueue(agents.threads),
    }
    const options = {
      directory: this.#directory,
      threadsMax: agents.threads,
      agentsMax: agents.max,
      bytesMax: agents.megabytesMax * 1024 * 1024,
    }
    try {
      return await Agents.open(deps, options, this.#stop.signal)
    } catch (error) {
      this.#agents = undefined
      throw error
    }
  }
}

const revoked: AgentsDeps['revoked'] = (caller, call, grants) =>
  isStillGranted(call, parseGrants(grants))
    ? undefined
    : failed('permission', `${caller.agent} was not granted ${call.op}`)

/** Nobody is asked and nothing is counted here: a grant that needs either allows nothing. */
const decideWith =
  (clock: Clock, timezone: string): AgentsDeps['decide'] =>
  async (_caller, call, grants) => {
    const said = judge(call, parseGrants(grants), { nowMs: clock.nowMs(), timezone, used: () => [] })
    if (said.verdict === 'deny') return { allow: false, outcome: failed(said.code, said.reason) }
    if (said.verdict === 'allow' && said.grant?.limits.rate === undefined) return { allow: true }
    return { allow: false, outcome: failed('permission', 'nobody can be asked here') }
  }
