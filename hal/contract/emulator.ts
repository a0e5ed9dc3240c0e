/**
 * What stands in for a part where there is no hardware: it answers on the bus as its datasheet says, so the real driver
 * runs against it. One beside each driver (`<part>.emul.ts`); used by the simulated board and by tests.
 */
import type { At, Driver, Options } from './driver.ts'
import type { Host } from './host.ts'

/** An I2C target. Throws HalError `no-acknowledge` where the part would not acknowledge. */
export interface EmulatedI2c {
  write(bytes: Uint8Array): void
  /** What the part puts on the bus; as many bytes as asked for. */
  read(byteLength: number): Uint8Array
}

export interface EmulatedSpi {
  transfer(bytes: Uint8Array): Uint8Array
}

export interface EmulatedSerial {
  /** Bytes from the device's computer. */
  receive(bytes: Uint8Array): void
  /** Called once when the port opens; the part sends through it until the returned function is called. */
  start(send: (bytes: Uint8Array) => void): () => void
}

export interface EmulatedOneWire {
  scratchpad(): Uint8Array
}

/** The part's side of plain lines, by the names of the driver's `connection.pins` (or `lines`). */
export interface EmulatedPins {
  /** The computer drives a pin. */
  written(pin: string, value: 0 | 1): void
  /** The computer sets the duty of a PWM pin, 0 to 1. */
  dutyWritten?(pin: string, duty: number, hz: number): void
  /**
   * Called once: the part drives a pin of the computer's by calling `drive`. `atMs` is when the edge was, on the host's
   * monotonic clock, for parts that are more exact than its timers; default now.
   */
  start(drive: (pin: string, value: 0 | 1, atMs?: number) => void): () => void
}

export interface EmulatedPart {
  readonly i2c?: EmulatedI2c
  readonly spi?: EmulatedSpi
  readonly serial?: EmulatedSerial
  readonly oneWire?: EmulatedOneWire
  readonly pins?: EmulatedPins
  /** Pins that a provider offers, driven or seen from outside. */
  readonly provided?: {
    drive(pin: number, value: number): void
    seen(pin: number): number
  }
  /** Sets what the part is exposed to (`temperature`, `motion`, …) in the channel's unit. Throws HalError `unsupported` for a name it has not. */
  set(quantity: string, value: number): void
  /** The part lost power and has it back: registers as after power-on, what it is exposed to stays. Absent: it keeps nothing. */
  powerOn?(): void
  /** What it is exposed to, or what it does (`angle`, `on`), by name. */
  world(): Readonly<Record<string, number>>
}

export interface EmulatorContext {
  readonly host: Host
  readonly at: At
  readonly options: Options
}

export type Emulator = (context: EmulatorContext) => EmulatedPart

/** One line of `hal/drivers/index.ts`. */
export interface Part {
  readonly driver: Driver
  readonly emulator: Emulator
}
