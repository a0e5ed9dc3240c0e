/**
 * IO shapes, after ECMA-419 (clauses 9 and 10): the classes that a driver talks to a bus or a pin with.
 * Calls are synchronous and short, as the standard has them; they happen in a HAL thread, never in the control loop.
 * Byte buffers are `Uint8Array`. Every call throws HalError; after `close` it is `closed`.
 */
import type { HalError } from './errors.ts'

/**
 * Where a line is: a header pin's number (`11`), its name on the header or its kernel line name (`GPIO17`), or
 * `<provider>:<pin>` for a pin of an attached expander (`porch-expander:3`).
 */
export type PinRef = number | string

export interface IoHandle {
  /** Gives the pin or bus back. Idempotent. */
  close(): void
}

export type DigitalMode = 'input' | 'input-pull-up' | 'input-pull-down' | 'output' | 'output-open-drain'

/** One edge, timed by the kernel. */
export interface Edge {
  readonly rising: boolean
  /** CLOCK_MONOTONIC, nanoseconds. */
  readonly timestampNs: bigint
  /** Edges lost before this one because nobody read them. */
  readonly missed: number
}

export interface DigitalOptions {
  readonly pin: PinRef
  readonly mode: DigitalMode
  /** The line is inverted: 1 means low. */
  readonly activeLow?: boolean
  /** Value that an output has from the moment it is requested. Default 0. */
  readonly initial?: 0 | 1
  readonly edge?: { readonly rising: boolean; readonly falling: boolean }
  /** Ignore pulses shorter than this, microseconds. */
  readonly debounceUs?: number
  readonly onReadable?: (edge: Edge) => void
  readonly onError?: (error: HalError) => void
}

/** ECMA-419 clause 10, Digital. `read` and `write` are 0 or 1 after `activeLow`. */
export interface Digital extends IoHandle {
  read(): 0 | 1
  write(value: 0 | 1): void
}

export interface DigitalBankOptions {
  /** Pins of one chip; bit n of every value is the n-th pin. At most 32. */
  readonly pins: readonly { readonly pin: PinRef; readonly activeLow?: boolean; readonly initial?: 0 | 1 }[]
  readonly mode: DigitalMode
}

/** ECMA-419 clause 10, Digital bank. Written in one request: no other order of the lines is ever on the wire. */
export interface DigitalBank extends IoHandle {
  read(): number
  /** `mask` says which lines change; default all. */
  write(value: number, mask?: number): void
}

export interface PulseCountOptions {
  readonly signal: PinRef
  /** Second phase of a quadrature encoder; absent: pulses are counted up. */
  readonly control?: PinRef
  readonly debounceUs?: number
  readonly onReadable?: () => void
}

/** ECMA-419 clause 10, Pulse count. */
export interface PulseCount extends IoHandle {
  read(): number
  write(count: number): void
}

export interface PwmOptions {
  /** A header pin with a PWM function, or `<provider>:<channel>`. */
  readonly pin: PinRef
  readonly hz: number
}

/** ECMA-419 clause 10, Pulse-width modulation. */
export interface Pwm extends IoHandle {
  /** `write` takes 0 to 2^resolution - 1. */
  readonly resolution: number
  readonly hz: number
  write(duty: number): void
  /** The duty that the hardware's register holds, where it can be read. */
  read?(): number
}

export interface AnalogOptions {
  readonly pin: PinRef
}

/** ECMA-419 clause 10, Analog input. */
export interface Analog extends IoHandle {
  readonly resolution: number
  /** 0 to 2^resolution - 1. */
  read(): number
  /** Volts at full scale, where the hardware says. */
  readonly voltsMax?: number
}

export interface I2cOptions {
  /** Bus id of the board, for example `i2c-1`. */
  readonly bus: string
  /** 7-bit address. */
  readonly address: number
  readonly hz?: number
}

/** ECMA-419 clause 10, I²C. A `write` without stop and the `read` after it are one combined transaction. */
export interface I2c extends IoHandle {
  read(byteLength: number, stop?: boolean): Uint8Array
  write(bytes: Uint8Array, stop?: boolean): void
  /** Write, repeated start, read, stop. */
  writeRead(bytes: Uint8Array, byteLength: number): Uint8Array
}

