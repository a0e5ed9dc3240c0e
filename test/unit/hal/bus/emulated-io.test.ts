/** The emulated machine: places, wires and their faults. */
import { describe, expect, test } from 'vitest'
import type { Connection } from '../../../../hal/contract/driver.ts'
import type { EmulatedPart } from '../../../../hal/contract/emulator.ts'
import { HalError } from '../../../../hal/contract/errors.ts'
import { createEmulatedIo } from '../../../../hal/sim/bus/index.ts'
import { testHost } from '../host.ts'

const onI2c: Connection = { bus: 'i2c', addresses: [0x48] }
const onSpi: Connection = { bus: 'spi' }
const onSerial: Connection = { bus: 'serial', baud: 9600 }
const onOneWire: Connection = { bus: 'one-wire', families: [0x28] }
const world = (options = {}) => {
  const { host, clock } = testHost()
  return { world: createEmulatedIo({ host, ...options }), clock }
}

/** A part that remembers what it was written and answers with a counter. */
function recorder(): EmulatedPart & { readonly log: string[] } {
  const log: string[] = []
  return {
    log,
    i2c: {
      write: (bytes) => void log.push(`w ${[...bytes]}`),
      read(byteLength) {
        log.push(`r ${byteLength}`)
        return Uint8Array.from({ length: byteLength }, (_, at) => at + 1)
      },
    },
    powerOn: () => void log.push('power'),
    set() {},
    world: () => ({}),
  }
}

function halError(work: () => unknown): HalError {
  try {
    work()
  } catch (error) {
    if (error instanceof HalError) return error
    throw error
  }
  throw new Error('it did not throw')
}

describe('I2C', () => {
  test('a write without stop reaches the part with the read after it, in order', () => {
    const { world: bench } = world()
    const part = recorder()
    bench.attach('one', { bus: 'i2c-1', address: 0x48, pins: {} }, onI2c, part)
    const i2c = bench.io.i2c({ bus: 'i2c-1', address: 0x48 })
    i2c.write(Uint8Array.of(7), false)
    expect(part.log).toEqual([])
    expect([...i2c.read(2)]).toEqual([1, 2])
    expect([...i2c.writeRead(Uint8Array.of(9, 8), 1)]).toEqual([1])
    expect(part.log).toEqual(['w 7', 'r 2', 'w 9,8', 'r 1'])
  })

  test('SMBus words are little-endian, or big-endian when asked', () => {
    const { world: bench } = world()
    const part = recorder()
    bench.attach('one', { bus: 'i2c-1', address: 0x48, pins: {} }, onI2c, part)
    const smbus = bench.io.smbus({ bus: 'i2c-1', address: 0x48 })
    expect(smbus.readUint16(5)).toBe(0x0201)
    expect(smbus.readUint16(5, true)).toBe(0x0102)
    smbus.writeUint16(5, 0x0102)
    expect(part.log.at(-1)).toBe('w 5,2,1')
  })

  test('[bus-1] an address that is taken is refused in one line that names both parts', () => {
    const { world: bench } = world()
    const at = { bus: 'i2c-1', address: 0x48, pins: {} }
    bench.attach('kitchen', at, onI2c, recorder())
    const error = halError(() => bench.attach('porch', at, onI2c, recorder()))
    expect(error.code).toBe('busy')
    expect(error.message).toMatch(/porch.*i2c-1.*0x48.*kitchen/)
    bench.attach('porch', { ...at, bus: 'i2c-2' }, onI2c, recorder())
  })

  test('a part that was taken off gives its address back', () => {
    const { world: bench } = world()
    const at = { bus: 'i2c-1', address: 0x48, pins: {} }
    const detach = bench.attach('one', at, onI2c, recorder())
    detach()
    detach()
    bench.attach('two', at, onI2c, recorder())
    expect(halError(() => bench.part('one')).code).toBe('not-present')
  })

  test('a bus that the board has not is refused by name', () => {
    const { world: bench } = world({ buses: ['i2c-1'] })
    const error = halError(() => bench.io.i2c({ bus: 'i2c-9', address: 0x48 }))
    expect(error).toMatchObject({ code: 'not-present', message: 'i2c-9: no such bus; there are i2c-1' })
  })

  test('reserved addresses, endless reads and closed handles are refused', () => {
    const { world: bench } = world()
    bench.attach('one', { bus: 'i2c-1', address: 0x48, pins: {} }, onI2c, recorder())
    expect(halError(() => bench.io.i2c({ bus: 'i2c-1', address: 0x78 })).code).toBe('out-of-range')
    const i2c = bench.io.i2c({ bus: 'i2c-1', address: 0x48 })
    expect(halError(() => i2c.read(100_000)).code).toBe('out-of-range')
    i2c.close()
    i2c.close()
    expect(halError(() => i2c.read(1)).code).toBe('closed')
  })

  test('[bus-4] faults: each is what its bus makes of it, and a part that was unplugged has lost its power', () => {
    const { world: bench } = world()
    const part = recorder()
    bench.attach('one', { bus: 'i2c-1', address: 0x48, pins: {} }, onI2c, part)
    const i2c = bench.io.i2c({ bus: 'i2c-1', address: 0x48 })
    bench.fault('one', { kind: 'no-acknowledge' })
    expect(halError(() => i2c.read(1)).code).toBe('no-acknowledge')
    bench.fault('one', undefined)
    bench.fault('i2c-1', { kind: 'stuck' })
    expect(halError(() => i2c.read(1)).code).toBe('timeout')
    bench.fault('i2c-1', { kind: 'all-ones' })
    expect([...i2c.read(2)]).toEqual([0xff, 0xff])
    bench.fault('i2c-1', { kind: 'corrupt' })
    expect([...i2c.read(3)]).not.toEqual([1, 2, 3])
    expect(part.log).not.toContain('power')
    bench.fault('i2c-1', { kind: 'unplugged' })
    expect(halError(() => i2c.read(1)).code).toBe('no-acknowledge')
    bench.fault('i2c-1', undefined)
    expect(part.log.at(-1)).toBe('power')
    expect(halError(() => bench.fault('nobody', undefined)).code).toBe('not-present')
  })
})

