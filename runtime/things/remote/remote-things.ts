/**
 * Things of the other devices of the site, as they say it over MQTT: listened to once an agent names one, and no longer than anybody
 * asks. What they say is not signed: it is believed as far as the broker is. Commands are (`asking.ts`).
 *
 * Invariants: [remote-1] nothing is subscribed to before an agent names a device; [remote-2] what is kept of others is bounded
 * (`remote-limits.ts`), and of a flood the newest state of each thing is told; [remote-3] what a device that is gone reported last is not
 * told as what is so: its things are `unavailable`.
 */
import type { Cancel, Clock } from '../../base/clock.ts'
import { sleep } from '../../base/clock.ts'
import type { Bus } from '../../link/bus.ts'
import { isTopicId } from '../../wire/topics.ts'
import type { Entity } from '../entity.ts'
import { placed } from './ids.ts'
import { RemoteDevice, type ReportListener } from './remote-device.ts'
import { remoteLimits } from './remote-limits.ts'

/** Of the bus of a site: nothing of it is retained. */
export type RemoteBus = Pick<Bus, 'topics' | 'connected' | 'onChange' | 'subscribe' | 'publish'>

export interface RemoteThingsDeps {
  readonly clock: Clock
  readonly bus: RemoteBus
  /** This device. */
  readonly own: string
  /** Devices of the site, this one among them: those that `@*` means. */
  readonly known: () => readonly string[]
  /** Calls the listener with each device that joins. */
  readonly onNew: (listener: (device: string) => void) => Cancel
}

interface Listened {
  readonly device: RemoteDevice
  readonly cancels: readonly Cancel[]
}

export type Lookup =
  | { readonly ok: true; readonly device: RemoteDevice }
  /** One line that names the device. */
  | { readonly ok: false; readonly reason: string }

export class RemoteThings implements Disposable {
  readonly #deps: RemoteThingsDeps
  readonly #listened = new Map<string, Listened>()
  readonly #listeners = new Set<ReportListener>()
  readonly #presence = new Set<(device: string, online: boolean | undefined) => void>()
  readonly #cancel: Cancel
  #closed = false

