/** Discovery payloads against Home Assistant's rules, and every template rendered both ways. */
import { describe, expect, test } from 'vitest'
import type { Command } from '../../../hal/contract/actuator.ts'
import { componentsOf } from '../../../runtime/link/home-assistant/components.ts'
import { deviceClasses } from '../../../runtime/link/home-assistant/device-classes.ts'
import { discovery } from '../../../runtime/link/home-assistant/discovery.ts'
import { wireLimits } from '../../../runtime/wire/limits.ts'
import {
  check,
  type EntityDescription,
  type HomeMessage,
  homeMessage,
  type Json,
  parseJson,
  setMessage,
} from '../../../runtime/wire/messages.ts'
import { Topics } from '../../../runtime/wire/topics.ts'
import { common, hvacModes, platforms, vacuumFeatures } from './home-assistant-rules.ts'
import { render } from './jinja.ts'

type Config = Record<string, Json>
interface Payload {
  readonly device: Config
  readonly origin: Config
  readonly components: Record<string, Config>
}

const topics = new Topics('ganglion')
const own = { state: 'ganglion/hub1/state/e', set: 'ganglion/hub1/set/e' }

function entity(kind: string, more: Partial<EntityDescription> = {}): EntityDescription {
  return { id: `${kind}.one`, kind, name: `The ${kind}`, simulated: false, ...more }
}

/** Everything a kind can do, undeclared and declared. */
const zoo: { entity: EntityDescription; attributes: Record<string, Json> }[] = [
  { entity: entity('light'), attributes: { min_color_temp_kelvin: 2000 } },
  { entity: entity('light', { id: 'light.dim', features: ['brightness'] }), attributes: {} },
  { entity: entity('light', { id: 'light.plain', features: ['onoff'] }), attributes: {} },
  { entity: entity('switch', { deviceClass: 'outlet' }), attributes: {} },
  { entity: entity('switch', { id: 'switch.odd', deviceClass: 'toaster' }), attributes: {} },
  { entity: entity('fan'), attributes: { preset_modes: ['eco', 'max'] } },
  { entity: entity('fan', { id: 'fan.plain', features: [] }), attributes: {} },
  { entity: entity('cover', { deviceClass: 'curtain' }), attributes: {} },
  { entity: entity('cover', { id: 'cover.garage', features: ['open', 'close'] }), attributes: {} },
  { entity: entity('valve', { features: ['open', 'close', 'set_position', 'stop'] }), attributes: {} },
  { entity: entity('valve', { id: 'valve.plain', deviceClass: 'water' }), attributes: {} },
  { entity: entity('lock'), attributes: {} },
  {
    entity: entity('climate', { unit: '°F', features: ['target_temperature', 'target_temperature_range'] }),
    attributes: {
      hvac_modes: ['off', 'heat'],
      hvac_action: 'idle',
      fan_modes: ['low'],
      preset_modes: ['none', 'away'],
      min_temp: 50,
      max_temp: 90,
      target_temp_step: 0.5,
    },
  },
  { entity: entity('climate', { id: 'climate.bare' }), attributes: {} },
  { entity: entity('vacuum', { features: ['start', 'pause', 'return_home'] }), attributes: {} },
  { entity: entity('media_player'), attributes: { source_list: ['TV', 'Radio'], volume_level: 40 } },
  { entity: entity('media_player', { id: 'media_player.plain', features: ['turn_on'] }), attributes: {} },
  { entity: entity('todo'), attributes: {} },
  { entity: entity('number'), attributes: {} },
  {
    entity: entity('number', {
      id: 'number.flap',
      unit: '°C',
      deviceClass: 'temperature',
      range: { min: -90, max: 90, step: 0.5 },
    }),
    attributes: {},
  },
  { entity: entity('select', { choices: ['red', 'green'] }), attributes: {} },
  { entity: entity('select', { id: 'select.listed' }), attributes: { options: ['eco', 'max'] } },
  { entity: entity('sensor', { deviceClass: 'temperature', unit: '°C' }), attributes: {} },
  { entity: entity('sensor', { id: 'sensor.energy', deviceClass: 'energy', unit: 'kWh' }), attributes: {} },
  { entity: entity('sensor', { id: 'sensor.text', deviceClass: 'timestamp' }), attributes: {} },
  { entity: entity('binary_sensor', { deviceClass: 'motion' }), attributes: {} },
  {
    entity: entity('weather'),
    attributes: { temperature: 12, temperature_unit: '°C', humidity: 50, pressure: 1000 },
  },
]

