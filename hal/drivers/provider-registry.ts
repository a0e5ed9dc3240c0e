/**
 * Pins that attached parts give to others (`<part id>:<pin>`), by part. One registry belongs to one machine; every `Io` of
 * that machine, on Linux or emulated, asks it first and opens its own pin where the answer is `undefined`.
 */
import type { Provider } from '../contract/driver.ts'
import { HalError } from '../contract/errors.ts'
import type { Cancel } from '../contract/host.ts'
import type {
  Analog,
  AnalogOptions,
  Digital,
  DigitalBank,
  DigitalBankOptions,
  DigitalOptions,
  Io,
  PinRef,
  Pwm,
  PwmOptions,
} from '../contract/io.ts'

/** `led:ACT` is an LED of the board, not a pin of a part. */
export const ledPrefix = 'led'

/**
 * `porch` of `porch:3`, whatever stands behind the colon; undefined for pins of the board: LEDs (`led:ACT`) and lines by
 * chip, whose labels may have colons too (`INT34C5:00#12`, `gpio:1/DOOR`).
 */
export function providerOf(pin: PinRef): string | undefined {
  const id = typeof pin === 'string' ? /^([^:/#]+):[^/#]*$/.exec(pin)?.[1] : undefined
  return id === ledPrefix ? undefined : id
}

/** `porch:3` is pin 3 of part `porch`; anything else is no provider's pin. */
export function providerPin(pin: PinRef): { readonly id: string; readonly pin: number } | undefined {
  const id = providerOf(pin)
  const number = id === undefined ? undefined : String(pin).slice(id.length + 1)
  return id !== undefined && number && /^\d{1,3}$/.test(number) ? { id, pin: Number(number) } : undefined
}

export class ProviderRegistry {
  readonly #providers = new Map<string, Provider['io']>()

  /** Offers a part's pins until the returned function is called. */
  add(id: string, provider: Provider): Cancel {
    if (this.#providers.has(id)) throw new HalError('busy', `${id}: a part of this id gives pins already`)
    const { io } = provider
    this.#providers.set(id, io)
    return () => {
      if (this.#providers.get(id) === io) this.#providers.delete(id)
    }
  }

  /** The machine's pins and buses, with the pins of attached parts among them. */
  over(io: Io): Io {
    return {
      digital: (options) => this.digital(options) ?? io.digital(options),
      digitalBank: (options) => this.digitalBank(options) ?? io.digitalBank(options),
      pwm: (options) => this.pwm(options) ?? io.pwm(options),
      analog: (options) => this.analog(options) ?? io.analog(options),
      pulseCount: (options) => {
        for (const pin of [options.signal, options.control ?? 0])
          if (providerPin(pin))
            throw new HalError('unsupported', `pin ${pin}: pulses are counted on pins of the board only`)
        return io.pulseCount(options)
      },
      i2c: (options) => io.i2c(options),
      smbus: (options) => io.smbus(options),
      spi: (options) => io.spi(options),
      serial: (options) => io.serial(options),
      oneWire: (options) => io.oneWire(options),
      ...(io.can ? { can: io.can.bind(io) } : {}),
    }
  }

  digital(options: DigitalOptions): Digital | undefined {
    const found = this.#find(options.pin, 'digital')
    return found?.offer({ ...options, pin: found.pin })
  }

  /** All pins of a bank are one provider's, or none is a provider's. */
  digitalBank(options: DigitalBankOptions): DigitalBank | undefined {
    const places = options.pins.map(({ pin }) => providerPin(pin)?.id)
    if (new Set(places).size > 1)
      throw new HalError('unsupported', `one bank cannot hold pins of different chips: ${pinList(options)}`)
    const first = options.pins[0]
    const found = first && this.#find(first.pin, 'digitalBank')
    return found?.offer({
      ...options,
      pins: options.pins.map((entry) => ({ ...entry, pin: providerPin(entry.pin)?.pin ?? entry.pin })),
    })
  }

  pwm(options: PwmOptions): Pwm | undefined {
    const found = this.#find(options.pin, 'pwm')
    return found?.offer({ ...options, pin: found.pin })
  }

  analog(options: AnalogOptions): Analog | undefined {
    const found = this.#find(options.pin, 'analog')
    return found?.offer({ ...options, pin: found.pin })
  }

  #find<Use extends keyof Provider['io']>(reference: PinRef, use: Use) {
    const place = providerPin(reference)
    if (!place) return undefined
    const io = this.#providers.get(place.id)
    if (!io) throw new HalError('not-present', `${reference}: no attached part "${place.id}" gives pins`)
    const offer = io[use]
    if (!offer) throw new HalError('unsupported', `${reference}: "${place.id}" gives no ${use} pins`)
    return { offer: offer.bind(io) as NonNullable<Provider['io'][Use]>, pin: place.pin }
  }
}

function pinList(options: DigitalBankOptions): string {
  return options.pins.map(({ pin }) => String(pin)).join(', ')
}
