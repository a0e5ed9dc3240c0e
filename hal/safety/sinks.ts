/** Plans the sinks of a device's actuators: which output goes through which. Opens nothing. */
import type { Board } from '../contract/board.ts'
import type { Host } from '../contract/host.ts'
import type { Io } from '../contract/io.ts'
import { chipOf } from './chip-of.ts'
import type { DrivenActuator } from './driven.ts'
import { type Line, LineSink, PortSink, type Sink } from './sink.ts'

/** `Io` takes at most this many lines in one bank; a chip with more has two. */
const linesMax = 32

export function planSinks(
  actuators: readonly DrivenActuator[],
  deps: { readonly io: Io; readonly host: Host; readonly board: Board | undefined },
): readonly Sink[] {
  const byChip = Map.groupBy(actuators.flatMap(linesOf), ({ pin }) => chipOf(pin, deps.board))
  const banks = [...byChip].flatMap(([chip, lines]) =>
    chunks(lines, linesMax).map((chunk) => new LineSink(deps.io, chip, chunk)),
  )
  return [...banks, ...actuators.flatMap((actuator) => portOf(actuator, deps))]
}

function linesOf({ planned, driver, outputs }: DrivenActuator): Line[] {
  const lines = driver.lines?.(planned.options, planned.at) ?? {}
  return Object.entries(lines).map(([name, { pin, activeLow }]) => ({
    output: `${planned.id}.${name}`,
    pin,
    activeLow,
    safe: outputs.find((output) => output.name === name)?.safe ?? 0,
  }))
}

function portOf({ planned, driver, outputs }: DrivenActuator, deps: { io: Io; host: Host }): PortSink[] {
  if (!driver.open) return []
  const lines = driver.lines?.(planned.options, planned.at) ?? {}
  const safe = outputs.filter(({ name }) => !(name in lines)).map(({ name, safe }) => [name, safe] as const)
  const { at, options, id } = planned
  const context = { io: deps.io, at, options, host: deps.host, id }
  const all = outputs.map(({ name }) => name)
  return [new PortSink(context, driver.open.bind(driver), Object.fromEntries(safe), all)]
}

function chunks<Item>(items: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, n) =>
    items.slice(n * size, (n + 1) * size),
  )
}
