/**
 * `on`: a stream of reports, one item a change. What changed while the device was off is not made up: after a restart the stream
 * goes on with the next change. How many items may wait is bounded by the agent's life ([life-4]).
 */
import * as v from 'valibot'
import type { EntityRegistry } from '../../things/registry.ts'
import type { Service } from '../service.ts'
import { cancelled, checkedService } from './checked-service.ts'
import { entityPattern, matcherOf, reportFilter, watchReports } from './entity-reports.ts'

const schema = v.object({ pattern: entityPattern, filter: reportFilter })

export function onService({ registry }: { readonly registry: EntityRegistry }): Service {
  return checkedService('on', schema, ({ pattern, filter }, { emit }, signal) => {
    const stop = watchReports(registry, matcherOf(pattern), filter, (seen) => void emit(seen))
    return new Promise((resolve) => {
      const left = () => {
        stop()
        resolve(cancelled('on'))
      }
      signal.addEventListener('abort', left, { once: true })
    })
  })
}
