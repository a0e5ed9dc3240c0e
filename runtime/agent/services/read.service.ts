/** `read`: what an entity last reported. */
import * as v from 'valibot'
import type { Found, Things } from '../../things/things.ts'
import { failed, type Service } from '../service.ts'
import { checkedService, inOneLine } from './checked-service.ts'
import { entityId, labelOf, telemetryOf } from './entity-reports.ts'

const schema = v.object({ entity: entityId })

export function readService({ things }: { readonly things: Things }): Service {
  return checkedService(
    'read',
    schema,
    async ({ entity: id }, _performing, signal) => {
      const found = await things.find(id, signal)
      return found.ok
        ? { ok: true, value: telemetryOf(found.entity), ...labelOf(found.entity) }
        : notFound(found)
    },
    missingIn(things),
  )
}

/** How a call ends about a thing that is not there; undefined: it is. */
export const missingIn =
  (things: Things) =>
  async ({ entity }: { readonly entity: string }, signal: AbortSignal) => {
    const found = await things.find(entity, signal)
    return found.ok ? undefined : notFound(found)
  }

export const notFound = ({ code, reason }: Extract<Found, { ok: false }>) => failed(code, inOneLine(reason))
