/** A machine with a part on each bus, and the IO classes that a module configured for one of them gets. */
import type { At } from '../../../../hal/contract/driver.ts'
import type { I2cOptions, Io } from '../../../../hal/contract/io.ts'
import { createIoClasses, type IoClasses } from '../../../../hal/ecma-419/io-classes.ts'
import { createEmulatedIo } from '../../../../hal/sim/bus/index.ts'
import { testHost } from '../host.ts'

export type Name = Exclude<keyof IoClasses, 'PWM'>
export type Given = Record<string, unknown>
export type Instance = Record<string, (...args: unknown[]) => unknown> & Disposable
type Statics = Record<string, string | number>

export const i2cAt: At = { bus: 'i2c-1', busPins: [3, 5], address: 0x48, pins: {} }
const spiAt: At = { bus: 'spi-0.0', busPins: [19, 21, 23, 24], pins: {} }
export const serialAt: At = { bus: 'uart-0', busPins: [8, 10], pins: {} }
export const pinsAt: At = { pins: { a: 11, b: 13 } }

/** A register part that remembers the last register, an SPI part that inverts, a serial part that echoes; a 12-bit converter. */
export function moduleWorld(at: At) {
  const { host, clock } = testHost()
  const emulated = createEmulatedIo({ host })
  const registers = new Uint8Array(256)
  const wire: number[][] = []
  const asked: I2cOptions[] = []
  const i2cCalls: string[] = []
  let selected = 0
  let send: (bytes: Uint8Array) => void = () => {}
  const rest = { set: () => {}, world: () => ({}) }
  emulated.attach(
    'chip',
    { bus: 'i2c-1', address: 0x48, pins: {} },
    { bus: 'i2c', addresses: [0x48] },
    {
      ...rest,
      i2c: {
        write(bytes) {
          wire.push([...bytes])
          selected = bytes[0] ?? selected
          registers.set(bytes.subarray(1), selected)
        },
        read: (byteLength) => registers.slice(selected, selected + byteLength),
      },
    },
  )
  emulated.attach(
    'shift',
    { bus: 'spi-0.0', pins: {} },
    { bus: 'spi' },
    {
      ...rest,
      spi: {
        transfer(bytes) {
          wire.push([...bytes])
          return bytes.map((byte) => byte ^ 0xff)
        },
      },
    },
  )
  emulated.attach(
    'modem',
    { bus: 'uart-0', pins: {} },
    { bus: 'serial', baud: 9600 },
    {
      ...rest,
      serial: {
        receive: (bytes) => wire.push([...bytes]),
        start(toComputer) {
          send = toComputer
          return () => {}
        },
      },
    },
  )
  const io: Io = {
    ...emulated.io,
    i2c(options) {
      asked.push(options)
      const i2c = emulated.io.i2c(options)
      const called = <Result>(name: string, result: Result) => {
        i2cCalls.push(name)
        return result
      }
      return {
        read: (byteLength, stop) => called('read', i2c.read(byteLength, stop)),
        write: (bytes, stop) => called('write', i2c.write(bytes, stop)),
        writeRead: (bytes, byteLength) => called('writeRead', i2c.writeRead(bytes, byteLength)),
        close: () => i2c.close(),
      }
    },
    analog: () => ({ resolution: 12, read: () => 2048, close: () => {} }),
  }
  const classes = createIoClasses(io, at, 'm', clock)
  const open = (name: Name, options: Given = {}) =>
    new classes[name]({ ...defaults[name], ...options }) as unknown as Instance
  const statics = (name: Name) => classes[name] as unknown as Statics
  return {
    ...emulated,
    classes,
    open,
    statics,
    registers,
    wire,
    asked,
    i2cCalls,
    clock,
    send: (bytes: number[]) => send(Uint8Array.from(bytes)),
  }
}
export type ModuleWorld = ReturnType<typeof moduleWorld>

const defaults: Record<Name, Given> = {
  Analog: { pin: 11 },
  Digital: { pin: 11, mode: 'input' },
  DigitalBank: { pins: 0b11, mode: 'input' },
  I2C: { data: 3, clock: 5, hz: 400_000, address: 0x48 },
  PulseCount: { signal: 11, control: 13 },
  SMBus: { data: 3, clock: 5, hz: 400_000, address: 0x48 },
  SPI: { out: 19, in: 21, clock: 23, select: 24, hz: 1_000_000 },
  Serial: { receive: 10, transmit: 8, baud: 9600 },
}
export const places: Record<Name, At> = {
  Analog: pinsAt,
  Digital: pinsAt,
  DigitalBank: pinsAt,
  I2C: i2cAt,
  PulseCount: pinsAt,
  SMBus: i2cAt,
  SPI: spiAt,
  Serial: serialAt,
}
export const buffer = (...bytes: number[]) => Uint8Array.from(bytes).buffer
