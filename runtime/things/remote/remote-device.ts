/**
 * What another device says of itself: whether it is there, what it has, what that is doing. Nothing of it is trusted: size before
 * parsing, schema before use, and of what is too much the newest is kept.
 */
import type { ComponentInfo, SensorKind } from '../../../hal/contract/component.ts'
import type { Cancel, Clock } from '../../base/clock.ts'
import { wireLimits } from '../../wire/limits.ts'
import { type EntityDescription, homeMessage, parseJson, stateMessage } from '../../wire/messages.ts'
import type { Entity } from '../entity.ts'
import { kinds } from '../kinds/index.ts'
import { elsewhere } from './ids.ts'
import { remoteLimits } from './remote-limits.ts'

/** `first`: nothing was known of it before; what is so already is no change. */
export type ReportListener = (entity: Entity, first?: boolean) => void

interface Held {
  readonly telemetry: Entity['telemetry']
  readonly bytes: number
}

const sensors: Readonly<Record<SensorKind, true>> = { sensor: true, binary_sensor: true, weather: true }
const isKind = (kind: string) => Object.hasOwn(kinds, kind) || Object.hasOwn(sensors, kind)

export class RemoteDevice {
  readonly id: string
  readonly #clock: Clock
  readonly #report: ReportListener
  /** Streams and waits that go on. */
  holds = 0
  usedMs = 0
  /** Undefined: it has said nothing yet. */
  #online: boolean | undefined
  #home: ReadonlyMap<string, ComponentInfo> | undefined
  readonly #held = new Map<string, Held>()
  #bytes = 0
  /** Reports that may still be taken at once; what comes beyond waits, of each entity the newest. */
  #budget: number = remoteLimits.burst
  readonly #waiting = new Map<string, Uint8Array>()
  #cancelRefill: Cancel | undefined
  /** Of which a state was heard: what comes after an absence is a change. */
  readonly #heard = new Set<string>()
  /** What it said before it was gone, and has not said again since it is back. */
  readonly #stale = new Set<string>()
  #cancelStale: Cancel | undefined
  /** What it has may not all be told in time; it is waited for once. */
  waited = false
  readonly #ready = Promise.withResolvers<void>()
  #silentSinceMs: number

  constructor(clock: Clock, id: string, report: ReportListener) {
    this.id = id
    this.#clock = clock
    this.#report = report
    this.#silentSinceMs = clock.nowMs()
  }

  get online(): boolean | undefined {
    return this.#online
  }

  /** Settles when it has said whether it is there, what it has, and what each of it is doing. */
  get ready(): Promise<void> {
    return this.#ready.promise
  }

  get known(): boolean {
    return this.#home !== undefined
  }

  get(entity: string): Entity | undefined {
    const info = this.#home?.get(entity)
    return info && this.#entityOf(info)
  }

