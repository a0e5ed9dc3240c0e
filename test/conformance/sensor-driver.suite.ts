/**
 * What every sensor driver promises (`hal/contract/driver.ts`), tried on its emulator: see the invariants `[drivers-n]` in
 * hal/drivers/README.md.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type ChannelName, channels } from '../../hal/contract/channels.ts'
import type { SensorDevice } from '../../hal/contract/driver.ts'
import type { EmulatedPart } from '../../hal/contract/emulator.ts'
import { HalError } from '../../hal/contract/errors.ts'
import { checkOptions } from '../../hal/drivers/options.ts'
import { optionVariants, type SensorPart, SensorRig } from './sensor-rig.ts'

/** The HalError that `work` rejects with; anything else fails the test. */
async function halError(work: Promise<unknown>): Promise<HalError> {
  const error = await work.then(
    (value) => new Error(`resolved with ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  )
  if (!(error instanceof HalError)) throw error
  expect(error.message).not.toContain('\n')
  return error
}

/** Sets a quantity; false where it follows from others (power from voltage and current). */
function canSet(part: EmulatedPart, name: string, value: number): boolean {
  try {
    part.set(name, value)
    return true
  } catch (error) {
    if (error instanceof HalError && error.code === 'unsupported') return false
    throw error
  }
}

/** No value that claims to be right. */
function expectNoOkValue(reading: Awaited<ReturnType<SensorDevice['sample']>>): void {
  for (const [name, channel] of Object.entries(reading.channels))
    expect(channel.quality, `${name} = ${channel.value}`).not.toBe('ok')
}

/** Walks one channel through its range; the number of values that were tried. */
async function follow(rig: SensorRig, device: SensorDevice, part: EmulatedPart, name: ChannelName) {
  const range = rig.driver.ranges?.(rig.options)[name] ?? { min: 0, max: 0, resolution: 0 }
  const before = part.world()[name]
  let followed = 0
  for (const fraction of [0.01, 0.2, 0.5, 0.77, 0.99]) {
    const exact = range.min + fraction * (range.max - range.min)
    const value = 'binary' in channels[name] ? Math.round(fraction) : exact
    if (!canSet(part, name, value)) continue
    rig.settle()
    const found = (await rig.sample(device)).channels[name]
    expect(found?.quality, `${name} at ${value}`).toBe('ok')
    const difference = Math.abs((found?.value ?? Number.NaN) - value)
    expect(difference, `${name} at ${value}`).toBeLessThanOrEqual(range.resolution)
    followed += 1
  }
  if (before !== undefined) canSet(part, name, before)
  return followed
}

export function sensorDriverSuite(sensor: SensorPart): void {
  const { driver } = sensor
  describe(`sensor driver ${driver.id}`, () => {
    describesItself(sensor)
    measures(sensor)
    livesAndDies(sensor)
    refusesOptions(sensor)
    if (driver.connection.bus === 'i2c') survivesI2c(sensor)
    if (driver.connection.bus === 'one-wire') survivesOneWire(sensor)
    if (driver.connection.bus === 'serial') survivesSerial(sensor)
  })
}

function describesItself({ driver }: SensorPart): void {
  test('names its part, its datasheet, its channels and their ranges', () => {
    const { options } = new SensorRig({ driver, emulator: () => ({ set() {}, world: () => ({}) }) })
    expect(driver.id).toMatch(/^[a-z][a-z0-9-]*$/)
    expect(driver.name).not.toBe('')
    expect(driver.datasheet).toMatch(/\S{3,}/)
    expect(driver.sampleEveryMs.default).toBeGreaterThanOrEqual(driver.sampleEveryMs.min)
    const names = driver.channels(options)
    expect(names.length).toBeGreaterThan(0)
    for (const name of names) {
      expect(Object.keys(channels)).toContain(name)
      const range = driver.ranges?.(options)[name]
      expect(range, `range of ${name}`).toBeDefined()
      expect(range?.max).toBeGreaterThan(range?.min ?? Number.POSITIVE_INFINITY)
    }
  })
}

function measures(sensor: SensorPart): void {
  const { driver } = sensor

  test('gives every declared channel, and no other, with the time of the measurement', async () => {
    const rig = new SensorRig(sensor)
    rig.attach('one')
    await using device = await rig.open('one')
    rig.settle()
    const beforeMs = rig.clock.nowMs()
    const reading = await rig.sample(device)
    expect(Object.keys(reading.channels).sort()).toEqual([...driver.channels(rig.options)].sort())
    for (const channel of Object.values(reading.channels)) {
      expect(Number.isFinite(channel.value)).toBe(true)
      expect(channel.quality).toBe('ok')
    }
    expect(reading.tsMs).toBeLessThanOrEqual(rig.clock.nowMs())
    expect(reading.tsMs).toBeGreaterThan(beforeMs - driver.sampleEveryMs.default - driver.sampleMsMax)
    expect(rig.clock.nowMs() - beforeMs).toBeLessThanOrEqual(driver.sampleMsMax)
    expect(device.identification.model).not.toBe('')
    expect(device.faults()).toEqual([])
  })

  test.each(optionVariants(driver.options).map((options) => ({ options, as: JSON.stringify(options) })))(
    'follows what the part is exposed to over its whole range, within its resolution, with options $as',
    async ({ options }) => {
      const rig = new SensorRig(sensor, options)
      const part = rig.attach('one')
      await using device = await rig.open('one')
      await rig.warmUp()
      let followed = 0
      for (const name of driver.channels(options)) followed += await follow(rig, device, part, name)
      expect(followed).toBeGreaterThan(0)
    },
  )

  test('beyond its range it gives no value as ok [drivers-1]', async () => {
    const rig = new SensorRig(sensor)
    const part = rig.attach('one')
    const ranges = driver.ranges?.(rig.options) ?? {}
    await using device = await rig.open('one')
    for (const name of driver.channels(rig.options)) {
      if ('binary' in channels[name]) continue
      const { min, max } = ranges[name] ?? { min: 0, max: 0 }
      const before = part.world()[name]
      if (before === undefined || !canSet(part, name, max + (max - min))) continue
      rig.settle()
      const found = await rig.sample(device).then(
        ({ channels: values }) => values[name]?.quality,
        (error: unknown) => error instanceof HalError && error.code,
      )
      expect(found, name).not.toBe('ok')
      expect(found, name).toBeTruthy()
      part.set(name, before)
    }
  })

  test('two of them on one machine do not know of each other', async () => {
    const rig = new SensorRig(sensor)
    const parts = [rig.attach('one', 0), rig.attach('two', 1)]
    const ranges = driver.ranges?.(rig.options) ?? {}
    const name = driver.channels(rig.options).find((channel) => parts[0]?.world()[channel] !== undefined)
    const range = name && ranges[name]
    if (!name || !range) throw new Error('no channel can be set')
    const at = (fraction: number) =>
      'binary' in channels[name] ? Math.round(fraction) : range.min + fraction * (range.max - range.min)
    parts[0]?.set(name, at(0.2))
    parts[1]?.set(name, at(0.8))
    await using first = await rig.open('one', 0)
    await using second = await rig.open('two', 1)
    rig.settle()
    const [one, two] = [await rig.sample(first), await rig.sample(second)]
    expect(Math.abs((one.channels[name]?.value ?? Number.NaN) - at(0.2))).toBeLessThanOrEqual(
      range.resolution,
    )
    expect(Math.abs((two.channels[name]?.value ?? Number.NaN) - at(0.8))).toBeLessThanOrEqual(
      range.resolution,
    )
  })
}

function livesAndDies(sensor: SensorPart): void {
  test('closing twice is harmless, and a closed one says so', async () => {
    const rig = new SensorRig(sensor)
    rig.attach('one')
    const device = await rig.open('one')
    await device[Symbol.asyncDispose]()
    await device[Symbol.asyncDispose]()
    expect((await halError(rig.sample(device))).code).toBe('closed')
    await using again = await rig.open('one')
    rig.settle()
    expect(Object.keys((await rig.sample(again)).channels)).not.toEqual([])
  })

  test('a sample whose signal is aborted rejects with the reason, and the next one works', async () => {
    const rig = new SensorRig(sensor)
    rig.attach('one')
    await using device = await rig.open('one')
    rig.settle()
    const reason = new Error('no longer wanted')
    await expect(rig.sample(device, AbortSignal.abort(reason))).rejects.toBe(reason)
    expect(Object.keys((await rig.sample(device)).channels)).not.toEqual([])
  })

  test('a signal that aborts while it opens or measures ends that at once [drivers-5]', async () => {
    const rig = new SensorRig(sensor)
    rig.attach('one')
    const reason = new Error('no longer wanted')
    await expect(rig.open('one', 0, AbortSignal.abort(reason))).rejects.toBe(reason)
    await using device = await rig.open('one')
    const abort = new AbortController()
    const startedMs = rig.clock.monotonicMs()
    const outcome = device.sample(abort.signal).then(
      () => 'measured',
      (error: unknown) => error,
    )
    abort.abort(reason)
    expect(['measured', reason]).toContain(await outcome)
    expect(rig.clock.monotonicMs()).toBe(startedMs)
  })
}

function refusesOptions({ driver }: SensorPart): void {
  test('options are refused by name and by range, and defaults are legal', () => {
    expect(checkOptions(driver.options, {}).ok).toBe(true)
    const unknown = checkOptions(driver.options, { 'no-such-option': 1 })
    expect(!unknown.ok && unknown.mistakes.join()).toContain('no-such-option')
    for (const [name, rule] of Object.entries(driver.options)) {
      const wrong = rule.type === 'number' ? rule.max + 1 : rule.type === 'text' ? 1 : 'no-such-choice'
      const refused = checkOptions(driver.options, { [name]: wrong })
      expect(!refused.ok && refused.mistakes.join()).toContain(name)
    }
  })
}

function survivesI2c(sensor: SensorPart): void {
  const { driver } = sensor

  test('at an address where nothing is: no-acknowledge in one line that names part, bus and address [drivers-7]', async () => {
    const rig = new SensorRig(sensor)
    const error = await halError(rig.open('nobody'))
    expect(error.code).toBe('no-acknowledge')
    const address = driver.connection.bus === 'i2c' ? driver.connection.addresses[0] : 0
    expect(error.message).toContain('nobody')
    expect(error.message).toContain('i2c-1')
    expect(error.message).toContain(`0x${address?.toString(16).padStart(2, '0')}`)
  })

  test('on a stuck bus: timeout, and well again when it is freed', async () => {
    const rig = new SensorRig(sensor)
    rig.attach('one')
    await using device = await rig.open('one')
    rig.world.fault('i2c-1', { kind: 'stuck' })
    expect((await halError(rig.sample(device))).code).toBe('timeout')
    expect(device.faults()).not.toEqual([])
    expect((await halError(rig.open('one'))).code).toBe('timeout')
    rig.world.fault('i2c-1', undefined)
    expect(Object.keys((await rig.sample(device)).channels)).not.toEqual([])
    expect(device.faults()).toEqual([])
  })

  test('bytes that are all 0xFF or all zero never become a value that claims to be right', async () => {
    for (const byte of [0xff, 0x00]) {
      const rig = new SensorRig(sensor)
      const noise = switchable(() => byte)
      rig.attach('one', 0, noise.instead)
      await using device = await rig.open('one')
      noise.on = true
      const outcome = await rig.sample(device).catch((error: unknown) => error)
      if (outcome instanceof HalError) continue
      if (outcome instanceof Error) throw outcome
      if (byte === 0xff) expectNoOkValue(outcome as Awaited<ReturnType<SensorDevice['sample']>>)
    }
  })

  test('when it was unplugged: no-acknowledge; back again it measures right, though it lost its configuration', async () => {
    const rig = new SensorRig(sensor)
    const part = rig.attach('one')
    await using device = await rig.open('one')
    rig.settle()
    const before = await rig.sample(device)
    rig.world.fault('one', { kind: 'unplugged' })
    expect((await halError(rig.sample(device))).code).toBe('no-acknowledge')
    rig.world.fault('one', undefined)
    await recovers(rig, device, part, before)
  })

  test('when its power failed between two samples, no wrong value is given as ok [drivers-1]', async () => {
    const rig = new SensorRig(sensor)
    const part = rig.attach('one')
    await using device = await rig.open('one')
    rig.settle()
    const before = await rig.sample(device)
    part.powerOn?.()
    await recovers(rig, device, part, before)
  })

  test('a corrupted bit is a checksum error where the part has checksums', async () => {
    const rig = new SensorRig(sensor)
    rig.attach('one')
    await using device = await rig.open('one')
    rig.world.fault('one', { kind: 'corrupt' })
    for (let round = 0; round < 20; round += 1) {
      const outcome = await rig.sample(device).catch((error: unknown) => error)
      if (driver.checksummed) expect(outcome).toMatchObject({ name: 'HalError', code: 'checksum' })
      else if (outcome instanceof Error) expect(outcome).toBeInstanceOf(HalError)
    }
  })

  test('whatever bytes come, there is a finite value or a HalError [drivers-2]', async () => {
    const bytes = fc.infiniteStream(fc.integer({ min: 0, max: 255 }))
    await fc.assert(
      fc.asyncProperty(bytes, fc.boolean(), async (stream, beforeOpening) => {
        await finiteOrHalError(sensor, () => stream.next().value ?? 0, beforeOpening)
      }),
      { numRuns: 60 },
    )
  })
}

/** Opens and samples a part whose bytes are noise; anything but finite values and HalErrors throws. */
async function finiteOrHalError(
  sensor: SensorPart,
  next: () => number,
  beforeOpening: boolean,
): Promise<void> {
  const rig = new SensorRig(sensor)
  const noise = switchable(next)
  rig.attach('one', 0, noise.instead)
  noise.on = beforeOpening
  try {
    await using device = await rig.open('one')
    noise.on = true
    const { channels: values } = await rig.sample(device)
    for (const channel of Object.values(values)) expect(Number.isFinite(channel.value)).toBe(true)
  } catch (error) {
    if (!(error instanceof HalError)) throw error
  }
}

/** After at most one refused sample, at once, the part measures as before. */
async function recovers(
  rig: SensorRig,
  device: SensorDevice,
  part: EmulatedPart,
  before: Awaited<ReturnType<SensorDevice['sample']>>,
): Promise<void> {
  const first = await rig.sample(device).catch((error: unknown) => error)
  if (first instanceof Error && !(first instanceof HalError)) throw first
  const readings = first instanceof Error ? [] : [first as typeof before]
  for (let round = 0; round < 2; round += 1) {
    rig.settle()
    readings.push(await rig.sample(device))
  }
  for (const reading of readings) {
    for (const name of Object.keys(before.channels) as ChannelName[]) {
      const resolution = rig.driver.ranges?.(rig.options)[name]?.resolution ?? 0
      const [was, is] = [before.channels[name], reading.channels[name]]
      expect(is?.quality).toBe('ok')
      expect(Math.abs((is?.value ?? Number.NaN) - (was?.value ?? Number.NaN)), name).toBeLessThanOrEqual(
        2 * resolution,
      )
    }
  }
  expect(Object.keys(part.world())).not.toEqual([])
}

/** Puts noise on the wire instead of the emulated part's bytes while `on`. */
function switchable(next: () => number) {
  const noise = {
    on: false,
    instead: (emulated: EmulatedPart): EmulatedPart => ({
      ...emulated,
      i2c: {
        write(bytes) {
          if (!noise.on) emulated.i2c?.write(bytes)
        },
        read: (byteLength) =>
          noise.on
            ? Uint8Array.from({ length: byteLength }, next)
            : (emulated.i2c?.read(byteLength) ?? new Uint8Array(byteLength)),
      },
    }),
  }
  return noise
}

function survivesOneWire(sensor: SensorPart): void {
  test('a slave that is not there is not-present, by name', async () => {
    const rig = new SensorRig(sensor)
    const opened = await rig.open('nobody').catch((error: unknown) => error)
    const error = opened instanceof Error ? opened : await halError(rig.sample(opened as SensorDevice))
    expect(error).toMatchObject({ name: 'HalError', code: 'not-present' })
    expect(error.message).toContain('w1-0')
  })

  test('a corrupted scratchpad is a checksum error, all ones are an error, and it returns after both', async () => {
    const rig = new SensorRig(sensor)
    rig.attach('one')
    await using device = await rig.open('one')
    for (let round = 0; round < 20; round += 1) {
      rig.world.fault('one', { kind: 'corrupt' })
      expect((await halError(rig.sample(device))).code).toBe('checksum')
    }
    rig.world.fault('one', { kind: 'all-ones' })
    await halError(rig.sample(device))
    rig.world.fault('one', { kind: 'unplugged' })
    await halError(rig.sample(device))
    rig.world.fault('one', undefined)
    for (const channel of Object.values((await rig.sample(device)).channels))
      expect(channel.quality).toBe('ok')
  })
}

function survivesSerial(sensor: SensorPart): void {
  test('silence, noise and all ones never become a value that claims to be right; it returns after each', async () => {
    const rig = new SensorRig(sensor)
    rig.attach('one')
    await using device = await rig.open('one')
    rig.settle()
    await rig.sample(device)
    for (const kind of ['stuck', 'corrupt', 'all-ones', 'unplugged'] as const) {
      rig.world.fault('one', { kind })
      rig.settle()
      rig.clock.advance(sensor.driver.sampleMsMax)
      const outcome = await rig.sample(device).catch((error: unknown) => error)
      if (!(outcome instanceof Error)) expectNoOkValue(outcome as Awaited<ReturnType<SensorDevice['sample']>>)
      else expect(outcome).toBeInstanceOf(HalError)
      rig.world.fault('one', undefined)
      rig.clock.advance(2 * sensor.driver.sampleMsMax)
      rig.settle()
      for (const channel of Object.values((await rig.sample(device)).channels))
        expect(channel.quality, `after ${kind}`).toBe('ok')
    }
  })
}
