import { describe, expect, test } from 'vitest'
import type { PlannedActuator } from '../../../../hal/safety/plan.ts'
import { commandOf, on, openBench, part, removeDir } from './host-bench.ts'

const pump = part('pump', 'relay', 11)
const stopPin = 29
const cycleMs = 100

describe('the emergency stop [safety-5]', () => {
  async function openWithStop(activeLow: boolean) {
    const config = { arming: 'person', emergencyStop: { pin: stopPin, activeLow } } as const
    const bench = await openBench({ actuators: [pump], config })
    const closed = activeLow ? 0 : 1
    await bench.drive(stopPin, closed)
    const host = await bench.open()
    host.arm()
    commandOf(host, 'switch.pump').do(on, 0)
    expect(bench.world.seen(11).level).toBe(1)
    return { ...bench, host, closed: closed as 0 | 1 }
  }

  test.each([false, true])(
    'stops everything at the edge, before any cycle (active low: %s)',
    async (activeLow) => {
      const { world, drive, host, closed, dir } = await openWithStop(activeLow)
      await drive(stopPin, closed === 1 ? 0 : 1)
      expect(world.seen(11).level).toBe(0)
      expect(host.status()).toMatchObject({ emergencyStop: true, armed: false })
      await host[Symbol.asyncDispose]()
      removeDir(dir)
    },
  )

  test.each([false, true])('a broken wire is a stop (active low: %s)', async (activeLow) => {
    const { world, drive, host, dir } = await openWithStop(activeLow)
    await drive(stopPin, undefined)
    expect(world.seen(11).level).toBe(0)
    expect(host.status().emergencyStop).toBe(true)
    await host[Symbol.asyncDispose]()
    removeDir(dir)
  })

  test('its fault is cleared only after it was closed again, and arming is a step of its own', async () => {
    const { world, drive, host, closed, dir } = await openWithStop(false)
    await drive(stopPin, 0)
    const fault = host.status().faults[0]?.id ?? ''
    await expect(host.clearFault(fault)).rejects.toMatchObject({ code: 'permission' })
    await drive(stopPin, closed)
    await host.clearFault(fault)
    expect(() => commandOf(host, 'switch.pump')).toThrow(/^disarmed: /)
    host.arm()
    commandOf(host, 'switch.pump').do(on, 0)
    expect(world.seen(11).level).toBe(1)
    await host[Symbol.asyncDispose]()
    removeDir(dir)
  })

  test('pressed at start keeps the device from arming', async () => {
    const bench = await openBench({ actuators: [pump], config: { emergencyStop: { pin: stopPin } } })
    const host = await bench.open()
    expect(host.status()).toMatchObject({ armed: false, emergencyStop: true })
    await host[Symbol.asyncDispose]()
    removeDir(bench.dir)
  })
})

test('a rule that needs an input holds from the edge on [safety-5]', async () => {
  const because = 'the tank is empty'
  const config = {
    inputs: [{ name: 'float', pin: 31 }],
    constraints: [{ rule: 'dependency', output: 'pump.on', needs: 'float', min: 1, max: 1, because }],
  } as const
  const bench = await openBench({ actuators: [pump], config })
  const host = await bench.open()
  expect(() => commandOf(host, 'switch.pump').do(on, 0)).toThrow(/^dependency: /)
  await bench.drive(31, 1)
  commandOf(host, 'switch.pump').do(on, 0)
  expect(bench.world.seen(11).level).toBe(1)
  await bench.drive(31, 0)
  expect(bench.world.seen(11).level).toBe(0)
  await host[Symbol.asyncDispose]()
  removeDir(bench.dir)
})

describe('a traffic signal', () => {
  const head: PlannedActuator = {
    ...part('north', 'traffic-head', 0),
    component: 'select.north',
    at: { pins: { red: 11, yellow: 13, green: 15 } },
    options: { safe: 'red', yellowS: 3, minRedS: 2, minGreenS: 5, redYellow: false, activeLow: false },
  }

  test('does not arm without a conflict monitor in the configuration', async () => {
    const bench = await openBench({ actuators: [head] })
    const host = await bench.open()
    expect(() => host.arm()).toThrow(/conflict monitor/)
    expect(host.status().notArmedBecause.join()).toMatch(/conflict monitor/)
    await host[Symbol.asyncDispose]()
    removeDir(bench.dir)
  })

  test('goes safe at once when its conflict monitor is not content, or its wire breaks', async () => {
    const bench = await openBench({ actuators: [head], config: { conflictMonitor: { pin: 33 } } })
    await bench.drive(33, 1)
    const host = await bench.open()
    expect(host.status().armed).toBe(false)
    host.arm()
    bench.clock.advance(5_000)
    commandOf(host, 'select.north').do({ option: 'green' }, bench.clock.monotonicMs())
    expect([11, 13, 15].map((pin) => bench.world.seen(pin).level)).toEqual([0, 0, 1])
    await bench.drive(33, undefined)
    expect([11, 13, 15].map((pin) => bench.world.seen(pin).level)).toEqual([1, 0, 0])
    expect(host.status().faults).toMatchObject([{ cause: 'conflict-monitor' }])
    await host[Symbol.asyncDispose]()
    removeDir(bench.dir)
  })
})

test('a control loop that gives no sign of life is silent, and everything goes safe [safety-1]', async () => {
  let alive = true
  const bench = await openBench({
    actuators: [pump],
    config: { silenceMsMax: 500 },
    isAlive: () => alive,
  })
  const host = await bench.open()
  commandOf(host, 'switch.pump').do(on, 0)
  bench.clock.advance(5_000)
  expect(bench.world.seen(11).level).toBe(1)
  alive = false
  bench.clock.advance(500 + cycleMs)
  expect(bench.world.seen(11).level).toBe(0)
  alive = true
  bench.clock.advance(cycleMs)
  commandOf(host, 'switch.pump').do(on, bench.clock.monotonicMs())
  expect(bench.world.seen(11).level).toBe(1)
  await host[Symbol.asyncDispose]()
  removeDir(bench.dir)
})
