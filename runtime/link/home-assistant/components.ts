/**
 * One entity of ours as the components (entities) that Home Assistant offers for it. State is read from our retained
 * state JSON, commands are our `set` JSON. Kinds without an MQTT platform are told in platforms that there are: a media
 * player as switches, a volume and buttons; a list as its count and a notify target that adds; weather as sensors.
 * Keys: https://www.home-assistant.io/integrations/#search/mqtt, one page a platform.
 */
import type { EntityDescription, Json } from '../../wire/messages.ts'
import { deviceClasses, stateClassOf } from './device-classes.ts'
import * as t from './templates.ts'

export type Component = { readonly platform: string } & { readonly [key: string]: Json }
export type Attributes = Readonly<Record<string, Json>>

export interface EntityTopics {
  readonly state: string
  readonly set: string
}

interface Source {
  readonly entity: EntityDescription
  readonly topics: EntityTopics
  /** Last attributes reported: tell modes and ranges. Empty when nothing was reported yet. */
  readonly attributes: Attributes
  /** True when the entity declares one of the features, or declares none at all. */
  readonly can: (...features: string[]) => boolean
}

/** Suffix of the component's id → component; the entity's main component has suffix ''. */
type Components = Readonly<Record<string, Component>>

export function componentsOf(
  entity: EntityDescription,
  topics: EntityTopics,
  attributes: Attributes,
): Components {
  const can = (...features: string[]) =>
    entity.features === undefined || features.some((feature) => entity.features?.includes(feature))
  return builders[entity.kind]?.({ entity, topics, attributes, can }) ?? {}
}

const builders: Readonly<Record<string, (source: Source) => Components>> = {
  light,
  switch: (source) => ({ '': { ...onOff(source), ...classOf('switch', source.entity.deviceClass) } }),
  fan,
  cover,
  valve,
  lock,
  climate,
  vacuum,
  media_player: mediaPlayer,
  todo,
  number: numberComponent,
  select: selectComponent,
  sensor,
  binary_sensor: binarySensor,
  weather,
}

function onOff({ topics }: Source): Component {
  return {
    platform: 'switch',
    state_topic: topics.state,
    value_template: t.stateAs(),
    command_topic: topics.set,
    payload_on: t.fixedCommand({ state: 'on' }),
    payload_off: t.fixedCommand({ state: 'off' }),
    state_on: 'on',
    state_off: 'off',
  }
}

function classOf(platform: string, deviceClass: string | undefined): { device_class?: string } {
  const known = deviceClass !== undefined && deviceClasses[platform]?.has(deviceClass)
  return known ? { device_class: deviceClass } : {}
}

function light({ topics, attributes, can }: Source): Components {
  const rgb = can('rgb')
  const kelvin = can('color_temp')
  const brightness = rgb || kelvin || can('brightness')
  const on = [
    '{"state": "on"',
    brightness ? t.optionalField('brightness', 'brightness') : '',
    kelvin ? t.optionalField('color_temp_kelvin', 'color_temp') : '',
    rgb ? t.optionalField('rgb_color', 'red', '[{{ red }}, {{ green }}, {{ blue }}]') : '',
    '}',
  ]
  return {
    '': {
      platform: 'light',
      schema: 'template',
      state_topic: topics.state,
      state_template: t.stateAs(),
      command_topic: topics.set,
      command_on_template: on.join(''),
      command_off_template: t.fixedCommand({ state: 'off' }),
      // Home Assistant ignores a brightness of 0: an off lamp keeps what it remembers.
      ...(brightness && { brightness_template: t.numberAttribute('brightness') }),
      ...(kelvin && {
        color_temp_kelvin: true,
        color_temp_template: t.attribute('color_temp_kelvin'),
        ...range(attributes, 'min_kelvin', 'min_color_temp_kelvin'),
        ...range(attributes, 'max_kelvin', 'max_color_temp_kelvin'),
      }),
      ...(rgb && {
        red_template: t.colorChannel(0),
        green_template: t.colorChannel(1),
        blue_template: t.colorChannel(2),
      }),
    },
  }
}

function range(attributes: Attributes, key: string, name: string): Record<string, number> {
  const value = attributes[name]
  return typeof value === 'number' ? { [key]: value } : {}
}

