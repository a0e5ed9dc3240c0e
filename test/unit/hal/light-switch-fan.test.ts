/** Simulated lights, switches and fans. */
import { describe, expect, test } from 'vitest'
import { openHome } from './home-under-test.ts'

const lamps = `
  - {id: light.plain, state: "off"}
  - {id: light.onoff, state: "off", attributes: {supported_color_modes: [onoff], color_mode: onoff}}
  - {id: light.dim, state: "on", attributes: {supported_color_modes: [brightness], brightness: 102}}
  - {id: light.rgb, state: "on", attributes: {supported_color_modes: [rgb], color_mode: rgb, brightness: 102, rgb_color: [0, 0, 255], hs_color: [240, 100]}}
  - {id: light.white, state: "off", attributes: {supported_color_modes: [color_temp], max_color_temp_kelvin: 6000}}
`

describe('a light', () => {
  test('alters only its state when turned on or off', async () => {
    await using home = await openHome(lamps)
    const before = home.attributes('light.rgb')
    expect(await home.carryOut('light.rgb', { state: 'off' })).toMatchObject({
      state: 'off',
      attributes: before,
    })
    expect(await home.carryOut('light.rgb', { state: 'on' })).toMatchObject({
      state: 'on',
      attributes: before,
    })
    expect((await home.carryOut('light.plain', { state: 'on' })).attributes).toEqual({})
  })

  test('alters only its brightness when dimmed, and takes time to do so', async () => {
    await using home = await openHome(lamps)
    await home.command('light.dim', { brightness: 128 })
    expect(home.attributes('light.dim')['brightness']).toBe(102)
    home.clock.advance(80)
    expect(home.component('light.dim').current()).toEqual({
      state: 'on',
      attributes: { supported_color_modes: ['brightness'], brightness: 128 },
      tsMs: home.clock.nowMs(),
    })
  })

  test('turns on when dimmed while off, and off at brightness 0, keeping the level', async () => {
    await using home = await openHome(lamps)
    expect((await home.carryOut('light.plain', { brightness: 40 })).state).toBe('on')
    const dark = await home.carryOut('light.plain', { brightness: 0 })
    expect(dark).toMatchObject({ state: 'off', attributes: { brightness: 40 } })
  })

  test('keeps its brightness when coloured, and drops what described the old colour', async () => {
    await using home = await openHome(lamps)
    const { attributes } = await home.carryOut('light.rgb', { rgb_color: [255, 0, 0] })
    expect(attributes).toEqual({
      supported_color_modes: ['rgb'],
      color_mode: 'rgb',
      brightness: 102,
      rgb_color: [255, 0, 0],
    })
  })

  test('changes between colour and colour temperature', async () => {
    await using home = await openHome(lamps)
    await home.carryOut('light.plain', { rgb_color: [1, 2, 3] })
    const { attributes } = await home.carryOut('light.plain', { color_temp_kelvin: 2700 })
    expect(attributes).toEqual({ color_mode: 'color_temp', color_temp_kelvin: 2700 })
    expect((await home.carryOut('light.plain', { rgb_color: [1, 2, 3] })).attributes).toEqual({
      color_mode: 'rgb',
      rgb_color: [1, 2, 3],
    })
  })

  test.each([
    [
      'light.onoff',
      { brightness: 10 },
      'unsupported',
      'light.onoff: brightness: this device has no brightness',
    ],
    ['light.dim', { rgb_color: [1, 2, 3] }, 'unsupported', 'light.dim: rgb_color: this device has no colour'],
    [
      'light.dim',
      { color_temp_kelvin: 3000 },
      'unsupported',
      'color_temp_kelvin: this device has no colour temperature',
    ],
    ['light.dim', { brightness: 256 }, 'out-of-range', 'light.dim: brightness: 256 is not between 0 and 255'],
    ['light.dim', { brightness: '50%' }, 'malformed', 'light.dim: brightness: "50%" is not a number'],
    ['light.rgb', { rgb_color: [1, 2] }, 'malformed', 'rgb_color: [1,2] is not [red, green, blue]'],
    ['light.rgb', { rgb_color: [1, 2, 300] }, 'out-of-range', 'rgb_color: 300 is not between 0 and 255'],
    ['light.white', { color_temp_kelvin: 6500 }, 'out-of-range', '6500 is not between 2000 and 6000'],
    ['light.plain', { rgb_color: [1, 2, 3], color_temp_kelvin: 3000 }, 'malformed', 'color_temp_kelvin'],
    ['light.dim', { state: 'purple' }, 'out-of-range', 'light.dim: state: "purple" is not one of on, off'],
    ['light.dim', { state: 'on', brightness: 0 }, 'malformed', 'brightness: 0 is off'],
    [
      'light.dim',
      { state: 'off', brightness: 7 },
      'malformed',
      'brightness: cannot be set while turning off',
    ],
    [
      'light.dim',
      { colour: 'red' },
      'unsupported',
      'light.dim: colour: unknown field, known are state, brightness',
    ],
    ['light.dim', {}, 'malformed', 'light.dim: empty command'],
  ])('[hal-3] [hal-sim-4] %s refuses %j as %s and does not move', async (id, command, code, line) => {
    await using home = await openHome(lamps)
    const before = home.component(id).current()
    await expect(home.command(id, command)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(line),
    })
    home.clock.advance(10_000)
    expect(home.component(id).current()).toEqual(before)
  })

  test('carries out commands that overlap, in order', async () => {
    await using home = await openHome(lamps)
    const seen = home.watch('light.dim', 'brightness')
    await home.command('light.dim', { state: 'off' })
    home.clock.advance(10)
    await home.command('light.dim', { brightness: 9 })
    home.clock.advance(1000)
    expect(seen).toEqual(['off 102', 'on 9'])
  })
})

