/**
 * The standard's classes for buses (ECMA-419, clause 10: I²C, SMBus, SPI), synchronous. Data is in the standard's form: `read`
 * gives an ArrayBuffer or fills the buffer that it is given. `hz` is passed on; Linux has the clock of an I²C bus from the
 * device tree and ignores it there.
 */
import type { I2c, Io, SmBus, Spi } from '../contract/io.ts'
import { smbusOver } from '../linux/smbus.ts'
import { answerRead, bytesOf, wholeBytes } from './byte-buffer.ts'
import type { Granted } from './granted.ts'
import { type Given, handleOf, IoInstance, integerIn } from './io-instance.ts'

/** Where a module does not say it: every part takes it. */
const spiHzDefault = 1_000_000
/** SPI of these boards ends at 50 to 125 MHz. */
const spiHzMax = 125_000_000
/** High-speed and ultra-fast mode (UM10204, clauses 5.3 and 3.2): nothing is faster. */
const i2cHzMax = 5_000_000
const byteMax = 0xff
const wordMax = 0xffff

interface Registers extends I2c {
  readonly smbus: SmBus
}

export function createBusClasses(io: Io, granted: Granted) {
  class I2C extends IoInstance<Registers> {
    constructor(options: Given) {
      super(options, ['buffer'], () => {
        const { hz, stop } = options
        const place = { bus: granted.bus(options, 'data', 'clock'), address: granted.address(options) }
        const checked = hz === undefined ? {} : { hz: integerIn('hz', hz, 1, i2cHzMax) }
        return withRegisters(io.i2c({ ...place, ...checked }), stop === true)
      })
    }
    read(wanted: unknown, stop = true) {
      const i2c = handleOf(this)
      return answerRead(wanted, (byteLength) => i2c.read(byteLength, Boolean(stop)))
    }
    write(buffer: unknown, stop = true): void {
      handleOf(this).write(bytesOf(buffer), Boolean(stop))
    }
    writeRead(buffer: unknown, wanted: unknown) {
      const i2c = handleOf(this)
      const bytes = bytesOf(buffer)
      return answerRead(wanted, (byteLength) => i2c.writeRead(bytes, byteLength))
    }
  }

  class SMBus extends I2C {
    readUint8(register: unknown): number {
      return handleOf(this).smbus.readUint8(registerOf(register))
    }
    writeUint8(register: unknown, value: unknown): void {
      handleOf(this).smbus.writeUint8(registerOf(register), integerIn('value', value, 0, byteMax))
    }
    readUint16(register: unknown, bigEndian = false): number {
      return handleOf(this).smbus.readUint16(registerOf(register), Boolean(bigEndian))
    }
    writeUint16(register: unknown, value: unknown, bigEndian = false): void {
      const { smbus } = handleOf(this)
      smbus.writeUint16(registerOf(register), integerIn('value', value, 0, wordMax), Boolean(bigEndian))
    }
    readBuffer(register: unknown, wanted: unknown) {
      const { smbus } = handleOf(this)
      return answerRead(wanted, (byteLength) => smbus.readBuffer(registerOf(register), byteLength))
    }
    writeBuffer(register: unknown, buffer: unknown): void {
      handleOf(this).smbus.writeBuffer(registerOf(register), bytesOf(buffer))
    }
    receiveByte(): number {
      return handleOf(this).read(1)[0] ?? 0
    }
    sendByte(command: unknown): void {
      handleOf(this).write(Uint8Array.of(integerIn('command', command, 0, byteMax)))
    }
    readQuick(): void {
      handleOf(this).read(0)
    }
    writeQuick(): void {
      handleOf(this).write(new Uint8Array(0))
    }
  }

  class SPI extends IoInstance<Spi> {
    constructor(options: Given) {
      super(options, ['buffer'], () => {
        const { hz = spiHzDefault, mode = 0, active = 0 } = options
        const bus = granted.bus(options, 'out', 'in', 'clock', 'select')
        if (integerIn('active', active, 0, 1) === 1)
          granted.refuse('chip select is active low here', 'unsupported')
        return io.spi({ bus, hz: integerIn('hz', hz, 1, spiHzMax), mode: integerIn('mode', mode, 0, 3) })
      })
    }
    read(wanted: unknown) {
      const spi = handleOf(this)
      const into = typeof wanted === 'number' ? wanted : wholeBytes(wanted)
      return answerRead(into, (byteLength) => spi.read(byteLength))
    }
    write(buffer: unknown): void {
      handleOf(this).write(wholeBytes(buffer))
    }
    transfer<Buffer>(buffer: Buffer): Buffer {
      const spi = handleOf(this)
      const bytes = wholeBytes(buffer)
      bytes.set(spi.transfer(bytes))
      return buffer
    }
    /** Every transfer here is complete, and deselects, when its call returns. */
    flush(_deselect?: boolean): void {
      handleOf(this)
    }
  }

  return { I2C, SMBus, SPI }
}

const registerOf = (register: unknown) => integerIn('register', register, 0, byteMax)

/** One handle for both: the standard's SMBus is an I2C. With `stop`, the register's number is a transaction of its own. */
function withRegisters(i2c: I2c, stop: boolean): Registers {
  const target: I2c = {
    read: (byteLength, end) => i2c.read(byteLength, end),
    write: (bytes, end) => i2c.write(bytes, end),
    writeRead: (bytes, byteLength) => i2c.writeRead(bytes, byteLength),
    close: () => i2c.close(),
  }
  const apart: I2c = {
    ...target,
    writeRead(bytes, byteLength) {
      i2c.write(bytes)
      return i2c.read(byteLength)
    },
  }
  return { ...target, smbus: smbusOver(stop ? apart : target) }
}
