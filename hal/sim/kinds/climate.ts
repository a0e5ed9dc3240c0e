/**
 * Thermostats and heat pumps. The state is the mode; `{state: 'on'}` goes back to the last mode that was not off, or to
 * the first it has of heat_cool, auto, heat, cool. Set points have limits: `min_temp`/`max_temp`, else Home Assistant's
 * defaults (7 to 35 °C, 45 to 95 °F). Where nothing tells the unit, both ranges are accepted.
 */

import { CommandFields } from '../../command-fields.ts'
import type { Json } from '../../contract/component.ts'
import { times } from '../times.ts'
import { after, type Device, declaredList, type Kind, offers, type Snapshot } from './kind.ts'

const modes = ['off', 'heat', 'cool', 'heat_cool', 'auto', 'dry', 'fan_only']
const preferred = ['heat_cool', 'auto', 'heat', 'cool']
const setPoints = ['temperature', 'target_temp_low', 'target_temp_high'] as const
const fieldNames = ['state', 'hvac_mode', ...setPoints, 'fan_mode', 'preset_mode']

export const climate: Kind = {
  kind: 'climate',
  states: modes,
  restState: 'off',
  begin(device, command) {
    const fields = new CommandFields(device.info.id, command, fieldNames)
    const mode = readMode(fields, device)
    const points = readSetPoints(fields, device)
    const fan = readListed(fields, device, 'fan_mode')
    const preset = readListed(fields, device, 'preset_mode')
    return after(times.climateMs, (now) => {
      if (now.state !== 'off') device.memory.set('mode', now.state)
      const state = mode === 'on' ? onMode(now, device.memory) : (mode ?? now.state)
      const attributes: Record<string, Json> = { ...points }
      if (fan !== undefined) attributes['fan_mode'] = fan
      if (preset !== undefined) attributes['preset_mode'] = preset
      if ('hvac_mode' in now.attributes) attributes['hvac_mode'] = state
      if ('hvac_action' in now.attributes)
        attributes['hvac_action'] = action(state, { ...now.attributes, ...points })
      return { state, attributes }
    })
  },
}

function readMode(fields: CommandFields, device: Device): string | undefined {
  const state = fields.oneOf('state', ['on', 'off'])
  const mode = fields.oneOf('hvac_mode', declaredList(device.now, 'hvac_modes') ?? modes)
  if (state && mode && (state === 'off') !== (mode === 'off'))
    fields.refuse('malformed', 'hvac_mode', `${mode} contradicts state ${state}`)
  return mode ?? state
}

function readSetPoints(fields: CommandFields, device: Device): Record<string, Json> {
  const range = temperatureRange(device.now)
  const single = offers(device, 'target_temperature', 'target_temperature_range')
  fields.needs('temperature', single || 'temperature' in device.now.attributes, 'set point')
  for (const end of ['target_temp_low', 'target_temp_high'] as const)
    fields.needs(end, offers(device, 'target_temperature_range'), 'set point range')
  const points: Record<string, Json> = {}
  for (const point of setPoints) {
    const value = fields.number(point, range.min, range.max, range.unit)
    if (value !== undefined) points[point] = value
  }
  const low = points['target_temp_low'] ?? device.now.attributes['target_temp_low']
  const high = points['target_temp_high'] ?? device.now.attributes['target_temp_high']
  if (typeof low === 'number' && typeof high === 'number' && low > high)
    fields.refuse('out-of-range', 'target_temp_low', `${low} is above target_temp_high ${high}`)
  return points
}

function readListed(
  fields: CommandFields,
  device: Device,
  field: 'fan_mode' | 'preset_mode',
): string | undefined {
  const listed = declaredList(device.now, `${field}s`)
  fields.needs(field, listed !== undefined || offers(device, field), field.replace('_', ' '))
  return listed ? fields.oneOf(field, listed) : fields.text(field)
}

function onMode(now: Snapshot, memory: ReadonlyMap<string, string>): string {
  if (now.state !== 'off') return now.state
  const offered = declaredList(now, 'hvac_modes') ?? modes
  const last = memory.get('mode')
  if (last && offered.includes(last)) return last
  return preferred.find((mode) => offered.includes(mode)) ?? offered.find((mode) => mode !== 'off') ?? 'heat'
}

function temperatureRange(now: Snapshot): { min: number; max: number; unit: string } {
  const { min_temp: min, max_temp: max } = now.attributes
  const unit = temperatureUnit(now)
  const usual =
    unit === '°C' ? { min: 7, max: 35 } : unit === '°F' ? { min: 45, max: 95 } : { min: 7, max: 95 }
  return {
    min: typeof min === 'number' ? min : usual.min,
    max: typeof max === 'number' ? max : usual.max,
    unit,
  }
}

/** The declared unit; else °F when the room is warmer than any room in °C would be. */
function temperatureUnit(now: Snapshot): '°C' | '°F' | '' {
  const declared = now.attributes['unit_of_measurement'] ?? now.attributes['temperature_unit']
  if (declared === '°C' || declared === '°F') return declared
  const room = now.attributes['current_temperature']
  return typeof room === 'number' && room > 45 ? '°F' : ''
}

function action(mode: string, attributes: Readonly<Record<string, Json>>): string {
  if (mode === 'off') return 'off'
  if (mode === 'dry') return 'drying'
  if (mode === 'fan_only') return 'fan'
  const { current_temperature: room, temperature: target } = attributes
  if (typeof room !== 'number' || typeof target !== 'number') return 'idle'
  if (room < target && mode !== 'cool') return 'heating'
  if (room > target && mode !== 'heat') return 'cooling'
  return 'idle'
}
