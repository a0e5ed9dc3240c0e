/** Locks. The bolt travels; a bolt that is stopped on its way is `jammed`. */
import { CommandFields } from '../../command-fields.ts'
import { times } from '../times.ts'
import type { Kind } from './kind.ts'

const underWay = { locked: 'locking', unlocked: 'unlocking' } as const

export const lock: Kind = {
  kind: 'lock',
  states: ['locked', 'unlocked', 'locking', 'unlocking', 'jammed'],
  restState: 'locked',
  booleanStates: ['unlocked', 'locked'],
  begin({ info, now }, command) {
    const state = new CommandFields(info.id, command, ['state']).oneOf('state', ['locked', 'unlocked'])
    const arrive = { afterMs: times.lockTravelMs, apply: () => (state ? { state } : {}) }
    const steps =
      !state || now.state === state
        ? [{ ...arrive, afterMs: times.answerMs }]
        : [{ afterMs: times.answerMs, apply: () => ({ state: underWay[state] }) }, arrive]
    return { steps, replaces: true, idempotent: true }
  },
  halt: (now) => (now.state === 'locking' || now.state === 'unlocking' ? { state: 'jammed' } : {}),
}
