import { describe, expect, test } from 'vitest'
import { Outputs } from '../../../../hal/safety/outputs.ts'
import type { Sink } from '../../../../hal/safety/sink.ts'
import { testHost } from '../host.ts'
import { commandOf, HeaterPort, off, on, openBench, part, removeDir } from './host-bench.ts'

/** Two lines of one chip and a heater behind a port. */
const three = [part('pump', 'relay', 11), part('fan', 'relay', 13), part('heater', 'test-heater', 15)]

describe('lines of one chip', () => {
  test('are requested together at their safe values and change in one write [safety-2]', async () => {
    const bench = await openBench({ actuators: [part('pump', 'relay', 11), part('fan', 'relay', 13)] })
    const seen: Readonly<Record<string, number>>[] = []
    bench.world.onOutputs((levels) => seen.push(levels))
    const host = await bench.open()
    const both = host.acquire({ components: ['switch.pump', 'switch.fan'], principal: 'user', ttlMs: 1_000 })
    const meta = (sequence: number) => ({
      id: `${sequence}`,
      principal: 'user',
      ttlMs: 5_000,
      lease: { id: both.id, sequence },
    })
    host.command('switch.pump', on, meta(1), 0)
    host.command('switch.fan', on, meta(2), 0)
    seen.length = 0
    bench.clock.advance(1_001)
    expect(seen).toEqual([{ 11: 0, 13: 0 }])
    await host[Symbol.asyncDispose]()
    removeDir(bench.dir)
  })
})

/** A sink of one output that keeps what was written, and fails while asked to. */
function sinkOf(output: string, order: string[]): Sink & { fails: boolean } {
  return {
    name: output,
    outputs: [output],
    affects: [output],
    fails: false,
    write(values) {
      if (this.fails) throw new Error('it does not answer')
      order.push(`${output} ${values[output]}`)
    },
    readBack: () => ({}),
    stalled: () => [],
    reopen: async () => {},
    close: async () => {},
  }
}

describe('a change over several chips [safety-2]', () => {
  async function openTwo() {
    const order: string[] = []
    const [one, other] = [sinkOf('one', order), sinkOf('other', order)]
    const { host } = testHost()
    const safe = { one: 0, other: 0 }
    const { outputs } = await Outputs.open([one, other], safe, host, new AbortController().signal)
    outputs.commit({ other: 1 })
    order.length = 0
    return { order, one, other, outputs }
  }

  test('is written toward safe first, whatever the order of the chips', async () => {
    const { order, outputs } = await openTwo()
    expect(outputs.commit({ one: 1, other: 0 })).toEqual([])
    expect(order).toEqual(['other 0', 'one 1'])
  })

  test('stops when something does not go safe', async () => {
    const { order, other, outputs } = await openTwo()
    other.fails = true
    expect(outputs.commit({ one: 1, other: 0 })).toMatchObject([{ outputs: ['other'] }])
    expect(order).toEqual([])
    expect(outputs.drift({ one: 1, other: 0 })).toEqual({ one: 1 })
    await outputs[Symbol.asyncDispose]()
  })
})

