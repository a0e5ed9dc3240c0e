/**
 * An agent of this device that another is to have, as a move or as a copy: whether it can leave, all of it, and how it goes on here.
 */
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { ImageSeal } from '../life/image-seal.ts'
import type { Recordings } from '../replay/recordings.ts'
import type { AgentStore, StoredAgent } from '../store/agent-store.ts'
import type { Arrival } from '../store/move-store.ts'
import { MoveError, packedLogLines, recordingStays } from './package.ts'

/** What agents that come and go take along, besides what the store has of them. */
export interface Belongings {
  /** The bundle with this device's word instead of the other's. Throws where it was not signed by somebody believed. */
  adopt(bundle: Uint8Array): { readonly name: string; readonly hash: string; readonly bytes: Uint8Array }
  pack(agent: string): Uint8Array
  /** Throws where the bytes are nothing that can be unpacked here. */
  check(agent: string, bytes: Uint8Array): void
  /** The same without what is about a person, and how much that was. */
  without(
    agent: string,
    bytes: Uint8Array,
    person: string,
  ): { readonly bytes: Uint8Array; readonly erased: number }
  /** In place of what is there; it is on the disk when this resolves. */
  unpack(agent: string, bytes: Uint8Array): Promise<void>
}

export interface MovesDeps {
  readonly clock: Clock
  readonly log: Log
  readonly store: AgentStore
  readonly seal: ImageSeal
  readonly belongings: Belongings
  readonly recordings?: Recordings | undefined
  /** SHA-256 of the engine: images run on no other. */
  readonly engine: string
  readonly agentsMax: number
  /** Of copies that are kept for other devices, all together. */
  readonly copyBytesMax: number
  /** One thing after the other for each agent. */
  next<T>(name: string, work: () => Promise<T>): Promise<T>
  /** Stops its life, if it has one, with an image. */
  halt(name: string): Promise<void>
  live(stored: StoredAgent): void
  /** Erases what an agent that is here no more remembers here. Throws StoreError. */
  removed(name: string): Promise<void>
  /** Erases all that is here of one whose removal has begun. Throws StoreError. */
  carryOff(name: string): Promise<void>
}

/** What another device is asked whether it would take. */
export interface Leaving {
  readonly agent: string
  /** A copy is asked for: the agent stays where it is. */
  readonly copy?: boolean | undefined
  readonly engine: string
  readonly bytes: number
  readonly grants: string
  /** Who asked for it on the device that it leaves. */
  readonly by?: string | undefined
  /** Of a copy: all devices that may have one. */
  readonly holders?: string[] | undefined
  /** When it was asked for, on the device that it comes to. */
  readonly epoch?: number | undefined
}

/** Whether that device is to have copies of that agent, as the configuration of this one says now. */
export type MayHold = (device: string, agent: string) => boolean

/** It, where it can leave. Throws MoveError `refused` where it is none that can move. */
export function leavable({ store, engine }: Pick<MovesDeps, 'store' | 'engine'>, name: string): Leaving {
  const stored = store.agent(name)
  if (!stored) throw new MoveError('refused', `there is no agent called ${name}`)
  if (stored.state !== 'running' && stored.state !== 'stopped')
    throw new MoveError('refused', `${name} cannot move: it is ${stored.state}`)
  const bundle = store.program(stored.program)?.byteLength ?? 0
  return { agent: name, engine, bytes: store.imageBytes(name) + bundle, grants: stored.grants }
}

/**
 * All of it is read in one go: the agent may take a turn meanwhile. What was recorded of it goes along up to `recordedMax` bytes, perhaps
 * with turns that it takes then: whoever takes it knows how many there are. Else it stays, and the agent's log says so there.
 */
export async function wholeOf(
  deps: MovesDeps,
  name: string,
  recordedMax: number | undefined,
): Promise<Arrival> {
  const { store, belongings, seal, recordings, clock } = deps
  const { guest, ...agent } = store.agent(name) as StoredAgent
  const bundle = store.program(agent.program)
  const text = store.guest(guest)
  if (!bundle || text === undefined) throw new MoveError('refused', `${name} is not whole on this disk`)
  const sealed = store.image(name)
  const turn = store.imageTurn(name)
  const was: Arrival['was'] = agent.state === 'running' ? 'running' : 'stopped'
  const [turns, calls, log] = [store.turns(name), store.calls(name), store.log(name, packedLogLines - 1)]
  const rest = { agent, was, bundle, guest: text, turns, calls, luggage: belongings.pack(name) }
  // An image may have been made on a third device, of which the other has never heard.
  const image = sealed && { turn, sealed: await resealed(seal, sealed, agent.program) }
  const run = { agent: name, token: agent.token }
  const recording = recordedMax === undefined ? undefined : await recordings?.packed(run, recordedMax)
  if (!recording && recordings?.has(run))
    log.push({ atMs: clock.nowMs(), level: 'info', text: recordingStays })
  return { ...rest, log, image, recording }
}

/** What is recorded of it goes on under its next token; `came`: what came along of that. */
export async function recordOn(
  { store, recordings }: Pick<MovesDeps, 'store' | 'recordings'>,
  name: string,
  token: number,
  came = false,
): Promise<void> {
  const stored = store.agent(name)
  if (stored) await recordings?.goOn({ ...stored, agent: name }, token, came ? undefined : stored.token)
}

/** With this device's word instead of another's. Throws SealError. */
export async function resealed(seal: ImageSeal, sealed: Uint8Array, program: string): Promise<Uint8Array> {
  return seal.close(await seal.open(sealed, program), program)
}

/** It runs from here on, where it is to run. */
export function goOn({ store, live }: Pick<MovesDeps, 'store' | 'live'>, name: string): void {
  const stored = store.agent(name)
  if (stored?.state === 'running') live(stored)
}

/** The token under which an agent goes on that had this one. */
export function higher(clock: Clock, token: number): number {
  return Math.max(token + 1, Math.floor(clock.nowMs()))
}
