/**
 * What the retained topics say: devices, their homes and the last state of each entity. Every message is checked against
 * its schema; bad ones are dropped and counted by device. Bounded in devices, entities and bytes.
 */

import type { Availability, DeviceView, EntityView } from '../../runtime/wire/http.ts'
import { wireLimits } from '../../runtime/wire/limits.ts'
import {
  type CommandEvent,
  commandEvent,
  type EntityDescription,
  type HomeMessage,
  homeMessage,
  parseJson,
  type StateMessage,
  stateMessage,
} from '../../runtime/wire/messages.ts'
import type { DeviceTopic } from '../../runtime/wire/topics.ts'

export type Change =
  | { readonly kind: 'device'; readonly device: string; readonly reason: 'availability' | 'home' | 'removed' }
  | { readonly kind: 'entity'; readonly device: string; readonly entity: string }
  | { readonly kind: 'command'; readonly device: string; readonly event: CommandEvent }

interface Device {
  availability: Availability
  home?: HomeMessage
  homeBytes: number
  readonly states: Map<string, { readonly state: StateMessage; readonly bytes: number }>
  generation: number
}

/** A site's devices. */
const devicesMax = 64
/** Home Assistant's recorder draws the same line for one entity's attributes. */
const stateBytesMax = 16 * 1024
const eventBytesMax = 64 * 1024
/** Everything kept here: 64 devices with 500 entities of about 1 KB. */
const bytesMax = 32 * 1024 * 1024

export class DeviceDirectory {
  readonly #devices = new Map<string, Device>()
  readonly #onBad: (device: string, reason: string) => void
  #bytes = 0
  #connected = false
  #generation = 0

  constructor(onBad: (device: string, reason: string) => void) {
    this.#onBad = onBad
  }

  /** All retained messages are about to be repeated; `sweep` removes the devices that were not. */
  repeating(): void {
    this.#generation += 1
  }

  /** The connection to the broker came or went. Without one nothing is known to be available. */
  connection(connected: boolean): void {
    this.#connected = connected
  }

  /** Removes the devices that nothing was heard of since `repeating`. */
  sweep(): Change[] {
    const gone = [...this.#devices].filter(([, device]) => device.generation !== this.#generation)
    return gone.map(([id, device]) => this.#remove(id, device))
  }

  /** Takes in one message; what changed by it. */
  apply(topic: DeviceTopic, payload: Uint8Array): Change[] {
    switch (topic.kind) {
      case 'availability':
        return this.#availability(topic.device, payload)
      case 'home':
        return this.#home(topic.device, payload)
      case 'state':
        return this.#state(topic.device, topic.entity, payload)
      case 'event':
        return topic.event === 'command' ? this.#event(topic.device, payload) : []
      default:
        return []
    }
  }

  devices(): DeviceView[] {
    return [...this.#devices].map(([id, { availability, home }]) => ({
      id,
      availability: this.#connected ? availability : 'unknown',
      ...(home && { home }),
    }))
  }

  device(id: string): DeviceView | undefined {
    return this.devices().find((device) => device.id === id)
  }

  entities(): EntityView[] {
    return [...this.#devices].flatMap(([id, device]) =>
      (device.home?.entities ?? []).map((entity) => this.#view(id, device, entity)),
    )
  }

  entity(deviceId: string, entityId: string): EntityView | undefined {
    const device = this.#devices.get(deviceId)
    const entity = device?.home?.entities.find(({ id }) => id === entityId)
    return device && entity && this.#view(deviceId, device, entity)
  }

  /** Devices that have an entity of this id. */
  owners(entityId: string): string[] {
    return [...this.#devices]
      .filter(([, { home }]) => home?.entities.some(({ id }) => id === entityId))
      .map(([id]) => id)
  }

  #view(deviceId: string, device: Device, entity: EntityDescription): EntityView {
    const { id, kind, name, area, deviceClass, unit, features, range, choices, simulated } = entity
    const place = area === undefined ? undefined : device.home?.areas.find((one) => one.id === area)
    const last = device.states.get(id)?.state
    const online = this.#connected && device.availability === 'online'
    return {
      device: deviceId,
      id,
      kind,
      name,
      ...(area !== undefined && { area }),
      ...(place && { areaName: place.name }),
      ...(place?.floor !== undefined && { floor: place.floor }),
      ...(deviceClass !== undefined && { deviceClass }),
      ...(unit !== undefined && { unit }),
      ...(features && { features }),
      ...(range && { range }),
      ...(choices && { choices }),
      simulated,
      state: last?.state ?? 'unknown',
      attributes: last?.attributes ?? {},
      ...(last && { ts: last.ts }),
      available: online && last?.state !== 'unavailable',
    }
  }

  /** The device's record, made if there is room. */
  #record(id: string): Device | undefined {
    let device = this.#devices.get(id)
    if (!device) {
      if (this.#devices.size >= devicesMax) {
        this.#onBad(id, `more than ${devicesMax} devices`)
        return undefined
      }
      device = { availability: 'unknown', homeBytes: 0, states: new Map(), generation: 0 }
      this.#devices.set(id, device)
    }
    device.generation = this.#generation
    return device
  }

