/**
 * MCP23017: sixteen pins over I2C, 0 to 7 on port A, 8 to 15 on port B. A bank is written in one transfer to both output
 * latches, so no other order of its lines is ever on the pins.
 *
 * Before every access it is asked whether it is still configured: an expander that lost its power has all pins as inputs. It
 * is then given its SAFE values (those that its outputs were opened with), and the access fails with one
 * line that says so: what was commanded before is not silently put back.
 *
 * Source: Microchip DS20001952C, 3.2.1 (byte and sequential mode), 3.5 (registers), table 3-5; pins 7 and 15 are outputs
 * only since DS20001952D.
 */
import type { Provider, ProviderDriver } from '../contract/driver.ts'
import { HalError } from '../contract/errors.ts'
import type { Digital, DigitalBank, DigitalBankOptions, DigitalMode, I2c, PinRef } from '../contract/io.ts'

/** With IOCON.BANK = 0; each has its twin for port B right behind it. */
const registers = { iodir: 0x00, defval: 0x06, iocon: 0x0a, gppu: 0x0c, gpio: 0x12, olat: 0x14 } as const
/**
 * Kept in DEFVAL, which is 0 at power-on and counts only with interrupts (3.5.4), which are not used: a mark by which a
 * lost configuration is noticed, even where all pins are inputs.
 */
const mark = 0x5aa5
/** Where IOCON is while IOCON.BANK is 1; with BANK = 0 it is GPINTENB, which 0 leaves at its default. */
const ioconInBanks = 0x05
const pinCount = 16
const outputsOnly = (1 << 7) | (1 << 15)

export const mcp23017: ProviderDriver = {
  role: 'provider',
  id: 'mcp23017',
  name: 'Microchip MCP23017 expander with 16 pins',
  manufacturer: 'Microchip',
  model: 'MCP23017',
  datasheet: 'Microchip DS20001952C, 3.2.1 and 3.5',
  connection: { bus: 'i2c', addresses: [0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27] },
  options: {},
  provides: [{ use: 'digital', pins: pinCount }],
  async open({ io, at, id }) {
    const i2c = io.i2c({ bus: at.bus ?? '', address: Number(at.address) })
    const expander = new Expander(id, i2c)
    try {
      expander.setUp()
      return expander
    } catch (error) {
      i2c.close()
      throw error
    }
  },
}

class Expander implements Provider {
  readonly io: Provider['io']
  readonly #id: string
  readonly #i2c: I2c
  /** Bits of pins that a handle has. */
  #taken = 0
  #inputs = 0xffff
  #pullUps = 0
  #latch = 0
  /** Levels of the outputs that are safe. */
  #safe = 0
  #closed = false

  constructor(id: string, i2c: I2c) {
    this.#id = id
    this.#i2c = i2c
    this.io = {
      digital: (options) => {
        if (options.edge || options.debounceUs)
          throw this.#error('unsupported', options.pin, 'edges cannot be seen on an expander')
        const { pin, activeLow = false, initial = 0 } = options
        return this.#digital({ mode: options.mode, pins: [{ pin, activeLow, initial }] })
      },
      digitalBank: (options) => this.#bank(options),
    }
  }

  setUp(): void {
    // Whatever a program before left there, BANK is 0 after this.
    this.#i2c.write(Uint8Array.of(ioconInBanks, 0))
    this.#configure()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#i2c.close()
  }

