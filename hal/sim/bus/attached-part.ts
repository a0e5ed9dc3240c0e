/** One emulated part at its place: what it hangs on, and what is wrong with its wires now. */
import type { At, Connection } from '../../contract/driver.ts'
import type { EmulatedPart } from '../../contract/emulator.ts'
import type { BusFault } from './bus-fault.ts'

export interface AttachedPart {
  readonly id: string
  readonly at: At
  readonly connection: Connection
  readonly part: EmulatedPart
  /** The part's own fault, or that of its bus. */
  fault(): BusFault | undefined
}

/** What is attached, by where it is; the buses look parts up in it. */
export interface AttachedParts {
  /** The part at an address, or the only part of a bus without addresses. */
  find(bus: string, address?: number | string): AttachedPart | undefined
  /** The fault of a bus, whether or not a part is attached there. */
  busFault(bus: string): BusFault | undefined
  /** Throws HalError `not-present` where the board has no such bus. */
  requireBus(bus: string): void
  /** Called after every transfer with a part: its outputs may have changed. */
  transferred(part: AttachedPart): void
}