function homeOf(entities: EntityDescription[], areas: HomeMessage['areas'] = []): HomeMessage {
  const device = { id: 'hub1', name: 'Hub', board: 'sim-home', simulated: true, version: '0.1.0' }
  const home = { v: 1 as const, device, areas, entities }
  expect(check(homeMessage, home)).toMatchObject({ ok: true })
  return home
}

function payloads(
  home: HomeMessage,
  attributesOf?: (id: string) => Record<string, Json> | undefined,
): Payload[] {
  return discovery(home, topics, attributesOf && { attributesOf }).map(({ payload }) => JSON.parse(payload))
}

describe('each component', () => {
  const attributes = new Map(zoo.map((row) => [row.entity.id, row.attributes]))
  const all = payloads(homeOf(zoo.map((row) => row.entity)), (id) => attributes.get(id))
  const components = all.flatMap((payload) => Object.entries(payload.components))

  test('there is at least one for every kind', () => {
    for (const { entity: e } of zoo) expect(components.map(([id]) => id)).toContain(e.id)
  })

  test.each(components)(
    '%s has the keys that its platform requires and none that it does not know',
    (_, config) => {
      const rules = platforms[String(config['platform'])]
      if (!rules) throw new Error(`no rules for ${config['platform']}`)
      for (const key of [...common.required, ...rules.required]) expect(config).toHaveProperty(key)
      const known = [common, rules].flatMap((r) => [...r.required, ...r.optional])
      expect(Object.keys(config).filter((key) => !known.includes(key))).toEqual([])
      for (const group of rules.together ?? [])
        expect([0, group.length]).toContain(group.filter((key) => key in config).length)
    },
  )

  test.each(components)('%s has only values that its platform takes', (_, config) => {
    const platform = String(config['platform'])
    const deviceClass = config['device_class']
    if (deviceClass !== undefined) expect(deviceClasses[platform]).toContain(deviceClass)
    if (platform === 'vacuum')
      expect(vacuumFeatures).toEqual(expect.arrayContaining(config['supported_features'] as []))
    if (platform === 'climate') {
      expect(hvacModes).toEqual(expect.arrayContaining(config['modes'] as []))
      expect(config['preset_modes'] ?? []).not.toContain('none')
    }
    if (config['reports_position']) {
      for (const key of ['payload_open', 'payload_close', 'state_open', 'state_closed'])
        expect(config).not.toHaveProperty(key)
    }
    // https://www.home-assistant.io/integrations/sensor/#state-class: energy only ever grows.
    if (deviceClass === 'energy') expect(config['state_class']).toBe('total_increasing')
    for (const [key, value] of Object.entries(config)) {
      if (key.endsWith('command_topic') || key === 'set_position_topic')
        expect(value).toMatch(/^ganglion\/hub1\/set\/[\w.]+$/)
      else if (key.endsWith('_topic')) expect(value).toMatch(/^ganglion\/hub1\/(state\/[\w.]+|availability)$/)
    }
  })

  test('has an id of its own', () => {
    const ids = components.map(([, config]) => config['unique_id'])
    expect(new Set(ids).size).toBe(ids.length)
  })
})

