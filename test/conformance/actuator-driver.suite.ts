/**
 * What every actuator driver promises (`hal/contract/driver.ts`), tried on its emulator with each choice of its options: see
 * the invariants `[drivers-n]` in hal/drivers/README.md.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Command } from '../../hal/contract/actuator.ts'
import { actuatorKinds, type ComponentInfo } from '../../hal/contract/component.ts'
import type { ActuatorDriver, Options } from '../../hal/contract/driver.ts'
import { defaultOptions } from '../../hal/drivers/options.ts'
import { withPart } from '../../hal/safety/driven.ts'
import { SafetyKernel } from '../../hal/safety/kernel.ts'
import { isShown } from '../../runtime/things/effect.ts'
import { kinds } from '../../runtime/things/kinds/index.ts'
import { type ActuatorPart, ActuatorRig, safeValues } from './actuator-rig.ts'
import { halError } from './hal-error.ts'

export function actuatorDriverSuite(part: ActuatorPart): void {
  for (const options of variants(part.driver)) {
    const said = Object.entries(options).map(([name, value]) => `${name} ${value}`)
    describe(`actuator driver ${part.driver.id}${said.length > 0 ? `, ${said}` : ''}`, () => {
      declares(part, options)
      plans(part, options)
      moves(part, options)
      livesAndDies(part, options)
    })
  }
}

/** The defaults, and each other choice by itself. */
function variants({ options }: ActuatorDriver): Options[] {
  const others = Object.entries(options).flatMap(([name, rule]): Options[] => {
    if (rule.type === 'boolean') return [{ [name]: !rule.default }]
    if (rule.type !== 'choice') return []
    return rule.choices.filter((choice) => choice !== rule.default).map((choice) => ({ [name]: choice }))
  })
  return [{}, ...others]
}

function infoOf(driver: ActuatorDriver, options: Options): ComponentInfo {
  const kind = driver.kind(options)
  const range = driver.range?.(options)
  const features = driver.features?.(options)
  return {
    id: `${kind}.part`,
    kind,
    name: driver.name,
    simulated: true,
    ...(range ? { range } : {}),
    ...(features ? { features } : {}),
  }
}

/** Any command that the part must take. */
function commands(driver: ActuatorDriver, options: Options): fc.Arbitrary<Command> {
  const features = driver.features?.(options) ?? []
  const onOff = fc.constantFrom('on', 'off').map((state): Command => ({ state }))
  const position = fc.integer({ min: 0, max: 100 }).map((value): Command => ({ position: value }))
  const opening = fc.constantFrom('open', 'closed').map((state): Command => ({ state }))
  const level = fc.integer({ min: 0, max: 255 })
  switch (driver.kind(options)) {
    case 'number': {
      const { min, max, step } = driver.range?.(options) ?? { min: 0, max: 0, step: 1 }
      const value = fc.integer({ min: 0, max: Math.floor((max - min) / step) })
      return value.map((steps): Command => ({ value: Math.min(max, min + steps * step) }))
    }
    case 'select':
      return fc.constantFrom(...(driver.choices?.(options) ?? [])).map((option): Command => ({ option }))
    case 'cover':
    case 'valve':
      return features.includes('set_position') ? fc.oneof(opening, position) : opening
    case 'light': {
      if (!features.includes('brightness')) return onOff
      const bright = level.map((brightness): Command => ({ brightness }))
      const coloured = fc.tuple(level, level, level).map((rgb): Command => ({ rgb_color: rgb }))
      return features.includes('rgb') ? fc.oneof(onOff, bright, coloured) : fc.oneof(onOff, bright)
    }
    default:
      return onOff
  }
}

/** A command of a value just outside the range of each field, with the field's name. */
function beyond(driver: ActuatorDriver, options: Options): [string, Command][] {
  const features = driver.features?.(options) ?? []
  const range = driver.range?.(options)
  switch (driver.kind(options)) {
    case 'number':
      return [range?.min ?? 0, range?.max ?? 0].map((end, n) => [
        'value',
        { value: end + (n === 0 ? -0.001 : 0.001) },
      ])
    case 'select':
      return [['option', { option: 'no-such-option' }]]
    case 'light':
      return [
        ['state', { state: 'open' }],
        ...(features.includes('brightness')
          ? [['brightness', { brightness: 256 }] as [string, Command]]
          : []),
        ...(features.includes('rgb') ? [['rgb_color', { rgb_color: [0, 0, -1] }] as [string, Command]] : []),
      ]
    case 'cover':
    case 'valve':
      return [
        ['state', { state: 'on' }],
        ...(features.includes('set_position') ? [['position', { position: 101 }] as [string, Command]] : []),
      ]
    default:
      return [['state', { state: 'open' }]]
  }
}

