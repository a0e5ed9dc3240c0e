/**
 * `on`: a stream of reports, one item a change. What changed while the device was off is not made up: after a restart the stream
 * goes on with the next change. How many items may wait is bounded by the agent's life ([life-4]).
 */
import * as v from 'valibot'
import { matcherOf } from '../../things/pattern.ts'
import type { Things } from '../../things/things.ts'
import type { Service } from '../service.ts'
import { cancelled, checkedService } from './checked-service.ts'
import { entityPattern, reportFilter, watchReports } from './entity-reports.ts'

const schema = v.object({ pattern: entityPattern, filter: reportFilter })

export function onService({ things }: { readonly things: Things }): Service {
  return checkedService('on', schema, async ({ pattern, filter }, { emit }, signal) => {
    // Also of devices that are not there yet: after a power cut they come back in any order.
    const { reports, letGo } = things.here(pattern) ?? (await things.listen(pattern, signal))
    const stop = watchReports(reports, matcherOf(pattern), filter, (seen) => void emit(seen))
    const left = Promise.withResolvers<void>()
    const leave = () => {
      stop()
      letGo()
      left.resolve()
    }
    if (signal.aborted) leave()
    else signal.addEventListener('abort', leave, { once: true })
    await left.promise
    return cancelled('on')
  })
}