describe('commands from Home Assistant', () => {
  const of = (kind: string, more: Partial<EntityDescription> = {}, attributes: Record<string, Json> = {}) =>
    componentsOf(entity(kind, more), own, attributes) as Record<string, Config>
  const main = (...args: Parameters<typeof of>) => of(...args)[''] ?? {}

  function command(text: unknown): Command {
    const parsed = parseJson(setMessage, Buffer.from(String(text)), wireLimits.setBytesMax)
    if (!parsed.ok) throw new Error(`${parsed.reason}: ${text}`)
    return parsed.value as Command
  }

  test.each<[string, unknown, Command]>([
    ['light on', render(String(main('light')['command_on_template']), { state: true }), { state: 'on' }],
    [
      'light at a brightness',
      render(String(main('light')['command_on_template']), { state: true, brightness: 128 }),
      { state: 'on', brightness: 128 },
    ],
    [
      'light in a colour',
      render(String(main('light')['command_on_template']), { red: 255, green: 0, blue: 10, brightness: 3 }),
      { state: 'on', brightness: 3, rgb_color: [255, 0, 10] },
    ],
    [
      'light at a colour temperature',
      render(String(main('light')['command_on_template']), { color_temp: 2700 }),
      { state: 'on', color_temp_kelvin: 2700 },
    ],
    ['light off', render(String(main('light')['command_off_template']), {}), { state: 'off' }],
    ['switch on', main('switch')['payload_on'], { state: 'on' }],
    ['switch off', main('switch')['payload_off'], { state: 'off' }],
    ['fan on', viaTemplate(main('fan'), 'command_template', 'payload_on'), { state: 'on' }],
    ['fan off', viaTemplate(main('fan'), 'command_template', 'payload_off'), { state: 'off' }],
    [
      'fan speed',
      render(String(main('fan')['percentage_command_template']), { value: 40 }),
      { percentage: 40 },
    ],
    [
      'fan oscillating',
      viaTemplate(main('fan'), 'oscillation_command_template', 'payload_oscillation_on'),
      { oscillating: true },
    ],
    [
      'fan preset',
      render(String(main('fan', {}, { preset_modes: ['a"b'] })['preset_mode_command_template']), {
        value: 'a"b',
      }),
      { preset_mode: 'a"b' },
    ],
    ['cover open', main('cover')['payload_open'], { state: 'open' }],
    ['cover close', main('cover')['payload_close'], { state: 'closed' }],
    ['cover stop', main('cover')['payload_stop'], { action: 'stop' }],
    [
      'cover position',
      render(String(main('cover')['set_position_template']), { position: 30, value: 30 }),
      { position: 30 },
    ],
    ['valve open', main('valve')['payload_open'], { state: 'open' }],
    ['valve close', main('valve')['payload_close'], { state: 'closed' }],
    [
      'valve position',
      render(String(main('valve', { features: ['set_position'] })['command_template']), { value: 70 }),
      { position: 70 },
    ],
    [
      'valve stop',
      viaTemplate(main('valve', { features: ['set_position', 'stop'] }), 'command_template', 'payload_stop'),
      { action: 'stop' },
    ],
    ['lock', main('lock')['payload_lock'], { state: 'locked' }],
    ['unlock', main('lock')['payload_unlock'], { state: 'unlocked' }],
    [
      'mode',
      render(String(main('climate')['mode_command_template']), { value: 'heat' }),
      { hvac_mode: 'heat' },
    ],
    [
      'temperature',
      render(String(main('climate')['temperature_command_template']), { value: 21.5 }),
      { temperature: 21.5 },
    ],
    ['vacuum start', main('vacuum')['payload_start'], { action: 'start' }],
    ['vacuum home', main('vacuum')['payload_return_to_base'], { action: 'return_to_base' }],
    [
      'volume',
      render(String(of('media_player')['volume']?.['command_template']), { value: 0.4 }),
      { volume_level: 0.4 },
    ],
    ['number', render(String(main('number')['command_template']), { value: 12.5 }), { value: 12.5 }],
    [
      'choice',
      render(String(main('select', { choices: ['a "b"'] })['command_template']), { value: 'a "b"' }),
      { option: 'a "b"' },
    ],
    ['mute', of('media_player')['muted']?.['payload_on'], { muted: true }],
    ['play', of('media_player')['play']?.['payload_press'], { state: 'playing' }],
    ['next', of('media_player')['next']?.['payload_press'], { action: 'next' }],
    [
      'list item',
      render(String(of('todo')['add']?.['command_template']), { value: 'say "hi"\n' }),
      { action: 'add_item', item: 'say "hi"\n' },
    ],
  ])('%s is our command', (_, payload, expected) => {
    expect(command(payload)).toEqual(expected)
  })

  test('what an entity cannot do is not offered', () => {
    expect(main('cover', { features: ['open', 'close'] })).toMatchObject({ payload_stop: null })
    expect(main('cover', { features: ['open', 'close'] })).not.toHaveProperty('set_position_topic')
    expect(main('light', { features: ['onoff'] })).not.toHaveProperty('brightness_template')
    expect(Object.keys(of('media_player', { features: ['turn_on'] }))).toEqual([''])
    expect(of('select')).toEqual({})
  })
})

function viaTemplate(config: Config, template: string, payload: string): string {
  return render(String(config[template]), { value: config[payload] })
}

