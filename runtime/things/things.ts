/**
 * What there is, here and on the other devices of the site, as agents name it: an id or a pattern without `@` is of this device alone,
 * `<entity>@<device>` of that device, and of this one where it is the device that is named.
 */
import type { Cancel } from '../base/clock.ts'
import type { Entity } from './entity.ts'
import { matcherOf } from './pattern.ts'
import type { EntityRegistry } from './registry.ts'
import { elsewhere, ownId, placed } from './remote/ids.ts'
import type { Remote } from './remote/remote.ts'
import type { ReportListener } from './remote/remote-device.ts'

/** Entities and their reports, under the ids that were asked for. */
export interface Reports {
  get(id: string): Entity | undefined
  entities(): readonly Entity[]
  onReport(listener: ReportListener): Cancel
}

export interface ThingsDeps {
  readonly registry: EntityRegistry
  /** This device. */
  readonly own: string
  /** Undefined where this device is of no site. */
  readonly remote: () => Remote | undefined
}

export type Found =
  | { readonly ok: true; readonly entity: Entity }
  | { readonly ok: false; readonly code: 'not-found' | 'unavailable'; readonly reason: string }

export class Things {
  readonly #deps: ThingsDeps

  constructor(deps: ThingsDeps) {
    this.#deps = deps
  }

  /** The other device that an id names; undefined for a thing of this device. */
  elsewhere(
    id: string,
  ): { readonly entity: string; readonly device: string; readonly remote: Remote | undefined } | undefined {
    const { entity, device } = placed(id)
    if (device === undefined || device === this.#deps.own) return undefined
    return { entity, device, remote: this.#deps.remote() }
  }

  /** The id in this device's own registry; itself for a thing of another device. */
  ownId(id: string): string {
    return ownId(id, this.#deps.own)
  }

  /** At once where it can mean things of this device alone; undefined elsewhere: `listen` waits for the others. */
  here(pattern: string): { readonly reports: Reports; readonly letGo: Cancel } | undefined {
    const { device } = placed(pattern)
    const isHere = device === undefined || device === this.#deps.own
    return isHere ? { reports: this.#reports(pattern), letGo: () => {} } : undefined
  }

  /** Of a thing of this device. */
  findHere(id: string): Found {
    const entity = this.#reports(id).get(id)
    return entity ? { ok: true, entity } : { ok: false, code: 'not-found', reason: `there is no ${id}` }
  }

  /** Waits for another device to say what it has, if it has not. Rejects when `signal` aborts. */
  async find(id: string, signal: AbortSignal): Promise<Found> {
    const other = this.elsewhere(id)
    if (!other) return this.findHere(id)
    const { device, entity: name, remote } = other
    if (!remote) return { ok: false, code: 'unavailable', reason: `${id}: this device is of no site` }
    const found = await remote.things.find(device, signal)
    if (!found.ok) return { ok: false, code: 'unavailable', reason: found.reason }
    const entity = found.device.get(name)
    return entity ? { ok: true, entity } : { ok: false, code: 'not-found', reason: `there is no ${id}` }
  }

  /**
   * Listens to all that an id or a pattern can mean, until `letGo`; devices that are there have said what is so by then. Rejects when
   * `signal` aborts.
   */
  async listen(
    pattern: string,
    signal: AbortSignal,
  ): Promise<{ readonly reports: Reports; readonly letGo: Cancel }> {
    const { device } = placed(pattern)
    const remote = this.#deps.remote()
    const reports = this.#reports(pattern)
    if (device === undefined || !remote) return { reports, letGo: () => {} }
    const fits = matcherOf(device)
    const isPattern = device.includes('*')
    const letGo = (isPattern ? remote.things.follow(fits) : remote.things.followOne(device)) ?? (() => {})
    const devices = isPattern ? remote.things.others(fits) : device === this.#deps.own ? [] : [device]
    try {
      await Promise.all(devices.map((id) => remote.things.find(id, signal)))
    } catch (error) {
      letGo()
      throw error
    }
    return { reports, letGo }
  }

  #reports(pattern: string): Reports {
    const { registry, own } = this.#deps
    const { device } = placed(pattern)
    if (device === undefined) return ownReports(registry, (entity) => entity)
    const remote = this.#deps.remote()?.things
    const here = ownReports(registry, ({ info, telemetry }) => ({
      ...{ info: { ...info, id: elsewhere(info.id, own) }, telemetry },
    }))
    return {
      get: (id) => (placed(id).device === own ? here.get(placed(id).entity) : remote?.get(id)),
      entities: () => [...(matcherOf(device)(own) ? here.entities() : []), ...(remote?.entities() ?? [])],
      onReport(listener) {
        const stops = [here.onReport(listener), remote?.onReport(listener)]
        return () => {
          for (const stop of stops) stop?.()
        }
      },
    }
  }
}

function ownReports(registry: EntityRegistry, spelled: (entity: Entity) => Entity): Reports {
  return {
    get: (id) => {
      const entity = registry.get(id)
      return entity && spelled(entity)
    },
    entities: () => registry.view().entities.map(spelled),
    onReport: (listener) => registry.onReport((entity) => listener(spelled(entity))),
  }
}
