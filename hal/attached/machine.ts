/**
 * The pins and buses that a thread works on: those of Linux, those of emulated parts, or somebody else's. On emulated
 * ones every part of the thread hangs on its emulator.
 */
import type { Board } from '../contract/board.ts'
import type { At, Connection } from '../contract/driver.ts'
import { HalError } from '../contract/errors.ts'
import type { Host } from '../contract/host.ts'
import type { Io, PinRef } from '../contract/io.ts'
import { parts as knownParts } from '../drivers/index.ts'
import { defaultOptions } from '../drivers/options.ts'
import type { ProviderRegistry } from '../drivers/provider-registry.ts'
import { moduleDriverId } from '../ecma-419/module-driver.ts'
import type { IoPlan, PlannedPart } from '../safety/plan.ts'
import { createEmulatedIo, type EmulatedWorld } from '../sim/bus/index.ts'
import { canonicalPin } from './lines.ts'

export interface Machine {
  readonly io: Io
  readonly emulated?: EmulatedWorld
}

/** Throws HalError where the pins and buses cannot be had. */
export async function openMachine(
  plan: IoPlan,
  parts: readonly PlannedPart[],
  host: Host,
  providers: ProviderRegistry,
): Promise<Machine> {
  if (plan.kind === 'linux') {
    // The FFI library is loaded only where there is hardware.
    const { createLinuxIo } = await import('../linux/linux-io.ts')
    await loadNative()
    return { io: createLinuxIo({ board: plan.board, roots: plan.roots, host, providers }) }
  }
  if (plan.kind === 'module') {
    const made = (await import(plan.url)) as { createIo(host: Host): Io }
    return { io: providers.over(made.createIo(host)) }
  }
  const emulated = createEmulatedIo({ host, providers, ...namesOf(plan.board, parts) })
  for (const part of parts) {
    const { id, at } = part
    const isModule = part.driver === moduleDriverId
    const wanted = isModule ? part.options['emulates'] : part.driver
    const known = knownParts.find(({ driver }) => driver.id === wanted)
    if (!known) continue
    const options = isModule ? defaultOptions(known.driver.options) : part.options
    const place = isModule ? { ...at, pins: renamed(at.pins, known.driver.connection) } : at
    emulated.attach(id, place, known.driver.connection, known.emulator({ host, at: place, options }))
  }
  return { io: emulated.io, emulated }
}

/** A module calls its pins in its own way; the part that answers has its driver's names for them, in the same order. */
function renamed(pins: At['pins'], connection: Connection): At['pins'] {
  const names = connection.bus === 'one-wire' ? [] : Object.keys(connection.pins ?? {})
  return Object.fromEntries(Object.values(pins).map((pin, index) => [names[index] ?? `pin ${index}`, pin]))
}

/** Now, while nobody yet expects an answer of this thread: on a slow board it takes seconds. */
async function loadNative(): Promise<void> {
  const { loadLibc } = await import('../linux/libc.ts')
  try {
    loadLibc()
  } catch (error) {
    // Each part that needs it says so.
    if (!(error instanceof HalError)) throw error
  }
}

/** Buses that the board's description does not have (a USB adapter's) are there because a part is on them. */
function namesOf(
  board: Board,
  parts: readonly PlannedPart[],
): { pinName: (pin: PinRef) => string; buses?: readonly string[] } {
  const buses = [...board.buses.map(({ id }) => id), ...parts.flatMap(({ at }) => at.bus ?? [])]
  return { pinName: (pin) => canonicalPin(board, pin), ...(buses.length > 0 ? { buses } : {}) }
}
