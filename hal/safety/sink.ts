/**
 * Where outputs are written: the lines of one chip in one bank, or the port of one part. A sink that cannot be opened, or
 * that failed, throws at every write and is opened afresh by `reopen`.
 *
 * Invariants: [safety-2] lines of one chip are requested together at their safe values and change in one request; a
 * port is given its safe values right after it was opened.
 */
import type { DriverContext, OutputPort } from '../contract/driver.ts'
import { HalError } from '../contract/errors.ts'
import type { DigitalBank, Io, PinRef } from '../contract/io.ts'
import type { OutputValues } from '../contract/safety.ts'

export interface Sink {
  /** For messages: `lines of pinctrl-rp1`, `pan`. */
  readonly name: string
  /** Full names, `<part>.<output>`. */
  readonly outputs: readonly string[]
  /** Outputs that are not to be trusted when it fails: its own, and those whose effect it measures. */
  readonly affects: readonly string[]
  /** Writes these of its outputs at once. Throws HalError. */
  write(values: OutputValues): void
  /** What the hardware says, by full name; measurements of a port are there too. Throws HalError. */
  readBack(): OutputValues
  /** What a part finds wrong with what it drives. */
  stalled(): readonly string[]
  /** Opens it at its safe values, closing what was open. Throws HalError. */
  reopen(signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

export interface Line {
  /** Full name. */
  readonly output: string
  readonly pin: PinRef
  readonly activeLow: boolean
  readonly safe: number
}

export class LineSink implements Sink {
  readonly name: string
  readonly outputs: readonly string[]
  readonly affects: readonly string[]
  readonly #io: Io
  readonly #lines: readonly Line[]
  #bank: DigitalBank | undefined

  constructor(io: Io, chip: string, lines: readonly Line[]) {
    this.name = `the lines of ${chip}`
    this.#io = io
    this.#lines = lines
    this.outputs = lines.map(({ output }) => output)
    this.affects = this.outputs
  }

  write(values: OutputValues): void {
    let value = 0
    let mask = 0
    for (const [bit, output] of this.outputs.entries()) {
      const wanted = values[output]
      if (wanted === undefined) continue
      mask |= 1 << bit
      if (wanted !== 0) value |= 1 << bit
    }
    this.#open().write(value >>> 0, mask >>> 0)
  }

  readBack(): OutputValues {
    const value = this.#open().read()
    return Object.fromEntries(this.outputs.map((output, bit) => [output, (value >>> bit) & 1]))
  }

  stalled(): readonly string[] {
    return []
  }

  async reopen(): Promise<void> {
    await this.close()
    this.#bank = this.#io.digitalBank({
      mode: 'output',
      pins: this.#lines.map(({ pin, activeLow, safe }) => ({ pin, activeLow, initial: safe === 0 ? 0 : 1 })),
    })
  }

  async close(): Promise<void> {
    this.#bank?.close()
    this.#bank = undefined
  }

  #open(): DigitalBank {
    if (!this.#bank) throw new HalError('closed', `${this.name} are not open`)
    return this.#bank
  }
}

type OpenPort = (context: DriverContext, signal: AbortSignal) => Promise<OutputPort>

export class PortSink implements Sink {
  readonly name: string
  readonly outputs: readonly string[]
  readonly affects: readonly string[]
  readonly #context: DriverContext
  readonly #openPort: OpenPort
  readonly #safe: OutputValues
  #port: OutputPort | undefined

  /** `safe` holds the local names that are written through the port, `all` every name of the part. */
  constructor(context: DriverContext, openPort: OpenPort, safe: OutputValues, all: readonly string[]) {
    this.name = context.id
    this.#context = context
    this.#openPort = openPort
    this.#safe = safe
    this.outputs = Object.keys(safe).map((output) => `${context.id}.${output}`)
    this.affects = all.map((output) => `${context.id}.${output}`)
  }

  write(values: OutputValues): void {
    const port = this.#open()
    const local: Record<string, number> = {}
    for (const name of Object.keys(this.#safe)) {
      const wanted = values[`${this.name}.${name}`]
      if (wanted !== undefined) local[name] = wanted
    }
    if (Object.keys(local).length > 0) port.write(local)
  }

  readBack(): OutputValues {
    const local = this.#open().readBack?.() ?? {}
    return Object.fromEntries(Object.entries(local).map(([name, value]) => [`${this.name}.${name}`, value]))
  }

  stalled(): readonly string[] {
    return this.#open().stalled?.() ?? []
  }

  async reopen(signal: AbortSignal): Promise<void> {
    await this.close()
    const port = await this.#openPort(this.#context, signal)
    try {
      if (this.outputs.length > 0) port.write(this.#safe)
      this.#port = port
    } catch (error) {
      await port[Symbol.asyncDispose]()
      throw error
    }
  }

  async close(): Promise<void> {
    const port = this.#port
    this.#port = undefined
    await port?.[Symbol.asyncDispose]()
  }

  #open(): OutputPort {
    if (!this.#port) throw new HalError('closed', `${this.name} is not open`)
    return this.#port
  }
}
