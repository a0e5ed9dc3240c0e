/** Everything that performs calls of agents on this device: an explicit list, one line a service. */
import type { Clock } from '../../base/clock.ts'
import type { Inference } from '../../inference/inference.ts'
import type { Actuation } from '../../things/actuation.ts'
import type { EntityRegistry } from '../../things/registry.ts'
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
  readonly actuation: Actuation
  readonly inference: Inference
  readonly holds: CommandDeps['holds']
  /** IANA name of the device's time zone. */
  readonly timeZone: string
}

export function servicesOf(deps: ServicesDeps): readonly Service[] {
  return [
    sleepService(deps),
    cronService(deps),
    onService(deps),
    untilService(deps),
    entitiesService(deps),
    readService(deps),
    commandService(deps),
    inferService(deps),
  ]
}
