/** Simulated thermostats, players, vacuums and lists. */
import { describe, expect, test } from 'vitest'
import { openHome } from './home-under-test.ts'

describe('a thermostat', () => {
  const thermostats = `
  - {id: climate.full, state: heat, attributes: {current_temperature: 19, temperature: 20, hvac_action: heating, hvac_mode: heat, hvac_modes: ["off", heat, cool, auto], fan_modes: [low, high], unit_of_measurement: °C, supported_features: [target_temperature, target_temperature_range, fan_mode]}}
  - {id: climate.fahrenheit, state: heat, attributes: {current_temperature: 68}}
  - {id: climate.native, state: null, attributes: {hvac_mode: "off", target_temperature: 22, unit_of_measurement: "\\xB0C", hvac_modes: ["off", cool, heat, auto]}}
  - {id: climate.narrow, state: "off", attributes: {min_temp: 16, max_temp: 18, hvac_modes: ["off", dry]}}
  - {id: climate.bare, state: "off", attributes: {supported_features: [turn_on]}}
`
  test('shows its mode as its state, and goes back to the last one', async () => {
    await using home = await openHome(thermostats)
    const off = await home.carryOut('climate.full', { state: 'off' })
    expect(off).toMatchObject({ state: 'off', attributes: { hvac_mode: 'off', hvac_action: 'off' } })
    const on = await home.carryOut('climate.full', { state: 'on' })
    expect(on).toMatchObject({ state: 'heat', attributes: { hvac_mode: 'heat', hvac_action: 'heating' } })
    expect((await home.carryOut('climate.full', { hvac_mode: 'cool' })).attributes['hvac_action']).toBe(
      'idle',
    )
  })

  test('turned on for the first time prefers automatic modes', async () => {
    await using home = await openHome(thermostats)
    expect((await home.carryOut('climate.native', { state: 'on' })).state).toBe('auto')
    expect((await home.carryOut('climate.narrow', { state: 'on' })).state).toBe('dry')
  })

  test('takes set points and modes together', async () => {
    await using home = await openHome(thermostats)
    const now = await home.carryOut('climate.full', { hvac_mode: 'auto', temperature: 21.5, fan_mode: 'low' })
    expect(now).toMatchObject({ state: 'auto', attributes: { temperature: 21.5, fan_mode: 'low' } })
    const range = await home.carryOut('climate.full', { target_temp_low: 18, target_temp_high: 22 })
    expect(range.attributes).toMatchObject({ target_temp_low: 18, target_temp_high: 22 })
  })

  test('keeps to °C or °F, whichever the device uses', async () => {
    await using home = await openHome(thermostats)
    expect((await home.carryOut('climate.fahrenheit', { temperature: 72 })).attributes['temperature']).toBe(
      72,
    )
    await expect(home.command('climate.fahrenheit', { temperature: 20 })).rejects.toThrow(
      'climate.fahrenheit: temperature: 20°F is not between 45 and 95°F',
    )
    await expect(home.command('climate.native', { temperature: 72 })).rejects.toMatchObject({
      code: 'out-of-range',
      message: 'climate.native: temperature: 72°C is not between 7 and 35°C',
    })
    await expect(home.command('climate.narrow', { temperature: 19 })).rejects.toMatchObject({
      code: 'out-of-range',
    })
  })

  test.each([
    ['climate.full', { hvac_mode: 'dry' }, 'out-of-range'],
    ['climate.full', { hvac_mode: 'off', state: 'on' }, 'malformed'],
    ['climate.full', { fan_mode: 'turbo' }, 'out-of-range'],
    ['climate.full', { preset_mode: 'eco' }, 'unsupported'],
    ['climate.full', { target_temp_low: 25, target_temp_high: 20 }, 'out-of-range'],
    ['climate.full', { temperature: 'warm' }, 'malformed'],
    ['climate.bare', { temperature: 20 }, 'unsupported'],
    ['climate.bare', { target_temp_low: 20 }, 'unsupported'],
  ])('%s refuses %j as %s', async (id, command, code) => {
    await using home = await openHome(thermostats)
    await expect(home.command(id, command)).rejects.toMatchObject({ code })
  })
})

