/** Small homes for single cases. */
import type { Json } from '../../../hal/contract/component.ts'
import type { Area, Entity, HomeView } from '../../../runtime/things/entity.ts'
import { understand } from '../../../runtime/understanding/understand.ts'
import type { Understanding } from '../../../runtime/understanding/understanding.ts'

export interface Given {
  readonly name: string
  readonly area?: string
  readonly state?: string
  readonly features?: readonly string[]
  readonly deviceClass?: string
  readonly unit?: string
  readonly range?: { readonly min: number; readonly max: number; readonly step: number }
  readonly choices?: readonly string[]
  readonly attributes?: Readonly<Record<string, Json>>
}

/** An entity of an id such as `light.kitchen`. */
export function entity(id: string, given: Given): Entity {
  const { state = 'off', attributes = {}, ...info } = given
  return {
    info: { id, kind: id.slice(0, id.indexOf('.')) as Entity['info']['kind'], simulated: true, ...info },
    telemetry: { state, attributes, tsMs: 0 },
  }
}

export function area(id: string, name: string, more: Partial<Area> = {}): Area {
  return { id, name, ...more }
}

export const nowMs = new Date(2026, 10, 22, 7, 5).getTime()

export function say(home: HomeView, text: string, where?: string): Understanding {
  return understand(text, home, where === undefined ? { nowMs } : { nowMs, area: where })
}

/** Commands as `entity {json}`, sorted; or what was said instead. */
export function did(found: Understanding): string[] {
  if (found.kind !== 'commands') return [`${found.kind}: ${found.reply}`]
  return found.commands.map(({ entity, command }) => `${entity} ${JSON.stringify(command)}`).sort()
}