  #remove(id: string, device: Device): Change {
    this.#bytes -= device.homeBytes
    for (const { bytes } of device.states.values()) this.#bytes -= bytes
    this.#devices.delete(id)
    return { kind: 'device', device: id, reason: 'removed' }
  }

  #availability(id: string, payload: Uint8Array): Change[] {
    const text = Buffer.from(payload.subarray(0, 16)).toString('latin1')
    if (text !== 'online' && text !== 'offline') {
      if (text !== '') this.#onBad(id, 'availability is neither online nor offline')
      return []
    }
    const device = this.#record(id)
    if (!device || device.availability === text) return []
    device.availability = text
    return [{ kind: 'device', device: id, reason: 'availability' }]
  }

  #home(id: string, payload: Uint8Array): Change[] {
    const known = this.#devices.get(id)
    if (payload.byteLength === 0) return known ? [this.#remove(id, known)] : []
    const parsed = parseJson(homeMessage, payload, wireLimits.mqttPayloadBytesMax)
    const fault = parsed.ok ? homeFault(id, parsed.value) : parsed.reason
    if (fault !== undefined || !parsed.ok) {
      this.#onBad(id, `home: ${fault}`)
      return []
    }
    const device = this.#record(id)
    if (!device || !this.#take(id, payload.byteLength - device.homeBytes)) return []
    device.home = parsed.value
    device.homeBytes = payload.byteLength
    return [{ kind: 'device', device: id, reason: 'home' }]
  }

  #state(id: string, entity: string, payload: Uint8Array): Change[] {
    const device = this.#record(id)
    if (!device) return []
    const old = device.states.get(entity)
    if (payload.byteLength === 0) {
      device.states.delete(entity)
      this.#bytes -= old?.bytes ?? 0
      return [{ kind: 'entity', device: id, entity }]
    }
    const parsed = parseJson(stateMessage, payload, stateBytesMax)
    if (!parsed.ok || (!old && device.states.size >= wireLimits.entitiesMax)) {
      this.#onBad(id, `state/${entity}: ${parsed.ok ? `more than ${wireLimits.entitiesMax}` : parsed.reason}`)
      return []
    }
    if (!this.#take(id, payload.byteLength - (old?.bytes ?? 0))) return []
    device.states.set(entity, { state: parsed.value, bytes: payload.byteLength })
    return [{ kind: 'entity', device: id, entity }]
  }

  #event(id: string, payload: Uint8Array): Change[] {
    const parsed = parseJson(commandEvent, payload, eventBytesMax)
    if (parsed.ok) return [{ kind: 'command', device: id, event: parsed.value }]
    this.#onBad(id, `event/command: ${parsed.reason}`)
    return []
  }

  #take(id: string, bytes: number): boolean {
    if (this.#bytes + bytes > bytesMax) {
      this.#onBad(id, `more than ${bytesMax} bytes of retained state`)
      return false
    }
    this.#bytes += bytes
    return true
  }
}

function homeFault(id: string, home: HomeMessage): string | undefined {
  if (home.device.id !== id) return `says it is of ${home.device.id}`
  if (home.entities.length > wireLimits.entitiesMax) return `more than ${wireLimits.entitiesMax} entities`
  if (new Set(home.entities.map((entity) => entity.id)).size < home.entities.length)
    return 'two entities share an id'
  return undefined
}
