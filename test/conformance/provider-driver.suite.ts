/**
 * What every provider of pins promises (`hal/contract/driver.ts`), tried on its emulator: see the invariants `[drivers-n]`
 * in hal/drivers/README.md.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { DriverContext, Provider, ProviderDriver } from '../../hal/contract/driver.ts'
import type { EmulatedPart, Emulator } from '../../hal/contract/emulator.ts'
import type { DigitalBank, Pwm } from '../../hal/contract/io.ts'
import { defaultOptions } from '../../hal/drivers/options.ts'
import { createEmulatedIo } from '../../hal/sim/bus/index.ts'
import { testHost } from '../unit/hal/host.ts'
import { halError } from './hal-error.ts'
import { never, placeOf } from './sensor-rig.ts'

export interface ProviderPart {
  readonly driver: ProviderDriver
  readonly emulator: Emulator
}

/** One machine with providers on it. */
class ProviderRig {
  readonly #host = testHost()
  readonly world = createEmulatedIo({ host: this.#host.host })
  readonly #part: ProviderPart

  constructor(part: ProviderPart) {
    this.#part = part
  }

  /** Hangs one on the machine; `seen` is called after every byte sequence that it took. */
  attach(id: string, nth = 0, seen?: (part: EmulatedPart) => void): EmulatedPart {
    const { driver, emulator } = this.#part
    const at = placeOf(driver.connection, nth)
    const part = emulator({ host: this.#host.host, at, options: defaultOptions(driver.options) })
    const { i2c } = part
    const watched: EmulatedPart =
      seen && i2c
        ? {
            ...part,
            i2c: {
              read: (byteLength) => i2c.read(byteLength),
              write(bytes) {
                i2c.write(bytes)
                seen(part)
              },
            },
          }
        : part
    this.world.attach(id, at, driver.connection, watched)
    return part
  }

  open(id: string, nth = 0): Promise<Provider> {
    const { driver } = this.#part
    const context: DriverContext = {
      io: this.world.io,
      at: placeOf(driver.connection, nth),
      options: defaultOptions(driver.options),
      host: this.#host.host,
      id,
    }
    return driver.open(context, never)
  }
}

const rejection = (work: Promise<unknown>): Promise<unknown> => work.catch((error: unknown) => error)

export function providerDriverSuite(part: ProviderPart): void {
  describe(`provider driver ${part.driver.id}`, () => {
    livesAndDies(part)
    for (const { use, pins } of part.driver.provides) {
      if (use === 'digital') givesLines(part, pins)
      if (use === 'pwm') givesPwm(part, pins)
    }
  })
}

function livesAndDies(part: ProviderPart): void {
  const { driver } = part

  test('names its part, its datasheet and its pins, and gives only the kinds of pins that it declares', async () => {
    const rig = new ProviderRig(part)
    rig.attach('one')
    await using provider = await rig.open('one')
    expect(driver.datasheet).toMatch(/\S{3,}/)
    const uses = driver.provides.map(({ use }) => use)
    expect('digital' in provider.io && 'digitalBank' in provider.io).toBe(uses.includes('digital'))
    expect('pwm' in provider.io).toBe(uses.includes('pwm'))
    expect('analog' in provider.io).toBe(uses.includes('analog'))
  })

  test('where nothing answers it does not open: no-acknowledge, or timeout on a stuck bus', async () => {
    const rig = new ProviderRig(part)
    expect(await rejection(rig.open('nobody'))).toMatchObject({ name: 'HalError', code: 'no-acknowledge' })
    rig.attach('one')
    rig.world.fault('i2c-1', { kind: 'stuck' })
    expect(await rejection(rig.open('one'))).toMatchObject({ name: 'HalError', code: 'timeout' })
    rig.world.fault('i2c-1', undefined)
    await using _ = await rig.open('one')
  })

  test('closing twice is harmless, and it opens again', async () => {
    const rig = new ProviderRig(part)
    rig.attach('one')
    const provider = await rig.open('one')
    await provider[Symbol.asyncDispose]()
    await provider[Symbol.asyncDispose]()
    await using _ = await rig.open('one')
  })

  test('two parts at one address are refused, naming both', () => {
    const rig = new ProviderRig(part)
    rig.attach('one')
    const error = halError(() => rig.attach('two'))
    expect(error.message).toContain('one')
    expect(error.message).toContain('two')
  })
}

function bankOf(provider: Provider, pins: number, initial: number): DigitalBank {
  const bank = provider.io.digitalBank?.({
    mode: 'output',
    pins: Array.from({ length: pins }, (_, pin) => ({ pin, initial: (initial >> pin) & 1 ? 1 : 0 })),
  })
  if (!bank) throw new Error('it gives no banks')
  return bank
}

const seenBits = (part: EmulatedPart, pins: number): number =>
  Array.from({ length: pins }, (_, pin) => (part.provided?.seen(pin) ? 1 << pin : 0)).reduce(
    (all, bit) => all | bit,
    0,
  )

function givesLines(part: ProviderPart, pins: number): void {
  const all = 2 ** pins - 1
  const value = fc.integer({ min: 0, max: all })

  test('a bank is written in one transfer: no other levels are ever on its pins [drivers-12]', async () => {
    await fc.assert(
      fc.asyncProperty(value, fc.array(fc.tuple(value, value), { maxLength: 5 }), async (initial, writes) => {
        const rig = new ProviderRig(part)
        const seen = new Set<number>()
        const emulated = rig.attach('one', 0, (now) => seen.add(seenBits(now, pins)))
        await using provider = await rig.open('one')
        seen.clear()
        const bank = bankOf(provider, pins, initial)
        // Before its directions are set the pins float.
        expect([...seen].every((levels) => levels === 0 || levels === initial)).toBe(true)
        let now = initial
        for (const [next, mask] of writes) {
          seen.clear()
          bank.write(next, mask)
          const expected = (now & ~mask) | (next & mask)
          expect([...seen].every((levels) => levels === now || levels === expected)).toBe(true)
          now = expected
          expect(seenBits(emulated, pins)).toBe(now)
          expect(bank.read()).toBe(now)
        }
      }),
      { numRuns: 40 },
    )
  })

  test('a pin is one user’s, a bank takes all or none, and pins that it has not are refused by number', async () => {
    const rig = new ProviderRig(part)
    rig.attach('one')
    await using provider = await rig.open('one')
    const { digital, digitalBank } = provider.io
    const first = digital?.({ pin: 2, mode: 'output' })
    expect(halError(() => digital?.({ pin: 2, mode: 'output' })).code).toBe('busy')
    const bank = () => digitalBank?.({ mode: 'output', pins: [{ pin: 1 }, { pin: 2 }] })
    expect(halError(bank).code).toBe('busy')
    first?.close()
    first?.close()
    bank()?.close()
    for (const pin of [-1, pins, 1.5, 'x']) {
      const error = halError(() => digital?.({ pin, mode: 'output' }))
      expect(error.code).toBe('out-of-range')
      expect(error.message).toContain(String(pin))
    }
  })

  test('low-active pins are inverted, inputs are read, and a closed pin refuses', async () => {
    const rig = new ProviderRig(part)
    const emulated = rig.attach('one')
    await using provider = await rig.open('one')
    const output = provider.io.digital?.({ pin: 0, mode: 'output', activeLow: true, initial: 0 })
    expect(emulated.provided?.seen(0)).toBe(1)
    output?.write(1)
    expect(emulated.provided?.seen(0)).toBe(0)
    expect(output?.read()).toBe(1)
    const input = provider.io.digital?.({ pin: 1, mode: 'input-pull-up' })
    expect(input?.read()).toBe(1)
    emulated.provided?.drive(1, 0)
    expect(input?.read()).toBe(0)
    expect(halError(() => input?.write(1)).code).toBe('unsupported')
    input?.close()
    expect(halError(() => input?.read()).code).toBe('closed')
  })

  test('a closed output keeps its first value: no pin is left floating', async () => {
    const rig = new ProviderRig(part)
    const emulated = rig.attach('one')
    await using provider = await rig.open('one')
    const output = provider.io.digital?.({ pin: 3, mode: 'output', initial: 1 })
    output?.write(0)
    output?.close()
    expect(emulated.provided?.seen(3)).toBe(1)
  })

  test('after a loss of power the next access fails once, and every output is at its safe value again [drivers-13]', async () => {
    const rig = new ProviderRig(part)
    const emulated = rig.attach('one')
    await using provider = await rig.open('one')
    const safe = 0b0000_0101_0000_0011
    const bank = bankOf(provider, pins, safe)
    for (const access of [() => bank.write(all), () => bank.read()]) {
      bank.write(0b1111_0000)
      emulated.powerOn?.()
      expect(seenBits(emulated, pins)).toBe(0)
      const error = halError(access)
      expect(error.message).toContain('one')
      expect(error.message).toMatch(/power/)
      expect(seenBits(emulated, pins)).toBe(safe)
      expect(bank.read()).toBe(safe)
      bank.write(all)
      expect(seenBits(emulated, pins)).toBe(all)
    }
  })

  test('a loss of power is noticed where all pins are inputs as well', async () => {
    const rig = new ProviderRig(part)
    const emulated = rig.attach('one')
    await using provider = await rig.open('one')
    const input = provider.io.digital?.({ pin: 1, mode: 'input-pull-up' })
    emulated.powerOn?.()
    expect(halError(() => input?.read()).message).toMatch(/power/)
    expect(input?.read()).toBe(1)
  })

  test('unplugged it does not acknowledge; back again it reports its loss of power and is safe', async () => {
    const rig = new ProviderRig(part)
    const emulated = rig.attach('one')
    await using provider = await rig.open('one')
    const bank = bankOf(provider, pins, 0)
    bank.write(all)
    rig.world.fault('one', { kind: 'unplugged' })
    expect(halError(() => bank.write(0)).code).toBe('no-acknowledge')
    rig.world.fault('one', undefined)
    expect(halError(() => bank.read()).message).toMatch(/power/)
    expect(seenBits(emulated, pins)).toBe(0)
    bank.write(1)
    expect(seenBits(emulated, pins)).toBe(1)
  })

  test('two of them on one bus do not know of each other', async () => {
    const rig = new ProviderRig(part)
    const [, other] = [rig.attach('one', 0), rig.attach('two', 1)]
    await using one = await rig.open('one', 0)
    await using two = await rig.open('two', 1)
    const [first] = [bankOf(one, pins, 0), bankOf(two, pins, 5)]
    first.write(all)
    expect(seenBits(other, pins)).toBe(5)
  })
}

function givesPwm(part: ProviderPart, channels: number): void {
  const pwmOf = (provider: Provider, pin: number, hz = 50): Pwm => {
    const pwm = provider.io.pwm?.({ pin, hz })
    if (!pwm) throw new Error('it gives no PWM')
    return pwm
  }

  test('a channel has the duty that was written, reads it back, and is off before and after', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(channels - 1),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true })),
        async (pin, duties) => {
          const rig = new ProviderRig(part)
          const emulated = rig.attach('one')
          await using provider = await rig.open('one')
          const pwm = pwmOf(provider, pin)
          expect(emulated.provided?.seen(pin)).toBe(0)
          const max = 2 ** pwm.resolution - 1
          for (const duty of [...duties, 0, 1]) {
            pwm.write(Math.round(duty * max))
            expect(pwm.read?.()).toBe(Math.round(duty * max))
            expect(Math.abs((emulated.provided?.seen(pin) ?? -1) - duty)).toBeLessThanOrEqual(1 / max)
          }
          expect(emulated.provided?.seen(pin)).toBe(1)
          pwm.close()
          pwm.close()
          expect(emulated.provided?.seen(pin)).toBe(0)
          expect(halError(() => pwm.write(1)).code).toBe('closed')
        },
      ),
      { numRuns: 30, examples: [[0, [0.8041992783692004]]] },
    )
  })

  test('a channel is one user’s, its frequency is everybody’s, and what it cannot do is refused', async () => {
    const rig = new ProviderRig(part)
    const emulated = rig.attach('one')
    await using provider = await rig.open('one')
    const pwm = pwmOf(provider, 1, 50)
    expect(Math.abs(pwm.hz - 50)).toBeLessThan(0.5)
    expect(emulated.world()['hz']).toBeCloseTo(pwm.hz, 6)
    expect(halError(() => pwmOf(provider, 1, 50)).code).toBe('busy')
    const other = halError(() => pwmOf(provider, 2, 200))
    expect(other.code).toBe('unsupported')
    expect(other.message).toContain('50 Hz')
    expect(halError(() => pwmOf(provider, channels)).code).toBe('out-of-range')
    for (const duty of [-1, 2 ** pwm.resolution, 0.5, Number.NaN])
      expect(halError(() => pwm.write(duty)).code).toBe('out-of-range')
    pwm.close()
    expect(pwmOf(provider, 2, 200).hz).toBeGreaterThan(150)
    expect(halError(() => pwmOf(provider, 3, 1e6)).code).toBe('out-of-range')
  })

  test('after a loss of power the next access fails once, and every channel is off at the old frequency [drivers-13]', async () => {
    const rig = new ProviderRig(part)
    const emulated = rig.attach('one')
    await using provider = await rig.open('one')
    const [one, two] = [pwmOf(provider, 0), pwmOf(provider, 1)]
    one.write(300)
    two.write(400)
    rig.world.fault('one', { kind: 'unplugged' })
    expect(halError(() => one.write(0)).code).toBe('no-acknowledge')
    rig.world.fault('one', undefined)
    expect(halError(() => one.write(500)).message).toMatch(/one: .*power/)
    expect([emulated.provided?.seen(0), emulated.provided?.seen(1)]).toEqual([0, 0])
    expect(emulated.world()['hz']).toBeCloseTo(one.hz, 6)
    two.write(400)
    expect(two.read?.()).toBe(400)
    expect(emulated.provided?.seen(0)).toBe(0)
  })
}
