/** What single actuators promise beyond the suite. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ActuatorDriver, Options } from '../../../../hal/contract/driver.ts'
import type { Emulator } from '../../../../hal/contract/emulator.ts'
import { dcMotor } from '../../../../hal/drivers/dc-motor.driver.ts'
import { emulatedDcMotor } from '../../../../hal/drivers/dc-motor.emul.ts'
import { ledStrip } from '../../../../hal/drivers/led-strip.driver.ts'
import { emulatedLedStrip } from '../../../../hal/drivers/led-strip.emul.ts'
import { relay } from '../../../../hal/drivers/relay.driver.ts'
import { emulatedRelay } from '../../../../hal/drivers/relay.emul.ts'
import { servo } from '../../../../hal/drivers/servo.driver.ts'
import { emulatedServo } from '../../../../hal/drivers/servo.emul.ts'
import { stepper } from '../../../../hal/drivers/stepper.driver.ts'
import { emulatedStepper } from '../../../../hal/drivers/stepper.emul.ts'
import { trafficHead } from '../../../../hal/drivers/traffic-head.driver.ts'
import { emulatedTrafficHead } from '../../../../hal/drivers/traffic-head.emul.ts'
import { ActuatorRig } from '../../../conformance/actuator-rig.ts'
import { Guarded } from './guarded.ts'

async function opened(driver: ActuatorDriver, emulator: Emulator, options: Options = {}) {
  const rig = new ActuatorRig({ driver, emulator }, options)
  const part = rig.attach('part')
  const actuator = await rig.open('part')
  return { rig, part, actuator, world: () => part.world() }
}

describe('relay', () => {
  test.each([
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ])(
    'low-active %s, normally on %s: commands say what the load does, rest is no current',
    async (activeLow, normallyOn) => {
      const { actuator, world, rig } = await opened(relay, emulatedRelay, { activeLow, normallyOn })
      expect(world()).toEqual({ coil: 0, on: normallyOn ? 1 : 0 })
      actuator.command({ state: 'on' })
      expect(world()).toEqual({ coil: normallyOn ? 0 : 1, on: 1 })
      actuator.command({ state: 'off' })
      expect(world()).toEqual({ coil: normallyOn ? 1 : 0, on: 0 })
      await actuator[Symbol.asyncDispose]()
      expect(rig.world.seen(1).use).toBe('free')
    },
  )

  test('as a valve it opens and closes; a light has no brightness', () => {
    const [valve, light] = [new Guarded(relay, { as: 'valve' }), new Guarded(relay, { as: 'light' })]
    expect(valve.state).toBe('closed')
    valve.command({ state: 'open' })
    expect(valve.state).toBe('open')
    valve.release()
    expect(valve.state).toBe('closed')
    expect(() => light.command({ brightness: 3 })).toThrow(expect.objectContaining({ code: 'unsupported' }))
  })
})

describe('servo', () => {
  test('the SG90’s pulses: 1 ms at 0°, 1.5 ms in the middle, 2 ms at the end, and reversed', async () => {
    for (const reversed of [false, true]) {
      const { actuator, world } = await opened(servo, emulatedServo, { reversed })
      for (const [angle, us] of [
        [0, 1000],
        [90, 1500],
        [180, 2000],
      ] as const) {
        actuator.command({ value: reversed ? 180 - angle : angle })
        expect(Math.abs((world()['pulseUs'] ?? 0) - us)).toBeLessThan(1)
      }
    }
  })

  test('after a release it goes on from where it was let go, at its speed, though the kernel starts anew [drivers-11]', async () => {
    const { rig, actuator, world } = await opened(servo, emulatedServo, { degreesPerS: 90 })
    actuator.command({ value: 120 })
    rig.clock.advance(2000)
    actuator.write({ angle: 0, powered: 0 })
    expect(world()['limp']).toBe(1)
    actuator.write({ angle: 0, powered: 1 })
    let before = world()['angle'] ?? 0
    expect(before).toBeGreaterThan(119)
    for (let ms = 0; ms < 1400; ms += 20) {
      rig.clock.advance(20)
      const now = world()['angle'] ?? 0
      expect(Math.abs(now - before)).toBeLessThan(3)
      before = now
    }
    expect(before).toBeLessThan(0.1)
  })

  test('parking beyond the travel is refused by the name of the option', () => {
    expect(() => new Guarded(servo, { travelDegrees: 90, parkDegrees: 120 })).toThrow(/parkDegrees/)
  })

  test('a cover stops where it is on its way', () => {
    const cover = new Guarded(servo, { as: 'cover', degreesPerS: 90 })
    cover.command({ state: 'open' })
    cover.advance(1000)
    cover.command({ action: 'stop' })
    const { angle = 0 } = cover.values
    expect(angle).toBeGreaterThan(80)
    cover.advance(2000)
    expect(Math.abs((cover.values['angle'] ?? 0) - angle)).toBeLessThanOrEqual(2)
    expect(cover.state).toBe('open')
  })
})

describe('motor on an H-bridge', () => {
  test('it changes direction only through a pause, and never drives both sides, whatever is commanded', () => {
    const command = fc.tuple(fc.integer({ min: -100, max: 100 }), fc.integer({ min: 0, max: 400 }))
    fc.assert(
      fc.property(fc.array(command, { maxLength: 30 }), (commands) => {
        const motor = new Guarded(dcMotor)
        for (const [value, waitMs] of commands) {
          motor.advance(waitMs)
          motor.command({ value })
        }
        for (const [at, { forward, reverse }] of motor.vectors.entries()) {
          expect([forward, reverse]).not.toEqual([1, 1])
          const before = motor.vectors[at - 1]
          if (before?.['forward'] === 1) expect(reverse).toBe(0)
          if (before?.['reverse'] === 1) expect(forward).toBe(0)
        }
      }),
    )
  })

  test('reversing while it turns is denied by name; after a stop and the pause it is done', () => {
    const motor = new Guarded(dcMotor, { pauseMs: 300 })
    motor.advance(300)
    expect(motor.command({ value: 60 })).toBeUndefined()
    motor.advance(1000)
    expect(motor.state).toBe('60')
    expect(motor.command({ value: -60 })).toBe('sequence')
    expect(motor.command({ value: 0 })).toBeUndefined()
    expect(motor.state).toBe('0')
    motor.advance(100)
    expect(motor.command({ value: -60 })).toBe('sequence')
    motor.advance(200)
    expect(motor.command({ value: -60 })).toBeUndefined()
    motor.advance(1000)
    expect(motor.state).toBe('-60')
    motor.release()
    expect(motor.values).toEqual({ forward: 0, reverse: 0, duty: 0 })
  })

  test('the encoder counts up and down; a blocked shaft is a stall, a released one is none', async () => {
    const { rig, part, actuator } = await opened(dcMotor, emulatedDcMotor)
    actuator.command({ value: 100 })
    rig.clock.advance(1000)
    expect(actuator.port?.stalled?.()).toEqual([])
    const up = Number(actuator.telemetry().attributes['pulses'])
    expect(up).toBeGreaterThan(90)
    actuator.command({ value: 0 })
    actuator.command({ value: -100 })
    rig.clock.advance(500)
    expect(Number(actuator.telemetry().attributes['pulses'])).toBeLessThan(up)
    expect(actuator.port?.stalled?.()).toEqual([])
    part.set('blocked', 1)
    rig.clock.advance(300)
    expect(actuator.port?.stalled?.()).toEqual([])
    rig.clock.advance(300)
    expect(actuator.port?.stalled?.()[0]).toMatch(/without a pulse for \d+ ms/)
    actuator.command({ value: 0 })
    rig.clock.advance(5000)
    expect(actuator.port?.stalled?.()).toEqual([])
  })
})

describe('LED strip', () => {
  test('every LED shows the colour, in either order of the wire', async () => {
    const level = fc.integer({ min: 0, max: 255 })
    await fc.assert(
      fc.asyncProperty(
        level,
        level,
        level,
        fc.constantFrom('grb', 'rgb'),
        async (red, green, blue, order) => {
          const options = { count: 7, order, currentMaxMa: 10_000 }
          const { actuator, world } = await opened(ledStrip, emulatedLedStrip, options)
          actuator.command({ state: 'on', brightness: 255, rgb_color: [red, green, blue] })
          expect(world()).toMatchObject({ red, green, blue, lit: red + green + blue > 0 ? 7 : 0 })
          actuator.command({ state: 'off' })
          expect(world()).toMatchObject({ red: 0, green: 0, blue: 0, lit: 0 })
        },
      ),
      { numRuns: 40 },
    )
  })

  test('it never draws more than its supply gives, and says how bright it really is [drivers-10]', async () => {
    const level = fc.integer({ min: 0, max: 255 })
    await fc.assert(
      fc.asyncProperty(
        fc.tuple(level, level, level),
        fc.integer({ min: 1, max: 255 }),
        fc.integer({ min: 1, max: 150 }),
        fc.integer({ min: 200, max: 10_000 }),
        async (rgb, brightness, count, currentMaxMa) => {
          const { actuator, world } = await opened(ledStrip, emulatedLedStrip, { count, currentMaxMa })
          actuator.command({ brightness, rgb_color: rgb })
          expect(world()['currentMa']).toBeLessThanOrEqual(currentMaxMa)
          const { attributes } = actuator.telemetry()
          const [max = 0, shown = 0] = [
            Math.max(...rgb),
            Math.max(...['red', 'green', 'blue'].map((c) => world()[c] ?? 0)),
          ]
          expect(shown).toBe(Math.floor((max * Number(attributes['brightness'])) / 255))
          expect('limited_by' in attributes).toBe(Number(attributes['brightness']) < brightness)
        },
      ),
      { numRuns: 60 },
    )
  })

  test('a supply that does not even light the chips is refused by the name of the option', () => {
    expect(() => new Guarded(ledStrip, { count: 100, currentMaxMa: 100 })).toThrow(/currentMaxMa/)
  })

  test('the longest strip is written within 5 ms of wire time [drivers-11]', async () => {
    const rig = new ActuatorRig({ driver: ledStrip, emulator: emulatedLedStrip }, { count: 150 })
    let bits = 0
    const { io, ...rest } = rig.context('strip')
    const spi = io.spi({ bus: 'spi-0.0', hz: 2_400_000 })
    const counting = {
      ...spi,
      write: (bytes: Uint8Array) => {
        bits = bytes.length * 8
      },
      close: () => spi.close(),
    }
    const port = await ledStrip.open?.(
      { ...rest, io: { ...io, spi: () => counting } },
      new AbortController().signal,
    )
    port?.write({ on: 1, brightness: 255, red: 255, green: 255, blue: 255 })
    expect(bits / 2_400_000).toBeLessThan(0.005)
    expect(bits).toBeGreaterThan(150 * 72)
    await port?.[Symbol.asyncDispose]()
  })
})

describe('traffic-signal head', () => {
  test('green goes over at least 3 s of yellow to red when nobody holds it any more', () => {
    const head = new Guarded(trafficHead)
    expect(head.command({ option: 'green' })).toBe('sequence')
    head.advance(2000)
    expect(head.command({ option: 'green' })).toBeUndefined()
    head.release()
    head.advance(5000)
    expect(head.state).toBe('yellow')
    head.advance(2900)
    expect(head.state).toBe('yellow')
    head.advance(200)
    expect(head.state).toBe('red')
  })

  test.each([{}, { redYellow: true }, { safe: 'dark' }, { safe: 'flash' }])(
    'with %o it is only ever in its states, and green is always followed by yellow, whatever is commanded',
    (options) => {
      const choices = trafficHead.choices?.(new Guarded(trafficHead, options).options) ?? []
      const step = fc.tuple(fc.constantFrom(...choices, 'release'), fc.integer({ min: 0, max: 7000 }))
      fc.assert(
        fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
          const head = new Guarded(trafficHead, options)
          for (const [option, waitMs] of steps) {
            if (option === 'release') {
              head.release()
              head.lease()
            } else head.command({ option })
            head.advance(waitMs)
          }
          const shown = head.vectors.map((vector) => trafficHead.telemetry(vector, head.options, {}).state)
          for (const [at, state] of shown.entries()) {
            expect(choices).toContain(state)
            if (shown[at - 1] === 'green') expect(['green', 'yellow']).toContain(state)
            if (shown[at - 1] === 'yellow') expect(['yellow', 'red']).toContain(state)
          }
        }),
        { numRuns: 60 },
      )
    },
  )

  test('a red lamp without current is read back as dark, though its line is high', async () => {
    const { part, actuator } = await opened(trafficHead, emulatedTrafficHead)
    expect(actuator.readBack()).toMatchObject({ red: 1 })
    part.set('red-broken', 1)
    expect(actuator.readBack()).toMatchObject({ red: 0 })
    expect(actuator.telemetry()).toMatchObject({ state: 'unknown', attributes: { red: false } })
    part.set('red-broken', 0)
    expect(actuator.telemetry().state).toBe('red')
  })

  test('flashing is a relay of its own, on while nobody commands it; without its pin it is refused', async () => {
    const { actuator, world } = await opened(trafficHead, emulatedTrafficHead, { safe: 'flash' })
    expect(world()).toEqual({ red: 0, yellow: 0, green: 0, flash: 1 })
    actuator.command({ option: 'red' })
    expect(world()).toEqual({ red: 1, yellow: 0, green: 0, flash: 0 })
    const pins = { red: 1, yellow: 2, green: 3 }
    expect(() => trafficHead.lines?.(new Guarded(trafficHead, { safe: 'flash' }).options, { pins })).toThrow(
      /pins\.flasher/,
    )
  })
})

describe('stepping motor', () => {
  test.each(['half', 'full'])(
    'in %s steps the shaft is where it was sent, whatever the way there',
    async (mode) => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.integer({ min: -300, max: 300 }), { minLength: 1, maxLength: 5 }),
          async (positions) => {
            const options = { mode, unit: 'steps', min: -300, max: 300 }
            const { rig, actuator, world } = await opened(stepper, emulatedStepper, options)
            for (const value of positions) {
              actuator.command({ value })
              rig.clock.advance(2000)
              expect(world()['steps']).toBe(value)
              expect(actuator.telemetry().state).toBe(String(value))
            }
          },
        ),
        { numRuns: 30 },
      )
    },
  )

  test('it makes no more steps than its speed allows, and stops at once on release, knowing where [drivers-11]', async () => {
    const options = { unit: 'steps', max: 1000, stepsPerS: 100 }
    const { rig, actuator, world } = await opened(stepper, emulatedStepper, options)
    actuator.command({ value: 1000 })
    rig.clock.advance(500)
    expect(world()['steps']).toBe(50)
    actuator.write({ position: 0, powered: 0 })
    expect(world()).toEqual({ steps: 50, current: 0 })
    rig.clock.advance(60_000)
    expect(world()).toEqual({ steps: 50, current: 0 })
    expect(actuator.telemetry()).toMatchObject({ state: '50', attributes: { powered: false } })
    actuator.command({ value: 60 })
    rig.clock.advance(1000)
    expect(world()['steps']).toBe(60)
  })

  test('without holding its coils have no current while it stands', async () => {
    const { rig, actuator, world } = await opened(stepper, emulatedStepper, { hold: false })
    actuator.command({ value: 10 })
    rig.clock.advance(5000)
    expect(world()['current']).toBe(0)
    expect(actuator.telemetry().state).toBe('10')
  })

  test('a step that cannot be written ends the walk, and is reported', async () => {
    const rig = new ActuatorRig({ driver: stepper, emulator: emulatedStepper })
    rig.attach('part')
    const { io, ...rest } = rig.context('part')
    const bank = io.digitalBank({ mode: 'output', pins: [1, 2, 3, 4].map((pin) => ({ pin })) })
    const port = await stepper.open?.(
      { ...rest, io: { ...io, digitalBank: () => bank } },
      new AbortController().signal,
    )
    port?.write({ position: 90, powered: 1 })
    rig.clock.advance(20)
    expect(port?.stalled?.()).toEqual([])
    // The chip under the bank is gone.
    bank.close()
    rig.clock.advance(1000)
    expect(port?.stalled?.()[0]).toMatch(/coils could not be written: .*closed/)
    expect(() => port?.write({ powered: 0 })).toThrow(expect.objectContaining({ name: 'HalError' }))
  })

  test('a start outside its range is refused by the name of the option', () => {
    expect(() => new Guarded(stepper, { startPosition: 400 })).toThrow(/startPosition/)
  })
})
