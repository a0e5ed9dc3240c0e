/**
 * Covers and valves: things that travel. Doors, gates and garage doors are often driven by a push button that a second
 * command would reverse, so their commands are never repeated.
 */
import * as v from 'valibot'
import type { Command } from '../../../hal/contract/actuator.ts'
import type { ComponentInfo, Telemetry } from '../../../hal/contract/component.ts'
import { type Check, commandSchema, type Effect, effect, type KindRules, near, percentage } from './kind.ts'

const travelMs = 60_000
const neverRepeated: ReadonlySet<string> = new Set(['garage', 'garage_door', 'gate', 'door'])

const schema = v.pipe(
  commandSchema({
    state: v.optional(v.picklist(['open', 'closed'], 'must be "open" or "closed"')),
    position: v.optional(percentage),
    action: v.optional(v.literal('stop', 'must be "stop"')),
  }),
  v.check((command) => Object.keys(command).length === 1, 'give one of state, position, action'),
)

function travel(command: Command, info: ComponentInfo, before: Telemetry): Effect {
  const retrySafe = !neverRepeated.has(info.deviceClass ?? '')
  if (command['action'] === 'stop')
    return effect([{ path: 'state', noneOf: ['opening', 'closing'] }], 3_000, { retrySafe })
  const position =
    command['state'] === 'open' ? 100 : command['state'] === 'closed' ? 0 : Number(command['position'])
  const checks: Check[] = [{ path: 'state', oneOf: [position > 0 ? 'open' : 'closed'] }]
  if (typeof before.attributes['current_position'] === 'number' || info.features?.includes('set_position')) {
    checks.push(near('current_position', position, 3, before))
  }
  return effect(checks, travelMs, { retrySafe })
}

export const cover: KindRules = { kind: 'cover', schema, effect: travel }
export const valve: KindRules = { kind: 'valve', schema, effect: travel }