/** ECMA-419 clause 10, SMBus: register access over I2C. Words are little-endian unless `bigEndian`. */
export interface SmBus extends IoHandle {
  readUint8(register: number): number
  writeUint8(register: number, value: number): void
  readUint16(register: number, bigEndian?: boolean): number
  writeUint16(register: number, value: number, bigEndian?: boolean): void
  readBuffer(register: number, byteLength: number): Uint8Array
  writeBuffer(register: number, bytes: Uint8Array): void
}

export interface SpiOptions {
  /** Bus id with chip select, for example `spi-0.0`. */
  readonly bus: string
  readonly hz: number
  /** 0 to 3. */
  readonly mode?: number
}

/** ECMA-419 clause 10, SPI. `transfer` is full duplex: the result is as long as what was sent. */
export interface Spi extends IoHandle {
  transfer(bytes: Uint8Array): Uint8Array
  write(bytes: Uint8Array): void
  read(byteLength: number): Uint8Array
}

export interface SerialOptions {
  /** Port id of the board, for example `uart-0`, or a device path. */
  readonly port: string
  readonly baud: number
  readonly onReadable?: (bytes: number) => void
  readonly onError?: (error: HalError) => void
}

/** ECMA-419 clause 10, Serial. Received bytes wait in a bounded buffer; when it is full the oldest go and are counted. */
export interface Serial extends IoHandle {
  /** Up to `byteLength` bytes, empty when none wait. */
  read(byteLength?: number): Uint8Array
  write(bytes: Uint8Array): void
  readonly droppedBytes: number
}

/** A 1-Wire slave behind a master driven by the kernel. Not in ECMA-419; asynchronous, since a conversion takes 750 ms. */
export interface OneWire extends IoHandle {
  /** Starts a measurement where the family needs one and reads the scratchpad, 9 bytes with its CRC. */
  scratchpad(signal: AbortSignal): Promise<Uint8Array>
}

export interface OneWireOptions {
  /** Bus id, for example `w1-0`. */
  readonly bus: string
  /** Family and serial as the kernel prints them, for example `28-0000075a1b2c`. */
  readonly address: string
}

/** One classic CAN frame (ISO 11898-1). */
export interface CanFrame {
  /** 11 bits, or 29 where `extended`. */
  readonly id: number
  readonly extended: boolean
  /** Asks for the frame of this id; it has no bytes. */
  readonly remote: boolean
  /** At most 8. */
  readonly bytes: Uint8Array
}

export interface CanOptions {
  /** Bus id of the board (`can-0`), or the kernel's interface (`can0`). */
  readonly bus: string
  /** Frames to receive: those whose id equals `id` in the bits of `mask`. Empty: none, only faults of the bus. */
  readonly filters: readonly { readonly id: number; readonly mask: number; readonly extended: boolean }[]
  readonly onReadable?: () => void
  readonly onError?: (error: HalError) => void
}

/** A CAN interface. Not in ECMA-419. Received frames wait in a bounded queue; when it is full the oldest go and are counted. */
export interface Can extends IoHandle {
  read(): CanFrame | undefined
  write(frame: CanFrame): void
  readonly droppedFrames: number
  /** What the controller reported since the last call: `bus-off`, `no acknowledge`, …. */
  takeFaults(): readonly string[]
}

/** Every way to open a pin or a bus on one machine, real or emulated. Opening throws HalError in one line. */
export interface Io {
  digital(options: DigitalOptions): Digital
  digitalBank(options: DigitalBankOptions): DigitalBank
  pulseCount(options: PulseCountOptions): PulseCount
  pwm(options: PwmOptions): Pwm
  analog(options: AnalogOptions): Analog
  i2c(options: I2cOptions): I2c
  smbus(options: I2cOptions): SmBus
  spi(options: SpiOptions): Spi
  serial(options: SerialOptions): Serial
  oneWire(options: OneWireOptions): OneWire
  /** Absent where there is no CAN at all. */
  can?(options: CanOptions): Can
}
