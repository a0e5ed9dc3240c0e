/** Faults of simulated devices, the truth behind them, and the end of a board. */
import { describe, expect, test } from 'vitest'
import { openHome } from './home-under-test.ts'

const devices = `
  - {id: light.lamp, state: "off", attributes: {brightness: 90}}
  - {id: cover.blind, state: closed, attributes: {current_position: 0}}
  - {id: lock.door, state: unlocked}
  - {id: vacuum.rover, state: docked}
  - {id: todo.list}
  - {id: sensor.outside, state: "12", attributes: {unit_of_measurement: °C}}
`

describe('a stuck device', () => {
  test('[hal-contract-2] takes commands, answers, and does not move', async () => {
    await using home = await openHome(devices)
    home.sim.fault('light.lamp', { kind: 'stuck' })
    const seen = home.watch('light.lamp')
    const after = await home.carryOut('light.lamp', { state: 'on' })
    expect(after.state).toBe('off')
    expect(seen).toEqual(['off'])
    expect(home.sim.truth('light.lamp').state).toBe('off')
  })

  test('stops where it is when the fault strikes on its way', async () => {
    await using home = await openHome(devices)
    await home.command('cover.blind', { state: 'open' })
    await home.command('lock.door', { state: 'locked' })
    await home.command('vacuum.rover', { action: 'start' })
    home.clock.advance(350)
    await home.command('vacuum.rover', { action: 'return_to_base' })
    home.clock.advance(200)
    for (const id of ['cover.blind', 'lock.door', 'vacuum.rover']) home.sim.fault(id, { kind: 'stuck' })
    home.clock.advance(100_000)
    expect(home.component('cover.blind').current()).toMatchObject({
      state: 'open',
      attributes: { current_position: 6 },
    })
    expect(home.state('lock.door')).toBe('jammed')
    expect(home.state('vacuum.rover')).toBe('error')
  })

  test('[hal-sim-5] acts on a repeated command id once it works again', async () => {
    await using home = await openHome(devices)
    home.sim.fault('todo.list', { kind: 'stuck' })
    await home.command('todo.list', { action: 'add_item', item: 'Milk' }, 'add-1')
    home.clock.advance(100)
    home.sim.fault('todo.list', undefined)
    await home.command('todo.list', { action: 'add_item', item: 'Milk' }, 'add-1')
    home.clock.advance(100)
    expect(home.state('todo.list')).toBe('1')
  })
})

test('a slow device takes its factor longer, ten by default', async () => {
  await using home = await openHome(devices)
  home.sim.fault('light.lamp', { kind: 'slow' })
  await home.command('light.lamp', { state: 'on' })
  home.clock.advance(799)
  expect(home.state('light.lamp')).toBe('off')
  home.clock.advance(1)
  expect(home.state('light.lamp')).toBe('on')
  home.sim.fault('light.lamp', { kind: 'slow', factor: 2 })
  await home.command('light.lamp', { state: 'off' })
  home.clock.advance(160)
  expect(home.state('light.lamp')).toBe('off')
})

describe('lost commands', () => {
  test('reach nothing, as many as the fault says', async () => {
    await using home = await openHome(devices)
    home.sim.fault('light.lamp', { kind: 'lost-command', count: 2 })
    const seen = home.watch('light.lamp')
    expect((await home.carryOut('light.lamp', { state: 'on' })).state).toBe('off')
    expect((await home.carryOut('light.lamp', { state: 'on' })).state).toBe('off')
    expect(seen).toEqual([])
    expect((await home.carryOut('light.lamp', { state: 'on' })).state).toBe('on')
  })

  test('are all lost when the fault gives no count, until it is cleared', async () => {
    await using home = await openHome(devices)
    home.sim.fault('light.lamp', { kind: 'lost-command' })
    for (let turn = 0; turn < 5; turn += 1) await home.carryOut('light.lamp', { state: 'on' })
    expect(home.state('light.lamp')).toBe('off')
    home.sim.fault('light.lamp', undefined)
    expect((await home.carryOut('light.lamp', { state: 'on' })).state).toBe('on')
  })

  test('[hal-sim-5] may be sent again under the same id', async () => {
    await using home = await openHome(devices)
    home.sim.fault('todo.list', { kind: 'lost-command', count: 1 })
    for (let turn = 0; turn < 3; turn += 1) {
      await home.command('todo.list', { action: 'add_item', item: 'Milk' }, 'add-1')
      home.clock.advance(100)
    }
    expect(home.state('todo.list')).toBe('1')
  })
})

describe('lying telemetry', () => {
  test('[hal-sim-2] claims the effect of commands while nothing moves', async () => {
    await using home = await openHome(devices)
    home.sim.fault('cover.blind', { kind: 'lying' })
    const after = await home.carryOut('cover.blind', { state: 'open' })
    expect(after).toMatchObject({ state: 'open', attributes: { current_position: 100 } })
    expect(home.sim.truth('cover.blind')).toEqual({ state: 'closed', attributes: { current_position: 0 } })
    home.sim.fault('cover.blind', undefined)
    expect(home.state('cover.blind')).toBe('closed')
  })

  test('cleared on the way does not make the claimed movement true', async () => {
    await using home = await openHome(devices)
    home.sim.fault('cover.blind', { kind: 'lying' })
    await home.command('cover.blind', { state: 'open' })
    home.clock.advance(2000)
    home.sim.fault('cover.blind', undefined)
    home.clock.advance(60_000)
    expect(home.sim.truth('cover.blind').state).toBe('closed')
    expect(home.state('cover.blind')).toBe('closed')
  })

  test('claims whatever it is told to', async () => {
    await using home = await openHome(devices)
    home.sim.fault('sensor.outside', { kind: 'lying', telemetry: { state: '99', attributes: { odd: true } } })
    expect(home.component('sensor.outside').current()).toMatchObject({
      state: '99',
      attributes: { unit_of_measurement: '°C', odd: true },
    })
    home.sim.set('sensor.outside', { state: '13' })
    expect(home.state('sensor.outside')).toBe('99')
    expect(home.sim.truth('sensor.outside').state).toBe('13')
  })
})