test('a switch turns on and off', async () => {
  await using home = await openHome('  - {id: switch.plug, state: true}')
  expect(home.state('switch.plug')).toBe('on')
  expect(await home.carryOut('switch.plug', { state: 'off' })).toMatchObject({ state: 'off', attributes: {} })
  await expect(home.command('switch.plug', { brightness: 3 })).rejects.toMatchObject({ code: 'unsupported' })
})

describe('a fan', () => {
  const fans = `
  - {id: fan.plain, state: "off"}
  - {id: fan.full, state: "off", attributes: {percentage: 40, oscillating: false, preset_modes: [sleep, breeze], supported_features: [fan.FanEntityFeature.SET_SPEED, fan.FanEntityFeature.OSCILLATE, fan.FanEntityFeature.PRESET_MODE]}}
  - {id: fan.simple, state: "off", attributes: {supported_features: [fan.FanEntityFeature.TURN_ON]}}
`
  test('alters only its state when turned on or off', async () => {
    await using home = await openHome(fans)
    expect((await home.carryOut('fan.plain', { state: 'on' })).attributes).toEqual({})
    const before = home.attributes('fan.full')
    expect(await home.carryOut('fan.full', { state: 'on' })).toMatchObject({
      state: 'on',
      attributes: before,
    })
  })

  test('is on at any speed but 0, and starts at full speed after a stop by speed', async () => {
    await using home = await openHome(fans)
    expect(await home.carryOut('fan.full', { percentage: 60 })).toMatchObject({
      state: 'on',
      attributes: { percentage: 60 },
    })
    expect(await home.carryOut('fan.full', { percentage: 0 })).toMatchObject({
      state: 'off',
      attributes: { percentage: 0 },
    })
    expect(await home.carryOut('fan.full', { state: 'on' })).toMatchObject({
      state: 'on',
      attributes: { percentage: 100 },
    })
  })

  test('oscillates and takes its own presets only', async () => {
    await using home = await openHome(fans)
    expect(await home.carryOut('fan.full', { oscillating: true, preset_mode: 'breeze' })).toMatchObject({
      state: 'on',
      attributes: { oscillating: true, preset_mode: 'breeze' },
    })
    await expect(home.command('fan.full', { preset_mode: 'storm' })).rejects.toMatchObject({
      code: 'out-of-range',
    })
    await expect(home.command('fan.full', { oscillating: 1 })).rejects.toMatchObject({ code: 'malformed' })
    await expect(home.command('fan.simple', { percentage: 5 })).rejects.toMatchObject({ code: 'unsupported' })
    await expect(home.command('fan.simple', { oscillating: true })).rejects.toMatchObject({
      code: 'unsupported',
    })
    await expect(home.command('fan.simple', { preset_mode: 'x' })).rejects.toMatchObject({
      code: 'unsupported',
    })
    await expect(home.command('fan.full', { state: 'on', percentage: 0 })).rejects.toThrow('0 is off')
    await expect(home.command('fan.full', { state: 'off', percentage: 5 })).rejects.toThrow('turning off')
  })
})
