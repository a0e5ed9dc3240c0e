/** What every command gets: where to write, how to be stopped, and the options that all commands share. */
import type { Hal } from '../../hal/contract/board.ts'
import type { Driver } from '../../hal/contract/driver.ts'
import type { Examination } from '../../hal/contract/examination.ts'
import type { HardwareConfig } from '../../hal/contract/hardware-config.ts'
import type { Host } from '../../hal/contract/host.ts'
import type { Inventory } from '../../hal/contract/inventory.ts'
import type { SafetyControl } from '../../hal/contract/safety-control.ts'
import type { Terminal } from './terminal.ts'

export interface Context {
  readonly terminal: Terminal
  /** Aborts on Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal
  /** As given with --state-dir; undefined leaves it to the configuration. */
  readonly stateDir: string | undefined
  /** Where a hub keeps its lock and says how it is reached. */
  readonly hubDir: string
  /** Opens the HAL only for commands that need it. */
  readonly hal: () => Promise<HalDoor>
}

/** The HAL and what it ships, handed in by the composition root. */
export interface HalDoor {
  readonly hal: Hal
  /** The home that a first start simulates. */
  readonly firstHome: string
  /** The home that several devices share where none is named. */
  readonly sharedHome: string
  /** Ids of the boards that are known. */
  readonly boards: readonly string[]
  /** Looks at the machine once; slow. */
  readonly takeInventory: () => Promise<Inventory>
  /** Everything that can be attached. */
  readonly drivers: () => Promise<readonly Driver[]>
  /** Safety of the device on this machine, from outside of its process. */
  readonly safety: SafetyControl
  /** Looks at this machine's hardware once, for `doctor`. */
  readonly examine: (options: {
    readonly host: Pick<Host, 'clock'>
    readonly hardware?: HardwareConfig
    readonly probeBuses: boolean
    /** Names of adapters that are configured. */
    readonly adapters?: readonly string[]
  }) => Promise<Examination>
}