function declares({ driver, emulator }: ActuatorPart, chosen: Options): void {
  const options = { ...defaultOptions(driver.options), ...chosen }

  test('names its part, its datasheet, its kind, and outputs whose safe value lies within their limits', () => {
    expect(driver.id).toMatch(/^[a-z][a-z0-9-]*$/)
    expect(driver.name).not.toBe('')
    expect(driver.datasheet).toMatch(/\S{3,}/)
    expect(actuatorKinds).toContain(driver.kind(options))
    if (driver.kind(options) === 'number') expect(driver.range?.(options).step).toBeGreaterThan(0)
    if (driver.kind(options) === 'select') expect(driver.choices?.(options).length).toBeGreaterThan(1)
    const outputs = driver.outputs(options)
    expect(outputs.length).toBeGreaterThan(0)
    expect(new Set(outputs.map(({ name }) => name)).size).toBe(outputs.length)
    for (const { name, type, safe, min, max } of outputs) {
      expect(name).toMatch(/^[a-z][a-z0-9_]*$/)
      expect(min).toBeLessThanOrEqual(safe)
      expect(safe).toBeLessThanOrEqual(max)
      if (type === 'binary') expect([0, 1]).toContain(safe)
    }
  })

  test('the safety kernel keeps its rules, and starts at its safe vector', () => {
    const outputs = driver.outputs(options)
    const kernel = new SafetyKernel(
      {
        components: [
          {
            id: 'part',
            outputs,
            exclusive: false,
            keepWithoutNetwork: false,
            ...(driver.safetyClass ? { safetyClass: driver.safetyClass } : {}),
          },
        ],
        constraints: (driver.constraints?.(options) ?? []).map((rule) => withPart('part', rule)),
        inputs: [],
        arming: 'automatic',
        hasConflictMonitor: true,
        silenceMsMax: 1000,
        rampTickMs: 20,
        startId: 'test',
      },
      { faults: [] },
      0,
    )
    expect(kernel.values()).toEqual(
      Object.fromEntries(outputs.map(({ name, safe }) => [`part.${name}`, safe])),
    )
  })

  test('each output is either a line or goes through the port', () => {
    const rig = new ActuatorRig({ driver, emulator }, chosen)
    const names = driver.outputs(options).map(({ name }) => name)
    const { at } = rig.context('part')
    const lines = Object.entries(driver.lines?.(options, at) ?? {})
    for (const [name, { pin }] of lines) {
      expect(names).toContain(name)
      expect(Object.values(at.pins)).toContain(pin)
    }
    expect(new Set(lines.map(([, { pin }]) => pin)).size).toBe(lines.length)
    if (lines.length < names.length) expect(driver.open).toBeDefined()
  })
}

function plans({ driver }: ActuatorPart, chosen: Options): void {
  const options = Object.freeze({ ...defaultOptions(driver.options), ...chosen })
  const safe = Object.freeze(safeValues(driver, options))

  test('a field that it does not have is refused by name, and so is an empty command', () => {
    expect(halError(() => driver.plan({ no_such_field: 1 }, options, safe))).toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('no_such_field'),
    })
    expect(halError(() => driver.plan({}, options, safe)).code).toBe('malformed')
  })

  test('a value outside its range is refused by the name of the field [drivers-8]', () => {
    for (const [field, command] of beyond(driver, options)) {
      const error = halError(() => driver.plan(command, options, safe))
      expect(error.code, field).toBe('out-of-range')
      expect(error.message).toContain(field)
    }
  })

  test('any other value of a field is refused, never planned as NaN', () => {
    const field = fc.constantFrom(...beyond(driver, options).map(([name]) => name))
    const junk = fc.constantFrom(null, Number.NaN, Number.POSITIVE_INFINITY, '', 'NaN', [], {}, [1, 2], true)
    fc.assert(
      fc.property(field, junk, (name, value) => {
        halError(() => driver.plan({ [name]: value }, options, safe))
      }),
    )
  })

  test('planning is pure, and stays within its outputs and their limits [drivers-8]', () => {
    const outputs = new Map(driver.outputs(options).map((output) => [output.name, output]))
    fc.assert(
      fc.property(commands(driver, options), (command) => {
        const planned = driver.plan(Object.freeze(command), options, safe)
        expect(driver.plan(command, options, safe)).toEqual(planned)
        expect(Object.keys(planned).length).toBeGreaterThan(0)
        for (const [name, value] of Object.entries(planned)) {
          const output = outputs.get(name)
          expect(value, name).toBeGreaterThanOrEqual(output?.min ?? Number.NaN)
          expect(value, name).toBeLessThanOrEqual(output?.max ?? Number.NaN)
          if (output?.type === 'binary') expect([0, 1]).toContain(value)
        }
      }),
    )
  })
}

