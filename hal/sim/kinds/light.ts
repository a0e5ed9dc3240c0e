/**
 * Lights. Turning on or off alters the state alone: brightness and colour stay as the lamp remembers them.
 * What a lamp can do is what `supported_color_modes` declares; undeclared means everything may be tried.
 */

import { CommandFields } from '../../command-fields.ts'
import type { Json } from '../../contract/component.ts'
import { times } from '../times.ts'
import { after, type Change, declaredList, type Kind, type Snapshot } from './kind.ts'

const colorModes = ['rgb', 'rgbw', 'rgbww', 'hs', 'xy']
/** Home Assistant's defaults for lamps that do not say, kelvin. */
const kelvinRange = { min: 2000, max: 6535 }

export const light: Kind = {
  kind: 'light',
  states: ['on', 'off'],
  restState: 'off',
  booleanStates: ['off', 'on'],
  begin({ info, now }, command) {
    const fields = new CommandFields(info.id, command, [
      'state',
      'brightness',
      'rgb_color',
      'color_temp_kelvin',
    ])
    const modes = declaredList(now, 'supported_color_modes')
    fields.needs('brightness', !modes || modes.some((mode) => mode !== 'onoff'), 'brightness')
    fields.needs('rgb_color', !modes || modes.some((mode) => colorModes.includes(mode)), 'colour')
    fields.needs('color_temp_kelvin', !modes || modes.includes('color_temp'), 'colour temperature')
    const state = fields.oneOf('state', ['on', 'off'])
    const brightness = fields.whole('brightness', 0, 255)
    const rgb = fields.rgb('rgb_color')
    const kelvin = fields.whole('color_temp_kelvin', limit(now, 'min'), limit(now, 'max'))
    if (rgb && kelvin !== undefined)
      fields.refuse('malformed', 'color_temp_kelvin', 'give a colour or this, not both')
    if (state === 'on' && brightness === 0)
      fields.refuse('malformed', 'brightness', '0 is off, but state is on')
    const off = state === 'off' || brightness === 0
    for (const field of ['brightness', 'rgb_color', 'color_temp_kelvin'] as const) {
      if (state === 'off' && fields.has(field) && brightness !== 0)
        fields.refuse('malformed', field, 'cannot be set while turning off')
    }
    return after(times.lightMs, (lamp) => {
      if (off) return { state: 'off' }
      return { state: 'on', attributes: { ...level(brightness), ...colour(lamp, rgb, kelvin) } }
    })
  },
}

function limit(now: Snapshot, end: 'min' | 'max'): number {
  const declared = now.attributes[`${end}_color_temp_kelvin`]
  return typeof declared === 'number' ? declared : kelvinRange[end]
}

function level(brightness: number | undefined): Record<string, Json> {
  return brightness === undefined ? {} : { brightness }
}

/** Attributes of a colour; those that described the colour before and were not asked for are removed. */
function colour(
  lamp: Snapshot,
  rgb: [number, number, number] | undefined,
  kelvin: number | undefined,
): NonNullable<Change['attributes']> {
  const stale = { hs_color: undefined, xy_color: undefined }
  if (rgb) {
    const modes = declaredList(lamp, 'supported_color_modes')
    const mode = modes?.find((candidate) => colorModes.includes(candidate)) ?? 'rgb'
    return { ...stale, color_temp_kelvin: undefined, rgb_color: rgb, color_mode: mode }
  }
  if (kelvin !== undefined)
    return { ...stale, rgb_color: undefined, color_temp_kelvin: kelvin, color_mode: 'color_temp' }
  return {}
}