function list(attributes: Attributes, name: string): string[] | undefined {
  const value = attributes[name]
  if (!Array.isArray(value) || value.length === 0) return undefined
  return value.every((item) => typeof item === 'string') ? (value as string[]) : undefined
}

function fan({ topics, attributes, can }: Source): Components {
  const presets = list(attributes, 'preset_modes')
  return {
    '': {
      platform: 'fan',
      state_topic: topics.state,
      state_value_template: t.stateAs(),
      command_topic: topics.set,
      command_template: t.textCommand('state'),
      payload_on: 'on',
      payload_off: 'off',
      ...(can('set_speed') && {
        percentage_state_topic: topics.state,
        percentage_value_template: t.attribute('percentage'),
        percentage_command_topic: topics.set,
        percentage_command_template: t.numberCommand('percentage'),
      }),
      ...(can('oscillate') && {
        oscillation_state_topic: topics.state,
        oscillation_value_template: t.flagAttribute('oscillating'),
        oscillation_command_topic: topics.set,
        oscillation_command_template: t.numberCommand('oscillating'),
        payload_oscillation_on: 'true',
        payload_oscillation_off: 'false',
      }),
      ...(presets && {
        preset_modes: presets,
        preset_mode_state_topic: topics.state,
        preset_mode_value_template: t.attribute('preset_mode'),
        preset_mode_command_topic: topics.set,
        preset_mode_command_template: t.textCommand('preset_mode'),
      }),
    },
  }
}

function cover({ entity, topics, can }: Source): Components {
  return {
    '': {
      platform: 'cover',
      ...classOf('cover', entity.deviceClass),
      state_topic: topics.state,
      value_template: t.stateAs(),
      command_topic: topics.set,
      payload_open: can('open', 'set_position') ? t.fixedCommand({ state: 'open' }) : null,
      payload_close: can('close', 'set_position') ? t.fixedCommand({ state: 'closed' }) : null,
      payload_stop: can('stop') ? t.fixedCommand({ action: 'stop' }) : null,
      ...(can('set_position') && {
        position_topic: topics.state,
        position_template: t.attribute('current_position'),
        set_position_topic: topics.set,
        set_position_template: t.numberCommand('position', 'position'),
      }),
    },
  }
}

function valve({ entity, topics, can }: Source): Components {
  const shared = {
    platform: 'valve',
    ...classOf('valve', entity.deviceClass),
    state_topic: topics.state,
    command_topic: topics.set,
  }
  if (entity.features?.includes('set_position')) {
    // One command template serves positions and the stop, in this mode of Home Assistant's valve.
    const position = t.numberCommand('position')
    const stop = t.fixedCommand({ action: 'stop' })
    return {
      '': {
        ...shared,
        reports_position: true,
        value_template: t.attribute('current_position'),
        command_template: `{% if value == 'stop' %}${stop}{% else %}${position}{% endif %}`,
        payload_stop: can('stop') ? 'stop' : null,
      },
    }
  }
  return {
    '': {
      ...shared,
      value_template: t.stateAs(),
      payload_open: t.fixedCommand({ state: 'open' }),
      payload_close: t.fixedCommand({ state: 'closed' }),
      payload_stop: can('stop') ? t.fixedCommand({ action: 'stop' }) : null,
    },
  }
}

function lock({ topics }: Source): Components {
  return {
    '': {
      platform: 'lock',
      state_topic: topics.state,
      value_template: t.stateAs(),
      command_topic: topics.set,
      payload_lock: t.fixedCommand({ state: 'locked' }),
      payload_unlock: t.fixedCommand({ state: 'unlocked' }),
      state_locked: 'locked',
      state_unlocked: 'unlocked',
      state_locking: 'locking',
      state_unlocking: 'unlocking',
      state_jammed: 'jammed',
    },
  }
}

const climateModes = ['off', 'heat', 'cool', 'heat_cool', 'auto', 'dry', 'fan_only']

