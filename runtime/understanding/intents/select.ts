/** Selects: one of the choices that it declares. Its choices are words only beside its name: `red` is a colour elsewhere. */
import type { Entity } from '../../things/entity.ts'
import { saidChoice } from '../normalise.ts'
import type { Slots } from '../slots.ts'
import { listed } from '../wording.ts'
import type { Act, Rule } from './rule.ts'

function choose({ info: { name, choices = [] } }: Entity, { option }: Slots): Act {
  const choice = choices.find((candidate) => saidChoice(candidate) === option)
  if (choice === undefined)
    return { impossible: `${name} can be set to ${listed(choices, 'or')} only`, value: true }
  return { command: { option: choice }, effect: choice.replaceAll('_', ' ') }
}

export const selectRules: readonly Rule[] = [
  { intent: 'select.set', kind: 'select', uses: ['option'], when: () => true, several: 'never', act: choose },
  {
    // `set the traffic light to blue`: what it is not is told with what it may be.
    intent: 'select.set',
    kind: 'select',
    uses: ['state', 'amount', 'level', 'rgb', 'kelvin', 'mode'],
    when: () => true,
    several: 'never',
    act: choose,
  },
]
