/**
 * What ECMA-419 asks of every IO class (clauses 8 and 9), their callbacks, and what a configuration gives a module.
 */
import { describe, expect, it } from 'vitest'
import type { Io } from '../../../../hal/contract/io.ts'
import { createIoClasses } from '../../../../hal/ecma-419/io-classes.ts'
import { createEmulatedIo } from '../../../../hal/sim/bus/index.ts'
import { testHost } from '../host.ts'
import { buffer, moduleWorld, type Name, pinsAt, places, serialAt } from './module-io.ts'

/** Somebody else's `Io`, whose counter goes on reporting. */
function lateWorld() {
  const { host, clock } = testHost()
  const emulated = { report: () => {} }
  const io: Io = {
    ...createEmulatedIo({ host }).io,
    pulseCount({ onReadable }) {
      emulated.report = () => onReadable?.()
      return { read: () => 0, write: () => {}, close: () => {} }
    },
  }
  const { PulseCount } = createIoClasses(io, pinsAt, 'm', clock)
  return { emulated, createWith: (options: object) => new PulseCount({ signal: 11, ...options }) }
}

const names = Object.keys(places) as Name[]

describe('what every IO class does [ecma-419-4]', () => {
  it.each(names)('%s: disposing closes it; options are an object; `target` is kept (clause 8)', (name) => {
    const { open, classes } = moduleWorld(places[name])
    {
      using kept = open(name, { target: 'mine' })
      expect(kept['target']).toBe('mine')
    }
    expect('target' in open(name, Object.freeze({ io: classes[name] }))).toBe(false)
    expect(() => new classes[name](undefined as never)).toThrow(TypeError)
  })

  it.each(names)(
    '%s: a format that it has not is a RangeError and changes nothing (clause 9, format)',
    (name) => {
      const { open } = moduleWorld(places[name])
      const instance = open(name) as unknown as { format: string; close(): void }
      const { format } = instance
      expect(format).toBe(places[name].bus === undefined ? 'number' : 'buffer')
      expect(() => {
        instance.format = 'string'
      }).toThrow(RangeError)
      expect(instance.format).toBe(format)
      instance.close()
      expect(() => open(name, { format: 'json' })).toThrow(RangeError)
    },
  )

  it('a callback that is no function is refused before anything is opened (clause 8, constructor)', () => {
    const { open, seen } = moduleWorld(pinsAt)
    expect(() => open('Digital', { onReadable: 'yes', edge: 1 })).toThrow(TypeError)
    expect(() => open('Digital', { onReadable: () => {} })).toThrow(TypeError)
    expect(() => open('Digital', { onReadable: () => {}, edge: 4 })).toThrow(RangeError)
    expect(() => open('Digital', { mode: 'sideways' })).toThrow(RangeError)
    expect(seen(11).use).toBe('free')
  })
})

describe('callbacks have the instance as `this`, come later, and end with `close` (clauses 8 and 9)', () => {
  it('Digital.onReadable on the edges asked for', async () => {
    const { open, drive, statics } = moduleWorld(pinsAt)
    const calls: unknown[] = []
    const input = open('Digital', {
      edge: statics('Digital')['Falling'],
      onReadable(this: unknown) {
        calls.push(this)
      },
    })
    for (const level of [1, 0, 1] as const) drive(11, level)
    expect(calls).toEqual([])
    await Promise.resolve()
    expect(calls).toEqual([input])
    drive(11, 0)
    input['close']?.()
    await Promise.resolve()
    expect(calls.length).toBe(1)
  })

  it('DigitalBank.onReadable with the pins that triggered it', async () => {
    const { open, drive, seen } = moduleWorld(pinsAt)
    const triggers: unknown[] = []
    const onReadable = (mask: unknown) => triggers.push(mask)
    expect(() => open('DigitalBank', { onReadable })).toThrow(RangeError)
    expect(seen(11).use).toBe('free')
    const bank = open('DigitalBank', { rises: 0b10, falls: 0b01, onReadable })
    for (const [pin, level] of [
      [11, 1],
      [13, 1],
      [11, 0],
      [13, 0],
      [13, 1],
    ] as const)
      drive(pin, level)
    await Promise.resolve()
    expect([...triggers].sort()).toEqual([0b01, 0b10, 0b10])
    expect(bank['read']?.()).toBe(0b10)
  })

  it('one that the machine makes after `close` does not arrive', () => {
    const { emulated, createWith } = lateWorld()
    let calls = 0
    const count = createWith({ onReadable: () => (calls += 1) })
    emulated.report()
    count.close()
    emulated.report()
    expect(calls).toBe(1)
  })

  it('PulseCount.onReadable', async () => {
    const { open, drive } = moduleWorld(pinsAt)
    let self: unknown
    const count = open('PulseCount', {
      onReadable(this: unknown) {
        self = this
      },
    })
    drive(11, 1)
    await Promise.resolve()
    expect(self).toBe(count)
  })

  it('Serial.onReadable with the bytes that wait, onWritable once it is ready and after each write', async () => {
    const { open, clock, send } = moduleWorld(serialAt)
    const calls: unknown[][] = []
    const serial = open('Serial', {
      onReadable(this: unknown, bytes: number) {
        calls.push(['readable', this === serial, bytes])
      },
      onWritable(this: unknown, bytes: number) {
        calls.push(['writable', this === serial, bytes])
      },
    })
    expect(calls).toEqual([])
    clock.advance(0)
    send([1, 2])
    await Promise.resolve()
    serial['write']?.(buffer(1))
    serial['write']?.(buffer(2))
    clock.advance(0)
    expect(calls).toEqual([
      ['writable', true, 4096],
      ['readable', true, 2],
      ['writable', true, 4096],
    ])
    serial['write']?.(buffer(3))
    serial['close']?.()
    clock.advance(10)
    expect(calls.length).toBe(3)
  })
})

describe('what a configuration gives [ecma-419-1]', () => {
  it.each([
    ['I2C', { data: 27 }, 'm: it asked for data on pin 27, and was given i2c-1, 3, 5'],
    ['SMBus', { clock: 'GPIO1' }, 'm: it asked for clock on pin GPIO1, and was given i2c-1, 3, 5'],
    ['I2C', { port: 2 }, 'm: it asked for the bus 2, and was given i2c-1'],
    ['SPI', { select: 26 }, 'm: it asked for select on pin 26, and was given spi-0.0, 19, 21, 23, 24'],
    ['Serial', { receive: 3 }, 'm: it asked for receive on pin 3, and was given uart-0, 8, 10'],
    ['PulseCount', { control: 7 }, 'm: it asked for pin 7, which its configuration does not give'],
  ] as const)('%s elsewhere, with %j, is refused', (name, options, message) => {
    expect(() => moduleWorld(places[name]).open(name, options)).toThrow(message)
  })

  it.each([
    ['SPI', { active: 1 }],
    ['Serial', { flowControl: 'hardware' }],
    ['Serial', { dataTerminalReady: 7 }],
    ['Digital', { mode: 'input-pull-up-down' }],
  ] as const)('%s with %j is not there, and says so', (name, options) => {
    expect(() => moduleWorld(places[name]).open(name, options)).toThrow(
      expect.objectContaining({ code: 'unsupported' }),
    )
  })

  it('a baud rate is needed (clause 10, Serial)', () => {
    expect(() => moduleWorld(serialAt).open('Serial', { baud: undefined })).toThrow(TypeError)
    expect(() => moduleWorld(serialAt).open('Serial', { baud: 0 })).toThrow(RangeError)
    expect(() => moduleWorld(serialAt).open('Serial', { flowControl: 'xon' })).toThrow(RangeError)
  })
})
