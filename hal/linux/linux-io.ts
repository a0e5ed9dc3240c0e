/**
 * The IO of a real Linux machine. Pins and buses are resolved by the board's data: a pin by the label of its chip and the
 * name of its line, a bus by the address of its controller, never by a number that the kernel may change.
 *
 * Every call blocks for as long as the kernel does (50 ms at most on a stuck bus): use it in a HAL thread. Edges and
 * serial bytes come back in the thread that asked. When a thread ends, however it ends, what it opened is closed.
 */
import type { Board } from '../contract/board.ts'
import { HalError } from '../contract/errors.ts'
import type { Host } from '../contract/host.ts'
import type {
  Analog,
  AnalogOptions,
  Can,
  CanOptions,
  Digital,
  DigitalBank,
  DigitalBankOptions,
  DigitalOptions,
  I2c,
  I2cOptions,
  Io,
  IoHandle,
  OneWire,
  OneWireOptions,
  PulseCount,
  PulseCountOptions,
  Pwm,
  PwmOptions,
  Serial,
  SerialOptions,
  SmBus,
  Spi,
  SpiOptions,
} from '../contract/io.ts'
import type { ProviderRegistry } from '../drivers/provider-registry.ts'
import type { Roots } from './board-detect.ts'
import { busPath } from './bus-path.ts'
import { openCan } from './can.ts'
import { openBank, openDigital } from './gpio.ts'
import { GpioChips } from './gpio-chips.ts'
import { openI2c } from './i2c.ts'
import { type I2cAnswer, probeI2cBus } from './i2c-probe.ts'
import { ledOf, openLedBank, openLedDigital, openLedPwm } from './leds.ts'
import { openOneWire } from './one-wire.ts'
import { lineOfPin, pwmOfPin } from './pins.ts'
import { openPulseCount } from './pulse-count.ts'
import { openPwm } from './pwm.ts'
import { openSerial } from './serial.ts'
import { smbusOver } from './smbus.ts'
import { openSpi } from './spi.ts'

export interface LinuxIoOptions {
  readonly board: Board
  readonly roots: Roots
  /** Told when a line dies that nobody listens to for errors. */
  readonly host: Pick<Host, 'log'>
  /** Pins of attached parts, `<part id>:<pin>`. Absent: there are none. */
  readonly providers?: ProviderRegistry
}

/** Opens nothing yet; a board without the hardware fails at what is asked of it. */
export function createLinuxIo(options: LinuxIoOptions): LinuxIo {
  return new LinuxIo(options)
}

/** Who answers on a bus of the board, for `doctor`. Throws HalError in one line, saying what to do. */
export function probeI2c(board: Board, roots: Roots, bus: string): readonly I2cAnswer[] {
  return probeI2cBus({ bus, path: busPath(board, roots, 'i2c', bus), sys: roots.sys })
}

export class LinuxIo implements Io {
  readonly #options: LinuxIoOptions
  readonly #chips: GpioChips
  readonly #open = new Set<IoHandle>()
  #closed = false

  readonly #logged = (error: HalError) => {
    this.#options.host.log.warn('a line gives no more edges', { reason: error.message })
  }

  constructor(options: LinuxIoOptions) {
    this.#options = options
    this.#chips = new GpioChips(options.roots.dev)
  }

  digital(options: DigitalOptions): Digital {
    const led = ledOf(options.pin)
    return this.#keep(
      () =>
        this.#options.providers?.digital(options) ??
        (led === undefined
          ? openDigital(this.#chips, this.#line(options.pin), { onError: this.#logged, ...options })
          : openLedDigital(this.#sys, led, options)),
    )
  }

  digitalBank(options: DigitalBankOptions): DigitalBank {
    const leds = options.pins.flatMap(({ pin }) => ledOf(pin) ?? [])
    return this.#keep(
      () =>
        this.#options.providers?.digitalBank(options) ??
        (leds.length > 0
          ? openLedBank(this.#sys, leds, options)
          : openBank(
              this.#chips,
              options.pins.map(({ pin }) => this.#line(pin)),
              options,
            )),
    )
  }

  pulseCount(options: PulseCountOptions): PulseCount {
    return this.#keep(() => {
      const control = options.control === undefined ? undefined : this.#line(options.control)
      return openPulseCount(this.#chips, this.#line(options.signal), control, {
        ...options,
        onError: this.#logged,
      })
    })
  }

  pwm(options: PwmOptions): Pwm {
    const led = ledOf(options.pin)
    return this.#keep(
      () =>
        this.#options.providers?.pwm(options) ??
        (led === undefined
          ? openPwm({ ...pwmOfPin(this.#options.board, options.pin), hz: options.hz, sys: this.#sys })
          : openLedPwm(this.#sys, led, options.hz)),
    )
  }

  analog(options: AnalogOptions): Analog {
    return this.#keep(() => {
      const provided = this.#options.providers?.analog(options)
      if (provided) return provided
      throw new HalError(
        'unsupported',
        `pin ${options.pin}: ${this.#options.board.name} has no analog inputs on its header; attach a converter`,
      )
    })
  }

  i2c({ bus, address }: I2cOptions): I2c {
    return this.#keep(() => {
      const path = busPath(this.#options.board, this.#options.roots, 'i2c', bus)
      return openI2c({ bus, path, address, sys: this.#sys })
    })
  }

  smbus(options: I2cOptions): SmBus {
    return smbusOver(this.i2c(options))
  }

  spi(options: SpiOptions): Spi {
    return this.#keep(() => {
      const path = busPath(this.#options.board, this.#options.roots, 'spi', options.bus)
      return openSpi(path, this.#sys, options)
    })
  }

  serial(options: SerialOptions): Serial {
    return this.#keep(() => {
      const { port } = options
      const { board, roots } = this.#options
      return openSerial(port.startsWith('/') ? port : busPath(board, roots, 'serial', port), options)
    })
  }

  oneWire(options: OneWireOptions): OneWire {
    return this.#keep(() => openOneWire(this.#sys, options))
  }

  can(options: CanOptions): Can {
    return this.#keep(() => openCan(this.#sys, options))
  }

  /** Closes what is still open, all of it even where one fails; then throws the first failure. Idempotent. */
  close(): void {
    this.#closed = true
    const failures: unknown[] = []
    for (const handle of this.#open)
      try {
        handle.close()
      } catch (error) {
        failures.push(error)
      }
    if (failures.length > 0) throw failures[0]
  }

  get #sys(): string {
    return this.#options.roots.sys
  }

  #line(pin: DigitalOptions['pin']) {
    return lineOfPin(this.#options.board, this.#chips, pin)
  }

  #keep<Handle extends IoHandle>(open: () => Handle): Handle {
    if (this.#closed) throw new HalError('closed', `the IO of ${this.#options.board.name} is closed`)
    const handle = open()
    const close = handle.close.bind(handle)
    handle.close = () => {
      this.#open.delete(handle)
      close()
    }
    this.#open.add(handle)
    return handle
  }
}
