/** Simulated covers, valves and locks: things that travel. */
import { describe, expect, test } from 'vitest'
import { openHome } from './home-under-test.ts'

const covers = `
  - {id: cover.curtain, state: open, attributes: {supported_features: [cover.CoverEntityFeature.OPEN, cover.CoverEntityFeature.CLOSE]}}
  - {id: cover.blind, state: closed, attributes: {current_position: 0, supported_features: [open, close, stop, set_position]}}
  - {id: cover.plain, state: closed}
  - {id: cover.unsure, state: open, attributes: {current_position: 0, supported_features: [set_position]}}
`

describe('a cover', () => {
  test('reports its way and its position while it travels', async () => {
    await using home = await openHome(covers)
    const seen = home.watch('cover.blind', 'current_position')
    await home.command('cover.blind', { state: 'open' })
    expect(seen).toEqual([])
    home.clock.advance(50)
    expect(seen).toEqual(['opening 0'])
    home.clock.advance(1950)
    expect(seen.at(-1)).toBe('opening 25')
    home.clock.advance(6000)
    expect(seen.at(-1)).toBe('open 100')
    expect(seen.length).toBeGreaterThan(10)
  })

  test('invents no position when it has no position sensor', async () => {
    await using home = await openHome(covers)
    const before = home.attributes('cover.curtain')
    const seen = home.watch('cover.curtain')
    const after = await home.carryOut('cover.curtain', { state: 'closed' })
    expect(seen).toEqual(['closing', 'closed'])
    expect(after.attributes).toEqual(before)
    await expect(home.command('cover.curtain', { position: 50 })).rejects.toMatchObject({
      code: 'unsupported',
    })
    await expect(home.command('cover.curtain', { action: 'stop' })).rejects.toMatchObject({
      code: 'unsupported',
    })
  })

  test('goes to a position, taking the time of that distance', async () => {
    await using home = await openHome(covers)
    await home.command('cover.blind', { position: 50 })
    home.clock.advance(3999)
    expect(home.state('cover.blind')).toBe('opening')
    home.clock.advance(1)
    expect(home.component('cover.blind').current()).toMatchObject({
      state: 'open',
      attributes: { current_position: 50 },
    })
    expect(await home.carryOut('cover.blind', { position: 0 })).toMatchObject({
      state: 'closed',
      attributes: { current_position: 0 },
    })
  })

  test('goes to a position from a state that contradicts the one it reports', async () => {
    await using home = await openHome(covers)
    expect(await home.carryOut('cover.unsure', { position: 50 })).toMatchObject({
      state: 'open',
      attributes: { current_position: 50 },
    })
  })

  test('stops where it is', async () => {
    await using home = await openHome(covers)
    await home.command('cover.blind', { state: 'open' })
    home.clock.advance(4000)
    const after = await home.carryOut('cover.blind', { action: 'stop' })
    expect(after).toMatchObject({ state: 'open', attributes: { current_position: 50 } })
    await home.command('cover.plain', { state: 'open' })
    home.clock.advance(1000)
    expect((await home.carryOut('cover.plain', { action: 'stop' })).state).toBe('open')
  })

  test('turns round when told to while it travels', async () => {
    await using home = await openHome(covers)
    await home.command('cover.blind', { state: 'open' })
    home.clock.advance(2000)
    const seen = home.watch('cover.blind', 'current_position')
    await home.carryOut('cover.blind', { state: 'closed' })
    expect(seen[0]).toBe('closing 25')
    expect(seen.at(-1)).toBe('closed 0')
    expect(seen.some((report) => String(report).startsWith('open'))).toBe(false)
  })

  test('without a position sensor runs the whole way when turned round', async () => {
    await using home = await openHome(covers)
    await home.command('cover.plain', { state: 'open' })
    home.clock.advance(2000)
    const seen = home.watch('cover.plain')
    await home.command('cover.plain', { state: 'closed' })
    home.clock.advance(7999)
    expect(seen).toEqual(['closing'])
    await home.command('cover.plain', { state: 'open' })
    home.clock.advance(7999)
    expect(seen).toEqual(['closing', 'opening'])
    home.clock.advance(1)
    expect(seen.at(-1)).toBe('open')
  })

  test('answers a command that asks for what is already so', async () => {
    await using home = await openHome(covers)
    const seen = home.watch('cover.curtain')
    await home.carryOut('cover.curtain', { state: 'open' })
    expect(seen).toEqual(['open'])
  })

  test.each([
    [{ position: 101 }, 'out-of-range', 'cover.blind: position: 101 is not between 0 and 100'],
    [{ state: 'half' }, 'out-of-range', 'state: "half" is not one of open, closed'],
    [{ action: 'go' }, 'out-of-range', 'action: "go" is not one of stop'],
    [{ state: 'open', position: 3 }, 'malformed', 'give one of state, position, action'],
  ])('refuses %j as %s', async (command, code, line) => {
    await using home = await openHome(covers)
    await expect(home.command('cover.blind', command)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(line),
    })
  })
})

describe('a valve', () => {
  const valves = `
  - {id: valve.main, state: open, attributes: {current_position: "100", reports_position: true, supported_features: [valve.ValveEntityFeature.OPEN, valve.ValveEntityFeature.CLOSE, valve.ValveEntityFeature.SET_POSITION]}}
  - {id: valve.sprinkler, state: closed, attributes: {supported_features: [valve.ValveEntityFeature.OPEN, valve.ValveEntityFeature.CLOSE]}}
`
  test('is closed at position 0 and open at every other', async () => {
    await using home = await openHome(valves)
    expect(home.attributes('valve.main')['current_position']).toBe(100)
    const closed = await home.carryOut('valve.main', { state: 'closed' })
    expect(closed).toMatchObject({
      state: 'closed',
      attributes: { current_position: 0, reports_position: true },
    })
    const ajar = await home.carryOut('valve.main', { position: 1 })
    expect(ajar).toMatchObject({ state: 'open', attributes: { current_position: 1 } })
  })

  test('without a position sensor only opens and closes, in its own travel time', async () => {
    await using home = await openHome(valves)
    await home.command('valve.sprinkler', { state: 'open' })
    home.clock.advance(2999)
    expect(home.state('valve.sprinkler')).toBe('opening')
    home.clock.advance(1)
    expect(home.state('valve.sprinkler')).toBe('open')
    expect(home.attributes('valve.sprinkler')).not.toHaveProperty('current_position')
  })
})

describe('a lock', () => {
  test('is locking until its bolt has arrived', async () => {
    await using home = await openHome('  - {id: lock.door, state: unlocked}')
    const seen = home.watch('lock.door')
    await home.command('lock.door', { state: 'locked' })
    home.clock.advance(599)
    expect(seen).toEqual(['locking'])
    home.clock.advance(1)
    expect(seen).toEqual(['locking', 'locked'])
    await home.carryOut('lock.door', { state: 'unlocked' })
    expect(seen.slice(2)).toEqual(['unlocking', 'unlocked'])
  })

  test('answers when it is already there, and knows nothing but locked and unlocked', async () => {
    await using home = await openHome('  - {id: lock.door, state: locked}')
    const seen = home.watch('lock.door')
    await home.carryOut('lock.door', { state: 'locked' })
    expect(seen).toEqual(['locked'])
    await expect(home.command('lock.door', { state: 'open' })).rejects.toMatchObject({ code: 'out-of-range' })
  })
})
