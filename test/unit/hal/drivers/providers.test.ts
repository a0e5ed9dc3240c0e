/** MCP23017 and PCA9685: what their data sheets say beyond the suite, and parts that hang on them. */
import { describe, expect, test } from 'vitest'
import { mcp23017 } from '../../../../hal/drivers/mcp23017.driver.ts'
import { emulatedMcp23017 } from '../../../../hal/drivers/mcp23017.emul.ts'
import { pca9685, prescaleFor } from '../../../../hal/drivers/pca9685.driver.ts'
import { emulatedPca9685 } from '../../../../hal/drivers/pca9685.emul.ts'
import { relay } from '../../../../hal/drivers/relay.driver.ts'
import { emulatedRelay } from '../../../../hal/drivers/relay.emul.ts'
import { servo } from '../../../../hal/drivers/servo.driver.ts'
import { emulatedServo } from '../../../../hal/drivers/servo.emul.ts'
import { AttachedIo, never } from './attached-io.ts'

describe('MCP23017', () => {
  const at = { bus: 'i2c-1', address: 0x20, pins: {} }

  test('modes that it has not, and inputs on pins 7 and 15, are refused', async () => {
    const io = new AttachedIo()
    const { context } = io.attach({ driver: mcp23017, emulator: emulatedMcp23017 }, 'porch', at)
    await using provider = await mcp23017.open(context, never)
    const open = (pin: number, mode: 'input' | 'input-pull-down' | 'output-open-drain' | 'output') => () =>
      provider.io.digital?.({ pin, mode })
    for (const refused of [
      open(7, 'input'),
      open(15, 'input'),
      open(0, 'input-pull-down'),
      open(0, 'output-open-drain'),
    ])
      expect(refused).toThrow(expect.objectContaining({ code: 'unsupported' }))
    open(7, 'output')()
    open(0, 'input')()
  })

  test('a chip that another program left with banked registers is set up all the same', async () => {
    const io = new AttachedIo()
    const { part, context } = io.attach({ driver: mcp23017, emulator: emulatedMcp23017 }, 'porch', at)
    part.i2c?.write(Uint8Array.of(0x0a, 0xa0))
    await using provider = await mcp23017.open(context, never)
    const bank = provider.io.digitalBank?.({ mode: 'output', pins: [{ pin: 0 }, { pin: 9 }] })
    bank?.write(0b11)
    expect([part.provided?.seen(0), part.provided?.seen(9), part.provided?.seen(1)]).toEqual([1, 1, 0])
  })

  test('a relay on one of its pins is switched, and at rest again when the expander lost its power', async () => {
    const io = new AttachedIo()
    const expander = io.attach({ driver: mcp23017, emulator: emulatedMcp23017 }, 'porch', at)
    const place = { pins: { signal: 'porch:3' } }
    const pump = io.attach({ driver: relay, emulator: emulatedRelay }, 'pump', place, { activeLow: true })
    await using provider = await mcp23017.open(expander.context, never)
    io.offer('porch', provider)
    const line = relay.lines?.(pump.context.options, pump.context.at)['on']
    const bank = io.world.io.digitalBank({
      mode: 'output',
      pins: [{ pin: line?.pin ?? '', activeLow: line?.activeLow === true, initial: 0 }],
    })
    expect(pump.part.world()).toMatchObject({ on: 0 })
    bank.write(1)
    expect(pump.part.world()).toMatchObject({ on: 1 })
    io.world.fault('porch', { kind: 'unplugged' })
    io.world.fault('porch', undefined)
    expect(() => bank.read()).toThrow(/porch: it had lost its power/)
    expect(bank.read()).toBe(0)
    expect(pump.part.world()).toMatchObject({ on: 0 })
  })
})

describe('PCA9685', () => {
  test('section 7.3.5: 200 Hz is prescale 1Eh; the range is 24 to 1526 Hz', () => {
    expect(prescaleFor(200)).toBe(0x1e)
    expect(prescaleFor(1526)).toBe(0x03)
    expect(prescaleFor(24)).toBe(0xfd)
    for (const hz of [0, -1, 23, 2000, Number.NaN])
      expect(() => prescaleFor(hz)).toThrow(expect.objectContaining({ code: 'out-of-range' }))
  })

  test('it is not offered at the all-call address, which is off', async () => {
    expect(pca9685.connection.bus === 'i2c' && pca9685.connection.addresses).not.toContain(0x70)
    const io = new AttachedIo()
    const at = { bus: 'i2c-1', address: 0x40, pins: {} }
    const { part, context } = io.attach({ driver: pca9685, emulator: emulatedPca9685 }, 'pwm', at)
    await using _ = await pca9685.open(context, never)
    part.i2c?.write(Uint8Array.of(0))
    expect((part.i2c?.read(1)[0] ?? 1) & 0x01).toBe(0)
  })

  test('section 7.3.3: each duty of 0 to 4095 is on for the nearest share of 4096, and is read back as it was', async () => {
    const io = new AttachedIo()
    const at = { bus: 'i2c-1', address: 0x40, pins: {} }
    const { part, context } = io.attach({ driver: pca9685, emulator: emulatedPca9685 }, 'pwm', at)
    await using provider = await pca9685.open(context, never)
    const pwm = provider.io.pwm?.({ pin: 3, hz: 50 })
    const off = Array.from({ length: 4096 }, (_, duty) => duty).filter((duty) => {
      pwm?.write(duty)
      const seen = part.provided?.seen(3) ?? -1
      return pwm?.read?.() !== duty || Math.abs(seen - duty / 4095) > 0.5 / 4096 + 1e-12
    })
    expect(off).toEqual([])
  })

  test('servos on two of its channels go to their own angles, as their pulses are at its real frequency', async () => {
    const io = new AttachedIo()
    const chip = io.attach({ driver: pca9685, emulator: emulatedPca9685 }, 'pwm', {
      bus: 'i2c-1',
      address: 0x41,
      pins: {},
    })
    const attach = (id: string, pin: string) =>
      io.attach({ driver: servo, emulator: emulatedServo }, id, { pins: { signal: pin } })
    const [pan, tilt] = [attach('pan', 'pwm:0'), attach('tilt', 'pwm:15')]
    await using provider = await pca9685.open(chip.context, never)
    io.offer('pwm', provider)
    const ports = [await servo.open?.(pan.context, never), await servo.open?.(tilt.context, never)]
    ports[0]?.write({ angle: 90, powered: 1 })
    ports[1]?.write({ angle: 30, powered: 1 })
    io.host.clock.advance(2000)
    expect(pan.part.world()['pulseUs']).toBeCloseTo(1500, -1)
    expect(Math.abs((pan.part.world()['angle'] ?? 0) - 90)).toBeLessThan(1)
    expect(Math.abs((tilt.part.world()['angle'] ?? 0) - 30)).toBeLessThan(1)
    expect(Math.abs((ports[0]?.readBack?.()['angle'] ?? 0) - 90)).toBeLessThan(0.5)
    for (const port of ports) await port?.[Symbol.asyncDispose]()
    expect([pan.part.world()['limp'], tilt.part.world()['limp']]).toEqual([1, 1])
  })
})