  #digital(options: DigitalBankOptions): Digital {
    const bank = this.#bank(options)
    return {
      read: () => (bank.read() === 0 ? 0 : 1),
      write: (value) => bank.write(value),
      close: () => bank.close(),
    }
  }

  #bank({ pins, mode }: DigitalBankOptions): DigitalBank {
    const bits = pins.map(({ pin }) => this.#take(pin, mode))
    const all = bits.reduce((mask, bit) => mask | bit, 0)
    const inverted = pins.reduce((mask, { activeLow }, n) => (activeLow ? mask | (bits[n] ?? 0) : mask), 0)
    const toLevels = (value: number) =>
      bits.reduce((levels, bit, n) => ((value >>> n) & 1 ? levels | bit : levels), 0) ^ inverted
    const toValue = (levels: number) =>
      bits.reduce((value, bit, n) => ((levels ^ inverted) & bit ? (value | (1 << n)) >>> 0 : value), 0)
    const start =
      toLevels(pins.reduce((value, { initial }, n) => (initial ? value | (1 << n) : value), 0)) & all
    try {
      this.#start(all, mode, start)
    } catch (error) {
      this.#taken &= ~all
      throw error
    }
    let open = true
    const check = () => {
      if (!open || this.#closed) throw new HalError('closed', `${this.#id}: these pins are closed`)
    }
    return {
      read: () => {
        check()
        return toValue(mode === 'output' ? this.#outputs() : this.#levels())
      },
      write: (value, mask = 0xffff_ffff) => {
        check()
        if (mode !== 'output') throw new HalError('unsupported', `${this.#id}: these pins are inputs`)
        const changed = bits.reduce((some, bit, n) => ((mask >>> n) & 1 ? some | bit : some), 0)
        this.#write(changed, toLevels(value))
      },
      /** Outputs stay outputs, at their safe values: a pin left floating would be no state that anybody chose. */
      close: () => {
        if (!open) return
        open = false
        this.#taken &= ~all
        if (mode === 'output' && !this.#closed) this.#write(all, start)
      },
    }
  }

  #take(pin: PinRef, mode: DigitalMode): number {
    const number = Number(pin)
    if (!Number.isInteger(number) || number < 0 || number >= pinCount)
      throw this.#error('out-of-range', pin, `there are pins 0 to ${pinCount - 1}`)
    const bit = 1 << number
    if (mode === 'input-pull-down' || mode === 'output-open-drain')
      throw this.#error('unsupported', pin, `it has no mode ${mode}`)
    if (mode !== 'output' && (bit & outputsOnly) !== 0)
      throw this.#error('unsupported', pin, 'it is an output only')
    if ((this.#taken & bit) !== 0) throw this.#error('busy', pin, 'it is in use')
    this.#taken |= bit
    return bit
  }

  /** Latches first, directions last: an output never shows another level than its first. */
  #start(bits: number, mode: DigitalMode, levels: number): void {
    this.#check()
    if (mode === 'output') {
      this.#latch = (this.#latch & ~bits) | levels
      this.#safe = (this.#safe & ~bits) | levels
      this.#inputs &= ~bits
    } else {
      this.#inputs |= bits
      this.#pullUps = mode === 'input-pull-up' ? this.#pullUps | bits : this.#pullUps & ~bits
    }
    this.#configure()
  }

  #write(bits: number, levels: number): void {
    this.#check()
    const latch = (this.#latch & ~bits) | (levels & bits)
    this.#put(registers.olat, latch)
    this.#latch = latch
  }

  #levels(): number {
    this.#check()
    return this.#get(registers.gpio)
  }

  /** The output latches as the chip has them. */
  #outputs(): number {
    this.#check()
    return this.#get(registers.olat)
  }

  #check(): void {
    // IODIR and DEFVAL of both ports, and what is between them.
    const [a = 0, b = 0, , , , , markA = 0, markB = 0] = this.#i2c.writeRead(
      Uint8Array.of(registers.iodir),
      8,
    )
    if ((a | (b << 8)) === this.#inputs && (markA | (markB << 8)) === mark) return
    this.#latch = this.#safe
    this.#configure()
    throw new HalError(
      'other',
      `${this.#id}: it had lost its power or was reset; its outputs are at their safe values again`,
    )
  }

  #configure(): void {
    // BANK = 0, SEQOP = 0: the address goes on by itself, so both ports are one transfer (3.2.1).
    this.#i2c.write(Uint8Array.of(registers.iocon, 0))
    this.#put(registers.olat, this.#latch)
    this.#put(registers.gppu, this.#pullUps)
    this.#put(registers.iodir, this.#inputs)
    this.#put(registers.defval, mark)
  }

  #put(register: number, value: number): void {
    this.#i2c.write(Uint8Array.of(register, value & 0xff, (value >> 8) & 0xff))
  }

  #get(register: number): number {
    const [a = 0, b = 0] = this.#i2c.writeRead(Uint8Array.of(register), 2)
    return a | (b << 8)
  }

  #error(code: 'unsupported' | 'out-of-range' | 'busy', pin: PinRef, why: string): HalError {
    return new HalError(code, `${this.#id}: pin ${pin}: ${why}`)
  }
}
