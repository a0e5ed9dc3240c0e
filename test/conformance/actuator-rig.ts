/**
 * One emulated machine with actuators on it, written to as the safety kernel's host writes: lines in one bank a part, the
 * rest through the driver's port, safe values first.
 */
import type { Command } from '../../hal/contract/actuator.ts'
import type { ActuatorDriver, At, DriverContext, Options, OutputPort } from '../../hal/contract/driver.ts'
import type { EmulatedPart, Emulator } from '../../hal/contract/emulator.ts'
import type { DigitalBank, PinRef } from '../../hal/contract/io.ts'
import type { OutputValues } from '../../hal/contract/safety.ts'
import { defaultOptions } from '../../hal/drivers/options.ts'
import { createEmulatedIo, type EmulatedWorld } from '../../hal/sim/bus/index.ts'
import type { VirtualClock } from '../../runtime/base/clock.ts'
import { testHost } from '../unit/hal/host.ts'
import { never, placeOf } from './sensor-rig.ts'

export interface ActuatorPart {
  readonly driver: ActuatorDriver
  readonly emulator: Emulator
}

export class ActuatorRig {
  readonly clock: VirtualClock
  readonly world: EmulatedWorld
  readonly driver: ActuatorDriver
  readonly options: Options
  readonly #emulator: Emulator
  readonly #host: ReturnType<typeof testHost>['host']

  constructor(part: ActuatorPart, options: Options = {}) {
    const { host, clock } = testHost()
    this.#host = host
    this.clock = clock
    this.world = createEmulatedIo({ host })
    this.driver = part.driver
    this.options = { ...defaultOptions(part.driver.options), ...options }
    this.#emulator = part.emulator
  }

  /** Hangs the n-th part on the machine. */
  attach(id: string, nth = 0): EmulatedPart {
    const at = placeOf(this.driver.connection, nth)
    const part = this.#emulator({ host: this.#host, at, options: this.options })
    this.world.attach(id, at, this.driver.connection, part)
    return part
  }

  context(id: string, nth = 0): DriverContext {
    const at: At = placeOf(this.driver.connection, nth)
    return { io: this.world.io, at, options: this.options, host: this.#host, id }
  }

  async open(id: string, nth = 0): Promise<OpenActuator> {
    const context = this.context(id, nth)
    const { driver, options } = this
    const safe = safeValues(driver, options)
    const lines = Object.entries(driver.lines?.(options, context.at) ?? {})
    const port = await driver.open?.(context, never)
    const bank = await this.#bank(context, lines, safe).catch(async (error: unknown) => {
      await port?.[Symbol.asyncDispose]()
      throw error
    })
    const names = lines.map(([name]) => name)
    const opened = new OpenActuator(driver, options, { names, bank }, port, safe)
    opened.write(safe)
    return opened
  }

  async #bank(context: DriverContext, lines: Lines, safe: OutputValues): Promise<DigitalBank | undefined> {
    if (lines.length === 0) return undefined
    const pins = lines.map(([name, line]) => ({
      ...line,
      initial: safe[name] === 1 ? (1 as const) : (0 as const),
    }))
    return context.io.digitalBank({ mode: 'output', pins })
  }
}

type Lines = readonly (readonly [string, { readonly pin: PinRef; readonly activeLow: boolean }])[]

export function safeValues(driver: ActuatorDriver, options: Options): OutputValues {
  return Object.fromEntries(driver.outputs(options).map(({ name, safe }) => [name, safe]))
}

/** An actuator, opened. */
export class OpenActuator implements AsyncDisposable {
  values: OutputValues
  readonly driver: ActuatorDriver
  readonly port: OutputPort | undefined
  readonly #options: Options
  readonly #lines: { readonly names: readonly string[]; readonly bank: DigitalBank | undefined }

  constructor(
    driver: ActuatorDriver,
    options: Options,
    lines: { readonly names: readonly string[]; readonly bank: DigitalBank | undefined },
    port: OutputPort | undefined,
    safe: OutputValues,
  ) {
    this.driver = driver
    this.port = port
    this.values = safe
    this.#options = options
    this.#lines = lines
  }

  write(values: OutputValues): void {
    this.values = { ...this.values, ...values }
    const { names, bank } = this.#lines
    bank?.write(names.reduce((bits, name, n) => (this.values[name] === 1 ? bits | (1 << n) : bits), 0))
    const rest = Object.fromEntries(Object.entries(this.values).filter(([name]) => !names.includes(name)))
    if (Object.keys(rest).length > 0) this.port?.write(rest)
  }

  command(command: Command): void {
    this.write(this.driver.plan(command, this.#options, this.values))
  }

  readBack(): OutputValues {
    const { names, bank } = this.#lines
    const level = bank?.read() ?? 0
    const lines = Object.fromEntries(names.map((name, n) => [name, (level >>> n) & 1]))
    return { ...lines, ...this.port?.readBack?.() }
  }

  telemetry() {
    return this.driver.telemetry(this.values, this.#options, this.readBack())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#lines.bank?.close()
    await this.port?.[Symbol.asyncDispose]()
  }
}