describe('states for Home Assistant', () => {
  const report = (state: string, attributes: Record<string, Json> = {}) => ({
    value_json: { v: 1, state, attributes, ts: 0 },
  })
  const template = (kind: string, key: string, part = '', features?: string[], attributes = {}) =>
    String(
      (componentsOf(entity(kind, features && { features }), own, attributes)[part] as Config | undefined)?.[
        key
      ],
    )

  test.each<[string, string, ReturnType<typeof report>, string]>([
    ['light on', template('light', 'state_template'), report('on'), 'on'],
    ['light unknown', template('light', 'state_template'), report('unknown'), 'None'],
    ['brightness', template('light', 'brightness_template'), report('on', { brightness: 80 }), '80'],
    [
      'brightness of an off lamp',
      template('light', 'brightness_template'),
      report('off', { brightness: null }),
      '0',
    ],
    ['brightness that is not reported', template('light', 'brightness_template'), report('off'), '0'],
    ['red', template('light', 'red_template'), report('on', { rgb_color: [1, 2, 3] }), '1'],
    ['blue', template('light', 'blue_template'), report('on', { rgb_color: [1, 2, 3] }), '3'],
    ['no colour', template('light', 'green_template'), report('on'), 'None'],
    ['kelvin', template('light', 'color_temp_template'), report('on', { color_temp_kelvin: 2700 }), '2700'],
    ['no kelvin', template('light', 'color_temp_template'), report('on'), 'None'],
    ['switch', template('switch', 'value_template'), report('off'), 'off'],
    ['fan', template('fan', 'state_value_template'), report('on'), 'on'],
    ['speed 0', template('fan', 'percentage_value_template'), report('off', { percentage: 0 }), '0'],
    ['no speed', template('fan', 'percentage_value_template'), report('off'), 'None'],
    [
      'oscillating',
      template('fan', 'oscillation_value_template'),
      report('on', { oscillating: true }),
      'true',
    ],
    ['not oscillating', template('fan', 'oscillation_value_template'), report('on'), 'false'],
    ['cover', template('cover', 'value_template'), report('opening'), 'opening'],
    ['position', template('cover', 'position_template'), report('open', { current_position: 40 }), '40'],
    [
      'valve position',
      template('valve', 'value_template', '', ['set_position']),
      report('open', { current_position: 40 }),
      '40',
    ],
    ['lock', template('lock', 'value_template'), report('locked'), 'locked'],
    ['mode', template('climate', 'mode_state_template'), report('heat_cool'), 'heat_cool'],
    ['mode while away', template('climate', 'mode_state_template'), report('unavailable'), 'None'],
    [
      'set point',
      template('climate', 'temperature_state_template'),
      report('heat', { temperature: 21.5 }),
      '21.5',
    ],
    ['sensor', template('sensor', 'value_template'), report('21.5'), '21.5'],
    ['sensor unknown', template('sensor', 'value_template'), report('unknown'), 'None'],
    ['motion', template('binary_sensor', 'value_template'), report('on'), 'on'],
    ['player that plays', template('media_player', 'value_template'), report('playing'), 'on'],
    ['player in standby', template('media_player', 'value_template'), report('standby'), 'off'],
    ['player unknown', template('media_player', 'value_template'), report('unknown'), 'None'],
    [
      'volume',
      template('media_player', 'value_template', 'volume'),
      report('on', { volume_level: 0.3 }),
      '0.3',
    ],
    [
      'volume of a player that counts to 100',
      template('media_player', 'value_template', 'volume', undefined, { volume_level: 30 }),
      report('on', { volume_level: 30 }),
      '0.3',
    ],
    [
      'muted',
      template('media_player', 'value_template', 'muted'),
      report('on', { is_volume_muted: true }),
      'true',
    ],
    ['number', template('number', 'value_template'), report('12.5'), '12.5'],
    ['open items', template('todo', 'value_template'), report('3'), '3'],
    ['weather', template('weather', 'value_template'), report('sunny'), 'sunny'],
  ])('%s', (_, text, names, expected) => {
    expect(render(text, names)).toBe(expected)
  })

  test('an unavailable entity is offline though its device is online', () => {
    const [payload] = payloads(homeOf([entity('light')]))
    const config = payload?.components['light.one']
    const [device, self] = (config?.['availability'] ?? []) as Config[]
    expect(config?.['availability_mode']).toBe('all')
    expect(device).toEqual({ topic: 'ganglion/hub1/availability' })
    expect(self?.['topic']).toBe('ganglion/hub1/state/light.one')
    const availability = (state: string) => render(String(self?.['value_template']), report(state))
    expect(['on', 'unknown', 'unavailable'].map(availability)).toEqual(['online', 'online', 'offline'])
  })
})

