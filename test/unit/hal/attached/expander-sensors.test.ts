/** Sensors on an expander's pins, in a thread of sensors: the real drivers on emulated parts, in virtual time. */
import { describe, expect, it } from 'vitest'
import { simRaspberryPi5 } from '../../../../boards/sim-raspberrypi-5.board.ts'
import { SensorThread } from '../../../../hal/attached/sensor-thread.ts'
import type { FromThread } from '../../../../hal/attached/worker-messages.ts'
import type { PlannedSensor } from '../../../../hal/safety/plan.ts'
import type { BusFault } from '../../../../hal/sim/bus/bus-fault.ts'
import { testHost } from '../host.ts'

const porch = { id: 'porch', driver: 'mcp23017', at: { bus: 'i2c-1', address: 0x20, pins: {} }, options: {} }
const motion: PlannedSensor = {
  id: 'hall',
  driver: 'pir',
  at: { pins: { signal: 'porch:3' } },
  options: { activeLow: false, warmUpS: 0, debounceMs: 0 },
  sampleEveryMs: 60_000,
}
const door: PlannedSensor = {
  id: 'door',
  driver: 'digital-input',
  at: { pins: { signal: 'porch:4' } },
  options: { channel: 'contact', pull: 'up', activeLow: false, debounceMs: 200 },
  sampleEveryMs: 60_000,
}
const thermometer: PlannedSensor = {
  id: 'cellar',
  driver: 'tmp102',
  at: { bus: 'i2c-1', address: 0x48, pins: {} },
  options: { rate: '4' },
  sampleEveryMs: 1_000,
}

async function running(sensors: readonly PlannedSensor[]) {
  const { host, clock, lines } = testHost()
  const seen: { id: string; value?: number | undefined; error?: string; lost?: boolean }[] = []
  const post = (message: FromThread) => {
    if (message.type !== 'outcomes') return
    for (const [index, outcome] of message.outcomes) {
      const id = sensors[index]?.id ?? ''
      if ('reading' in outcome) seen.push({ id, value: Object.values(outcome.reading.channels)[0]?.value })
      else seen.push({ id, error: outcome.error.message, lost: outcome.lost })
    }
  }
  const group = { name: 'the sensor worker', providers: [porch], sensors }
  const io = { kind: 'emulated', board: simRaspberryPi5 } as const
  const shared = new SharedArrayBuffer(64)
  const thread = await SensorThread.open({ io, group, delaysMs: [], shared }, host, post)
  const run = async (ms: number) => {
    for (let left = ms; left > 0; left -= 25) {
      clock.advance(25)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const set = (part: string, quantity: string, value: number) =>
    thread.handle({ type: 'emulate', call: 0, part, lever: { quantity, value } })
  const fault = (part: string, kind: BusFault['kind'] | null) =>
    thread.handle({ type: 'emulate', call: 0, part, lever: { fault: kind && ({ kind } as BusFault) } })
  const of = (id: string) => seen.filter((entry) => entry.id === id)
  await run(2_000)
  return { thread, run, set, fault, seen, of, lines }
}

describe('sensors on the pins of an expander', () => {
  it('report a change when it happens, long before they are sampled [drivers-14]', async () => {
    await using room = await running([motion, door]).then((made) => ({
      ...made,
      [Symbol.asyncDispose]: () => made.thread[Symbol.asyncDispose](),
    }))
    expect(room.of('hall')).toEqual([{ id: 'hall', value: 0 }])
    expect(room.of('door')).toEqual([{ id: 'door', value: 0 }])
    room.set('hall', 'motion', 1)
    await room.run(200)
    room.set('hall', 'motion', 0)
    room.set('door', 'contact', 1)
    await room.run(400)
    expect(room.of('hall').map(({ value }) => value)).toEqual([0, 1, 0])
    expect(room.of('door').map(({ value }) => value)).toEqual([0, 1])
  })

  it('do not report what is shorter than their debounce', async () => {
    const room = await running([motion, door])
    room.set('door', 'contact', 1)
    await room.run(100)
    room.set('door', 'contact', 0)
    await room.run(1_000)
    expect(room.of('door').map(({ value }) => value)).toEqual([0])
    await room.thread[Symbol.asyncDispose]()
  })

  it('are lost soon after their expander, return with it, and cost others nothing [attached-10]', async () => {
    const room = await running([motion, door, thermometer])
    room.fault('porch', 'unplugged')
    await room.run(10_000)
    expect(room.of('hall').at(-1)).toMatchObject({ lost: true })
    expect(room.of('door').at(-1)).toMatchObject({ lost: true })
    await room.run(60_000)
    room.fault('porch', null)
    room.set('door', 'contact', 1)
    await room.run(130_000)
    expect(room.of('hall').at(-1)).toEqual({ id: 'hall', value: 0 })
    expect(room.of('door').at(-1)).toEqual({ id: 'door', value: 1 })
    room.set('hall', 'motion', 1)
    await room.run(200)
    expect(room.of('hall').at(-1)).toEqual({ id: 'hall', value: 1 })
    expect(room.of('cellar').every(({ value }) => value !== undefined)).toBe(true)
    expect(room.of('cellar').length).toBeGreaterThan(190)
    const said = room.lines.filter(({ message }) => message.startsWith('a provider of pins'))
    expect(said.map(({ message }) => message)).toEqual([
      'a provider of pins cannot be opened',
      'a provider of pins is back',
    ])
    await room.thread[Symbol.asyncDispose]()
  })

  it('work after a short loss of power that nobody noticed otherwise: the chip gets its configuration back', async () => {
    const room = await running([motion, door])
    room.fault('porch', 'unplugged')
    room.fault('porch', null)
    await room.run(5_000)
    room.set('door', 'contact', 1)
    await room.run(1_000)
    expect(room.of('door').at(-1)).toEqual({ id: 'door', value: 1 })
    await room.thread[Symbol.asyncDispose]()
  })
})
