/** Which configured part has which pin and which address, even where the configuration has mistakes elsewhere. */
import { checkHardware } from '../attached/check.ts'
import type { Board } from '../contract/board.ts'
import type { Driver } from '../contract/driver.ts'
import type { Examination } from '../contract/examination.ts'
import type { HardwareConfig } from '../contract/hardware-config.ts'
import type { PinRef } from '../contract/io.ts'

/** One part where it is, after the check filled in what was left out, or as written where the check failed. */
export interface PlacedPart {
  readonly id: string
  readonly driver: string
  readonly bus?: string
  readonly address?: number | string
  readonly pins: readonly PinRef[]
}

export interface Uses {
  readonly parts: readonly PlacedPart[]
  /** Mistakes of the configuration, one line each. */
  readonly problems: readonly string[]
  readonly pinUses: Examination['pinUses']
}

export const noUses: Uses = { parts: [], problems: [], pinUses: [] }

export function usesOf(hardware: HardwareConfig, board: Board, drivers: readonly Driver[]): Uses {
  const checked = checkHardware(hardware, board, drivers)
  const parts = checked.ok
    ? checked.plan.parts.map(({ id, driver, at }) => ({
        id,
        driver,
        ...(at.bus === undefined ? {} : { bus: at.bus }),
        ...(at.address === undefined ? {} : { address: at.address }),
        pins: Object.values(at.pins),
      }))
    : hardware.parts.map(({ id, driver, bus, address, pin, pins = {} }) => ({
        id,
        driver,
        ...(bus === undefined ? {} : { bus }),
        ...(address === undefined ? {} : { address }),
        pins: [...(pin === undefined ? [] : [pin]), ...Object.values(pins)],
      }))
  const problems = checked.ok ? [] : checked.problems
  return { parts, problems, pinUses: pinUses(parts, hardware, board) }
}

function pinUses(
  parts: readonly PlacedPart[],
  { safety = {} }: HardwareConfig,
  board: Board,
): Uses['pinUses'] {
  const users = new Map<number, string[]>()
  const take = (ref: PinRef, by: string) => {
    const pin = pinNumber(board, ref)
    if (pin !== undefined) users.set(pin, [...(users.get(pin) ?? []), by])
  }
  for (const { id, bus, pins } of parts) {
    for (const pin of pins) take(pin, id)
    for (const pin of board.buses.find((candidate) => candidate.id === bus)?.pins ?? []) take(pin, id)
  }
  for (const { name, pin } of safety.inputs ?? []) take(pin, name)
  if (safety.emergencyStop) take(safety.emergencyStop.pin, 'emergency stop')
  if (safety.conflictMonitor) take(safety.conflictMonitor.pin, 'conflict monitor')
  return [...users].sort(([a], [b]) => a - b).map(([pin, by]) => ({ pin, by: [...new Set(by)].join(', ') }))
}

/** Undefined for pins of expanders and for what the board has not. */
function pinNumber(board: Board, ref: PinRef): number | undefined {
  const pins = board.headers.flatMap((header) => header.pins)
  return pins.find((pin) => pin.pin === ref || pin.name === ref || (pin.kind === 'gpio' && pin.line === ref))
    ?.pin
}