  constructor(deps: RemoteThingsDeps) {
    this.#deps = deps
    this.#cancel = deps.bus.onChange((connected) => {
      if (connected) return
      for (const { device } of this.#listened.values()) {
        device.unheard()
        this.#present(device)
      }
    })
  }

  /** Whoever waits for a device to say what it has finds none; nothing is subscribed to from now on. */
  [Symbol.dispose](): void {
    this.#closed = true
    this.#cancel()
    for (const id of [...this.#listened.keys()]) this.#leave(id)
    this.#listeners.clear()
    this.#presence.clear()
  }

  /** Devices listened to. */
  get listened(): number {
    return this.#listened.size
  }

  /** Waits until it is known what the device has and does, or that it is not. Rejects when `signal` aborts. */
  async find(id: string, signal: AbortSignal): Promise<Lookup> {
    const refused = (reason: string) => ({ ok: false, reason }) as const
    if (this.#closed) return refused('this device is stopping')
    if (!isTopicId(id) || id === this.#deps.own) return refused(`${id} is no other device`)
    const device = this.#listen(id)
    if (!device) return refused(`${id}: ${remoteLimits.devicesMax} other devices are listened to already`)
    device.holds += 1
    try {
      await this.#settled(device, signal)
    } finally {
      this.#unhold(device)
    }
    // What was left meanwhile hears nothing more: it must not be taken for what is listened to.
    if (this.#listened.get(id)?.device !== device) return refused('this device is stopping')
    if (device.known) return { ok: true, device }
    if (!this.#deps.bus.connected)
      return refused(`${id} is out of reach: this device is not connected to the broker`)
    return refused(`nothing is known of a device called ${id}: no such one has said what it has`)
  }

  get(id: string): Entity | undefined {
    const { entity, device = '' } = placed(id)
    return this.#listened.get(device)?.device.get(entity)
  }

  entities(): Entity[] {
    return [...this.#listened.values()].flatMap(({ device }) => device.entities())
  }

  onReport(listener: ReportListener): Cancel {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Told when a device that is listened to comes or goes; `undefined`: this device has lost the broker. */
  onPresence(listener: (device: string, online: boolean | undefined) => void): Cancel {
    this.#presence.add(listener)
    return () => this.#presence.delete(listener)
  }

  /** Keeps listening to a device until the returned function is called. */
  hold(device: RemoteDevice): Cancel {
    device.holds += 1
    let held = true
    return () => {
      if (held) this.#unhold(device)
      held = false
    }
  }

  /** Devices of the site that fit, but for this one. */
  others(fits: (device: string) => boolean): readonly string[] {
    const { known, own } = this.#deps
    return known().filter((device) => device !== own && fits(device))
  }

  /** Keeps listening to all devices of the site that fit, also to those that join later. */
  follow(fits: (device: string) => boolean): Cancel {
    const holds = new Map<string, Cancel>()
    const add = (id: string) => {
      const device = fits(id) && id !== this.#deps.own && !holds.has(id) ? this.#listen(id) : undefined
      if (device) holds.set(id, this.hold(device))
    }
    for (const id of this.others(fits)) add(id)
    const stop = this.#deps.onNew(add)
    return () => {
      stop()
      for (const letGo of holds.values()) letGo()
    }
  }

  /** Listens to a device, whether or not anything is known of it; undefined where it can be none, or they are too many. */
  followOne(id: string): Cancel | undefined {
    const device = isTopicId(id) && id !== this.#deps.own ? this.#listen(id) : undefined
    return device && this.hold(device)
  }

  #listen(id: string): RemoteDevice | undefined {
    const nowMs = this.#deps.clock.monotonicMs()
    const known = this.#listened.get(id)
    if (known) {
      known.device.usedMs = nowMs
      return known.device
    }
    this.#leaveIdle(nowMs)
    if (this.#closed || this.#listened.size >= remoteLimits.devicesMax) return undefined
    const { clock, bus } = this.#deps
    const device = new RemoteDevice(clock, id, (entity, first) => {
      for (const listener of this.#listeners) listener(entity, first)
    })
    device.usedMs = nowMs
    const { topics } = bus
    const cancels = [
      bus.subscribe(topics.availability(id), ({ payload }) => {
        const was = device.online
        const complaint = device.takeAvailability(payload)
        if (device.online !== was) this.#present(device)
        return complaint
      }),
      bus.subscribe(topics.home(id), ({ payload }) => device.takeHome(payload)),
      bus.subscribe(topics.state(id, '+'), ({ topic, payload }) => {
        const parsed = topics.parse(topic)
        return parsed?.kind === 'state' ? device.takeState(parsed.entity, payload) : 'no state of a thing'
      }),
    ]
    this.#listened.set(id, { device, cancels })
    return device
  }

  /** The longest unused first, where the place is needed; those long unused in any case. */
  #leaveIdle(nowMs: number): void {
    const idle = [...this.#listened.values()]
      .filter(({ device }) => device.holds === 0)
      .sort((one, other) => one.device.usedMs - other.device.usedMs)
    for (const { device } of idle)
      if (this.#listened.size >= remoteLimits.devicesMax || nowMs - device.usedMs >= remoteLimits.idleMs)
        this.#leave(device.id)
  }

  #leave(id: string): void {
    const listened = this.#listened.get(id)
    this.#listened.delete(id)
    for (const cancel of listened?.cancels ?? []) cancel()
    listened?.device.dispose()
  }

  #unhold(device: RemoteDevice): void {
    device.holds -= 1
    device.usedMs = this.#deps.clock.monotonicMs()
  }

  #present({ id, online }: RemoteDevice): void {
    for (const listener of this.#presence) listener(id, online)
  }

  async #settled(device: RemoteDevice, signal: AbortSignal): Promise<void> {
    if (!this.#deps.bus.connected || (device.waited && device.known)) return
    const stop = new AbortController()
    const late = sleep(this.#deps.clock, remoteLimits.settleMs, AbortSignal.any([signal, stop.signal]))
    await Promise.race([device.ready, late])
      .finally(() => stop.abort())
      .catch((error) => {
        if (signal.aborted) throw error
      })
    late.catch(() => {})
    device.waited = true
  }
}
