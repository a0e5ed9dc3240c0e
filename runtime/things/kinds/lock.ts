/** Locks. Locking may be repeated; unlocking never is, since a repeat that arrives late opens a door nobody stands at. */
import * as v from 'valibot'
import { commandSchema, effect, type KindRules } from './kind.ts'

export const lock: KindRules = {
  kind: 'lock',
  schema: commandSchema({ state: v.picklist(['locked', 'unlocked'], 'must be "locked" or "unlocked"') }),
  effect(command) {
    const locked = command['state'] === 'locked'
    return effect([{ path: 'state', oneOf: [locked ? 'locked' : 'unlocked'] }], 8_000, { retrySafe: locked })
  },
}
