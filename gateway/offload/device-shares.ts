/**
 * What each device may have unanswered at this worker: its credits. They shrink as more devices have work here, so that nobody's
 * queue becomes everybody's. A device that ignores them is told so, then ignored itself; the others never notice.
 */
import type { Clock } from '../../runtime/base/clock.ts'
import { wireLimits } from '../../runtime/wire/limits.ts'
import type { Credits } from '../../runtime/wire/offload.ts'

export interface ShareLimits {
  /** Of all devices together. */
  readonly requestsMax: number
  readonly bytesMax: number
  /** Of one, while few others have work here. */
  readonly requestsPerDeviceMax: number
  readonly bytesPerDeviceMax: number
}

export const shareDefaults: ShareLimits = {
  /** Beyond this a request only waits longer here than at its device. */
  requestsMax: 256,
  /** Inputs in memory: fits a gateway on a 1 GB board. */
  bytesMax: 256 * 1024 * 1024,
  /** Enough to fill a batch from one device over a slow link. */
  requestsPerDeviceMax: 16,
  /** One of the largest at a time. */
  bytesPerDeviceMax: wireLimits.ticketBytesMax,
}

/** `refused`: to be told. `dropped`: told often enough. */
export type Entry = 'entered' | 'refused' | 'dropped'

interface Device {
  requests: number
  bytes: number
  /** Refusals of the current second. */
  refusals: number
  refusalsSinceMs: number
}

const refusalWindowMs = 1_000
/** Devices with something here, or refused lately. More than any broker of ours takes. */
const devicesMax = 1_024

export class DeviceShares {
  readonly #clock: Clock
  readonly #limits: ShareLimits
  readonly #devices = new Map<string, Device>()
  #requests = 0
  #bytes = 0
  #refused = 0
  #dropped = 0

  constructor(clock: Clock, limits: ShareLimits) {
    this.#clock = clock
    this.#limits = limits
  }

  get refused(): number {
    return this.#refused
  }
  get dropped(): number {
    return this.#dropped
  }

  /** Of each device, as things are now. */
  credits(): Credits {
    const { requestsMax, requestsPerDeviceMax, bytesPerDeviceMax } = this.#limits
    let busy = 0
    for (const { requests } of this.#devices.values()) if (requests > 0) busy += 1
    const share = Math.floor(requestsMax / Math.max(1, busy))
    return { requests: Math.max(1, Math.min(share, requestsPerDeviceMax)), bytes: bytesPerDeviceMax }
  }

  /** True while the device was refused so often that what it sends is not even looked at. */
  ignores(device: string): boolean {
    const known = this.#devices.get(device)
    if (!known || !this.#floods(known)) return false
    this.#dropped += 1
    return true
  }

  /** It sent what is no message of ours: counts as a refusal, since to look at it costs as much. */
  blame(device: string): void {
    const known = this.#devices.get(device) ?? this.#add(device)
    if (known && !this.#floods(known)) known.refusals += 1
  }

  /**
   * Held to the largest share that it can have been told, since a smaller one may not have reached it yet. `here`: bytes of it that
   * are in memory already; what is only announced takes from its device's share and from nobody else's room.
   */
  enter(device: string, bytes: number, here = bytes): Entry {
    const known = this.#devices.get(device) ?? this.#add(device)
    if (!known) {
      this.#dropped += 1
      return 'dropped'
    }
    if (this.#fits(known, bytes, here)) {
      known.requests += 1
      known.bytes += bytes
      this.#requests += 1
      this.#bytes += here
      return 'entered'
    }
    if (this.#floods(known)) {
      this.#dropped += 1
      return 'dropped'
    }
    known.refusals += 1
    this.#refused += 1
    return 'refused'
  }

  /** More of what was announced is in memory; false where there is no room for it. */
  arrive(bytes: number): boolean {
    if (this.#bytes + bytes > this.#limits.bytesMax) return false
    this.#bytes += bytes
    return true
  }

  leave(device: string, bytes: number, here = bytes): void {
    const known = this.#devices.get(device)
    if (!known) return
    known.requests -= 1
    known.bytes -= bytes
    this.#requests -= 1
    this.#bytes -= here
    if (known.requests === 0 && known.refusals === 0) this.#devices.delete(device)
  }

  #fits(device: Device, bytes: number, here: number): boolean {
    const { requestsMax, bytesMax, requestsPerDeviceMax, bytesPerDeviceMax } = this.#limits
    // One that has nothing here gets a place even when the others have taken all.
    const requestsAll = device.requests === 0 ? 2 * requestsMax : requestsMax
    return (
      device.requests < requestsPerDeviceMax &&
      device.bytes + bytes <= bytesPerDeviceMax &&
      this.#requests < requestsAll &&
      this.#bytes + here <= bytesMax
    )
  }

  #floods(device: Device): boolean {
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - device.refusalsSinceMs >= refusalWindowMs) {
      device.refusals = 0
      device.refusalsSinceMs = nowMs
    }
    return device.refusals >= this.#limits.requestsPerDeviceMax
  }

  #add(device: string): Device | undefined {
    if (this.#devices.size >= devicesMax)
      for (const [other, one] of this.#devices)
        if (one.requests === 0 && !this.#floods(one)) this.#devices.delete(other)
    if (this.#devices.size >= devicesMax) return undefined
    const added = { requests: 0, bytes: 0, refusals: 0, refusalsSinceMs: this.#clock.monotonicMs() }
    this.#devices.set(device, added)
    return added
  }
}
