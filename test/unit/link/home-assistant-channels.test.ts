/**
 * Every channel of attached sensors against Home Assistant's own table: device class, unit and state class must fit each
 * other, else the sensor is refused or shows no history.
 */
import { describe, expect, it } from 'vitest'
import { type ChannelRule, channels } from '../../../hal/contract/channels.ts'
import { componentsOf } from '../../../runtime/link/home-assistant/components.ts'
import { discovery } from '../../../runtime/link/home-assistant/discovery.ts'
import { check, homeMessage } from '../../../runtime/wire/messages.ts'
import { Topics } from '../../../runtime/wire/topics.ts'

/**
 * Units by device class, those that are used here: DEVICE_CLASS_UNITS in homeassistant/components/sensor/const.py. All of these
 * classes allow the state class `measurement` (DEVICE_CLASS_STATE_CLASSES, same file).
 */
const units: Readonly<Record<string, readonly string[]>> = {
  temperature: ['°C', '°F', 'K'],
  humidity: ['%'],
  atmospheric_pressure: ['Pa', 'hPa', 'kPa', 'bar', 'mbar', 'inHg', 'psi', 'cbar', 'mmHg'],
  illuminance: ['lx'],
  carbon_dioxide: ['ppm'],
  pm1: ['µg/m³'],
  pm25: ['µg/m³'],
  pm10: ['µg/m³'],
  voltage: ['V', 'mV', 'µV', 'kV', 'MV'],
  current: ['A', 'mA'],
  power: ['W', 'kW', 'MW', 'GW', 'TW'],
  distance: ['m', 'km', 'cm', 'mm', 'in', 'ft', 'yd', 'mi', 'nmi'],
  speed: ['m/s', 'km/h', 'ft/s', 'kn', 'mph', 'mm/d', 'mm/h', 'in/d', 'in/h'],
}
/** homeassistant/components/binary_sensor/__init__.py */
const binaryClasses = ['motion', 'opening', undefined]

const rules: readonly (readonly [string, ChannelRule])[] = Object.entries(channels)
const topics = { state: 's', set: 't' }

function componentOf(name: string, rule: ChannelRule) {
  const kind = rule.binary ? 'binary_sensor' : 'sensor'
  const entity = {
    id: `${kind}.part_${name}`,
    kind,
    name,
    simulated: true,
    ...(rule.deviceClass === undefined ? {} : { deviceClass: rule.deviceClass }),
    ...(rule.unit === '' ? {} : { unit: rule.unit }),
  }
  return componentsOf(entity, topics, {})[''] ?? { platform: 'none' }
}

describe('a channel in Home Assistant', () => {
  it.each(rules.filter(([, { binary }]) => !binary))('%s has a unit of its class', (name, rule) => {
    const { platform, device_class, unit_of_measurement, state_class } = componentOf(name, rule)
    expect(platform).toBe('sensor')
    expect(device_class).toBe(rule.deviceClass)
    if (rule.deviceClass !== undefined) expect(units[rule.deviceClass]).toContain(unit_of_measurement)
    expect(unit_of_measurement).toBe(rule.unit === '' ? undefined : rule.unit)
    if (rule.unit !== '') expect(state_class).toBe('measurement')
  })

  it.each(rules.filter(([, { binary }]) => binary))('%s is on or off', (name, rule) => {
    const { platform, device_class } = componentOf(name, rule)
    expect(platform).toBe('binary_sensor')
    expect(binaryClasses).toContain(device_class)
  })

  it('one of an emulated part says that it is simulated', () => {
    const home = {
      v: 1,
      device: { id: 'hub1', name: 'hub1', board: 'Pi', simulated: false, version: '1' },
      areas: [],
      entities: [
        {
          id: 'sensor.cellar_temperature',
          kind: 'sensor',
          name: 'Cellar temperature',
          simulated: true,
          device: { id: 'cellar', name: 'Cellar', model: 'BME280' },
        },
      ],
    }
    const parsed = check(homeMessage, home)
    if (!parsed.ok) throw new Error(parsed.reason)
    const models = discovery(parsed.value, new Topics('ganglion')).map(
      ({ payload }) => JSON.parse(payload).device.model,
    )
    expect(models).toContain('BME280 (simulated)')
  })
})
