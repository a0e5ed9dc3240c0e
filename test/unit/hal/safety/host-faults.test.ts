import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { commandOf, HeaterPort, on, openBench, part, removeDir } from './host-bench.ts'

const lamp = part('lamp', 'test-lamp', 11)
const pump = part('pump', 'relay', 13)

/** A lamp that is shorted to off, after its limit. */
async function mismatched() {
  const bench = await openBench({ actuators: [lamp, pump] })
  const host = await bench.open()
  commandOf(host, 'switch.lamp').do(on, 0)
  bench.world.hold(11, 0)
  bench.clock.advance(600)
  return { ...bench, host }
}

describe('an output that reads back otherwise than commanded', () => {
  test('is a fault after its limit, and not before [safety-3]', async () => {
    const bench = await openBench({ actuators: [lamp, pump] })
    const host = await bench.open()
    commandOf(host, 'switch.lamp').do(on, 0)
    bench.world.hold(11, 0)
    bench.clock.advance(250)
    expect(host.status().faults).toEqual([])
    expect(host.telemetry().get('switch.lamp')?.state).toBe('off')
    bench.clock.advance(350)
    expect(host.status().faults).toMatchObject([{ cause: 'read-back', components: ['lamp'] }])
    await host[Symbol.asyncDispose]()
    removeDir(bench.dir)
  })

  test.each([0, 1] as const)('a relay whose line is stuck at %i is one, in words', async (stuck) => {
    const bench = await openBench({ actuators: [pump] })
    const host = await bench.open()
    const hand = commandOf(host, 'switch.pump')
    hand.do(on, 0)
    bench.world.hold(13, stuck)
    if (stuck === 1) hand.do({ state: 'off' }, 0)
    bench.clock.advance(250)
    expect(host.status().faults).toEqual([])
    bench.clock.advance(250)
    const [is, should] = stuck === 1 ? ['on', 'off'] : ['off', 'on']
    expect(host.status().faults).toMatchObject([
      {
        cause: 'read-back',
        components: ['pump'],
        message: `pump.on is ${is} though it should be ${should}, for more than 300 ms`,
      },
    ])
    await host[Symbol.asyncDispose]()
    removeDir(bench.dir)
  })

  test('a green lamp that stays on when it was commanded off is one', async () => {
    const head = {
      ...part('north', 'traffic-head', 0),
      component: 'select.north',
      at: { pins: { red: 11, yellow: 13, green: 15 } },
      options: { safe: 'red', yellowS: 3, minRedS: 2, minGreenS: 5, redYellow: false, activeLow: false },
    }
    const bench = await openBench({ actuators: [head], config: { conflictMonitor: { pin: 33 } } })
    await bench.drive(33, 1)
    const host = await bench.open()
    host.arm()
    bench.clock.advance(5_000)
    const hand = commandOf(host, 'select.north')
    hand.do({ option: 'green' }, bench.clock.monotonicMs())
    bench.clock.advance(5_000)
    expect(host.status().faults).toEqual([])
    bench.world.hold(15, 1)
    hand.do({ option: 'yellow' }, bench.clock.monotonicMs())
    bench.clock.advance(500)
    expect(host.status().faults).toMatchObject([
      {
        cause: 'read-back',
        components: ['north'],
        message: 'north.green is on though it should be off, for more than 300 ms',
      },
    ])
    expect([11, 13].map((pin) => bench.world.seen(pin).level)).toEqual([1, 0])
    await host[Symbol.asyncDispose]()
    removeDir(bench.dir)
  })

  test('a part that says that it is stalled is a fault, told once', async () => {
    const port = new HeaterPort()
    const bench = await openBench({ actuators: [part('heater', 'test-heater', 15)], port })
    const host = await bench.open()
    commandOf(host, 'switch.heater').do({ value: 50 }, 0)
    port.stalls = ['no current']
    bench.clock.advance(1_000)
    expect(host.status().faults).toMatchObject([
      { cause: 'stall', message: expect.stringMatching(/no current/) },
    ])
    expect(port.writes.at(-1)).toEqual({ power: 0 })
    await host[Symbol.asyncDispose]()
    removeDir(bench.dir)
  })
})

