/** Lines of the emulated machine: levels, edges, banks, counters, PWM, and what hangs on expanders. */
import { describe, expect, test } from 'vitest'
import type { Connection } from '../../../../hal/contract/driver.ts'
import type { EmulatedPart } from '../../../../hal/contract/emulator.ts'
import { HalError } from '../../../../hal/contract/errors.ts'
import type { Edge } from '../../../../hal/contract/io.ts'
import { ProviderRegistry, providerPin } from '../../../../hal/drivers/provider-registry.ts'
import { createEmulatedIo } from '../../../../hal/sim/bus/index.ts'
import { testHost } from '../host.ts'

const bench = () => {
  const { host, clock } = testHost()
  return { world: createEmulatedIo({ host }), clock }
}
const code = (work: () => unknown): string | undefined => {
  try {
    work()
  } catch (error) {
    if (error instanceof HalError) return error.code
    throw error
  }
  return undefined
}
const onPins: Connection = { bus: 'pins', pins: { signal: { use: 'output', help: 'the signal' } } }

/** A part with one pin, `signal`, which it can drive and hears. */
function pinPart() {
  const heard: (number | string)[] = []
  let drive: ((pin: string, value: 0 | 1, atMs?: number) => void) | undefined
  const part: EmulatedPart = {
    pins: {
      written: (_, value) => void heard.push(value),
      dutyWritten: (_, duty, hz) => void heard.push(`${duty.toFixed(3)}@${hz}`),
      start(driver) {
        drive = driver
        return () => {}
      },
    },
    set() {},
    world: () => ({}),
  }
  return { part, heard, drive: (value: 0 | 1, atMs?: number) => drive?.('signal', value, atMs) }
}