describe('a player', () => {
  const players = `
  - {id: media_player.percent, state: idle, attributes: {volume_level: "50"}}
  - {id: media_player.fraction, state: playing, attributes: {volume_level: 0.5, media_track: 3, source_list: [TV, Radio]}}
  - {id: media_player.speaker, state: playing, attributes: {supported_features: [media_player.MediaPlayerEntityFeature.PAUSE]}}
`
  test('keeps the volume scale of its home file', async () => {
    await using home = await openHome(players)
    expect(home.attributes('media_player.percent')['volume_level']).toBe(50)
    expect(
      (await home.carryOut('media_player.percent', { volume_level: 0.07 })).attributes['volume_level'],
    ).toBe(7)
    await home.carryOut('media_player.percent', { volume_level: 0 })
    expect(
      (await home.carryOut('media_player.percent', { volume_level: 0.3 })).attributes['volume_level'],
    ).toBe(30)
    expect(
      (await home.carryOut('media_player.fraction', { volume_level: 0.3 })).attributes['volume_level'],
    ).toBe(0.3)
    await expect(home.command('media_player.fraction', { volume_level: 30 })).rejects.toMatchObject({
      code: 'out-of-range',
    })
  })

  test('plays, pauses, stops, mutes and changes its source', async () => {
    await using home = await openHome(players)
    expect((await home.carryOut('media_player.fraction', { state: 'paused' })).state).toBe('paused')
    expect((await home.carryOut('media_player.fraction', { state: 'on' })).state).toBe('paused')
    expect((await home.carryOut('media_player.fraction', { state: 'off' })).state).toBe('off')
    expect((await home.carryOut('media_player.fraction', { action: 'stop' })).state).toBe('off')
    expect((await home.carryOut('media_player.fraction', { state: 'on' })).state).toBe('on')
    expect((await home.carryOut('media_player.fraction', { action: 'stop' })).state).toBe('idle')
    const muted = await home.carryOut('media_player.fraction', { muted: true, source: 'Radio' })
    expect(muted.attributes).toMatchObject({ is_volume_muted: true, source: 'Radio' })
    await expect(home.command('media_player.fraction', { source: 'Moon' })).rejects.toMatchObject({
      code: 'out-of-range',
    })
  })

  test('[hal-sim-5] skips one track for one command id, however often it comes', async () => {
    await using home = await openHome(players)
    await home.command('media_player.fraction', { action: 'next' }, 'skip-1')
    await home.command('media_player.fraction', { action: 'next' }, 'skip-1')
    home.clock.advance(1000)
    expect(home.attributes('media_player.fraction')['media_track']).toBe(4)
    await home.command('media_player.fraction', { action: 'previous' }, 'skip-2')
    home.clock.advance(1000)
    expect(home.attributes('media_player.fraction')['media_track']).toBe(3)
  })

  test('refuses what it does not declare; one that can pause can also go on', async () => {
    await using home = await openHome(players)
    const speaker = 'media_player.speaker'
    await expect(home.command(speaker, { volume_level: 0.5 })).rejects.toMatchObject({ code: 'unsupported' })
    await expect(home.command(speaker, { muted: true })).rejects.toMatchObject({ code: 'unsupported' })
    await expect(home.command(speaker, { source: 'TV' })).rejects.toMatchObject({ code: 'unsupported' })
    await expect(home.command(speaker, { action: 'next' })).rejects.toMatchObject({ code: 'unsupported' })
    await expect(home.command(speaker, { state: 'off' })).rejects.toMatchObject({ code: 'unsupported' })
    expect((await home.carryOut(speaker, { state: 'paused' })).state).toBe('paused')
    expect((await home.carryOut(speaker, { state: 'playing' })).state).toBe('playing')
  })
})

