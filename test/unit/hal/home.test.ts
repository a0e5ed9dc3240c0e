/** The home loader: what it understands, and the one line it says about what it does not. */
import { describe, expect, test } from 'vitest'
import { HalError, type ParsedEntity, parseHome } from '../../../hal/index.ts'

function entity(line: string): ParsedEntity {
  const [found] = parseHome(`entities:\n  - ${line}`, 'home.yaml').entities
  if (!found) throw new Error('no entity')
  return found
}

function refusal(yaml: string): string {
  try {
    parseHome(yaml, 'home.yaml')
  } catch (error) {
    if (error instanceof HalError && error.code === 'malformed') return error.message
    throw error
  }
  throw new Error('the home was accepted')
}

describe('a home file', () => {
  test.each([
    ['{id: light.x, state: off}', 'off'],
    ['{id: light.x, state: true}', 'on'],
    ['{id: light.x, state: null}', 'off'],
    ['{id: light.x}', 'off'],
    ['{id: cover.x, state: false}', 'closed'],
    ['{id: cover.x, state: true}', 'open'],
    ['{id: lock.x, state: false}', 'unlocked'],
    ['{id: vacuum.x}', 'docked'],
    ['{id: binary_sensor.x, state: {in: wet, out: on}}', 'on'],
    ['{id: binary_sensor.x, state: true}', 'on'],
    ['{id: binary_sensor.x}', 'unknown'],
    ['{id: sensor.x, state: 21.5}', '21.5'],
    ['{id: sensor.x, state: "007"}', '007'],
    ['{id: sensor.x, state: null, attributes: {native_value: 0}}', '0'],
    ['{id: climate.x, state: null, attributes: {hvac_mode: cool}}', 'cool'],
    ['{id: climate.x, state: null}', 'off'],
    ['{id: weather.x, state: null, attributes: {condition: sunny}}', 'sunny'],
    ['{id: todo.x, state: 0, attributes: {todo_items: []}}', '0'],
  ])('%s starts as %s', (line, state) => {
    expect(entity(line).state).toBe(state)
  })

  test('[hal-contract-3] gives classes, units and features in short, lower case', () => {
    expect(
      entity(
        '{id: cover.x, attributes: {device_class: cover.CoverDeviceClass.GARAGE, supported_features: [cover.CoverEntityFeature.SET_POSITION]}}',
      ),
    ).toEqual({
      info: {
        id: 'cover.x',
        kind: 'cover',
        name: 'X',
        deviceClass: 'garage',
        features: ['set_position'],
        simulated: true,
      },
      state: 'closed',
      attributes: { device_class: 'garage', supported_features: ['set_position'] },
    })
    const sensor = entity('{id: sensor.x, attributes: {native_unit_of_measurement: "\\xB0C"}}')
    expect(sensor.info.unit).toBe('°C')
    expect(sensor.attributes).toEqual({ unit_of_measurement: '°C' })
  })

  test.each([
    ['[onoff]', ['onoff']],
    ['[brightness]', ['brightness']],
    ['[color_temp, rgb]', ['brightness', 'color_temp', 'color', 'rgb']],
    ['[hs]', ['brightness', 'color', 'rgb']],
  ])('colour modes %s are features %j', (modes, features) => {
    const lamp = entity(`{id: light.x, attributes: {supported_color_modes: ${modes}}}`)
    expect(lamp.info.features).toEqual(features)
  })

  test('declares no features where the file does not', () => {
    expect(entity('{id: light.x}').info).not.toHaveProperty('features')
  })

  test('reads numbers that are written as text, and leaves other text alone', () => {
    expect(entity('{id: valve.x, attributes: {current_position: "100", note: "100"}}').attributes).toEqual({
      current_position: 100,
      note: '100',
    })
  })

  test('translates native names into those of states', () => {
    expect(entity('{id: climate.x, attributes: {target_temperature: 22}}').attributes).toEqual({
      temperature: 22,
    })
    const weather = entity(
      '{id: weather.x, attributes: {native_temperature: 72, native_temperature_unit: °F}}',
    )
    expect(weather.attributes).toEqual({ temperature: 72, temperature_unit: '°F' })
  })

  test('knows areas, their floors and aliases, and devices with their maker', () => {
    const home = parseHome(
      `
areas: [{id: hall, name: Hall, floor: Ground, aliases: [entrance]}, {id: attic, name: Attic, floor: null}]
devices: [{id: d1, name: Door, area: hall, info: {manufacturer: Acme, model: 7}}]
entities: [{id: lock.door, device: d1}, {id: light.kitchen_top, area: attic, device: d1}]`,
      'home.yaml',
    )
    expect(home.layout.areas).toEqual([
      { id: 'hall', name: 'Hall', floor: 'Ground', aliases: ['entrance'] },
      { id: 'attic', name: 'Attic' },
    ])
    expect(home.entities[0]?.info).toMatchObject({
      area: 'hall',
      device: { id: 'd1', name: 'Door', manufacturer: 'Acme', model: '7' },
    })
    expect(home.entities[1]?.info).toMatchObject({ area: 'attic', name: 'Kitchen top' })
  })

  test('numbers the entities of devices that share an id in different areas', () => {
    const home = parseHome(
      `
areas: [{id: a, name: A}, {id: b, name: B}]
devices: [{id: lamp, name: Lamp, area: a}, {id: lamp, name: Lamp, area: b}]
entities: [{id: light.lamp, area: a, device: lamp}, {id: light.lamp, area: b, device: lamp}]`,
      'home.yaml',
    )
    expect(home.entities.map(({ info }) => [info.id, info.area, info.device?.id])).toEqual([
      ['light.lamp', 'a', 'lamp'],
      ['light.lamp_2', 'b', 'lamp_2'],
    ])
  })

  test('may be empty of entities', () => {
    expect(parseHome('areas: []', 'home.yaml')).toEqual({
      name: 'home.yaml',
      layout: { areas: [] },
      entities: [],
      leftOut: [],
    })
  })
})