describe('latched faults [safety-4]', () => {
  test('are on the disk when they are told, and are there after a restart', async () => {
    const { dir, host, changes } = await mismatched()
    await expect.poll(() => changes.at(-1)?.faults.length).toBe(1)
    const file = JSON.parse(readFileSync(join(dir, 'faults.json'), 'utf8'))
    expect(file.faults).toMatchObject([{ cause: 'read-back', components: ['lamp'] }])
    // The process dies here: nothing of it is closed.
    const again = await openBench({ actuators: [lamp, pump], safetyDir: dir })
    const next = await again.open()
    expect(next.status()).toMatchObject({ armed: false, faults: [{ cause: 'read-back' }] })
    await next.clearFault(next.status().faults[0]?.id ?? '')
    expect(JSON.parse(readFileSync(join(dir, 'faults.json'), 'utf8')).faults).toEqual([])
    for (const opened of [host, next]) await opened[Symbol.asyncDispose]()
    removeDir(dir)
  })

  test.each([
    ['is empty', ''],
    ['is half written', '{"version":1,"sha256":"'],
    ['was emptied by hand', '{"version":1,"sha256":"0","faults":[]}'],
    ['is of a later version', '{"version":2}'],
    ['is no object', 'null'],
  ])('a file that %s is a fault of every part, which lasts too', async (_, text) => {
    const bench = await openBench({ actuators: [lamp, pump] })
    writeFileSync(join(bench.dir, 'faults.json'), text)
    const host = await bench.open()
    expect(host.status().faults).toMatchObject([{ cause: 'start-up', components: ['lamp', 'pump'] }])
    await host[Symbol.asyncDispose]()
    const again = await openBench({ actuators: [lamp, pump], safetyDir: bench.dir })
    const next = await again.open()
    expect(next.status().faults).toMatchObject([{ cause: 'start-up' }])
    await next[Symbol.asyncDispose]()
    removeDir(bench.dir)
  })

  test('an unknown fault is refused with those that there are', async () => {
    const { host, dir } = await mismatched()
    await expect(host.clearFault('nothing')).rejects.toThrow(/there is no fault nothing; latched are: \S+/)
    await host[Symbol.asyncDispose]()
    removeDir(dir)
  })

  test('that the disk refuses are told, and clearing one says that it will be back', async () => {
    const bench = await openBench({ actuators: [lamp] })
    const host = await bench.open()
    await expect.poll(() => bench.changes.at(-1)?.armed).toBe(true)
    removeDir(bench.dir)
    commandOf(host, 'switch.lamp').do(on, 0)
    bench.world.hold(11, 0)
    bench.clock.advance(600)
    await expect
      .poll(() => bench.lines.map(({ message }) => message))
      .toContain('latched faults cannot be written to the disk')
    expect(host.status()).toMatchObject({ faultsNotStored: expect.stringContaining('ENOENT') })
    expect(bench.changes.at(-1)?.faults).toHaveLength(1)
    await expect(host.clearFault(host.status().faults[0]?.id ?? '')).rejects.toThrow(
      /will be back after a restart/,
    )
    await host[Symbol.asyncDispose]()
  })

  test('that the disk refused are on it when it takes writes again', async () => {
    const bench = await openBench({ actuators: [lamp] })
    const host = await bench.open()
    removeDir(bench.dir)
    commandOf(host, 'switch.lamp').do(on, 0)
    bench.world.hold(11, 0)
    bench.clock.advance(600)
    await expect.poll(() => host.status().faultsNotStored).toContain('ENOENT')
    mkdirSync(bench.dir)
    await expect
      .poll(() => {
        bench.clock.advance(1_000)
        return host.status().faultsNotStored
      })
      .toBeUndefined()
    expect(readFileSync(join(bench.dir, 'faults.json'), 'utf8')).toContain('read-back')
    removeDir(bench.dir)
    await host[Symbol.asyncDispose]()
  })
})

describe('the hardware watchdog [safety-8]', () => {
  test('is fed once a second while all is well, and disarmed by a clean stop', async () => {
    const bench = await openBench({ actuators: [lamp] })
    const host = await bench.open()
    bench.clock.advance(10_000)
    const feeds = bench.fed.filter((what) => what === 'feed').length
    expect(feeds).toBeGreaterThanOrEqual(9)
    expect(feeds).toBeLessThanOrEqual(11)
    expect(host.status().watchdog).toBe('fed')
    await host[Symbol.asyncDispose]()
    expect(bench.fed.at(-1)).toBe('close')
    removeDir(bench.dir)
  })

  test('counts on when the thread crashed, or when an output could not be driven safe', async () => {
    const crashed = await openBench({ actuators: [lamp] })
    const first = await crashed.open()
    crashed.clock.advance(1_000)
    first.abandonWatchdog()
    await first[Symbol.asyncDispose]()
    expect(first.driven).toBe(true)
    expect(crashed.fed).not.toContain('close')
    const stuck = await openBench({ actuators: [lamp] })
    const second = await stuck.open()
    stuck.clock.advance(1_000)
    stuck.levers.fails = true
    await second[Symbol.asyncDispose]()
    expect(second.driven).toBe(false)
    expect(stuck.fed).toContain('feed')
    expect(stuck.fed).not.toContain('close')
    for (const { dir } of [crashed, stuck]) removeDir(dir)
  })

  test.each([
    ['an output reads back otherwise', 'hold'],
    ['a chip cannot be written', 'fail'],
    ['the control loop is silent', 'silent'],
  ])('starves when %s', async (_, how) => {
    let alive = true
    const bench = await openBench({ actuators: [lamp], isAlive: () => alive })
    const host = await bench.open()
    const command = commandOf(host, 'switch.lamp')
    command.do(on, 0)
    bench.clock.advance(3_000)
    if (how === 'hold') bench.world.hold(11, 1)
    if (how === 'fail') bench.levers.fails = true
    if (how === 'silent') alive = false
    if (how !== 'silent') expect(() => command.do({ state: 'off' }, bench.clock.monotonicMs())).not.toThrow()
    bench.clock.advance(2_000)
    const before = bench.fed.length
    bench.clock.advance(20_000)
    expect(bench.fed.length).toBe(before)
    expect(host.status().watchdog).toBe('starving')
    await host[Symbol.asyncDispose]()
    removeDir(bench.dir)
  })

  test('is not opened before the first cycle in which all is well', async () => {
    const bench = await openBench({ actuators: [lamp] })
    bench.world.hold(11, 1)
    const host = await bench.open()
    bench.clock.advance(5_000)
    expect(bench.fed).toEqual([])
    bench.world.hold(11, undefined)
    bench.clock.advance(1_000)
    expect(bench.fed.slice(0, 2)).toEqual(['open', 'feed'])
    await host[Symbol.asyncDispose]()
    removeDir(bench.dir)
  })
})
