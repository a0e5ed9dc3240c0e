/** Switches: on and off, by whatever verb suits what is plugged in. */
import type { Rule } from './rule.ts'

export const switchRules: readonly Rule[] = [
  {
    intent: 'switch.turn_on',
    kind: 'switch',
    uses: ['state', 'verb'],
    when: ({ state, verb }) =>
      (state === 'on' && verb === undefined) ||
      (state === undefined && (verb === 'start' || verb === 'water')),
    act: () => ({ command: { state: 'on' }, effect: 'on' }),
  },
  {
    intent: 'switch.turn_off',
    kind: 'switch',
    uses: ['state', 'verb'],
    when: ({ state, verb }) =>
      (state === 'off' && verb === undefined) || (state === undefined && verb === 'stop'),
    act: () => ({ command: { state: 'off' }, effect: 'off' }),
  },
]
