/** `entities`: the ids that a pattern means, in order of the alphabet. */
import * as v from 'valibot'
import type { EntityRegistry } from '../../things/registry.ts'
import type { Service } from '../service.ts'
import { checkedService } from './checked-service.ts'
import { entityPattern, matcherOf } from './entity-reports.ts'

const schema = v.object({ pattern: entityPattern })

export function entitiesService({ registry }: { readonly registry: EntityRegistry }): Service {
  return checkedService('entities', schema, async ({ pattern }) => {
    const matches = matcherOf(pattern)
    const ids = registry.view().entities.map(({ info }) => info.id)
    return { ok: true, value: ids.filter(matches).sort() }
  })
}