describe('digital lines', () => {
  test('[bus-2] a line is one user’s, and free again when it was closed', () => {
    const { world } = bench()
    const line = world.io.digital({ pin: 11, mode: 'input' })
    expect(code(() => world.io.digital({ pin: 11, mode: 'output' }))).toBe('busy')
    expect(code(() => world.io.pwm({ pin: 11, hz: 50 }))).toBe('busy')
    expect(code(() => line.write(1))).toBe('unsupported')
    line.close()
    line.close()
    expect(code(() => line.read())).toBe('closed')
    world.io.digital({ pin: 11, mode: 'output' }).close()
  })

  test('pulls decide while nothing drives, and active-low lines are inverted', () => {
    const { world } = bench()
    const up = world.io.digital({ pin: 11, mode: 'input-pull-up' })
    const low = world.io.digital({ pin: 12, mode: 'input-pull-up', activeLow: true })
    expect([up.read(), low.read()]).toEqual([1, 0])
    world.drive(11, 0)
    world.drive(12, 0)
    expect([up.read(), low.read()]).toEqual([0, 1])
    world.drive(11, undefined)
    expect(up.read()).toBe(1)
  })

  test('an output has its initial value at once, reads back the wire, and reverts when closed', () => {
    const { world } = bench()
    const outputs: unknown[] = []
    world.onOutputs((levels) => outputs.push(levels))
    const line = world.io.digital({ pin: 11, mode: 'output', initial: 1 })
    expect(world.seen(11)).toMatchObject({ level: 1, use: 'output' })
    line.write(0)
    line.write(0)
    line.write(1)
    expect(outputs).toEqual([{ 11: 1 }, { 11: 0 }, { 11: 1 }])
    world.hold(11, 0)
    expect(line.read()).toBe(0)
    world.hold(11, undefined)
    expect(line.read()).toBe(1)
    line.close()
    expect(world.seen(11)).toMatchObject({ level: 0, use: 'free' })
  })

  test('an open-drain output only pulls down', () => {
    const { world } = bench()
    const line = world.io.digital({ pin: 11, mode: 'output-open-drain', initial: 1 })
    expect(line.read()).toBe(1)
    world.drive(11, 0)
    expect(line.read()).toBe(0)
    world.drive(11, 1)
    line.write(0)
    expect(line.read()).toBe(0)
  })

  test('edges carry the time at which they were, after active-low, and only those that were asked for', async () => {
    const { world, clock } = bench()
    const edges: Edge[] = []
    const both = { rising: true, falling: true }
    world.io.digital({ pin: 11, mode: 'input', edge: both, onReadable: (edge) => edges.push(edge) })
    const { part, drive } = pinPart()
    world.attach('one', { pins: { signal: 11 } }, onPins, part)
    clock.advance(5)
    drive(1, 2.5)
    drive(0)
    expect(edges).toEqual([])
    await Promise.resolve()
    expect(edges).toEqual([
      { rising: true, timestampNs: 2_500_000n, missed: 0 },
      { rising: false, timestampNs: 5_000_000n, missed: 0 },
    ])
    const falls: boolean[] = []
    const inverted = { rising: true, falling: false }
    world.io.digital({
      pin: 12,
      mode: 'input',
      activeLow: true,
      edge: inverted,
      onReadable: ({ rising }) => falls.push(rising),
    })
    world.drive(12, 1)
    world.drive(12, 0)
    await Promise.resolve()
    expect(falls).toEqual([true])
  })

  test('[bus-5] at most 64 edges wait; the next one says how many were lost', async () => {
    const { world } = bench()
    const edges: Edge[] = []
    const edge = { rising: true, falling: true }
    world.io.digital({ pin: 11, mode: 'input', edge, onReadable: (one) => edges.push(one) })
    for (let round = 0; round < 40; round += 1) {
      world.drive(11, 1)
      world.drive(11, 0)
    }
    await Promise.resolve()
    expect(edges).toHaveLength(64)
    world.drive(11, 1)
    await Promise.resolve()
    expect(edges.at(-1)?.missed).toBe(16)
  })

  test('a pulse shorter than the debounce is not heard, a level that stays is, once', async () => {
    const { world, clock } = bench()
    const edges: boolean[] = []
    world.io.digital({
      pin: 11,
      mode: 'input',
      debounceUs: 5000,
      edge: { rising: true, falling: true },
      onReadable: ({ rising }) => edges.push(rising),
    })
    world.drive(11, 1)
    clock.advance(2)
    world.drive(11, 0)
    clock.advance(20)
    world.drive(11, 1)
    clock.advance(20)
    await Promise.resolve()
    expect(edges).toEqual([true])
  })

  test('a part hears levels that the computer drives, those from before it was attached too, and none while unplugged', () => {
    const { world } = bench()
    const line = world.io.digital({ pin: 11, mode: 'output', initial: 1 })
    const { part, heard } = pinPart()
    world.attach('one', { pins: { signal: 11 } }, onPins, part)
    line.write(0)
    world.fault('one', { kind: 'unplugged' })
    line.write(1)
    expect(heard).toEqual([1, 0])
    world.fault('one', undefined)
    expect(heard).toEqual([1, 0, 1])
  })

  test('what a part drives floats while it is unplugged, stays while stuck, and comes back', () => {
    const { world } = bench()
    const line = world.io.digital({ pin: 11, mode: 'input' })
    const { part, drive } = pinPart()
    world.attach('one', { pins: { signal: 11 } }, onPins, part)
    drive(1)
    expect(line.read()).toBe(1)
    world.fault('one', { kind: 'stuck' })
    drive(0)
    expect(line.read()).toBe(1)
    world.fault('one', { kind: 'unplugged' })
    expect(line.read()).toBe(0)
    drive(1)
    world.fault('one', undefined)
    expect(line.read()).toBe(1)
  })

  test('[bus-1] a pin that is taken is refused in one line that names both parts', () => {
    const { world } = bench()
    world.attach('kitchen', { pins: { signal: 11 } }, onPins, pinPart().part)
    expect(() => world.attach('porch', { pins: { signal: 11 } }, onPins, pinPart().part)).toThrow(
      'porch: pin 11 is taken by kitchen',
    )
  })

  test('all ways to write a pin are one pin where the board says so', () => {
    const { host } = testHost()
    const pinName = (pin: number | string) => (pin === 11 || pin === 'GPIO17' ? 'GPIO17' : String(pin))
    const world = createEmulatedIo({ host, pinName })
    world.io.digital({ pin: 11, mode: 'output', initial: 1 })
    expect(world.seen('GPIO17').level).toBe(1)
    expect(code(() => world.io.digital({ pin: 'GPIO17', mode: 'input' }))).toBe('busy')
  })
})