describe('a vacuum', () => {
  test('cleans, pauses, and docks a minute after it was sent home', async () => {
    await using home = await openHome('  - {id: vacuum.rover, state: docked}')
    await home.carryOut('vacuum.rover', { action: 'start' })
    expect(home.state('vacuum.rover')).toBe('cleaning')
    await home.carryOut('vacuum.rover', { action: 'pause' })
    expect(home.state('vacuum.rover')).toBe('paused')
    await home.command('vacuum.rover', { action: 'return_to_base' })
    home.clock.advance(59_999)
    expect(home.state('vacuum.rover')).toBe('returning')
    home.clock.advance(1)
    expect(home.state('vacuum.rover')).toBe('docked')
  })

  test('started on its way home it cleans and does not dock', async () => {
    await using home = await openHome('  - {id: vacuum.rover, state: cleaning}')
    await home.command('vacuum.rover', { action: 'return_to_base' })
    home.clock.advance(10_000)
    expect((await home.carryOut('vacuum.rover', { action: 'start' })).state).toBe('cleaning')
    expect((await home.carryOut('vacuum.rover', { action: 'stop' })).state).toBe('idle')
  })

  test('stays docked when paused, stopped, located or sent home there', async () => {
    await using home = await openHome('  - {id: vacuum.rover, state: docked}')
    for (const action of ['pause', 'stop', 'return_to_base', 'locate'])
      expect((await home.carryOut('vacuum.rover', { action })).state).toBe('docked')
  })

  test('refuses actions that it does not declare or does not know', async () => {
    await using home = await openHome(
      '  - {id: vacuum.rover, state: docked, attributes: {supported_features: [vacuum.VacuumEntityFeature.START]}}',
    )
    await expect(home.command('vacuum.rover', { action: 'pause' })).rejects.toMatchObject({
      code: 'unsupported',
    })
    await expect(home.command('vacuum.rover', { action: 'dance' })).rejects.toMatchObject({
      code: 'out-of-range',
    })
  })
})

describe('a list', () => {
  const lists = `
  - {id: todo.empty}
  - {id: todo.shopping, attributes: {todo_items: [{summary: Milk, status: needs_action}, {summary: Salt, status: completed}, Bread]}}
`
  test('counts its open items', async () => {
    await using home = await openHome(lists)
    expect(home.component('todo.empty').current()).toMatchObject({
      state: '0',
      attributes: { todo_items: [] },
    })
    expect(home.state('todo.shopping')).toBe('2')
    expect(home.attributes('todo.shopping')['todo_items']).toContainEqual({
      summary: 'Bread',
      status: 'needs_action',
    })
  })

  test('adds, completes and removes items by name, whatever the case', async () => {
    await using home = await openHome(lists)
    expect((await home.carryOut('todo.empty', { action: 'add_item', item: 'Apples' })).state).toBe('1')
    const done = await home.carryOut('todo.empty', { action: 'complete_item', item: 'apples' })
    expect(done).toMatchObject({
      state: '0',
      attributes: { todo_items: [{ summary: 'Apples', status: 'completed' }] },
    })
    const gone = await home.carryOut('todo.empty', { action: 'remove_item', item: 'APPLES' })
    expect(gone.attributes['todo_items']).toEqual([])
  })

  test('[hal-sim-5] adds an item once for one command id, and remembers a bounded number of ids', async () => {
    await using home = await openHome(lists)
    const add = { action: 'add_item', item: 'Apples' }
    await home.command('todo.empty', add, 'first')
    home.clock.advance(100)
    await home.command('todo.empty', add, 'first')
    home.clock.advance(100)
    expect(home.state('todo.empty')).toBe('1')
    for (let turn = 0; turn < 128; turn += 1) {
      await home.carryOut('todo.empty', { action: 'add_item', item: 'Pears' })
      await home.carryOut('todo.empty', { action: 'remove_item', item: 'Pears' })
    }
    await home.command('todo.empty', add, 'first')
    home.clock.advance(100)
    expect(home.state('todo.empty')).toBe('2')
  })

  test('refuses what is missing, unknown or too much', async () => {
    await using home = await openHome(lists)
    const refusals = [
      [{ action: 'add_item' }, 'malformed'],
      [{ item: 'x' }, 'malformed'],
      [{ action: 'add_item', item: '' }, 'out-of-range'],
      [{ action: 'add_item', item: 'x'.repeat(256) }, 'out-of-range'],
      [{ action: 'complete_item', item: 'Gold' }, 'out-of-range'],
      [{ action: 'burn', item: 'x' }, 'out-of-range'],
    ] as const
    for (const [command, code] of refusals)
      await expect(home.command('todo.shopping', command)).rejects.toMatchObject({ code })
    for (let item = 0; item < 200; item += 1)
      await home.carryOut('todo.empty', { action: 'add_item', item: `i${item}` })
    await expect(home.command('todo.empty', { action: 'add_item', item: 'more' })).rejects.toThrow(
      'holds 200 items',
    )
  })
})
