/** `read`: what an entity last reported. */
import * as v from 'valibot'
import type { EntityRegistry } from '../../things/registry.ts'
import { failed, type Service } from '../service.ts'
import { checkedService, inOneLine } from './checked-service.ts'
import { entityId, telemetryOf } from './entity-reports.ts'

const schema = v.object({ entity: entityId })

export function readService({ registry }: { readonly registry: EntityRegistry }): Service {
  return checkedService('read', schema, async ({ entity: id }) => {
    const entity = registry.get(id)
    return entity ? { ok: true, value: telemetryOf(entity) } : noEntity(id)
  })
}

export const noEntity = (id: string) => failed('not-found', inOneLine(`there is no ${id}`))