describe('a chip that cannot be written', () => {
  test('is a fault at once, and is driven safe as soon as it answers again [safety-3]', async () => {
    const bench = await openBench({
      actuators: [part('pump', 'relay', 11), part('heater', 'test-heater', 15)],
    })
    const host = await bench.open()
    const pump = commandOf(host, 'switch.pump')
    pump.do(on, 0)
    bench.levers.fails = true
    pump.do(off, 0)
    expect(host.status().faults).toMatchObject([{ cause: 'write-failed', components: ['pump'] }])
    expect(bench.telemetry.at(-1)).toMatchObject(['switch.pump', { state: 'unavailable' }])
    expect(bench.world.seen(11).level).toBe(1)
    bench.levers.fails = false
    await bench.clock.run(async () => {
      while (bench.world.seen(11).level === 1) await new Promise((resolve) => setImmediate(resolve))
    })
    expect(host.status().faults).toHaveLength(1)
    expect(() => commandOf(host, 'switch.pump')).toThrow(/^fault: /)
    await host[Symbol.asyncDispose]()
    removeDir(bench.dir)
  })

  test('makes void what was worked out before it failed: the other write of the step [safety-3]', async () => {
    const port = new HeaterPort()
    const config = {
      constraints: [{ rule: 'mutex', outputs: ['pump.on', 'heater.power'], onMax: 2 }],
    } as const
    const bench = await openBench({ actuators: three, port, config })
    const host = await bench.open()
    const pump = host.acquire({ components: ['switch.pump'], principal: 'user', ttlMs: 150 })
    const meta = { id: '1', principal: 'user', ttlMs: 5_000 }
    host.command('switch.pump', on, { ...meta, lease: { id: pump.id, sequence: 1 } }, 0)
    const heater = commandOf(host, 'switch.heater')
    // The pump's lease runs out unseen: its end and the command are two writes of one step.
    const monotonicMs = bench.clock.monotonicMs.bind(bench.clock)
    bench.clock.monotonicMs = () => monotonicMs() + 200
    port.writes.length = 0
    bench.levers.fails = true
    heater.do({ value: 50 }, 0)
    expect(port.writes.filter(({ power }) => power !== 0)).toEqual([])
    expect(host.status().faults).toMatchObject([
      { cause: 'write-failed', components: expect.arrayContaining(['pump', 'heater']) },
    ])
    expect(port.writes.at(-1)).toEqual({ power: 0 })
    await host[Symbol.asyncDispose]()
    removeDir(bench.dir)
  })

  test('does not keep the others from working', async () => {
    const port = new HeaterPort()
    port.fails = true
    const bench = await openBench({ actuators: three, port })
    const host = await bench.clock.run(() => bench.open())
    expect(host.status()).toMatchObject({
      armed: false,
      faults: [{ cause: 'write-failed', components: ['heater'] }],
    })
    expect(host.telemetry().get('switch.heater')?.state).toBe('unavailable')
    host.arm()
    commandOf(host, 'switch.pump').do(on, bench.clock.monotonicMs())
    expect(bench.world.seen(11).level).toBe(1)
    await host[Symbol.asyncDispose]()
    removeDir(bench.dir)
  })

  test('keeps its fault from being cleared until it answers', async () => {
    const port = new HeaterPort()
    const bench = await openBench({ actuators: three, port })
    const host = await bench.open()
    port.fails = true
    expect(() => commandOf(host, 'switch.heater').do({ value: 5 }, 0)).not.toThrow()
    const fault = host.status().faults[0]?.id ?? ''
    await expect(host.clearFault(fault)).rejects.toThrow(/heater still cannot be driven/)
    port.fails = false
    await bench.clock.run(async () => {
      while (port.opened < 2) await new Promise((resolve) => setImmediate(resolve))
    })
    await host.clearFault(fault)
    expect(host.status().faults).toEqual([])
    await host[Symbol.asyncDispose]()
    removeDir(bench.dir)
  })

  test('is waited for at start while somebody else holds its lines', async () => {
    const bench = await openBench({ actuators: [part('pump', 'relay', 11)] })
    bench.levers.busyTimes = 3
    const host = await bench.clock.run(() => bench.open())
    expect(host.status().faults).toEqual([])
    await host[Symbol.asyncDispose]()
    removeDir(bench.dir)
  })
})

test('closing drives every output safe and gives the lines back', async () => {
  const bench = await openBench({ actuators: [part('pump', 'relay', 11)] })
  const host = await bench.open()
  commandOf(host, 'switch.pump').do(on, 0)
  expect(bench.world.seen(11)).toMatchObject({ level: 1, use: 'output' })
  await host[Symbol.asyncDispose]()
  expect(bench.world.seen(11)).toMatchObject({ level: 0, use: 'free' })
  removeDir(bench.dir)
})
