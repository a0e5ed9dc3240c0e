/** Switches: on and off, by whatever verb suits what is plugged in. */
import { type Rule, turnsOff, turnsOn } from './rule.ts'

export const switchRules: readonly Rule[] = [
  {
    intent: 'switch.turn_on',
    kind: 'switch',
    uses: ['state', 'verb'],
    when: (slots) => turnsOn(slots) || (slots.state === undefined && slots.verb === 'water'),
    act: () => ({ command: { state: 'on' }, effect: 'on' }),
  },
  {
    intent: 'switch.turn_off',
    kind: 'switch',
    uses: ['state', 'verb'],
    when: turnsOff,
    act: () => ({ command: { state: 'off' }, effect: 'off' }),
  },
]
