/** Switches: on and off, by whatever verb suits what is plugged in. */
import { type Rule, turnsOff, turnsOn } from './rule.ts'

/** `heat up the hot tub`: what heats, told to. */
const heats = /heat|kettle|boiler|radiator|sauna|oven/i

export const switchRules: readonly Rule[] = [
  {
    intent: 'switch.turn_on',
    kind: 'switch',
    uses: ['state', 'verb'],
    when: (slots) => turnsOn(slots) || (slots.state === undefined && slots.verb === 'water'),
    act: () => ({ command: { state: 'on' }, effect: 'on' }),
  },
  {
    intent: 'switch.turn_on',
    kind: 'switch',
    uses: ['attribute', 'direction'],
    when: ({ attribute, direction }) => attribute === 'temperature' && direction === 'up',
    act: ({ info }) =>
      heats.test(info.name)
        ? { command: { state: 'on' }, effect: 'on' }
        : { impossible: `${info.name} does not heat anything` },
  },
  {
    intent: 'switch.turn_off',
    kind: 'switch',
    uses: ['state', 'verb'],
    when: turnsOff,
    act: () => ({ command: { state: 'off' }, effect: 'off' }),
  },
]
