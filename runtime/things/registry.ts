/**
 * The entity registry: what there is and what it last reported.
 *
 * Invariants: [things-1] an id is registered once; [things-2] at most `wireLimits.entitiesMax` entities;
 * [things-3] telemetry older than what is held never replaces it.
 */
import type { ComponentInfo, Telemetry } from '../../hal/contract/component.ts'
import type { Cancel } from '../base/clock.ts'
import { CodedError } from '../base/errors.ts'
import { wireLimits } from '../wire/limits.ts'
import type { Area, Entity, HomeView } from './entity.ts'

export type ThingsErrorCode = 'duplicate-entity' | 'too-many-entities'
export class ThingsError extends CodedError<ThingsErrorCode> {
  override readonly name = 'ThingsError'
}

type Listener = (entity: Entity) => void

export class EntityRegistry {
  readonly areas: readonly Area[]
  readonly #entities = new Map<string, Entity>()
  readonly #listeners = new Set<Listener>()
  #view: HomeView | undefined

  constructor(areas: readonly Area[]) {
    this.areas = areas
  }

  /** Throws ThingsError: `duplicate-entity`, `too-many-entities`. */
  add(info: ComponentInfo, telemetry: Telemetry): void {
    if (this.#entities.has(info.id))
      throw new ThingsError('duplicate-entity', `there are two entities called ${info.id}`)
    if (this.#entities.size >= wireLimits.entitiesMax) {
      throw new ThingsError(
        'too-many-entities',
        `${info.id} is one entity too many: a device has at most ${wireLimits.entitiesMax}`,
      )
    }
    this.#store({ info, telemetry })
  }

  get(id: string): Entity | undefined {
    return this.#entities.get(id)
  }

  get size(): number {
    return this.#entities.size
  }

  /** Takes a report in and tells the listeners. Reports about entities that are not registered are ignored. */
  report(id: string, telemetry: Telemetry): void {
    const entity = this.#entities.get(id)
    if (!entity || telemetry.tsMs < entity.telemetry.tsMs) return
    const updated = { info: entity.info, telemetry }
    this.#store(updated)
    for (const listener of this.#listeners) listener(updated)
  }

  /** Calls `listener` after every report, in order. It must not throw. */
  onReport(listener: Listener): Cancel {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** The home as it is now. */
  view(): HomeView {
    this.#view ??= { areas: this.areas, entities: [...this.#entities.values()] }
    return this.#view
  }

  #store(entity: Entity): void {
    this.#entities.set(entity.info.id, entity)
    this.#view = undefined
  }
}
