/**
 * What a person writes to attach hardware: parts by driver id and pin or bus address, and rules over their outputs.
 * Shapes only; `hal/attached` checks them against drivers and board and names the place of each mistake.
 */
import type { PinRef } from './io.ts'
import type { Constraint } from './safety.ts'

export interface PartConfig {
  /** Id of the driver: `bme280`. */
  readonly driver: string
  /** Id of the part on this device: letters, digits, `_`; its entities begin with it. */
  readonly id: string
  readonly name?: string
  readonly area?: string
  /** `i2c-1`, `spi-0.0`, `uart-0`, `w1-0`; may be left out where the board has one bus of the kind. */
  readonly bus?: string
  /** I2C address (`0x76`), or `28-…` on 1-Wire; may be left out where the part has one address. */
  readonly address?: number | string
  /** For parts with one pin. */
  readonly pin?: PinRef
  readonly pins?: Readonly<Record<string, PinRef>>
  /** Milliseconds; the driver's default otherwise. */
  readonly sampleEveryMs?: number
  readonly options?: Readonly<Record<string, number | string | boolean>>
  /** A sensor module in the form of ECMA-419, by path, instead of `driver` (which is then `ecma-419`). */
  readonly module?: string
  /** Actuators: only a holder of equal or higher rank may take it over. Default: the last command wins. */
  readonly exclusive?: boolean
  /** Actuators: keep what a network client commanded while the network is away. Default: go safe. */
  readonly keepWithoutNetwork?: boolean
}

export interface SafetyConfig {
  readonly constraints?: readonly Constraint[]
  /** Lines that rules may need, by name: a float switch, a door contact. */
  readonly inputs?: readonly { readonly name: string; readonly pin: PinRef; readonly activeLow?: boolean }[]
  /** Closed while all is well; opening it (a broken wire too) stops everything. */
  readonly emergencyStop?: { readonly pin: PinRef; readonly activeLow?: boolean }
  /** Closed while an external conflict monitor is content. Needed by traffic signals. */
  readonly conflictMonitor?: { readonly pin: PinRef; readonly activeLow?: boolean }
  /** `automatic`: armed when every check at start passed; `person`: armed at the device. Machines and signals: always `person`. */
  readonly arming?: 'automatic' | 'person'
  /** Path of the hardware watchdog, for example `/dev/watchdog`. Absent: none is fed. */
  readonly watchdog?: string
  /** The control loop may be silent this long before everything goes safe, milliseconds. */
  readonly silenceMsMax?: number
}

export interface HardwareConfig {
  readonly parts: readonly PartConfig[]
  readonly safety?: SafetyConfig
}
