/**
 * The standard's IO classes (ECMA-419, clauses 9 and 10) over this machine's `Io`, for one part: `device.io.I2C` and its
 * siblings. Data is in the standard's form: `read` gives an ArrayBuffer or fills the buffer that it is given, `undefined`
 * where nothing waits.
 *
 * Invariants: [ecma-419-1] a module reaches the bus, address and pins that its configuration names, and no other;
 * [ecma-419-2] it drives no output: outputs are the safety kernel's.
 */
import type { At } from '../contract/driver.ts'
import { HalError } from '../contract/errors.ts'
import type {
  Analog,
  Digital,
  DigitalBank,
  DigitalMode,
  Io,
  PinRef,
  PulseCount,
  Serial,
  SmBus,
  Spi,
} from '../contract/io.ts'
import { answerRead, bytesOf } from './byte-buffer.ts'

type Given = Readonly<Record<string, unknown>>
type IoClass = new (options: Given) => { close(): void }

export interface IoClasses {
  readonly Analog: IoClass
  readonly Digital: IoClass
  readonly DigitalBank: IoClass
  readonly I2C: IoClass
  readonly PWM: IoClass
  readonly PulseCount: IoClass
  readonly SMBus: IoClass
  readonly SPI: IoClass
  readonly Serial: IoClass
}

/** Modes and edges as the standard's static properties; their values are the host's own. */
const modes = {
  Input: 'input',
  InputPullUp: 'input-pull-up',
  InputPullDown: 'input-pull-down',
} as const satisfies Record<string, DigitalMode>
const rising = 1
const falling = 2
const spiHz = 1_000_000