describe('a bad home file is refused in one line:', () => {
  const list = (count: number, make: (index: number) => string) =>
    Array.from({ length: count }, (_, index) => make(index)).join('\n')

  test.each([
    ['entities: [{id: light.a}, {id: light.b, area: attic}]', 'entities[1].area: no area "attic"'],
    ['entities: [{id: light.a, device: d9}]', 'entities[0].device: no device "d9"'],
    ['entities: [{id: light.a}, {id: light.a}]', 'entities[1].id: "light.a" is used twice'],
    ['areas: [{id: a, name: A}, {id: a, name: B}]', 'areas[1].id: "a" is used twice'],
    ['devices: [{id: a, name: A}, {id: a, name: B}]', 'devices[1].id: "a" is used twice'],
    ['devices: [{id: a, name: A, area: x}]', 'devices[0].area: no area "x"'],
    ['areas: [{id: a}]', 'areas[0].name: is missing'],
    ['areas: [{name: A}]', 'areas[0].id: is missing'],
    ['areas: [{id: "a/b", name: A}]', 'areas[0].id: "a/b" may only have letters, digits, "_", "-", "."'],
    ['entities: [{name: A}]', 'entities[0].id: is missing'],
    [
      'entities: [{id: kitchen}]',
      'entities[0].id: "kitchen" is not <kind>.<name>, for example light.kitchen',
    ],
    [
      'entities: [{id: light.a/b}]',
      'entities[0].id: "light.a/b" is not <kind>.<name>, for example light.kitchen',
    ],
    [
      'entities: [{id: light.a, state: purple}]',
      'entities[0].state: "purple" is no state of a light, known are on, off',
    ],
    [
      'entities: [{id: todo.a, state: many}]',
      'entities[0].state: "many" is no state of a todo, expected a whole number',
    ],
    ['entities: [{id: vacuum.a, state: true}]', 'entities[0].state: true is no state of a vacuum'],
    ['entities: [{id: light.a, state: [on]}]', 'entities[0].state: must be a text'],
    ['entities: [{id: light.a, name: ""}]', 'entities[0].name: must have 1 to 255 characters'],
    [
      'entities: [{id: light.a, attributes: [1]}]',
      'entities[0].attributes: must be a map of names and values',
    ],
    [
      'entities: [{id: light.a, attributes: {brightness: 300}}]',
      'entities[0].attributes.brightness: 300 is not between 0 and 255',
    ],
    [
      'entities: [{id: light.a, attributes: {brightness: bright}}]',
      'entities[0].attributes.brightness: must be a number',
    ],
    [
      'entities: [{id: light.a, attributes: {odd: .inf}}]',
      'entities[0].attributes.odd: must be a text, number, flag, list or map',
    ],
    ['entities: {a: 1}', 'entities: must be a list'],
    ['- 1', 'must be a map with areas and entities'],
    ['', 'must be a map with areas and entities'],
  ])('%s', (yaml, line) => {
    expect(refusal(yaml)).toBe(`home.yaml: ${line}`)
  })

  test('what is not YAML, with its line', () => {
    const line = refusal('areas:\n  - {id: a, name: A\nentities: []')
    expect(line).toMatch(/^home\.yaml: not YAML: .*line \d+/)
    expect(line).not.toContain('\n')
    expect(refusal('a: 1\na: 2')).toMatch(/^home\.yaml: not YAML: Map keys must be unique/)
  })

  test('more than 500 entities, or more than 1 MiB', () => {
    expect(refusal(`entities:\n${list(501, (index) => `- {id: light.l${index}}`)}`)).toBe(
      'home.yaml: entities: 501 entries, more than the 500 allowed',
    )
    expect(
      parseHome(`entities:\n${list(500, (index) => `- {id: light.l${index}}`)}`, 'h').entities,
    ).toHaveLength(500)
    expect(refusal(`#${'x'.repeat(1024 * 1024)}`)).toBe(
      'home.yaml: 1048577 bytes, more than the 1048576 allowed',
    )
  })

  test('anchors that grow, refer to themselves, or nest too deep', () => {
    const bomb = ['a: &a [x, x, x, x, x, x, x, x, x, x]']
    for (const [from, to] of ['ab', 'bc', 'cd', 'de', 'ef', 'fg'])
      bomb.push(`${to}: &${to} [${Array(10).fill(`*${from}`).join(', ')}]`)
    expect(refusal(bomb.join('\n'))).toBe(
      'home.yaml: not YAML: Excessive alias count indicates a resource exhaustion attack',
    )
    expect(refusal('entities: [{id: light.a, attributes: &loop {again: *loop}}]')).toContain(
      'nested deeper than 8',
    )
    expect(
      refusal(`entities: [{id: light.a, attributes: {deep: ${'['.repeat(20)}${']'.repeat(20)}}}]`),
    ).toContain('nested deeper than 8')
    expect(refusal(`deep: ${'['.repeat(100_000)}`)).toMatch(/^home\.yaml: not YAML: /)
  })
})

test('a kind that nobody simulates is left out and told, and the rest of the home is there', () => {
  const yaml = 'entities: [{id: camera.door, state: idle}, {id: light.a}, {id: person.ada}]'
  const home = parseHome(yaml, 'home.yaml')
  expect(home.entities.map(({ info }) => info.id)).toEqual(['light.a'])
  expect(home.leftOut).toEqual(['camera.door', 'person.ada'])
})