describe('devices', () => {
  const lamp = { id: 'lamp-1', name: 'Living room lamp', manufacturer: 'Acme' }
  const areas = [{ id: 'living', name: 'Living room' }]
  const home = homeOf(
    [
      entity('light', {
        id: 'light.l',
        name: 'Living room lamp',
        area: 'living',
        device: lamp,
        simulated: true,
      }),
      entity('sensor', { id: 'sensor.p', name: 'Living room lamp power', area: 'living', device: lamp }),
      entity('switch', { id: 'switch.s', name: 'Living room socket', area: 'living' }),
      entity('lock', { id: 'lock.f', name: 'Front door' }),
    ],
    areas,
  )
  const messages = discovery(home, topics)
  const byTopic = new Map(messages.map((m) => [m.topic, JSON.parse(m.payload) as Payload]))

  test('each physical device, each area and the hub has its message; the hub comes first', () => {
    expect([...byTopic.keys()]).toEqual([
      'homeassistant/device/ganglion_hub1/config',
      'homeassistant/device/ganglion_hub1_device_lamp-1/config',
      'homeassistant/device/ganglion_hub1_area_living/config',
    ])
    const [hub, device, area] = [...byTopic.values()]
    expect(Object.keys(hub?.components ?? {})).toEqual(['connected', 'lock.f'])
    expect(Object.keys(device?.components ?? {})).toEqual(['light.l', 'sensor.p'])
    expect(Object.keys(area?.components ?? {})).toEqual(['switch.s'])
  })

  test('says where it is, what it hangs on, and that it is simulated', () => {
    const device = byTopic.get('homeassistant/device/ganglion_hub1_device_lamp-1/config')?.device
    expect(device).toEqual({
      identifiers: ['ganglion_hub1_device_lamp-1'],
      name: 'Living room lamp',
      manufacturer: 'Acme',
      model: 'Living room lamp (simulated)',
      via_device: 'ganglion_hub1',
      suggested_area: 'Living room',
    })
    const hub = byTopic.get('homeassistant/device/ganglion_hub1/config')
    expect(hub?.device).toMatchObject({ identifiers: ['ganglion_hub1'], name: 'Hub (simulated)' })
    expect(hub?.origin).toEqual({ name: 'ganglion', sw_version: '0.1.0' })
  })

  test('gives an entity the name that is left beside its device', () => {
    const names = [...byTopic.values()].flatMap((p) => Object.values(p.components).map((c) => c['name']))
    expect(names).toEqual(['Connected', 'Front door', null, 'power', 'socket'])
  })

  test('a home without things still has its hub', () => {
    expect(payloads(homeOf([])).map((p) => Object.keys(p.components))).toEqual([['connected']])
  })

  test('topics hold only what Home Assistant allows, and two ids never share one', () => {
    const ids = ['a.b', 'a_b', 'a-b'].map((id) => ({ id, name: id }))
    const entities = ids.map((device, n) => entity('lock', { id: `lock.l${n}`, device }))
    const found = discovery(homeOf(entities), topics, { prefix: 'ha' }).map((m) => m.topic)
    expect(new Set(found).size).toBe(4)
    for (const topic of found) expect(topic).toMatch(/^ha\/device\/[a-zA-Z0-9_-]+\/config$/)
  })

  test('the largest home fits its messages, split where one device has too much', () => {
    const many = Array.from({ length: wireLimits.entitiesMax }, (_, n) =>
      entity('climate', { id: `climate.c${n}`, name: `Climate number ${n}`, area: 'living' }),
    )
    const found = discovery(homeOf(many, areas), topics)
    for (const { payload } of found)
      expect(Buffer.byteLength(payload)).toBeLessThanOrEqual(wireLimits.mqttPayloadBytesMax)
    const parts = found.map((m) => JSON.parse(m.payload) as Payload)
    expect(parts.reduce((sum, part) => sum + Object.keys(part.components).length, 0)).toBe(many.length + 1)
    expect(new Set(found.map((m) => m.topic)).size).toBe(found.length)
    expect(new Set(parts.slice(1).map((part) => JSON.stringify(part.device))).size).toBe(1)
  })
})
