/** Selects: one of the choices that the component declares, or that its home file lists as `options`. */

import { CommandFields } from '../../command-fields.ts'
import { HalError } from '../../contract/errors.ts'
import { times } from '../times.ts'
import { after, declaredList, type Kind } from './kind.ts'

export const selectKind: Kind = {
  kind: 'select',
  states: /^.+$/,
  restState: 'unknown',
  begin({ info, now }, command) {
    const choices = info.choices ?? declaredList(now, 'options') ?? []
    const option = new CommandFields(info.id, command, ['option']).oneOf('option', [...choices])
    if (option === undefined) throw new HalError('malformed', `${info.id}: option is missing`)
    return after(times.switchMs, () => ({ state: option }))
  },
}