function climate({ entity, topics, attributes, can }: Source): Components {
  const fahrenheit = entity.unit === '°F'
  const unit = entity.unit === '°C' || fahrenheit ? { temperature_unit: fahrenheit ? 'F' : 'C' } : {}
  const point = (key: string, name: string): Record<string, Json> => ({
    [`${key}_state_topic`]: topics.state,
    [`${key}_state_template`]: t.attribute(name),
    [`${key}_command_topic`]: topics.set,
    [`${key}_command_template`]: t.numberCommand(name),
  })
  return {
    '': {
      platform: 'climate',
      modes: list(attributes, 'hvac_modes') ?? climateModes,
      mode_state_topic: topics.state,
      mode_state_template: t.stateAs(),
      mode_command_topic: topics.set,
      mode_command_template: t.textCommand('hvac_mode'),
      current_temperature_topic: topics.state,
      current_temperature_template: t.attribute('current_temperature'),
      ...('hvac_action' in attributes && {
        action_topic: topics.state,
        action_template: t.attribute('hvac_action'),
      }),
      ...(can('target_temperature') && point('temperature', 'temperature')),
      ...(entity.features?.includes('target_temperature_range') && {
        ...point('temperature_low', 'target_temp_low'),
        ...point('temperature_high', 'target_temp_high'),
      }),
      ...listed(topics, 'fan_mode', 'fan_modes', 'fan_mode_state_template', list(attributes, 'fan_modes')),
      ...listed(
        topics,
        'preset_mode',
        'preset_modes',
        'preset_mode_value_template',
        list(attributes, 'preset_modes')?.filter((mode) => mode !== 'none'),
      ),
      ...unit,
      ...range(attributes, 'min_temp', 'min_temp'),
      ...range(attributes, 'max_temp', 'max_temp'),
      ...range(attributes, 'temp_step', 'target_temp_step'),
    },
  }
}

/** A choice from a list that the entity has reported. */
function listed(
  topics: EntityTopics,
  name: string,
  listKey: string,
  templateKey: string,
  values: string[] | undefined,
): Record<string, Json> {
  if (!values || values.length === 0) return {}
  return {
    [listKey]: values,
    [`${name}_state_topic`]: topics.state,
    [templateKey]: t.attribute(name),
    [`${name}_command_topic`]: topics.set,
    [`${name}_command_template`]: t.textCommand(name),
  }
}

const vacuumActions = {
  start: 'start',
  pause: 'pause',
  stop: 'stop',
  return_to_base: 'return_home',
  locate: 'locate',
}

function vacuum({ topics, can }: Source): Components {
  const actions = Object.entries(vacuumActions).filter(([, feature]) => can(feature))
  return {
    '': {
      platform: 'vacuum',
      // Home Assistant reads `state` from the JSON itself; its vacuum takes no template.
      state_topic: topics.state,
      command_topic: topics.set,
      supported_features: [...actions.map(([, feature]) => feature), 'status'],
      ...Object.fromEntries(actions.map(([action]) => [`payload_${action}`, t.fixedCommand({ action })])),
    },
  }
}

function mediaPlayer(source: Source): Components {
  const { topics, attributes, can } = source
  const button = (name: string, command: Record<string, string>): Component => ({
    platform: 'button',
    name,
    command_topic: topics.set,
    payload_press: t.fixedCommand(command),
  })
  const sources = list(attributes, 'source_list')
  return {
    '': { ...onOff(source), value_template: t.stateAs({ off: 'off', standby: 'off' }, 'on') },
    ...(can('volume_set') && { volume: volume(topics, attributes) }),
    ...(can('volume_mute') && {
      muted: {
        ...onOff(source),
        name: 'Muted',
        value_template: t.flagAttribute('is_volume_muted'),
        payload_on: t.fixedCommand({ muted: true }),
        payload_off: t.fixedCommand({ muted: false }),
        state_on: 'true',
        state_off: 'false',
      },
    }),
    ...(sources && {
      source: {
        platform: 'select',
        name: 'Source',
        options: sources,
        state_topic: topics.state,
        value_template: t.attribute('source'),
        command_topic: topics.set,
        command_template: t.textCommand('source'),
      },
    }),
    ...(can('play', 'pause') && { play: button('Play', { state: 'playing' }) }),
    ...(can('pause') && { pause: button('Pause', { state: 'paused' }) }),
    ...(can('next_track') && { next: button('Next', { action: 'next' }) }),
    ...(can('previous_track') && { previous: button('Previous', { action: 'previous' }) }),
  }
}

