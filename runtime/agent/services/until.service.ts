/**
 * `until`: the first report of one entity that fits. What is so already does not count, a report has to say it; after a restart it
 * does, since the report may have come while nobody listened.
 */
import * as v from 'valibot'
import type { Clock } from '../../base/clock.ts'
import type { EntityRegistry } from '../../things/registry.ts'
import { failed, type Outcome, type Service } from '../service.ts'
import { cancelled, checkedService, inOneLine } from './checked-service.ts'
import { entityId, includes, reportFilter, telemetryOf, watchReports } from './entity-reports.ts'
import { noEntity } from './read.service.ts'
import { deadline, leftOf, pause } from './waiting.ts'

const schema = v.object({ entity: entityId, filter: reportFilter, deadlineMs: deadline })

export interface UntilDeps {
  readonly clock: Clock
  readonly registry: EntityRegistry
}

export function untilService({ clock, registry }: UntilDeps): Service {
  return checkedService('until', schema, (args, { askedMs, resumed }, signal) => {
    const { entity: id, filter, deadlineMs } = args
    const entity = registry.get(id)
    if (!entity) return Promise.resolve(noEntity(id))
    const { to, from } = filter
    if (resumed && to !== undefined && from === undefined && includes(to, entity.telemetry.state))
      return Promise.resolve({ ok: true, value: telemetryOf(entity) })
    return new Promise((resolve) => {
      const wait = new AbortController()
      const settle = (outcome: Outcome) => {
        stop()
        signal.removeEventListener('abort', left)
        wait.abort()
        resolve(outcome)
      }
      const left = () => settle(cancelled('until'))
      const stop = watchReports(
        registry,
        (other) => other === id,
        filter,
        (seen) => settle({ ok: true, value: seen }),
      )
      signal.addEventListener('abort', left, { once: true })
      if (deadlineMs === undefined) return
      const late = failed('timeout', inOneLine(`${id} did not report what was waited for`))
      pause(clock, leftOf(clock, deadlineMs, askedMs), wait.signal).then(
        () => settle(late),
        () => {},
      )
    })
  })
}