export function createIoClasses(io: Io, at: At, id: string): IoClasses {
  const refuse = (what: string): never => {
    throw new HalError('permission', `${id}: ${what}`)
  }
  const busOf = (options: Given): string => {
    const asked = options['bus'] ?? options['port'] ?? at.bus
    if (at.bus === undefined) return refuse('its configuration names no bus')
    return asked === at.bus ? at.bus : refuse(`it asked for the bus ${asked}, and was given ${at.bus}`)
  }
  const addressOf = (options: Given): number => {
    const asked = options['address']
    if (typeof at.address !== 'number') return refuse('its configuration names no address')
    return asked === at.address
      ? at.address
      : refuse(`it asked for the address ${asked}, and was given ${at.address}`)
  }
  const pins = Object.values(at.pins)
  const pinOf = (asked: unknown): PinRef => {
    const pin = pins.find((given) => given === asked)
    return pin ?? refuse(`it asked for pin ${asked}, which its configuration does not give`)
  }
  const modeOf = (asked: unknown): DigitalMode => {
    const mode = Object.values(modes).find((known) => known === asked)
    return mode ?? refuse('it asked for an output; a sensor module has inputs')
  }

  class I2C {
    readonly #i2c: SmBus & ReturnType<Io['i2c']>
    constructor(options: Given) {
      const place = { bus: busOf(options), address: addressOf(options) }
      this.#i2c = registersOver(io, place)
    }
    get format(): string {
      return 'buffer'
    }
    read(wanted: unknown, stop = true) {
      return answerRead(wanted, (byteLength) => this.#i2c.read(byteLength, stop))
    }
    write(buffer: unknown, stop = true): void {
      this.#i2c.write(bytesOf(buffer), stop)
    }
    close(): void {
      this.#i2c.close()
    }
    protected get registers(): SmBus {
      return this.#i2c
    }
  }

  class SMBus extends I2C {
    readUint8(register: number): number {
      return this.registers.readUint8(register)
    }
    writeUint8(register: number, value: number): void {
      this.registers.writeUint8(register, value)
    }
    readUint16(register: number, bigEndian = false): number {
      return this.registers.readUint16(register, bigEndian)
    }
    writeUint16(register: number, value: number, bigEndian = false): void {
      this.registers.writeUint16(register, value, bigEndian)
    }
    readBuffer(register: number, wanted: unknown) {
      return answerRead(wanted, (byteLength) => this.registers.readBuffer(register, byteLength))
    }
    writeBuffer(register: number, buffer: unknown): void {
      this.registers.writeBuffer(register, bytesOf(buffer))
    }
    receiveByte(): number {
      return new Uint8Array(this.read(1) as ArrayBuffer)[0] ?? 0
    }
    sendByte(command: number): void {
      this.write(Uint8Array.of(command))
    }
    readQuick(): void {
      this.read(0)
    }
    writeQuick(): void {
      this.write(new Uint8Array(0))
    }
  }

  class SPI {
    readonly #spi: Spi
    constructor(options: Given) {
      const { hz = spiHz, mode = 0 } = options
      this.#spi = io.spi({ bus: busOf(options), hz: Number(hz), mode: Number(mode) })
    }
    get format(): string {
      return 'buffer'
    }
    read(wanted: unknown) {
      return answerRead(wanted, (byteLength) => this.#spi.read(byteLength))
    }
    write(buffer: unknown): void {
      this.#spi.write(bytesOf(buffer))
    }
    transfer(buffer: unknown): void {
      const bytes = bytesOf(buffer)
      bytes.set(this.#spi.transfer(bytes))
    }
    /** Every transfer here is complete, and deselects, when its call returns. */
    flush(): void {}
    close(): void {
      this.#spi.close()
    }
  }

  class Serial419 {
    readonly #serial: Serial
    format: 'number' | 'buffer'
    constructor(options: Given) {
      const { baud, onReadable, onError, format } = options
      this.format = format === 'number' ? 'number' : 'buffer'
      this.#serial = io.serial({
        port: busOf(options),
        baud: Number(baud),
        ...(isFunction(onReadable) ? { onReadable: (bytes) => onReadable.call(this, bytes) } : {}),
        ...(isFunction(onError) ? { onError: () => onError.call(this) } : {}),
      })
    }
    read(wanted?: unknown) {
      if (this.format === 'number') return this.#serial.read(1)[0]
      const bytes = this.#serial.read(
        wanted === undefined ? undefined : typeof wanted === 'number' ? wanted : bytesOf(wanted).byteLength,
      )
      if (bytes.byteLength === 0) return undefined
      return wanted === undefined
        ? Uint8Array.from(bytes).buffer
        : answerRead(typeof wanted === 'number' ? bytes.byteLength : wanted, () => bytes)
    }
    write(value: unknown): void {
      this.#serial.write(typeof value === 'number' ? Uint8Array.of(value) : bytesOf(value))
    }
    flush(input = true): void {
      if (input) while (this.#serial.read().byteLength > 0);
    }
    close(): void {
      this.#serial.close()
    }
  }

  class Digital419 {
    static readonly Input = modes.Input
    static readonly InputPullUp = modes.InputPullUp
    static readonly InputPullDown = modes.InputPullDown
    static readonly InputPullUpDown = 'input-pull-up-down'
    static readonly Output = 'output'
    static readonly OutputOpenDrain = 'output-open-drain'
    static readonly Rising = rising
    static readonly Falling = falling
    readonly #digital: Digital
    constructor(options: Given) {
      const { pin, mode, edge, onReadable } = options
      const edges = Number(edge ?? 0)
      this.#digital = io.digital({
        pin: pinOf(pin),
        mode: modeOf(mode),
        ...(isFunction(onReadable)
          ? {
              edge: { rising: (edges & rising) !== 0, falling: (edges & falling) !== 0 },
              onReadable: () => onReadable.call(this),
            }
          : {}),
      })
    }
    get format(): string {
      return 'number'
    }
    read(): 0 | 1 {
      return this.#digital.read()
    }
    write(): void {
      refuse('it wrote to an input')
    }
    close(): void {
      this.#digital.close()
    }
  }

  /** The bank of a module is its own pins: bit n is the n-th that the configuration gives. */
  class DigitalBank419 {
    static readonly Input = modes.Input
    static readonly InputPullUp = modes.InputPullUp
    static readonly InputPullDown = modes.InputPullDown
    static readonly Output = 'output'
    static readonly OutputOpenDrain = 'output-open-drain'
    readonly #bank: DigitalBank
    readonly #places: readonly number[]
    constructor(options: Given) {
      const wanted = Number(options['pins'] ?? 0)
      this.#places = pins.flatMap((_, place) => (wanted & (1 << place) ? [place] : []))
      if (this.#places.length === 0 || wanted >>> 0 >= 2 ** pins.length)
        refuse(`it asked for pins that its configuration does not give (mask ${wanted})`)
      const chosen = this.#places.map((place) => ({ pin: pins[place] ?? '' }))
      this.#bank = io.digitalBank({ pins: chosen, mode: modeOf(options['mode']) })
    }
    get format(): string {
      return 'number'
    }
    read(): number {
      const bits = this.#bank.read()
      return this.#places.reduce((sum, place, bit) => sum | (((bits >> bit) & 1) << place), 0)
    }
    write(): void {
      refuse('it wrote to inputs')
    }
    close(): void {
      this.#bank.close()
    }
  }

  class PulseCount419 {
    readonly #count: PulseCount
    constructor(options: Given) {
      const { signal, control, onReadable } = options
      this.#count = io.pulseCount({
        signal: pinOf(signal),
        ...(control === undefined ? {} : { control: pinOf(control) }),
        ...(isFunction(onReadable) ? { onReadable: () => onReadable.call(this) } : {}),
      })
    }
    get format(): string {
      return 'number'
    }
    read(): number {
      return this.#count.read()
    }
    write(count: number): void {
      this.#count.write(count)
    }
    close(): void {
      this.#count.close()
    }
  }

  class Analog419 {
    readonly #analog: Analog
    constructor(options: Given) {
      this.#analog = io.analog({ pin: pinOf(options['pin']) })
    }
    get format(): string {
      return 'number'
    }
    get resolution(): number {
      return this.#analog.resolution
    }
    read(): number {
      return this.#analog.read()
    }
    close(): void {
      this.#analog.close()
    }
  }

  class PWM {
    constructor(_options: Given) {
      refuse('it asked for a PWM output; a sensor module has inputs')
    }
    close(): void {}
  }

  return {
    Analog: Analog419,
    Digital: Digital419,
    DigitalBank: DigitalBank419,
    I2C,
    PWM,
    PulseCount: PulseCount419,
    SMBus,
    SPI,
    Serial: Serial419,
  }
}

/** One I2C handle that has the register calls too: the standard's SMBus is an I2C. */
function registersOver(io: Io, place: { bus: string; address: number }): SmBus & ReturnType<Io['i2c']> {
  const i2c = io.i2c(place)
  const smbus = io.smbus(place)
  return {
    read: (byteLength, stop) => i2c.read(byteLength, stop),
    write: (bytes, stop) => i2c.write(bytes, stop),
    writeRead: (bytes, byteLength) => i2c.writeRead(bytes, byteLength),
    readUint8: (register) => smbus.readUint8(register),
    writeUint8: (register, value) => smbus.writeUint8(register, value),
    readUint16: (register, bigEndian) => smbus.readUint16(register, bigEndian),
    writeUint16: (register, value, bigEndian) => smbus.writeUint16(register, value, bigEndian),
    readBuffer: (register, byteLength) => smbus.readBuffer(register, byteLength),
    writeBuffer: (register, bytes) => smbus.writeBuffer(register, bytes),
    close() {
      i2c.close()
      smbus.close()
    },
  }
}

type Callback = (this: unknown, ...args: readonly unknown[]) => void
function isFunction(value: unknown): value is Callback {
  return typeof value === 'function'
}
