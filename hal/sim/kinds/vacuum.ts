/** Robot vacuums. Returning takes a minute, then it docks by itself. A command that fits no state is answered, nothing moves. */
import { CommandFields } from '../../command-fields.ts'
import { times } from '../times.ts'
import type { Kind, Movement, Snapshot } from './kind.ts'
import { offers } from './kind.ts'

const featureOf = {
  start: 'start',
  pause: 'pause',
  stop: 'stop',
  return_to_base: 'return_home',
  locate: 'locate',
} as const
type Action = keyof typeof featureOf
const actions = Object.keys(featureOf) as Action[]

export const vacuum: Kind = {
  kind: 'vacuum',
  states: ['docked', 'cleaning', 'paused', 'returning', 'idle', 'error'],
  restState: 'docked',
  begin(device, command) {
    const fields = new CommandFields(device.info.id, command, ['action'])
    const action = fields.oneOf('action', actions)
    if (action) fields.needs('action', offers(device, featureOf[action]), `feature ${featureOf[action]}`)
    return move(action, device.now)
  },
  halt: (now) => (now.state === 'cleaning' || now.state === 'returning' ? { state: 'error' } : {}),
}

function move(action: Action | undefined, now: Snapshot): Movement {
  const answer = (state: string): Movement['steps'] => [{ afterMs: times.vacuumMs, apply: () => ({ state }) }]
  const moving = now.state === 'cleaning' || now.state === 'returning'
  switch (action) {
    case 'start':
      return { steps: answer('cleaning'), replaces: true, idempotent: true }
    case 'pause':
      return { steps: answer(moving ? 'paused' : now.state), replaces: true, idempotent: true }
    case 'stop':
      return { steps: answer(now.state === 'docked' ? 'docked' : 'idle'), replaces: true, idempotent: true }
    case 'return_to_base':
      return { steps: now.state === 'docked' ? answer('docked') : wayHome, replaces: true, idempotent: true }
    default:
      // Locating makes a sound: nothing that telemetry could show.
      return { steps: [{ afterMs: times.vacuumMs, apply: () => ({}) }], replaces: false, idempotent: false }
  }
}

const wayHome: Movement['steps'] = [
  { afterMs: times.vacuumMs, apply: () => ({ state: 'returning' }) },
  { afterMs: times.vacuumReturnMs, apply: () => ({ state: 'docked' }) },
]
