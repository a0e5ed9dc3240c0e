/** Robot vacuums. A call to locate it makes a sound and shows nowhere. */
import * as v from 'valibot'
import { type Check, commandSchema, effect, type KindRules } from './kind.ts'

const effects: Readonly<Record<string, readonly Check[]>> = {
  start: [{ path: 'state', oneOf: ['cleaning'] }],
  pause: [{ path: 'state', oneOf: ['paused', 'idle'] }],
  stop: [{ path: 'state', oneOf: ['idle', 'docked', 'paused'] }],
  return_to_base: [{ path: 'state', oneOf: ['returning', 'docked'] }],
  locate: [],
}

export const vacuum: KindRules = {
  kind: 'vacuum',
  schema: commandSchema({
    action: v.picklist(
      ['start', 'pause', 'stop', 'return_to_base', 'locate'],
      'must be start, pause, stop, return_to_base or locate',
    ),
  }),
  effect: (command) => effect(effects[String(command['action'])] ?? [], 8_000),
}
