/**
 * What goes on at this site: the connection to the devices, what is known of them, the timeline of commands and the
 * stream of changes for pages. Messages come in here and nowhere else.
 */
import type { Cancel, Clock } from '../../runtime/base/clock.ts'
import { assert } from '../../runtime/base/errors.ts'
import type { Log } from '../../runtime/base/log.ts'
import { namesOf } from '../../runtime/inference/redaction/home-names.ts'
import type { KnownName } from '../../runtime/inference/redaction/redactor.ts'
import type { HomeMessage } from '../../runtime/wire/messages.ts'
import { type AgentsChange, AgentsLive } from './agents-live.ts'
import { BadMessages } from './bad-messages.ts'
import { CommandTimeline } from './command-timeline.ts'
import { DeviceBus, type DeviceBusOptions } from './device-bus.ts'
import { type Change, DeviceDirectory } from './device-directory.ts'
import { EventStream } from './event-stream.ts'

export interface SiteDeps {
  readonly clock: Clock
  readonly log: Log
}

/** Facts that change together are told to pages once. */
const boardMs = 500
/** Retained messages of a whole site arrive within this time after a connection. */
const repeatMs = 5_000

export class Site implements AsyncDisposable {
  readonly directory: DeviceDirectory
  readonly timeline = new CommandTimeline()
  readonly agents: AgentsLive
  readonly events: EventStream
  readonly badMessages: BadMessages
  readonly #clock: Clock
  /** Undefined: to be made anew. */
  #names: readonly KnownName[] | undefined
  readonly #connectedOnce = Promise.withResolvers<void>()
  #bus: DeviceBus | undefined
  #cancelSweep: Cancel = () => {}
  #boardTimer: Cancel | undefined

  private constructor(deps: SiteDeps) {
    this.#clock = deps.clock
    this.badMessages = new BadMessages(deps.clock, deps.log)
    this.events = new EventStream(deps.clock)
    const bad = (device: string, reason: string) => this.badMessages.count(device, reason)
    this.directory = new DeviceDirectory(bad)
    this.agents = new AgentsLive(bad)
  }

  /** Starts connecting and returns at once. */
  static open(deps: SiteDeps, options: DeviceBusOptions): Site {
    const site = new Site(deps)
    site.#bus = DeviceBus.open(deps, options, {
      repeating: () => site.directory.repeating(),
      connection: (connected) => site.#connection(connected),
      message: (topic, payload) => {
        site.#publish(site.directory.apply(topic, payload))
        site.#publishAgents(site.agents.apply(topic, payload))
      },
      board: () => site.#boardSoon(),
      bad: (device, reason) => site.badMessages.count(device, reason),
    })
    return site
  }

  get bus(): DeviceBus {
    assert(this.#bus, 'the site is open')
    return this.#bus
  }

  /** What a text may not say in a cloud: names of devices, entities and areas. The same array while they are the same. */
  names(): readonly KnownName[] {
    this.#names ??= this.directory.devices().flatMap(({ home }) => (home ? namesIn(home) : []))
    return this.#names
  }

  /** True once connected; false when `limitMs` passed first. */
  async connected(limitMs: number): Promise<boolean> {
    let cancel: Cancel = () => {}
    const late = new Promise<boolean>((resolve) => {
      cancel = this.#clock.after(limitMs, () => resolve(false))
    })
    const answer = await Promise.race([this.#connectedOnce.promise.then(() => true), late])
    cancel()
    return answer
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#cancelSweep()
    this.#boardTimer?.()
    this.events[Symbol.dispose]()
    await this.bus[Symbol.asyncDispose]()
  }

  #connection(connected: boolean): void {
    this.directory.connection(connected)
    this.#cancelSweep()
    if (connected) {
      this.#connectedOnce.resolve()
      this.#cancelSweep = this.#clock.after(repeatMs, () => this.#publish(this.directory.sweep()))
    }
    const reason = 'availability' as const
    this.#publish(this.directory.devices().map(({ id }) => ({ kind: 'device', device: id, reason })))
  }

  #publish(changes: readonly Change[]): void {
    for (const change of changes) {
      if (change.kind === 'command') this.#command(change.device, change.event)
      else if (change.kind === 'entity') this.#entity(change.device, change.entity)
      else this.#device(change.device, change.reason)
    }
  }

  #boardSoon(): void {
    this.#boardTimer ??= this.#clock.after(boardMs, () => {
      this.#boardTimer = undefined
      this.events.send('board', {})
    })
  }

  #publishAgents(changes: readonly AgentsChange[]): void {
    for (const change of changes) {
      if (change.kind === 'approval') this.events.send('approval', change.over)
      else if (change.kind === 'decision') this.events.send('decision', change.decision)
      else this.events.send('agents', this.agents.device(change.device) ?? { device: change.device })
    }
  }

  /** A device in a few words, for lists and events. */
  deviceSummary(id: string) {
    const device = this.directory.device(id)
    const about = device?.home?.device
    return {
      id,
      availability: device?.availability ?? 'unknown',
      ...(about && {
        name: about.name,
        board: about.board,
        simulated: about.simulated,
        version: about.version,
      }),
      entities: device?.home?.entities.length ?? 0,
    }
  }

  #command(device: string, event: Parameters<CommandTimeline['add']>[1]): void {
    if (this.timeline.add(device, event)) this.events.send('command', { device, ...event })
  }

  #device(id: string, reason: 'availability' | 'home' | 'removed'): void {
    if (reason !== 'availability') this.#names = undefined
    if (reason === 'removed') this.agents.remove(id)
    this.events.send('device', { ...this.deviceSummary(id), reason })
  }

  #entity(device: string, entity: string): void {
    const view = this.directory.entity(device, entity)
    if (view) this.events.send('entity', view)
  }
}

function namesIn({ device, areas, entities }: HomeMessage): KnownName[] {
  return namesOf({ areas, things: [device, ...entities] })
}
