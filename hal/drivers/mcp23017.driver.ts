/**
 * MCP23017: sixteen pins over I2C, 0 to 7 on port A, 8 to 15 on port B. A bank is written in one transfer to both output
 * latches, so no other order of its lines is ever on the pins. After a loss of power it is at its safe values again, and
 * whoever looks or writes next is told: what was commanded before is not silently put back. Its interrupt pins are not used:
 * edges are found by reading, all watched pins in one transfer (`polled-edges.ts`).
 *
 * Source: Microchip DS20001952C, 3.5. GPA7 and GPB7 (pins 7 and 15) are outputs only: DS20001952D (2022), for parts of any
 * age, because as inputs they can corrupt SDA.
 */
import type { Provider, ProviderDriver } from '../contract/driver.ts'
import { HalError } from '../contract/errors.ts'
import type { Host, HostLog } from '../contract/host.ts'
import type {
  Digital,
  DigitalBank,
  DigitalBankOptions,
  DigitalMode,
  DigitalOptions,
  I2c,
  PinRef,
} from '../contract/io.ts'
import { Mcp23017Registers } from './mcp23017-registers.ts'
import { PolledEdges } from './polled-edges.ts'

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
  async open({ io, at, id, host }) {
    const i2c = io.i2c({ bus: at.bus ?? '', address: Number(at.address) })
    const registers = new Mcp23017Registers(id, i2c)
    try {
      registers.setUp()
    } catch (error) {
      i2c.close()
      throw error
    }
    return new Expander(id, i2c, registers, host)
  },
}

class Expander implements Provider {
  readonly io: Provider['io'] = {
    digital: (options) => {
      const { pin, activeLow = false, initial = 0 } = options
      const line = this.#digital({ mode: options.mode, pins: [{ pin, activeLow, initial }] })
      if (!options.edge || options.mode === 'output') return line
      return this.#watched(line, options)
    },
    digitalBank: (options) => this.#bank(options),
  }
  readonly #id: string
  readonly #i2c: I2c
  readonly #registers: Mcp23017Registers
  readonly #log: HostLog
  readonly #edges: PolledEdges
  /** Bits of pins that a handle has. */
  #taken = 0
  #closed = false

  constructor(id: string, i2c: I2c, registers: Mcp23017Registers, { log, clock }: Host) {
    this.#id = id
    this.#i2c = i2c
    this.#registers = registers
    this.#log = log
    this.#edges = new PolledEdges(() => registers.levels(), clock)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#edges[Symbol.dispose]()
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

  #watched(line: Digital, options: DigitalOptions): Digital {
    try {
      const stop = this.#edges.watch(Number(options.pin), options)
      const close = () => {
        stop()
        line.close()
      }
      return { ...line, close }
    } catch (error) {
      line.close()
      throw error
    }
  }

  #bank({ pins, mode }: DigitalBankOptions): DigitalBank {
    const bits = this.#bits(pins, mode)
    const all = sumOf(bits, () => true)
    const inverted = sumOf(bits, (n) => pins[n]?.activeLow === true)
    const toLevels = (value: number) => sumOf(bits, (n) => ((value >>> n) & 1) === 1) ^ inverted
    const toValue = (levels: number) =>
      bits.reduce((value, bit, n) => ((levels ^ inverted) & bit ? value | (1 << n) : value), 0)
    const first = sumOf(bits, (n) => pins[n]?.initial === 1) ^ inverted
    if (mode === 'output') this.#registers.beginOutputs(all, first)
    else this.#registers.beginInputs(all, mode === 'input-pull-up')
    this.#taken |= all
    let open = true
    const check = () => {
      if (!open || this.#closed) throw new HalError('closed', `${this.#id}: these pins are closed`)
    }
    return {
      read: () => {
        check()
        return toValue(mode === 'output' ? this.#registers.latches() : this.#registers.levels())
      },
      write: (value, mask = 0xffff) => {
        check()
        if (mode !== 'output') throw new HalError('unsupported', `${this.#id}: these pins are inputs`)
        this.#registers.write(
          sumOf(bits, (n) => ((mask >>> n) & 1) === 1),
          toLevels(value),
        )
      },
      /** Outputs stay outputs, at their first values: a floating pin would be no state that anybody chose. */
      close: () => {
        if (!open) return
        open = false
        this.#taken &= ~all
        if (mode === 'output' && !this.#closed) this.#leave(all, first)
      },
    }
  }

  /** A chip that cannot be reached keeps what it has, or has lost it with its power: closing goes on. */
  #leave(bits: number, levels: number): void {
    try {
      this.#registers.write(bits, levels)
    } catch (error) {
      if (!(error instanceof HalError)) throw error
      this.#log.warn('outputs closed without their safe values', { part: this.#id, reason: error.message })
    }
  }

  /** The bit of each pin. Throws HalError for the first that it cannot give. */
  #bits(pins: DigitalBankOptions['pins'], mode: DigitalMode): number[] {
    if (mode === 'input-pull-down' || mode === 'output-open-drain')
      throw this.#error('unsupported', pins[0]?.pin ?? '', `it has no mode ${mode}`)
    const bits: number[] = []
    for (const { pin } of pins) {
      const number = Number(pin)
      if (!Number.isInteger(number) || number < 0 || number >= pinCount)
        throw this.#error('out-of-range', pin, `there are pins 0 to ${pinCount - 1}`)
      const bit = 1 << number
      if (mode !== 'output' && (bit & outputsOnly) !== 0)
        throw this.#error('unsupported', pin, 'it is an output only')
      if ((this.#taken & bit) !== 0 || bits.includes(bit)) throw this.#error('busy', pin, 'it is in use')
      bits.push(bit)
    }
    return bits
  }

  #error(code: 'unsupported' | 'out-of-range' | 'busy', pin: PinRef, why: string): HalError {
    return new HalError(code, `${this.#id}: pin ${pin}: ${why}`)
  }
}

/** The bits for whose place `chosen` is true, together. */
function sumOf(bits: readonly number[], chosen: (place: number) => boolean): number {
  return bits.reduce((sum, bit, place) => (chosen(place) ? sum | bit : sum), 0)
}
