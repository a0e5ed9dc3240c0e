/** What `doctor` found out about a machine: plain data, the same for a person's eyes and for `--json`. */
import type { Header } from './board.ts'

export type Severity = 'ok' | 'warn' | 'fail'

export interface Finding {
  /** What was looked at: `buses`, `power`, `part porch_climate`. */
  readonly check: string
  readonly severity: Severity
  /** One line. */
  readonly found: string
  /** What to do, one line. */
  readonly next?: string
}

/** Somebody on a bus. */
export interface BusAnswer {
  /** `0x76`, or `28-0000075a1b2c` on 1-Wire. */
  readonly address: string
  /** Kernel driver that has the part; it was not asked. */
  readonly kernelDriver?: string
  /** Ids of configured parts at this address. */
  readonly configured: readonly string[]
  /** Ids of drivers that know this address; only a guess. */
  readonly couldBe: readonly string[]
}

export interface BusReport {
  readonly id: string
  readonly kind: 'i2c' | 'spi' | 'serial' | 'one-wire' | 'can'
  readonly state: 'on' | 'off' | 'denied'
  /** Device node or network interface. */
  readonly path?: string
  readonly pins: readonly number[]
  /** Who is there. Absent: nobody was asked. */
  readonly answers?: readonly BusAnswer[]
  /** Why it is off or was not asked, and what to do. */
  readonly note?: string
}

export interface NodeReport {
  readonly path: string
  /** What it is: label of a GPIO chip, name of a tty's driver. */
  readonly name?: string
  readonly usable: boolean
  /** Group that may use it. */
  readonly group?: string
}

export interface Examination {
  readonly board: {
    readonly id: string
    readonly name: string
    readonly recognisedBy: string
    /** Nothing listed matched: what remains by architecture. */
    readonly generic: boolean
  }
  readonly headers: readonly Header[]
  /** Which part of the configuration has a pin of the header. */
  readonly pinUses: readonly { readonly pin: number; readonly by: string }[]
  readonly buses: readonly BusReport[]
  readonly gpioChips: readonly NodeReport[]
  readonly serialPorts: readonly NodeReport[]
  readonly accelerators: readonly {
    readonly id: string
    readonly name: string
    readonly claim: string
    readonly usable: boolean
    readonly whyNot?: string
  }[]
  readonly thermal: readonly {
    readonly type: string
    readonly tempC: number
    readonly verdict: 'ok' | 'warm' | 'critical'
    readonly warnC?: number
    readonly criticalC?: number
  }[]
  readonly power: readonly {
    readonly kind: 'under-voltage' | 'rail' | 'throttle'
    readonly name: string
    readonly alarm?: boolean
    readonly rails?: readonly {
      readonly label: string
      readonly volts?: number
      readonly amperes?: number
      readonly watts?: number
    }[]
    readonly whyNot?: string
  }[]
  readonly memory: {
    readonly totalMb?: number
    readonly availableMb?: number
    readonly budgetMb: { readonly runtime: number; readonly engine: number }
  }
  readonly watchdog?: {
    readonly path: string
    readonly identity?: string
    readonly timeoutS?: number
    /** What the board's hardware can be set to. */
    readonly maxS?: number
    /** Somebody feeds it already. */
    readonly active: boolean
    readonly usable: boolean
  }
  /** Groups that the user is in, and those that own device nodes that the user may not use. */
  readonly groups: {
    readonly in: readonly string[]
    readonly missing: readonly { readonly group: string; readonly nodes: readonly string[] }[]
  }
  readonly findings: readonly Finding[]
}