/** Commands give the volume from 0 to 1; some players report it from 0 to 100. */
function volume(topics: EntityTopics, attributes: Attributes): Component {
  const level = attributes['volume_level']
  const hundreds = typeof level === 'number' && level > 1
  const scaled = '{{ (value_json.attributes.volume_level | default(0, true)) / 100 }}'
  return {
    platform: 'number',
    name: 'Volume',
    min: 0,
    max: 1,
    step: 0.01,
    mode: 'slider',
    state_topic: topics.state,
    value_template: hundreds ? scaled : t.attribute('volume_level'),
    command_topic: topics.set,
    command_template: t.numberCommand('volume_level'),
  }
}

function todo({ topics }: Source): Components {
  return {
    '': {
      platform: 'sensor',
      state_topic: topics.state,
      value_template: t.stateAs(),
      state_class: 'measurement',
    },
    add: {
      platform: 'notify',
      name: 'Add item',
      command_topic: topics.set,
      command_template: '{"action": "add_item", "item": {{ value | to_json }}}',
    },
  }
}

/** The simulated kind's own range where none is declared. */
const anyRange = { min: 0, max: 100, step: 1 }

function numberComponent({ entity, topics }: Source): Components {
  const { min, max, step } = entity.range ?? anyRange
  return {
    '': {
      platform: 'number',
      ...classOf('number', entity.deviceClass),
      ...(entity.unit !== undefined && { unit_of_measurement: entity.unit }),
      min,
      max,
      step,
      mode: 'slider',
      state_topic: topics.state,
      value_template: t.stateAs(),
      command_topic: topics.set,
      command_template: t.numberCommand('value'),
    },
  }
}

/** Home Assistant's select cannot be without options. */
function selectComponent({ entity, topics, attributes }: Source): Components {
  const options = entity.choices ?? list(attributes, 'options') ?? []
  if (options.length === 0) return {}
  return {
    '': {
      platform: 'select',
      options: [...options],
      state_topic: topics.state,
      value_template: t.stateAs(),
      command_topic: topics.set,
      command_template: t.textCommand('option'),
    },
  }
}

function sensor({ entity, topics }: Source): Components {
  const stateClass = stateClassOf(entity.deviceClass, entity.unit)
  return {
    '': {
      platform: 'sensor',
      ...classOf('sensor', entity.deviceClass),
      ...(entity.unit !== undefined && { unit_of_measurement: entity.unit }),
      ...(stateClass !== undefined && { state_class: stateClass }),
      state_topic: topics.state,
      value_template: t.stateAs(),
    },
  }
}

function binarySensor({ entity, topics }: Source): Components {
  return {
    '': {
      platform: 'binary_sensor',
      ...classOf('binary_sensor', entity.deviceClass),
      state_topic: topics.state,
      value_template: t.stateAs(),
      payload_on: 'on',
      payload_off: 'off',
    },
  }
}

const weatherSensors = [
  { name: 'Temperature', attribute: 'temperature', deviceClass: 'temperature', unit: 'temperature_unit' },
  { name: 'Humidity', attribute: 'humidity', deviceClass: 'humidity', unit: '%' },
  { name: 'Pressure', attribute: 'pressure', deviceClass: 'atmospheric_pressure', unit: 'pressure_unit' },
  { name: 'Wind speed', attribute: 'wind_speed', deviceClass: 'wind_speed', unit: 'wind_speed_unit' },
]

/** Without a reported unit no class either: Home Assistant would take the number for its own unit. */
function weather({ topics, attributes }: Source): Components {
  const part = ({ name, attribute, deviceClass, unit }: (typeof weatherSensors)[number]): Component => {
    const reported = unit === '%' ? '%' : attributes[unit]
    return {
      platform: 'sensor',
      name,
      state_class: 'measurement',
      state_topic: topics.state,
      value_template: t.attribute(attribute),
      ...(typeof reported === 'string' && { unit_of_measurement: reported, device_class: deviceClass }),
    }
  }
  const reported = weatherSensors.filter((row) => row.attribute in attributes)
  return {
    '': { platform: 'sensor', state_topic: topics.state, value_template: t.stateAs() },
    ...Object.fromEntries(reported.map((row) => [row.attribute, part(row)])),
  }
}
