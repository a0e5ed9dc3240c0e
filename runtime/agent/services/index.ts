/** Everything that performs calls of agents on this device: an explicit list, one line a service. */
import type { Clock } from '../../base/clock.ts'
import type { Inference } from '../../inference/inference.ts'
import type { Actuation } from '../../things/actuation.ts'
import type { EntityRegistry } from '../../things/registry.ts'
import { Things, type ThingsDeps } from '../../things/things.ts'
import type { Service } from '../service.ts'
import { type CommandDeps, commandService } from './command.service.ts'
import { cronService } from './cron.service.ts'
import { entitiesService } from './entities.service.ts'
import { inferService } from './infer.service.ts'
import { onService } from './on.service.ts'
import { readService } from './read.service.ts'
import { sleepService } from './sleep.service.ts'
import { untilService } from './until.service.ts'

export interface ServicesDeps {
  readonly clock: Clock
  readonly registry: EntityRegistry
  /** The device and the others of its site; absent: of no site. */
  readonly site?: Omit<ThingsDeps, 'registry'>
  readonly actuation: Actuation
  readonly inference: Inference
  readonly holds: CommandDeps['holds']
  readonly askedFor?: NonNullable<CommandDeps['askedFor']>
  /** IANA name of the device's time zone. */
  readonly timeZone: string
}

export function servicesOf(deps: ServicesDeps): readonly Service[] {
  const { registry, site = { own: '', remote: () => undefined } } = deps
  const shared = { ...deps, things: new Things({ registry, ...site }) }
  return [
    sleepService(shared),
    cronService(shared),
    onService(shared),
    untilService(shared),
    entitiesService(shared),
    readService(shared),
    commandService(shared),
    inferService(shared),
  ]
}
