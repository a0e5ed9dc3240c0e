/**
 * Fans. Off by state or by percentage 0; any other command turns the fan on, as with lights. Turning off by state keeps
 * the speed for the next time; a fan that was stopped with percentage 0 starts again at full speed.
 */

import { CommandFields } from '../../command-fields.ts'
import type { Json } from '../../contract/component.ts'
import { times } from '../times.ts'
import { after, declaredList, type Kind, offers } from './kind.ts'

export const fan: Kind = {
  kind: 'fan',
  states: ['on', 'off'],
  restState: 'off',
  booleanStates: ['off', 'on'],
  begin(device, command) {
    const fields = new CommandFields(device.info.id, command, [
      'state',
      'percentage',
      'oscillating',
      'preset_mode',
    ])
    const presets = declaredList(device.now, 'preset_modes')
    fields.needs('percentage', offers(device, 'set_speed'), 'speed')
    fields.needs('oscillating', offers(device, 'oscillate'), 'oscillation')
    fields.needs('preset_mode', offers(device, 'preset_mode') || presets !== undefined, 'preset modes')
    const state = fields.oneOf('state', ['on', 'off'])
    const percentage = fields.whole('percentage', 0, 100)
    const oscillating = fields.flag('oscillating')
    const preset = presets ? fields.oneOf('preset_mode', presets) : fields.text('preset_mode')
    if (state === 'on' && percentage === 0)
      fields.refuse('malformed', 'percentage', '0 is off, but state is on')
    if (state === 'off' && percentage)
      fields.refuse('malformed', 'percentage', 'cannot be set while turning off')
    const off = state === 'off' || percentage === 0
    return after(times.fanMs, (now) => {
      const attributes: Record<string, Json> = {}
      if (percentage !== undefined) attributes['percentage'] = percentage
      else if (!off && now.attributes['percentage'] === 0) attributes['percentage'] = 100
      if (oscillating !== undefined) attributes['oscillating'] = oscillating
      if (preset !== undefined) attributes['preset_mode'] = preset
      return { state: off ? 'off' : 'on', attributes }
    })
  },
}
