/** `ganglion entities` and `ganglion watch`: what there is, and what changes. */
import { UsageError } from '../../base/errors.ts'
import type { EntitiesAnswer, EntityView } from '../../wire/http.ts'
import type { CommandEvent } from '../../wire/messages.ts'
import type { Context } from '../context.ts'
import { openHub } from '../hub.ts'
import type { Terminal } from '../terminal.ts'

interface EntitiesOptions {
  readonly url?: string
  readonly area?: string
  readonly device?: string
}

/** Throws UsageError for a device that there is not. */
export async function entities(options: EntitiesOptions, context: Context): Promise<number> {
  const hub = openHub(options, context)
  const answer = await hub.get<EntitiesAnswer>('/api/entities')
  const { area, device } = options
  const ids = answer.devices.map(({ id }) => id)
  if (device !== undefined && !ids.includes(device))
    throw new UsageError(`--device ${device}: there is ${ids.join(', ') || 'none'}`)
  const folded = area?.toLowerCase()
  const rows = answer.entities.filter(
    (row) =>
      (folded === undefined || row.areaName?.toLowerCase() === folded) &&
      (device === undefined || row.device === device),
  )
  if (context.terminal.json) context.terminal.out(JSON.stringify({ entities: rows }))
  else printRows(rows, context.terminal)
  return 0
}

function printRows(rows: readonly EntityView[], terminal: Terminal): void {
  if (rows.length === 0) terminal.out('no entities')
  const width = Math.max(0, ...rows.map((row) => row.id.length))
  const several = new Set(rows.map((row) => row.device)).size > 1
  const areas = Map.groupBy(rows, (row) => row.areaName ?? 'no area')
  for (const [area, inside] of [...areas].sort(([a], [b]) => a.localeCompare(b))) {
    terminal.out(terminal.style('bold', area))
    for (const row of inside) {
      const state = row.available ? stateOf(row) : 'unavailable'
      const simulated = row.simulated ? terminal.style('dim', '  simulated') : ''
      const device = several ? terminal.style('dim', `  on ${row.device}`) : ''
      terminal.out(`  ${row.id.padEnd(width)}  ${state.padEnd(14)}  ${row.name}${device}${simulated}`)
    }
  }
}

/** Nothing is measured in a unit that is not known. */
function stateOf({ state, unit }: EntityView): string {
  if (!unit || state === 'unknown') return state
  return unit === '°' ? `${state}°` : `${state} ${unit}`
}

/** Follows the hub until Ctrl-C. With --json one object a line. */
export async function watch(options: { url?: string }, context: Context): Promise<number> {
  const { terminal } = context
  for await (const { event, data } of openHub(options, context).events('/api/events')) {
    if (terminal.json) terminal.out(JSON.stringify({ event, data }))
    else terminal.out(describe(event, data, terminal))
  }
  terminal.error('the hub closed the stream')
  return 1
}

function describe(event: string, data: unknown, terminal: Terminal): string {
  const time = terminal.style('dim', new Date().toISOString().slice(11, 23))
  if (event === 'entity') {
    const row = data as EntityView
    return `${time} ${row.id} ${terminal.style('bold', row.available ? row.state : 'unavailable')}`
  }
  if (event === 'command') return `${time} ${describeStep(data as CommandEvent)}`
  return `${time} ${event} ${JSON.stringify(data)}`
}

function describeStep(step: CommandEvent): string {
  const about = [
    step.entity,
    step.command ? JSON.stringify(step.command) : undefined,
    step.text,
    step.reading?.intent,
    step.evidence?.reason,
  ]
  return `${String(step.sinceMs).padStart(7)} ms ${step.stage.padEnd(10)} ${about.filter(Boolean).join(' ')}`
}