describe('SPI', () => {
  test('is full duplex, and floats high where nothing is', () => {
    const { world: bench } = world()
    const nothing = bench.io.spi({ bus: 'spi-0.1', hz: 1_000_000 })
    expect([...nothing.read(2)]).toEqual([0xff, 0xff])
    const invert = { transfer: (bytes: Uint8Array) => bytes.map((byte) => ~byte) }
    bench.attach('one', { bus: 'spi-0.0', pins: {} }, onSpi, { spi: invert, set() {}, world: () => ({}) })
    const spi = bench.io.spi({ bus: 'spi-0.0', hz: 1_000_000 })
    expect([...spi.transfer(Uint8Array.of(0x0f, 0xf0))]).toEqual([0xf0, 0x0f])
    bench.fault('one', { kind: 'stuck' })
    expect([...spi.transfer(Uint8Array.of(0x0f))]).toEqual([0])
    spi.close()
    expect(halError(() => spi.read(1)).code).toBe('closed')
  })
})

describe('serial', () => {
  /** A part that sends when told to, and echoes what it gets. */
  const talker = () => {
    let send: ((bytes: Uint8Array) => void) | undefined
    const part: EmulatedPart = {
      serial: {
        receive: (bytes) => send?.(bytes),
        start(sender) {
          send = sender
          return () => {
            send = undefined
          }
        },
      },
      set() {},
      world: () => ({}),
    }
    return {
      part,
      say: (...bytes: number[]) => send?.(Uint8Array.from(bytes)),
      running: () => send !== undefined,
    }
  }

  test('bytes arrive in order, are announced once for all that wait, and are gone when read', async () => {
    const { world: bench } = world()
    const { part, say, running } = talker()
    bench.attach('one', { bus: 'uart-0', pins: {} }, onSerial, part)
    expect(running()).toBe(false)
    const announced: number[] = []
    const serial = bench.io.serial({
      port: 'uart-0',
      baud: 9600,
      onReadable: (bytes) => announced.push(bytes),
    })
    say(1, 2)
    say(3)
    serial.write(Uint8Array.of(4))
    await Promise.resolve()
    expect(announced).toEqual([4])
    expect([...serial.read(3)]).toEqual([1, 2, 3])
    expect([...serial.read()]).toEqual([4])
    expect([...serial.read()]).toEqual([])
    expect(halError(() => bench.io.serial({ port: 'uart-0', baud: 9600 })).code).toBe('busy')
    serial.close()
    expect(running()).toBe(false)
    bench.io.serial({ port: 'uart-0', baud: 9600 }).close()
  })

  test('[bus-5] when nobody reads, the oldest bytes go and are counted', () => {
    const { world: bench } = world()
    const { part, say } = talker()
    bench.attach('one', { bus: 'uart-0', pins: {} }, onSerial, part)
    const serial = bench.io.serial({ port: 'uart-0', baud: 9600 })
    say(...new Array(65_536).fill(1))
    say(2, 3)
    expect(serial.droppedBytes).toBe(2)
    expect([...serial.read().slice(-2)]).toEqual([2, 3])
  })

  test('an unplugged part is silent, and speaks again when it is back or replaced', () => {
    const { world: bench } = world()
    const first = talker()
    const detach = bench.attach('one', { bus: 'uart-0', pins: {} }, onSerial, first.part)
    const serial = bench.io.serial({ port: 'uart-0', baud: 9600 })
    bench.fault('one', { kind: 'unplugged' })
    expect(first.running()).toBe(false)
    bench.fault('one', undefined)
    first.say(5)
    expect([...serial.read()]).toEqual([5])
    detach()
    const second = talker()
    bench.attach('two', { bus: 'uart-0', pins: {} }, onSerial, second.part)
    second.say(6)
    expect([...serial.read()]).toEqual([6])
    bench.fault('two', { kind: 'stuck' })
    second.say(7)
    expect([...serial.read()]).toEqual([])
  })
})

describe('1-Wire', () => {
  test('a scratchpad takes a conversion, and a slave that is not there is not-present', async () => {
    const { world: bench, clock } = world()
    const at = { bus: 'w1-0', address: '28-0000075a1b2c', pins: {} }
    const scratchpad = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9)
    bench.attach('one', at, onOneWire, {
      oneWire: { scratchpad: () => scratchpad },
      set() {},
      world: () => ({}),
    })
    const signal = new AbortController().signal
    const slave = bench.io.oneWire({ bus: 'w1-0', address: at.address })
    const startMs = clock.monotonicMs()
    expect(await clock.run(() => slave.scratchpad(signal))).toEqual(scratchpad)
    expect(clock.monotonicMs() - startMs).toBe(750)
    const other = bench.io.oneWire({ bus: 'w1-0', address: '28-000000000000' })
    await expect(other.scratchpad(signal)).rejects.toMatchObject({ code: 'not-present' })
    bench.fault('w1-0', { kind: 'stuck' })
    await expect(slave.scratchpad(signal)).rejects.toMatchObject({ code: 'timeout' })
    slave.close()
    await expect(slave.scratchpad(signal)).rejects.toMatchObject({ code: 'closed' })
  })
})
