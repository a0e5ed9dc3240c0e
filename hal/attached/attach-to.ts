/** Adds what a person attached to a board that is being opened: to real pins, or to emulated ones where it is simulated. */
import type { Board, OpenBoardOptions } from '../contract/board.ts'
import type { HardwareConfig } from '../contract/hardware-config.ts'
import type { Host } from '../contract/host.ts'
import { parts as knownParts } from '../drivers/index.ts'
import type { BoardParts } from '../open-board.ts'
import type { IoPlan } from '../safety/plan.ts'
import { openAttached } from './attached.ts'
import { AttachedLevers } from './levers.ts'

type Options = Pick<OpenBoardOptions, 'safetyDir'> & {
  readonly roots: NonNullable<OpenBoardOptions['roots']>
}

/** Throws HalError: `malformed` for mistakes in the configuration, others where the threads cannot be opened. */
export async function attachTo(
  parts: BoardParts,
  config: HardwareConfig,
  { safetyDir, roots }: Options,
  host: Host,
  signal: AbortSignal,
): Promise<BoardParts> {
  const attached = await openAttached(
    {
      config,
      board: parts.board,
      drivers: knownParts.map(({ driver }) => driver),
      io: ioPlan(parts.board, parts.simulated, roots),
      layout: parts.layout,
      taken: new Set([...parts.sensors, ...parts.actuators].map(({ info }) => info.id)),
      ...(safetyDir === undefined ? {} : { safetyDir }),
    },
    host,
    signal,
  )
  const { sim } = parts
  return {
    ...parts,
    layout: attached.layout,
    sensors: [...parts.sensors, ...attached.sensors],
    actuators: [...parts.actuators, ...attached.actuators],
    behind: [...(parts.behind ?? []), attached],
    ...(attached.safety ? { safety: attached.safety } : {}),
    ...(sim ? { sim: new AttachedLevers(sim, attached, host) } : {}),
  }
}

function ioPlan(board: Board, simulated: boolean, roots: Options['roots']): IoPlan {
  return simulated ? { kind: 'emulated', board } : { kind: 'linux', board, roots }
}