  entities(): Entity[] {
    return [...(this.#home?.values() ?? [])].map((info) => this.#entityOf(info))
  }

  dispose(): void {
    this.#cancelRefill?.()
    this.#cancelStale?.()
  }

  /** This device has lost the broker, so it knows nothing of the other: what comes back tells. */
  unheard(): void {
    this.#online = undefined
    this.#silentSinceMs = this.#clock.nowMs()
  }

  takeAvailability(payload: Uint8Array): string | undefined {
    const text = payload.byteLength <= 16 ? new TextDecoder().decode(payload) : ''
    // Cleared by somebody: it says nothing any more.
    if (text !== 'online' && text !== 'offline' && payload.byteLength > 0) return 'neither online nor offline'
    const was = this.#online
    this.#online = text === 'online'
    if (was === this.#online) return undefined
    if (!this.#online) this.#gone(was === true)
    else if (was === false) this.#back()
    this.#checkReady()
    return undefined
  }

  #gone(tell: boolean): void {
    this.#silentSinceMs = this.#clock.nowMs()
    this.#cancelStale?.()
    this.#stale.clear()
    if (tell) for (const entity of this.#home?.keys() ?? []) this.#tell(entity)
  }

  /** It says all again, but for where its absence was only rumoured (a late will): then what it said before holds. */
  #back(): void {
    for (const entity of this.#held.keys()) this.#stale.add(entity)
    this.#cancelStale = this.#clock.after(remoteLimits.settleMs, () => {
      const held = [...this.#stale]
      this.#stale.clear()
      for (const entity of held) this.#tell(entity)
    })
  }

  takeHome(payload: Uint8Array): string | undefined {
    if (payload.byteLength === 0) return undefined
    const home = parseJson(homeMessage, payload, wireLimits.mqttPayloadBytesMax)
    if (!home.ok) return home.reason
    const { device, entities } = home.value
    if (device.id !== this.id) return `it describes ${device.id}`
    if (entities.length > wireLimits.entitiesMax)
      return `${entities.length} entities, ${wireLimits.entitiesMax} are the most`
    this.#home = new Map(
      entities.filter(({ kind }) => isKind(kind)).map((one) => [one.id, this.#infoOf(one)]),
    )
    for (const entity of this.#held.keys()) if (!this.#home.has(entity)) this.#drop(entity)
    for (const entity of this.#heard) if (!this.#home.has(entity)) this.#heard.delete(entity)
    this.#checkReady()
    return undefined
  }

  takeState(entity: string, payload: Uint8Array): string | undefined {
    if (payload.byteLength > remoteLimits.stateBytesMax)
      return `${payload.byteLength} bytes, more than the ${remoteLimits.stateBytesMax} allowed`
    if (this.#budget > 0 && !this.#waiting.has(entity)) return this.#takeNow(entity, payload)
    if (!this.#mayHold(entity)) return 'a state of nothing that it has'
    this.#waiting.set(entity, payload)
    this.#refillLater()
    return undefined
  }

  #takeNow(entity: string, payload: Uint8Array): string | undefined {
    this.#budget -= 1
    this.#refillLater()
    if (payload.byteLength === 0) {
      this.#drop(entity)
      return undefined
    }
    const message = parseJson(stateMessage, payload, remoteLimits.stateBytesMax)
    if (!message.ok) return message.reason
    if (!this.#mayHold(entity)) return 'a state of nothing that it has'
    const { state, attributes, ts } = message.value
    const before = this.#held.get(entity)
    const bytes = this.#bytes - (before?.bytes ?? 0) + payload.byteLength
    if (bytes > remoteLimits.bytesMax) return `its states have more than ${remoteLimits.bytesMax} bytes`
    this.#bytes = bytes
    this.#held.set(entity, { telemetry: { state, attributes, tsMs: ts }, bytes: payload.byteLength })
    this.#stale.delete(entity)
    const first = !this.#heard.has(entity)
    this.#heard.add(entity)
    if (this.#online !== false) this.#tell(entity, first)
    this.#checkReady()
    return undefined
  }

  #tell(entity: string, first = false): void {
    const told = this.get(entity)
    if (told) this.#report(told, first)
  }

  /** Before its home has come, whatever could be in one. */
  #mayHold(entity: string): boolean {
    if (this.#held.has(entity) || this.#waiting.has(entity)) return true
    return this.#home ? this.#home.has(entity) : this.#held.size + this.#waiting.size < wireLimits.entitiesMax
  }

  #refillLater(): void {
    this.#cancelRefill ??= this.#clock.after(remoteLimits.refillMs, () => {
      this.#cancelRefill = undefined
      this.#budget = Math.min(remoteLimits.burst, this.#budget + remoteLimits.perRefill)
      for (const [entity, payload] of this.#waiting) {
        if (this.#budget <= 0) break
        this.#waiting.delete(entity)
        this.#takeNow(entity, payload)
      }
      if (this.#budget < remoteLimits.burst) this.#refillLater()
    })
  }

  #drop(entity: string): void {
    this.#bytes -= this.#held.get(entity)?.bytes ?? 0
    this.#held.delete(entity)
    this.#stale.delete(entity)
  }

  #checkReady(): void {
    if (this.#home && this.#online !== undefined && [...this.#home.keys()].every((id) => this.#isTold(id)))
      this.#ready.resolve()
  }

  #isTold(entity: string): boolean {
    return this.#online === false || this.#held.has(entity)
  }

  /** What nobody can know any more is `unavailable`, as it is of a thing of this device that does not answer. */
  #entityOf(info: ComponentInfo): Entity {
    const told = { ...info, id: elsewhere(info.id, this.id) }
    if (!this.#online)
      return { info: told, telemetry: { state: 'unavailable', attributes: {}, tsMs: this.#silentSinceMs } }
    const telemetry = this.#stale.has(info.id) ? undefined : this.#held.get(info.id)?.telemetry
    return {
      info: told,
      telemetry: telemetry ?? { state: 'unknown', attributes: {}, tsMs: this.#silentSinceMs },
    }
  }

  #infoOf({ id, kind, name, area, deviceClass, unit, simulated }: EntityDescription): ComponentInfo {
    return {
      ...{ id, kind: kind as ComponentInfo['kind'], name, simulated },
      ...(area === undefined ? {} : { area }),
      ...(deviceClass === undefined ? {} : { deviceClass }),
      ...(unit === undefined ? {} : { unit }),
    }
  }
}
