/** Numbers: one value to set, within the range that the component declares. */

import { CommandFields } from '../../command-fields.ts'
import { HalError } from '../../contract/errors.ts'
import { times } from '../times.ts'
import { after, type Kind } from './kind.ts'

export const numberKind: Kind = {
  kind: 'number',
  states: /^-?\d+(\.\d+)?$/,
  restState: '0',
  begin({ info }, command) {
    const { min, max } = info.range ?? { min: 0, max: 100 }
    const value = new CommandFields(info.id, command, ['value']).number('value', min, max)
    if (value === undefined) throw new HalError('malformed', `${info.id}: value is missing`)
    return after(times.switchMs, () => ({ state: String(value) }))
  },
}
