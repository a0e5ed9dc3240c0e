/**
 * `until`: the first report of one entity that fits. What is so already does not count, a report has to say it; after a restart it
 * does, since the report may have come while nobody listened.
 */
import * as v from 'valibot'
import type { Clock } from '../../base/clock.ts'
import type { Things } from '../../things/things.ts'
import { failed, type Outcome, type Performing, type Service } from '../service.ts'
import { cancelled, checkedService, inOneLine } from './checked-service.ts'
import { entityId, includes, labelOf, reportFilter, telemetryOf, watchReports } from './entity-reports.ts'
import { missingIn, notFound } from './read.service.ts'
import { deadline, leftOf, pause } from './waiting.ts'

const schema = v.object({ entity: entityId, filter: reportFilter, deadlineMs: deadline })

export interface UntilDeps {
  readonly clock: Clock
  readonly things: Things
}

export function untilService({ clock, things }: UntilDeps): Service {
  const work = async (
    args: v.InferOutput<typeof schema>,
    { askedMs, resumed }: Performing,
    signal: AbortSignal,
  ): Promise<Outcome> => {
    const { entity: id, filter, deadlineMs } = args
    const { to, from } = filter
    const here = things.here(id)
    const found = here ? things.findHere(id) : await things.find(id, signal)
    // After a power cut the others come back in any order.
    if (!found.ok && !(resumed && found.code === 'unavailable')) return notFound(found)
    if (found.ok && resumed && to !== undefined && from === undefined) {
      const { entity } = found
      if (includes(to, entity.telemetry.state))
        return { ok: true, value: telemetryOf(entity), ...labelOf(entity) }
    }
    const { reports, letGo } = here ?? (await things.listen(id, signal))
    const stops = new AbortController()
    const { promise, resolve } = Promise.withResolvers<Outcome>()
    const stop = watchReports(
      reports,
      (other) => other === id,
      filter,
      (seen) => resolve({ ok: true, value: seen, ...labelOf({ telemetry: seen }) }),
    )
    const left = () => resolve(cancelled('until'))
    signal.addEventListener('abort', left, { once: true })
    if (signal.aborted) left()
    if (deadlineMs !== undefined) {
      const late = failed('timeout', inOneLine(`${id} did not report what was waited for`))
      pause(clock, leftOf(clock, deadlineMs, askedMs), stops.signal).then(
        () => resolve(late),
        () => {},
      )
    }
    try {
      return await promise
    } finally {
      stop()
      letGo()
      signal.removeEventListener('abort', left)
      stops.abort()
    }
  }
  return checkedService('until', schema, work, missingIn(things))
}
