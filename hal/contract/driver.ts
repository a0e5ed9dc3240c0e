/**
 * What a driver is: a value in the list of `hal/drivers/index.ts` that says which part it drives, what it needs, and how
 * to open it. Drivers touch hardware through `Io` only, so each runs unchanged on Linux and on emulated parts.
 */
import type { ChannelName, Reading } from './channels.ts'
import type { ActuatorKind, Json } from './component.ts'
import type { HalError } from './errors.ts'
import type { Host } from './host.ts'
import type { Io, PinRef } from './io.ts'
import type { Constraint, OutputSpec, OutputValues } from './safety.ts'

/** An option a person may set in the configuration; anything else is refused by name. */
export type OptionRule = { readonly help: string } & (
  | {
      readonly type: 'number'
      readonly min: number
      readonly max: number
      readonly default: number
      readonly unit?: string
    }
  | { readonly type: 'choice'; readonly choices: readonly string[]; readonly default: string }
  | { readonly type: 'boolean'; readonly default: boolean }
  | { readonly type: 'text'; readonly default: string }
)
export type OptionRules = Readonly<Record<string, OptionRule>>
/** Checked against the rules, defaults filled in. */
export type Options = Readonly<Record<string, number | string | boolean>>

/** What a part hangs on. `pins` names each pin that the configuration must give, with what it is for. */
export type Connection =
  | { readonly bus: 'i2c'; readonly addresses: readonly number[]; readonly pins?: PinRules }
  | { readonly bus: 'spi'; readonly pins?: PinRules }
  | { readonly bus: 'serial'; readonly baud: number; readonly pins?: PinRules }
  | { readonly bus: 'one-wire'; readonly families: readonly number[] }
  | { readonly bus: 'pins'; readonly pins: PinRules }

export interface PinRule {
  readonly use: 'input' | 'output' | 'pwm'
  readonly help: string
  readonly optional?: true
}
export type PinRules = Readonly<Record<string, PinRule>>

/** Where one attached part is, after the configuration was checked against the board. */
export interface At {
  /** `i2c-1`, `spi-0.0`, `uart-0`, `w1-0`; absent for parts on pins alone. */
  readonly bus?: string
  /** Header pins of the bus, for a module from disk: it may ask for its bus by them. */
  readonly busPins?: readonly number[]
  /** I2C: a number; 1-Wire: `28-…`. */
  readonly address?: number | string
  readonly pins: Readonly<Record<string, PinRef>>
}

export interface DriverContext {
  readonly io: Io
  readonly at: At
  readonly options: Options
  readonly host: Host
  /** Id of the attached part, for messages. */
  readonly id: string
}

interface DriverBase {
  /** Lower case, as on the part: `bme280`. */
  readonly id: string
  /** For a person: `Bosch BME280 temperature, humidity and pressure sensor`. */
  readonly name: string
  readonly manufacturer: string
  readonly model: string
  /** Title, revision, sections used. */
  readonly datasheet: string
  readonly connection: Connection
  readonly options: OptionRules
}

/** What a channel can measure. */
export interface ChannelRange {
  readonly min: number
  readonly max: number
  /** Largest difference between truth and value that rounding in the part makes. */
  readonly resolution: number
}

export interface SensorDriver extends DriverBase {
  readonly role: 'sensor'
  /** Channels that it gives with these options. */
  channels(options: Options): readonly ChannelName[]
  /** What each channel can measure with these options; the conformance suite walks it. In the list: always there. */
  ranges?(options: Options): Readonly<Partial<Record<ChannelName, ChannelRange>>>
  /** Every byte of a measurement is under a checksum: a corrupted one is `checksum`, never a value. */
  readonly checksummed?: true
  /** How often it may and should be sampled, milliseconds. */
  readonly sampleEveryMs: { readonly min: number; readonly default: number }
  /** A whole `sample` takes no longer, milliseconds; then it counts as hung. */
  readonly sampleMsMax: number
  open(context: DriverContext, signal: AbortSignal): Promise<SensorDevice>
}

