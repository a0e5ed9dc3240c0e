/** `entities`: the ids that a pattern means, in order of the alphabet. */
import * as v from 'valibot'
import { matcherOf } from '../../things/pattern.ts'
import type { Things } from '../../things/things.ts'
import type { Service } from '../service.ts'
import { checkedService } from './checked-service.ts'
import { entityPattern } from './entity-reports.ts'

const schema = v.object({ pattern: entityPattern })

export function entitiesService({ things }: { readonly things: Things }): Service {
  return checkedService('entities', schema, async ({ pattern }, _performing, signal) => {
    const { reports, letGo } = await things.listen(pattern, signal)
    const ids = reports.entities().map(({ info }) => info.id)
    letGo()
    return { ok: true, value: ids.filter(matcherOf(pattern)).sort() }
  })
}