describe('banks, counters and PWM', () => {
  test('[bus-3] a bank writes only the masked lines, and they are heard together', () => {
    const { world } = bench()
    const heard: unknown[] = []
    world.onOutputs((levels) => heard.push(levels))
    const pins = [{ pin: 11, initial: 1 }, { pin: 12, activeLow: true }, { pin: 13 }] as const
    const bank = world.io.digitalBank({ pins, mode: 'output' })
    expect(heard).toEqual([{ 11: 1, 12: 1 }])
    expect(bank.read()).toBe(0b001)
    bank.write(0b110, 0b110)
    expect(heard.at(-1)).toEqual({ 12: 0, 13: 1 })
    expect(bank.read()).toBe(0b111)
    bank.close()
    expect(code(() => bank.write(0))).toBe('closed')
  })

  test('a bank with a line that is in use takes none', () => {
    const { world } = bench()
    world.io.digital({ pin: 12, mode: 'input' })
    expect(code(() => world.io.digitalBank({ pins: [{ pin: 11 }, { pin: 12 }], mode: 'output' }))).toBe(
      'busy',
    )
    world.io.digital({ pin: 11, mode: 'input' })
    expect(code(() => world.io.digitalBank({ pins: [], mode: 'output' }))).toBe('out-of-range')
  })

  test('pulses count up; a quadrature cycle counts four, up or down by its direction', () => {
    const { world } = bench()
    const pulses = world.io.pulseCount({ signal: 11 })
    for (const level of [1, 0, 1, 0, 1] as const) world.drive(11, level)
    expect(pulses.read()).toBe(3)
    pulses.write(10)
    world.drive(11, 0)
    world.drive(11, 1)
    expect(pulses.read()).toBe(11)
    pulses.close()
    expect(code(() => pulses.read())).toBe('closed')

    const encoder = world.io.pulseCount({ signal: 12, control: 13 })
    const cycle = [
      [12, 1],
      [13, 1],
      [12, 0],
      [13, 0],
    ] as const
    for (const [pin, level] of cycle) world.drive(pin, level)
    expect(encoder.read()).toBe(4)
    for (const [pin, level] of [
      [13, 1],
      [12, 1],
      [13, 0],
      [12, 0],
    ] as const)
      world.drive(pin, level)
    expect(encoder.read()).toBe(0)
  })

  test('a part hears the duty as a fraction, and zero when PWM is closed', () => {
    const { world } = bench()
    const { part, heard } = pinPart()
    world.attach('one', { pins: { signal: 12 } }, onPins, part)
    const pwm = world.io.pwm({ pin: 12, hz: 50 })
    pwm.write(2 ** pwm.resolution - 1)
    expect(world.seen(12)).toMatchObject({ use: 'pwm', duty: 1, hz: 50 })
    expect(pwm.read?.()).toBe(65_535)
    expect(code(() => pwm.write(65_536))).toBe('out-of-range')
    pwm.close()
    expect(heard).toEqual(['0.000@50', '1.000@50', '0.000@50'])
    expect(code(() => world.io.analog({ pin: 12 }))).toBe('unsupported')
    expect(code(() => world.io.pwm({ pin: 12, hz: 0 }))).toBe('out-of-range')
  })
})

describe('pins that parts give', () => {
  test('are those of the provider that is registered, by id and number', () => {
    const { host } = testHost()
    const providers = new ProviderRegistry()
    const inner = createEmulatedIo({ host })
    const world = createEmulatedIo({ host, providers })
    expect(code(() => world.io.digital({ pin: 'porch:3', mode: 'output' }))).toBe('not-present')
    const { digital, digitalBank } = inner.io
    const remove = providers.add('porch', { io: { digital, digitalBank }, async [Symbol.asyncDispose]() {} })
    expect(code(() => providers.add('porch', { io: {}, async [Symbol.asyncDispose]() {} }))).toBe('busy')
    world.io.digital({ pin: 'porch:3', mode: 'output', initial: 1 })
    expect(inner.seen(3).level).toBe(1)
    world.io.digitalBank({ pins: [{ pin: 'porch:4', initial: 1 }, { pin: 'porch:5' }], mode: 'output' })
    expect([inner.seen(4).level, inner.seen(5).level]).toEqual([1, 0])
    const mixed = { pins: [{ pin: 'porch:6' }, { pin: 11 }], mode: 'output' } as const
    expect(code(() => world.io.digitalBank(mixed))).toBe('unsupported')
    expect(code(() => world.io.pwm({ pin: 'porch:6', hz: 50 }))).toBe('unsupported')
    remove()
    expect(code(() => world.io.digital({ pin: 'porch:7', mode: 'output' }))).toBe('not-present')
  })

  test.each([
    ['porch:3', { id: 'porch', pin: 3 }],
    ['porch-2:15', { id: 'porch-2', pin: 15 }],
    ['GPIO17', undefined],
    [11, undefined],
    ['porch:', undefined],
    ['porch:x', undefined],
  ])('%s', (reference, expected) => {
    expect(providerPin(reference)).toEqual(expected)
  })

  test('a part on an emulated expander’s pin hears what the expander puts there', () => {
    const { world } = bench()
    const outputs = [0, 0]
    const driven: number[] = []
    world.attach(
      'expander',
      { bus: 'i2c-1', address: 0x20, pins: {} },
      { bus: 'i2c', addresses: [0x20] },
      {
        i2c: {
          write: ([pin = 0, value = 0]) => {
            outputs[pin] = value
          },
          read: (byteLength) => new Uint8Array(byteLength),
        },
        provided: { drive: (pin, value) => void driven.push(pin, value), seen: (pin) => outputs[pin] ?? 0 },
        set() {},
        world: () => ({}),
      },
    )
    const { part, heard, drive } = pinPart()
    world.attach('relay', { pins: { signal: 'expander:1' } }, onPins, part)
    const i2c = world.io.i2c({ bus: 'i2c-1', address: 0x20 })
    i2c.write(Uint8Array.of(1, 1))
    i2c.write(Uint8Array.of(0, 1))
    i2c.write(Uint8Array.of(1, 0))
    expect(heard.filter((level, at) => at === 0 || level !== heard[at - 1])).toEqual([1, 0])
    drive(1)
    expect(driven).toEqual([1, 1])
  })
})