/** A sensor, opened. Its shape is ECMA-419's (clause 13), with a promise where a part needs time. */
export interface SensorDevice extends AsyncDisposable {
  readonly identification: {
    readonly model: string
    readonly classification: string
    readonly uniqueId?: string
  }
  /** Measures now. Throws HalError: `no-acknowledge`, `checksum`, `timeout`, `not-present`, `closed`, …; never invents a value. */
  sample(signal: AbortSignal): Promise<Reading>
  /** Changes options that can change while open. Throws HalError `unsupported` for others. */
  configure(options: Options): void
  /** What the part itself reports as wrong, for a person; empty when healthy. */
  faults(): readonly string[]
  /** Parts that report by themselves (motion, serial streams) call it when a new reading is there. */
  onReading?: (reading: Reading) => void
  /** Such parts call it when they can no longer see changes: the next sample may be far away. */
  onError?: (error: HalError) => void
}

/** An actuator driver plans and writes; whether it may is the safety kernel's business, before `write` is called. */
export interface ActuatorDriver extends DriverBase {
  readonly role: 'actuator'
  /** What it is to the home: a relay is a `switch` unless the option `as` says otherwise. */
  kind(options: Options): ActuatorKind
  readonly deviceClass?: string
  features?(options: Options): readonly string[]
  /** `number`: its range and unit. */
  range?(options: Options): {
    readonly min: number
    readonly max: number
    readonly step: number
    readonly unit?: string
  }
  /** `select`: what may be chosen. */
  choices?(options: Options): readonly string[]
  /** Its outputs by local name, each with safe value and limits. */
  outputs(options: Options): readonly OutputSpec[]
  /** Rules that the part itself needs (shoot-through of an H-bridge, lamp sequence), over local output names. */
  constraints?(options: Options): readonly Constraint[]
  /** Safety class, where one has rules of its own. */
  readonly safetyClass?: 'traffic-signal' | 'machine'
  /**
   * Outputs that are plain lines: local name to pin. The kernel's host requests all lines of a chip together and writes
   * them in one request; `write` below is not called for them.
   */
  lines?(
    options: Options,
    at: At,
  ): Readonly<Record<string, { readonly pin: PinRef; readonly activeLow: boolean }>>
  /** The changes of outputs that a command means, pure. Throws HalError `out-of-range` or `unsupported` naming the field. */
  plan(command: Readonly<Record<string, Json>>, options: Options, now: OutputValues): OutputValues
  /** State and attributes for outputs as they are, pure. `readBack` holds what was measured, where something was. */
  telemetry(
    values: OutputValues,
    options: Options,
    readBack: OutputValues,
  ): { readonly state: string; readonly attributes: Readonly<Record<string, Json>> }
  /** Opens what is not a plain line, or what measures a line's effect; absent for drivers of bare lines. */
  open?(context: DriverContext, signal: AbortSignal): Promise<OutputPort>
}

/** Where the kernel's host writes outputs that are not plain lines. Synchronous, quick (≤ 5 ms), throws HalError. */
export interface OutputPort extends AsyncDisposable {
  write(values: OutputValues): void
  /**
   * What the hardware says its outputs are; names left out cannot be read. For an output that is a plain line it counts
   * before the line's own level (a lamp's current says more). Names of no output are measurements, for `telemetry` only.
   */
  readBack?(): OutputValues
  /** What the part finds wrong with what it drives, for a person: a fault `stall`. Asked every cycle; empty when well. */
  stalled?(): readonly string[]
}

/** A part that gives pins to others: an expander, a PWM chip, a converter. Pins are `<id>:<pin>`. */
export interface ProviderDriver extends DriverBase {
  readonly role: 'provider'
  readonly provides: readonly { readonly use: 'digital' | 'pwm' | 'analog'; readonly pins: number }[]
  open(context: DriverContext, signal: AbortSignal): Promise<Provider>
}

/** The subset of `Io` that a provider has; anything else is `unsupported`. Pin references are plain numbers here. */
export interface Provider extends AsyncDisposable {
  readonly io: Partial<Pick<Io, 'digital' | 'digitalBank' | 'pwm' | 'analog'>>
}

export type Driver = SensorDriver | ActuatorDriver | ProviderDriver
