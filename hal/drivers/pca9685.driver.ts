/**
 * PCA9685: sixteen PWM outputs of 12 bits over I2C, all of one frequency. Before every access the mode and the prescaler
 * are read: a chip that lost its power sleeps, at 200 Hz. It is then set up again with every output off, and the access
 * fails with one line that says so.
 *
 * Source: NXP PCA9685, revision 4 (16 April 2015): 7.3.1 (MODE1), 7.3.2 (MODE2), 7.3.3 (LEDn), 7.3.5 (PRE_SCALE).
 */
import type { Provider, ProviderDriver } from '../contract/driver.ts'
import { HalError } from '../contract/errors.ts'
import type { Host } from '../contract/host.ts'
import type { I2c, Pwm, PwmOptions } from '../contract/io.ts'

const registers = { mode1: 0x00, mode2: 0x01, led0: 0x06, prescale: 0xfe } as const
const mode1 = { sleep: 0x10, autoIncrement: 0x20, restart: 0x80 } as const
const mode2 = { totemPole: 0x04, invert: 0x10 } as const
/** Bit 4 of LEDn_ON_H and LEDn_OFF_H: full on, full off. */
const full = 0x10
const channels = 16
const resolution = 12
const dutyMax = 2 ** resolution - 1
const oscillatorHz = 25e6
const steps = 4096
const prescaleMin = 0x03
const prescaleMax = 0xff
/** 7.3.1, note on SLEEP: the oscillator needs up to 500 µs. */
const wakeMs = 0.5

/** Section 7.3.5, equation 1. Throws HalError `out-of-range` for a frequency that no prescaler gives. */
export function prescaleFor(hz: number): number {
  const prescale = Math.round(oscillatorHz / (steps * hz)) - 1
  if (!(prescale >= prescaleMin && prescale <= prescaleMax))
    throw new HalError('out-of-range', `pca9685: ${hz} Hz is not between 24 and 1526 Hz`)
  return prescale
}

export const pca9685: ProviderDriver = {
  role: 'provider',
  id: 'pca9685',
  name: 'NXP PCA9685 with 16 PWM channels',
  manufacturer: 'NXP',
  model: 'PCA9685',
  datasheet: 'NXP PCA9685 revision 4 (2015-04-16), 7.3',
  connection: {
    bus: 'i2c',
    // 0x40 and the six address pins, without the all-call address 0x70 (7.1.1) and the bus's reserved 0x78 on.
    addresses: Array.from({ length: 0x38 }, (_, n) => 0x40 + n).filter((address) => address !== 0x70),
  },
  options: {
    output: {
      type: 'choice',
      choices: ['totem-pole', 'open-drain'],
      default: 'totem-pole',
      help: 'open-drain for LEDs that hang on a supply of their own',
    },
    inverted: { type: 'boolean', default: false, help: 'the outputs drive transistors that invert' },
  },
  provides: [{ use: 'pwm', pins: channels }],
  async open({ io, at, options, id, host }) {
    const i2c = io.i2c({ bus: at.bus ?? '', address: Number(at.address) })
    const outputs =
      (options['output'] === 'open-drain' ? 0 : mode2.totemPole) |
      (options['inverted'] === true ? mode2.invert : 0)
    const chip = new PwmChip(id, i2c, outputs, host)
    try {
      chip.setUp()
      return chip
    } catch (error) {
      i2c.close()
      throw error
    }
  },
}

class PwmChip implements Provider {
  readonly io: Provider['io']
  readonly #id: string
  readonly #i2c: I2c
  readonly #mode2: number
  readonly #host: Host
  readonly #taken = new Set<number>()
  #hz = 200
  #closed = false

