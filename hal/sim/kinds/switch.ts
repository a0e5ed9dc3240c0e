/** Switches and smart plugs: on or off. */
import { CommandFields } from '../../command-fields.ts'
import { times } from '../times.ts'
import { after, type Kind } from './kind.ts'

export const switchKind: Kind = {
  kind: 'switch',
  states: ['on', 'off'],
  restState: 'off',
  booleanStates: ['off', 'on'],
  begin({ info }, command) {
    const state = new CommandFields(info.id, command, ['state']).oneOf('state', ['on', 'off'])
    return after(times.switchMs, () => (state ? { state } : {}))
  },
}
