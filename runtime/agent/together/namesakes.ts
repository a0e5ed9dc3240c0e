/**
 * Which agents run on the other devices of the site, as those tell. Nobody signs that, so it is a reason to ask for another name, or not to
 * begin a copy, and no more: who may write to the broker can keep an agent of a dead device from going on, and makes none run twice. Agents of
 * one name that were begun on two devices are kept apart by where they run (`name@device`) and by their lineage.
 *
 * Invariants: [names-1] of one name no second agent is begun while another is known to run on a device that is there; [names-2] where
 * two are, as each was begun out of the other's sight, both devices say so; [names-3] what is carried to another device is no other agent;
 * [names-5] a copy is not begun where the agent itself is told to run on a third device;
 * [names-4] at rest what others tell is kept as it came, one message of each device that is believed.
 */
import * as v from 'valibot'
import type { Cancel } from '../../base/clock.ts'
import type { Bus } from '../../link/bus.ts'
import { agentStates } from '../../wire/agents.ts'
import { agentsNowLimits } from '../../wire/agents-now.ts'
import { parseJson } from '../../wire/messages.ts'
import type { AgentStatus } from '../agents.ts'
import type { Peers } from './peers.ts'

/** Each device that is spoken to has its own. */
const ofEachDevice = 'assistant'
/** As many devices as are believed, and some that will be. */
const devicesMax = 128
const runs: ReadonlySet<string> = new Set(['running', 'moving', 'arriving'])

/** Of what is told, what is needed. */
const toldAgents = v.object({
  agents: v.pipe(
    v.array(v.object({ name: v.string(), state: v.picklist(agentStates), startedMs: v.number() })),
    v.maxLength(agentsNowLimits.agentsMax),
  ),
})

interface Told {
  /** Until somebody asks. */
  payload: Uint8Array | undefined
  /** When those that run were begun, by name. */
  running: ReadonlyMap<string, number>
}

export class Namesakes implements Disposable {
  readonly #own: string
  readonly #peers: Pick<Peers, 'known' | 'away'>
  readonly #told = new Map<string, Told>()
  readonly #cancel: Cancel

  constructor({
    bus,
    peers,
    own,
  }: {
    readonly bus: Bus
    readonly peers: Pick<Peers, 'known' | 'away'>
    readonly own: string
  }) {
    this.#own = own
    this.#peers = peers
    this.#cancel = bus.subscribe(bus.topics.agents('+'), ({ topic, payload }) => {
      const [device = ''] = bus.topics.levels(topic) ?? []
      return this.#take(device, payload)
    })
  }

  /** The device, of those that are there, on which another agent of this name runs; `startedMs`: of the one that is none other. */
  where({ name, startedMs }: { readonly name: string; readonly startedMs?: number }): string | undefined {
    if (name === ofEachDevice) return undefined
    const { known, away } = this.#peers
    return known.find((device) => {
      const begunMs = away.has(device) ? undefined : this.#runningOn(device).get(name)
      return begunMs !== undefined && begunMs !== startedMs
    })
  }

  /** The device, of those that are there but `peer`, on which this very agent runs. */
  runsOn(agent: {
    readonly name: string
    readonly startedMs: number
    readonly peer: string
  }): string | undefined {
    const { known, away } = this.#peers
    const there = known.filter((device) => device !== agent.peer && !away.has(device))
    return there.find((device) => this.#runningOn(device).get(agent.name) === agent.startedMs)
  }

  /** With what is wrong about the names of those that run here. */
  marked(agents: readonly AgentStatus[]): AgentStatus[] {
    return agents.map((agent) => {
      const device = agent.state === 'running' && !agent.problem ? this.where(agent) : undefined
      if (device === undefined) return agent
      const problem = `another agent called ${agent.name} runs on ${device}: remove one, and run it under another name with --as`
      return { ...agent, problem }
    })
  }

  [Symbol.dispose](): void {
    this.#cancel()
  }

  #take(device: string, payload: Uint8Array): string | undefined {
    if (device === this.#own) return undefined
    if (payload.byteLength > agentsNowLimits.bytesMax) return 'it is too large'
    if (payload.byteLength === 0) this.#told.delete(device)
    else if (this.#hasRoom(device))
      this.#told.set(device, { payload: Uint8Array.from(payload), running: new Map() })
    return undefined
  }

  /** Who is believed always has: strangers give way. */
  #hasRoom(device: string): boolean {
    if (this.#told.size < devicesMax || this.#told.has(device)) return true
    const { known } = this.#peers
    const stranger = [...this.#told.keys()].find((one) => !known.includes(one))
    return known.includes(device) && stranger !== undefined && this.#told.delete(stranger)
  }

  #runningOn(device: string): Told['running'] {
    const told = this.#told.get(device)
    if (!told) return new Map()
    if (told.payload) {
      const parsed = parseJson(toldAgents, told.payload, agentsNowLimits.bytesMax)
      const agents = parsed.ok ? parsed.value.agents.filter(({ state }) => runs.has(state)) : []
      told.running = new Map(agents.map(({ name, startedMs }) => [name, startedMs]))
      told.payload = undefined
    }
    return told.running
  }
}
