/** Vacuums. Which rooms are cleaned is the vacuum's own business: only the whole floor can be asked for. */

import type { Entity } from '../../things/entity.ts'
import { type Act, can, type Rule, turnsOff, turnsOn } from './rule.ts'

function act(action: string, feature: string, what: string, effect: string): (entity: Entity) => Act {
  return (entity) =>
    can(entity, feature)
      ? { command: { action }, effect }
      : { impossible: `${entity.info.name} cannot ${what}` }
}

const dock = act('return_to_base', 'return_home', 'return to its base', 'on its way to its base')

export const vacuumRules: readonly Rule[] = [
  {
    intent: 'vacuum.start',
    kind: 'vacuum',
    uses: ['verb', 'state'],
    implied: 'nothing',
    when: ({ verb, state }) => verb === 'clean' && state === undefined,
    act: act('start', 'start', 'be started', 'cleaning'),
  },
  {
    intent: 'vacuum.start',
    kind: 'vacuum',
    uses: ['verb', 'state'],
    when: turnsOn,
    act: act('start', 'start', 'be started', 'cleaning'),
  },
  {
    intent: 'vacuum.return_to_base',
    kind: 'vacuum',
    uses: ['verb'],
    implied: 'nothing',
    when: ({ verb }) => verb === 'dock',
    act: dock,
  },
  {
    intent: 'vacuum.stop',
    kind: 'vacuum',
    uses: ['verb', 'state'],
    when: turnsOff,
    // One that cannot stop where it is goes home: it no longer cleans either way.
    act: (entity) =>
      can(entity, 'stop') ? act('stop', 'stop', 'be stopped', 'stopped')(entity) : dock(entity),
  },
  {
    intent: 'vacuum.pause',
    kind: 'vacuum',
    uses: ['verb'],
    when: ({ verb }) => verb === 'pause',
    act: act('pause', 'pause', 'pause', 'paused'),
  },
  {
    intent: 'vacuum.locate',
    kind: 'vacuum',
    uses: ['verb'],
    when: ({ verb }) => verb === 'locate',
    act: act('locate', 'locate', 'be located', 'calling'),
  },
]