  constructor(id: string, i2c: I2c, outputMode: number, host: Host) {
    this.#id = id
    this.#i2c = i2c
    this.#mode2 = outputMode
    this.#host = host
    this.io = { pwm: (options) => this.#pwm(options) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#i2c.close()
  }

  #pwm({ pin, hz }: PwmOptions): Pwm {
    const channel = Number(pin)
    if (!Number.isInteger(channel) || channel < 0 || channel >= channels)
      throw new HalError('out-of-range', `${this.#id}: channel ${pin}: there are 0 to ${channels - 1}`)
    if (this.#taken.has(channel)) throw new HalError('busy', `${this.#id}: channel ${pin}: it is in use`)
    const prescale = prescaleFor(hz)
    if (this.#taken.size > 0 && prescale !== prescaleFor(this.#hz))
      throw new HalError(
        'unsupported',
        `${this.#id}: channel ${pin}: ${hz} Hz, but its channels share one frequency, now ${this.#hz} Hz`,
      )
    if (this.#taken.size === 0) {
      this.#hz = hz
      this.setUp()
    }
    this.#taken.add(channel)
    let open = true
    const check = () => {
      if (!open || this.#closed) throw new HalError('closed', `${this.#id}: channel ${pin} is closed`)
      this.#check()
    }
    return {
      resolution,
      hz: oscillatorHz / (steps * (prescale + 1)),
      write: (duty) => {
        check()
        this.#put(channel, duty)
      },
      read: () => {
        check()
        return this.#get(channel)
      },
      close: () => {
        if (!open) return
        open = false
        this.#taken.delete(channel)
        if (!this.#closed) this.#leave(channel)
      },
    }
  }

  /**
   * Off at 0, fully on at the highest duty, from the start of each period otherwise (7.3.3): a duty is a share of 4095,
   * an output is on for a share of 4096.
   */
  #put(channel: number, duty: number): void {
    if (!Number.isInteger(duty) || duty < 0 || duty > dutyMax)
      throw new HalError(
        'out-of-range',
        `${this.#id}: channel ${channel}: duty ${duty} is not 0 to ${dutyMax}`,
      )
    const counts = Math.round((duty * steps) / dutyMax)
    const onHigh = counts === steps ? full : 0
    const offHigh = counts === 0 ? full : (counts >> 8) & 0x0f
    const register = registers.led0 + 4 * channel
    this.#i2c.write(Uint8Array.of(register, 0, onHigh, counts & 0xff, offHigh))
  }

  /** A chip that cannot be reached keeps what it has, or has lost it with its power: closing goes on. */
  #leave(channel: number): void {
    try {
      this.#put(channel, 0)
    } catch (error) {
      if (!(error instanceof HalError)) throw error
      this.#host.log.warn('channel closed without being off', {
        part: this.#id,
        channel,
        reason: error.message,
      })
    }
  }

  #get(channel: number): number {
    const [, onHigh = 0, offLow = 0, offHigh = 0] = this.#i2c.writeRead(
      Uint8Array.of(registers.led0 + 4 * channel),
      4,
    )
    if (offHigh & full) return 0
    const counts = onHigh & full ? steps : ((offHigh & 0x0f) << 8) | offLow
    return Math.round((counts * dutyMax) / steps)
  }

  #check(): void {
    const mode = this.#byte(registers.mode1)
    if ((mode & mode1.sleep) === 0 && this.#byte(registers.prescale) === prescaleFor(this.#hz)) return
    this.setUp()
    throw new HalError('other', `${this.#id}: it had lost its power or was reset; its outputs are off`)
  }

  /** Every output off; awake at the frequency, with auto-increment and without the all-call address (7.3.1). */
  setUp(): void {
    this.#i2c.write(Uint8Array.of(registers.mode1, mode1.sleep | mode1.autoIncrement))
    this.#i2c.write(Uint8Array.of(registers.mode2, this.#mode2))
    const off = Array.from({ length: channels }, () => [0, 0, 0, full]).flat()
    this.#i2c.write(Uint8Array.of(registers.led0, ...off))
    this.#i2c.write(Uint8Array.of(registers.prescale, prescaleFor(this.#hz)))
    this.#i2c.write(Uint8Array.of(registers.mode1, mode1.autoIncrement))
    // What is written before the oscillator runs may come out with a wrong length; reading is harmless, and takes time.
    const awakeMs = this.#host.clock.monotonicMs() + wakeMs
    for (let reads = 0; reads < 32 && this.#host.clock.monotonicMs() < awakeMs; reads++)
      this.#byte(registers.mode1)
  }

  #byte(register: number): number {
    return this.#i2c.writeRead(Uint8Array.of(register), 1)[0] ?? 0
  }
}
