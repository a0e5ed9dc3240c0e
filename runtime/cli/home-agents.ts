/**
 * The agents that `up` begins in a simulated home: on each device that heats a room the shipped `comfort`, with all that it wants. What
 * one of them looks after and what it was granted is said on the screen, and stands in the audit log of its device.
 *
 * Invariants: [home-agents-1] on a device it is begun once: what a person stopped, removed or moved since is left so, until the state of
 * that device is new. [home-agents-2] Nothing is begun under a name that is taken, nor where a comfort agent is. [home-agents-3] A device that refuses is
 * told and leaves the hub running; the next start asks it again. [home-agents-4] They belong to the home that they were begun for: where a device has no
 * room to heat its own is stopped, until a start of that home or a person lets it go on.
 */
import { userInfo } from 'node:os'
import { fileURLToPath } from 'node:url'
import { plainWords } from '../agent/bundle/plain-words.ts'
import { grantsOfWants, printGrants } from '../agent/permissions/grant.ts'
import comfort from '../agents/comfort.agent.ts'
import { shippedAgents } from '../agents/index.ts'
import { realClock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { Identity } from '../base/identity.ts'
import { type AgentDone, type AgentView, signedParts } from '../wire/agents.ts'
import type { EntitiesAnswer } from '../wire/http.ts'
import { localBytes, type PersonParams } from '../wire/person.ts'
import { agentsPath } from './agent-device.ts'
import { readAgent } from './commands/agent-source.ts'
import { mark, markIn } from './home-agents-mark.ts'
import type { HubClient } from './hub-client.ts'
import { poll } from './poll.ts'

/** A device, and where it keeps its state. */
interface Place {
  readonly id: string
  readonly keeps: string
}

export interface HomeAgent {
  readonly device: string
  readonly name: string
  /** `resumed`: it goes on after a start without its home. */
  readonly did: 'begun' | 'resumed' | 'left' | 'failed'
  /** How one that was left is, or why one could not be begun. */
  readonly why?: string
}

interface Deps {
  readonly hub: HubClient
  readonly signal: AbortSignal
  /** What is being done, for whoever waits. */
  readonly progress: (line: string) => void
}

const callMsMax = 45_000
const knownMsMax = 15_000

/** What each of them is granted, in plain words. */
export const homeAgentMay = (): readonly string[] => wanted.map(plainWords)

const wanted = grantsOfWants(comfort.wants ?? [])
const file = shippedAgents.find(({ definition }) => definition === comfort)?.file as URL

/** Throws the signal's reason, and where the shipped program cannot be read; whatever else goes wrong is told of its agent. */
export async function beginHomeAgents(devices: readonly Place[], deps: Deps): Promise<readonly HomeAgent[]> {
  const nameOn = (place: Place) => nameAt(devices.indexOf(place))
  const heated = await heating(devices, deps).catch((error) => {
    deps.signal.throwIfAborted()
    return messageOf(error)
  })
  if (typeof heated === 'string')
    return devices.map((place) => ({ device: place.id, name: nameOn(place), did: 'failed', why: heated }))
  const agents = new Map<string, readonly AgentView[] | string>()
  for (const { id } of heated) agents.set(id, await agentsOf(id, deps))
  const looked = heated.map((place) => {
    const name = nameOn(place)
    return { place, name, before: lookedAt(place, name, agents) }
  })
  const done: Promise<HomeAgent>[] = []
  for (const { place, name, before } of looked) {
    if (before?.why === 'stopped' && markIn(place.keeps) === 'held') {
      done.push(resume(place, name, deps))
      continue
    }
    if (before) {
      if (before.did === 'left') mark(place.keeps, 'begun')
      done.push(Promise.resolve(before))
      continue
    }
    deps.progress(`  ${name} begins on ${place.id}`)
    // One after the other: each program is read in a thread of its own. The devices look at theirs meanwhile.
    const content = await readAgent(fileURLToPath(file), name)
    deps.signal.throwIfAborted()
    done.push(begin(place, name, content.text, deps))
  }
  const begun = await Promise.all(done)
  deps.signal.throwIfAborted()
  return begun
}

/**
 * Stops those that a start before this one began and whose rooms are not here, and names them, also where that was done before. One that
 * a person let go on since then is left. A device that does not answer is asked by the next start.
 */
export async function holdHomeAgents(
  devices: readonly Place[],
  { hub, signal }: Omit<Deps, 'progress'>,
): Promise<readonly Pick<HomeAgent, 'device' | 'name'>[]> {
  const held: Pick<HomeAgent, 'device' | 'name'>[] = []
  try {
    const heated = await heating(devices, { hub, signal })
    for (const [at, place] of devices.entries()) {
      const { id: device, keeps } = place
      const before = markIn(keeps)
      if (before === undefined || heated.includes(place)) continue
      const name = nameAt(at)
      const agents = await agentsOf(device, { hub, signal })
      const state = typeof agents === 'string' ? undefined : agents.find((one) => one.name === name)?.state
      if (before === 'begun' && state === 'running') {
        const person = byThisStart(device, keeps, signedParts({ ask: 'stop', name }))
        await hub.post<AgentDone>(`${agentsPath(device)}/${name}/stop`, person, callMsMax)
        mark(keeps, 'held')
      }
      if (markIn(keeps) === 'held' && (before === 'begun' || state === 'stopped')) held.push({ device, name })
    }
  } catch {
    signal.throwIfAborted()
  }
  return held
}

const nameAt = (at: number) => `${comfort.name}-${at + 1}`

/** Never rejects, as `begin`. */
async function resume({ id: device, keeps }: Place, name: string, { hub }: Deps): Promise<HomeAgent> {
  try {
    const person = byThisStart(device, keeps, signedParts({ ask: 'resume', name }))
    await hub.post<AgentDone>(`${agentsPath(device)}/${name}/resume`, person, callMsMax)
    mark(keeps, 'begun')
    return { device, name, did: 'resumed' }
  } catch (error) {
    return { device, name, did: 'failed', why: messageOf(error) }
  }
}

/** Those that heat a room, once the gateway knows what they have. */
async function heating(
  devices: readonly Place[],
  { hub, signal }: Omit<Deps, 'progress'>,
): Promise<readonly Place[]> {
  const { entities } = await poll(
    realClock,
    { everyMs: 50, limitMs: knownMsMax },
    () => hub.get<EntitiesAnswer>('/api/entities'),
    (answer) => devices.every(({ id }) => answer.devices.some((one) => one.id === id && one.home)),
    signal,
  )
  return devices.filter(({ id }) =>
    entities.some((entity) => entity.device === id && /^valve\..+_heating$/.test(entity.id)),
  )
}

/** Or why it does not say. */
async function agentsOf(
  device: string,
  { hub, signal }: Omit<Deps, 'progress'>,
): Promise<readonly AgentView[] | string> {
  try {
    return (await hub.get<{ agents: AgentView[] }>(agentsPath(device), callMsMax)).agents
  } catch (error) {
    signal.throwIfAborted()
    return messageOf(error)
  }
}

/** Why nothing is to be begun; undefined: it is. */
function lookedAt(
  { id: device, keeps }: Place,
  name: string,
  agents: ReadonlyMap<string, readonly AgentView[] | string>,
): HomeAgent | undefined {
  const here = agents.get(device) ?? []
  if (typeof here === 'string') return { device, name, did: 'failed', why: here }
  const left = (why: string): HomeAgent => ({ device, name, did: 'left', why })
  const own = here.find((one) => one.name === name)
  if (own) return left(own.state)
  for (const [other, list] of agents)
    if (typeof list !== 'string' && list.some((one) => one.name === name)) return left(`on ${other}`)
  const another = here.find((one) => one.name === comfort.name || one.name.startsWith(`${comfort.name}-`))
  if (another) return left(`${another.name} is there, ${another.state}`)
  return markIn(keeps) ? left('removed') : undefined
}

/** Never rejects: nobody waits for it while the next program is read. */
async function begin(place: Place, name: string, bundle: string, { hub }: Deps): Promise<HomeAgent> {
  const { id: device, keeps: dir } = place
  try {
    const grants = printGrants(wanted)
    const what = signedParts({ ask: 'run', grants }, bundle)
    const person = byThisStart(device, dir, what)
    await hub.post<AgentDone>(agentsPath(device), { bundle, grants, ...person }, callMsMax)
    mark(dir, 'begun')
    return { device, name, did: 'begun' }
  } catch (error) {
    return { device, name, did: 'failed', why: messageOf(error) }
  }
}

/** On record: whoever is logged in here, by this command; proven, as it reads the device's own key. */
function byThisStart(device: string, dir: string, what: readonly string[]): PersonParams {
  const by = `${userInfo().username} (ganglion up)`
  const atMs = realClock.nowMs()
  const sig = Identity.open(device, dir)
    .sign(localBytes(device, by, atMs, what))
    .toString('base64')
  return { by, local: { atMs, sig } }
}