function moves(part: ActuatorPart, chosen: Options): void {
  const { driver } = part
  const options = { ...defaultOptions(driver.options), ...chosen }

  test('what is commanded shows in telemetry as the effect that its kind declares [drivers-10]', async () => {
    const info = infoOf(driver, options)
    await fc.assert(
      fc.asyncProperty(fc.array(commands(driver, options), { minLength: 1, maxLength: 4 }), async (asked) => {
        const rig = new ActuatorRig(part, { ...chosen, ...ample(driver) })
        rig.attach('part')
        await using actuator = await rig.open('part')
        for (const command of asked) {
          const before = { ...actuator.telemetry(), tsMs: rig.clock.nowMs() }
          actuator.command(command)
          const effect = kinds[driver.kind(options)].effect(command, info, before)
          rig.clock.advance(effect.deadlineMs)
          const after = { ...actuator.telemetry(), tsMs: rig.clock.nowMs() }
          expect(isShown(effect, after), `${JSON.stringify(command)} -> ${JSON.stringify(after)}`).toBe(true)
        }
      }),
      { numRuns: 25 },
    )
  })

  test('what was written is read back, within the tolerance that it declares', async () => {
    await fc.assert(
      fc.asyncProperty(commands(driver, options), async (command) => {
        const rig = new ActuatorRig(part, chosen)
        rig.attach('part')
        await using actuator = await rig.open('part')
        actuator.command(command)
        rig.clock.advance(60_000)
        const read = actuator.readBack()
        for (const { name, readBackMsMax, readBackTolerance = 0 } of driver.outputs(options)) {
          if (readBackMsMax === undefined || read[name] === undefined) continue
          const wrote = actuator.values[name] ?? Number.NaN
          expect(Math.abs(read[name] - wrote), name).toBeLessThanOrEqual(readBackTolerance)
        }
      }),
      { numRuns: 25 },
    )
  })

  test('the part sees what is commanded, and nothing before', async () => {
    const rig = new ActuatorRig(part, chosen)
    const emulated = rig.attach('part')
    await using actuator = await rig.open('part')
    rig.clock.advance(1000)
    const atRest = emulated.world()
    rig.clock.advance(1000)
    expect(emulated.world()).toEqual(atRest)
    const seen = fc.sample(commands(driver, options), { numRuns: 40, seed: 1 }).filter((command) => {
      actuator.command(command)
      rig.clock.advance(1000)
      return JSON.stringify(emulated.world()) !== JSON.stringify(atRest)
    })
    expect(seen.length).toBeGreaterThan(0)
  })

  test('two of them on one machine do not know of each other', async () => {
    const rig = new ActuatorRig(part, chosen)
    const [, other] = [rig.attach('one', 0), rig.attach('two', 1)]
    await using one = await rig.open('one', 0)
    await using two = await rig.open('two', 1)
    rig.clock.advance(1000)
    const [world, telemetry] = [other.world(), two.telemetry()]
    for (const command of fc.sample(commands(driver, options), 10)) {
      one.command(command)
      rig.clock.advance(1000)
      expect(other.world()).toEqual(world)
      expect(two.telemetry()).toEqual(telemetry)
    }
  })
}

/** A power supply for every brightness: that less is honestly less is the part's own test. */
function ample({ options }: ActuatorDriver): Options {
  return options['currentMaxMa']?.type === 'number' ? { currentMaxMa: options['currentMaxMa'].max } : {}
}

function livesAndDies(part: ActuatorPart, chosen: Options): void {
  const { driver } = part
  const options = { ...defaultOptions(driver.options), ...chosen }

  test('closing twice is harmless, a closed port refuses to write, and it opens again', async () => {
    const rig = new ActuatorRig(part, chosen)
    rig.attach('part')
    const actuator = await rig.open('part')
    await actuator[Symbol.asyncDispose]()
    await actuator[Symbol.asyncDispose]()
    expect(halError(() => actuator.write(actuator.values)).code).toBe('closed')
    await using again = await rig.open('part')
    expect(again.telemetry().state).not.toBe('')
  })

  test('a closed one does nothing any more [drivers-9]', async () => {
    const rig = new ActuatorRig(part, chosen)
    const emulated = rig.attach('part')
    const actuator = await rig.open('part')
    for (const command of fc.sample(commands(driver, options), 3)) actuator.command(command)
    await actuator[Symbol.asyncDispose]()
    rig.clock.advance(2000)
    const closed = emulated.world()
    rig.clock.advance(60_000)
    expect(emulated.world()).toEqual(closed)
  })

  test('at its safe values it stands still, whatever was commanded before [drivers-9]', async () => {
    const rig = new ActuatorRig(part, chosen)
    const emulated = rig.attach('part')
    await using actuator = await rig.open('part')
    for (const command of fc.sample(commands(driver, options), 3)) actuator.command(command)
    rig.clock.advance(100)
    actuator.write(safeValues(driver, options))
    rig.clock.advance(2000)
    const safe = emulated.world()
    rig.clock.advance(60_000)
    expect(emulated.world()).toEqual(safe)
  })

  test('with a pin or bus that is taken it does not open, in one line, and keeps none of the others', async () => {
    const rig = new ActuatorRig(part, chosen)
    rig.attach('part')
    for (const pin of Object.values(rig.context('part').at.pins)) {
      const taken = rig.world.io.digital({ pin, mode: 'input' })
      const error = await rig.open('part').then(
        async (opened) => opened[Symbol.asyncDispose](),
        (reason: unknown) => reason,
      )
      // A pin that is optional and not used with these options is not taken.
      if (error !== undefined) expect(error).toMatchObject({ name: 'HalError', code: 'busy' })
      taken.close()
      await using _ = await rig.open('part')
    }
  })
}