describe('an offline device', () => {
  test('is unavailable, answers no command and no sample, and comes back as it is', async () => {
    await using home = await openHome(devices)
    for (const id of ['light.lamp', 'sensor.outside']) home.sim.fault(id, { kind: 'offline' })
    expect(home.state('light.lamp')).toBe('unavailable')
    await expect(home.command('light.lamp', { state: 'on' })).rejects.toMatchObject({
      code: 'not-present',
      retryable: false,
      message: 'light.lamp: the device is offline',
    })
    await expect(home.sensor('sensor.outside').sample(AbortSignal.timeout(1000))).rejects.toMatchObject({
      code: 'not-present',
    })
    home.sim.fault('light.lamp', undefined)
    expect(home.component('light.lamp').current()).toMatchObject({
      state: 'off',
      attributes: { brightness: 90 },
    })
  })

  test('goes on moving while nobody sees it', async () => {
    await using home = await openHome(devices)
    await home.command('cover.blind', { state: 'open' })
    home.clock.advance(1000)
    home.sim.fault('cover.blind', { kind: 'offline' })
    home.clock.advance(60_000)
    expect(home.state('cover.blind')).toBe('unavailable')
    home.sim.fault('cover.blind', undefined)
    expect(home.state('cover.blind')).toBe('open')
  })
})

describe('the levers of the simulated world', () => {
  test('set states as the world would, ending what moves, and report it', async () => {
    await using home = await openHome(devices)
    const seen = home.watch('sensor.outside')
    home.sim.set('sensor.outside', { state: '30', attributes: { note: 'sun' } })
    expect(seen).toEqual(['30'])
    expect(home.attributes('sensor.outside')).toEqual({ unit_of_measurement: '°C', note: 'sun' })
    expect((await home.sensor('sensor.outside').sample(AbortSignal.timeout(1000))).state).toBe('30')
    await home.command('cover.blind', { state: 'open' })
    home.clock.advance(1000)
    home.sim.set('cover.blind', { state: 'closed', attributes: { current_position: 0 } })
    home.clock.advance(60_000)
    expect(home.state('cover.blind')).toBe('closed')
  })

  test('list the faults and refuse unknown devices and senseless faults', async () => {
    await using home = await openHome(devices)
    home.sim.fault('light.lamp', { kind: 'slow', factor: 3 })
    expect([...home.sim.faults()]).toEqual([['light.lamp', { kind: 'slow', factor: 3 }]])
    home.sim.fault('light.lamp', undefined)
    expect(home.sim.faults().size).toBe(0)
    const unknown = { code: 'not-present', message: 'no simulated component "light.none"' }
    expect(() => home.sim.fault('light.none', { kind: 'stuck' })).toThrow(expect.objectContaining(unknown))
    expect(() => home.sim.truth('light.none')).toThrow(expect.objectContaining(unknown))
    expect(() => home.sim.set('light.none', {})).toThrow(expect.objectContaining(unknown))
    expect(() => home.sim.fault('light.lamp', { kind: 'slow', factor: 0 })).toThrow('factor')
    expect(() => home.sim.fault('light.lamp', { kind: 'lost-command', count: 0.5 })).toThrow('count')
  })
})

test('[hal-sim-6] a flood of commands is refused as busy', async () => {
  await using home = await openHome(devices)
  for (let turn = 0; turn < 64; turn += 1) await home.command('light.lamp', { state: 'on' })
  await expect(home.command('light.lamp', { state: 'on' })).rejects.toMatchObject({
    code: 'busy',
    retryable: true,
  })
  home.clock.advance(1000)
  await home.command('light.lamp', { state: 'off' })
})

test('[hal-4] [hal-sim-3] a closed board reports nothing, takes nothing, and closes twice without harm', async () => {
  const home = await openHome(devices)
  const seen = home.watch('cover.blind')
  await home.command('cover.blind', { state: 'open' })
  await home.board[Symbol.asyncDispose]()
  await home.board[Symbol.asyncDispose]()
  home.clock.advance(60_000)
  expect(seen).toEqual([])
  expect(home.sim.truth('cover.blind').state).toBe('closed')
  await expect(home.command('light.lamp', { state: 'on' })).rejects.toMatchObject({ code: 'closed' })
  await expect(home.sensor('sensor.outside').sample(AbortSignal.timeout(1000))).rejects.toMatchObject({
    code: 'closed',
  })
  expect(() => home.sim.set('light.lamp', { state: 'on' })).toThrow('the board is closed')
})

test('a listener that was taken off hears nothing more', async () => {
  await using home = await openHome(devices)
  const seen: string[] = []
  const cancel = home.component('light.lamp').onTelemetry(({ state }) => seen.push(state))
  await home.carryOut('light.lamp', { state: 'on' })
  cancel()
  cancel()
  await home.carryOut('light.lamp', { state: 'off' })
  expect(seen).toEqual(['on'])
})

test('a command whose signal is aborted is not carried out', async () => {
  await using home = await openHome(devices)
  const [lamp] = home.board.actuators
  const meta = { id: 'c', principal: 'user', ttlMs: 1000 }
  await expect(lamp?.command({ state: 'on' }, meta, AbortSignal.abort(new Error('no more')))).rejects.toThrow(
    'no more',
  )
  home.clock.advance(1000)
  expect(home.state('light.lamp')).toBe('off')
})
