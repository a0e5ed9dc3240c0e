/** `ganglion top`: the agents of a device, what each uses and waits for, and how much there is of what they share; live. */
import { realClock, sleep } from '../../base/clock.ts'
import type { TopAgent, TopResult } from '../../wire/top.ts'
import type { Context } from '../context.ts'
import { openHub } from '../hub.ts'
import { onlyDevice } from '../only-device.ts'
import { megabytes, milliseconds, type Terminal } from '../terminal.ts'

export interface TopOptions {
  readonly url?: string
  readonly device?: string
  readonly once?: boolean
}

const everyMs = 1_000

/** Until Ctrl-C, on a terminal in place; once in a pipe, and with `--once`. With `--json` one object a look. */
export async function top(options: TopOptions, context: Context): Promise<number> {
  const { terminal, signal } = context
  const hub = openHub(options, context)
  const device = options.device ?? (await onlyDevice(hub))
  const path = `/api/devices/${encodeURIComponent(device)}/top`
  const live = terminal.columns !== undefined && !terminal.json
  let drawn = 0
  for (;;) {
    const now = await hub.get<TopResult>(path)
    if (terminal.json) terminal.out(JSON.stringify({ device, ...now }))
    else {
      const lines = topLines(now, terminal, (terminal.rows ?? Infinity) - 1)
      // Over what was drawn before.
      const back = drawn > 0 ? `\x1b[${drawn}A\x1b[J` : ''
      terminal.out(`${back}${lines.join('\n')}`)
      drawn = lines.length
    }
    if (options.once || !(live || terminal.json)) return 0
    await sleep(realClock, everyMs, signal)
  }
}

const columns = ['AGENT', 'STATE', 'CLASS', 'CPU', 'TURNS/S', 'MEMORY', 'USED', 'WAITS FOR'] as const
/** Numbers stand at the right. */
const rightFrom = 3
const rightTo = 5

/** Plain text first, colour last: widths are the same with and without. No line is wider than the terminal. */
export function topLines(
  { agents, more, resources }: TopResult,
  terminal: Pick<Terminal, 'style' | 'columns'>,
  linesMax = Infinity,
): string[] {
  // Single locks are in `waits for`.
  const shared = cut(
    resources
      .filter(({ fared }) => fared)
      .map(loadText)
      .join(' · '),
    terminal,
  )
  if (agents.length === 0)
    return [...(shared ? [shared] : []), 'no agents: ganglion agent run FILE.ts starts one']
  const room = Math.max(1, linesMax - 3)
  const shown = agents.slice(0, room)
  const rows = shown.map(cells)
  const widths = columns.map((column, at) =>
    Math.max(column.length, ...rows.map((row) => row[at]?.length ?? 0)),
  )
  const hidden = more + agents.length - shown.length
  return [
    shared,
    terminal.style('bold', cut(line(columns, widths), terminal)),
    ...rows.map((row, at) => terminal.style(colourOf(shown[at]), cut(line(row, widths), terminal))),
    ...(hidden > 0 ? [terminal.style('dim', `and ${hidden} more`)] : []),
  ]
}

function cells(agent: TopAgent): string[] {
  const { name, state, priority, cpuShare, turnsPerS, memoryBytes, inMemory } = agent
  return [
    ...[name, state, priority, `${(100 * cpuShare).toFixed(1)} %`, turnsPerS.toFixed(1)],
    inMemory ? megabytes(memoryBytes) : 'on disk',
    usedText(agent),
    waitsText(agent),
  ]
}

function usedText({ used: { cpuMs, tokens, joules, money } }: TopAgent): string {
  const parts = [
    milliseconds(cpuMs),
    tokens > 0 ? `${tokens} tokens` : [],
    // An estimate: more digits would say that it is not.
    joules >= 0.1 ? `~${joules.toPrecision(2)} J` : [],
    money > 0 ? `${money.toFixed(2)} money` : [],
  ]
  return parts.flat().join(', ')
}

function waitsText({ state, waits, over }: TopAgent): string {
  if (over.length > 0 && state === 'running') return `its quota of ${over.join(', ')}`
  return waits.join(', ')
}

const loadText = ({ name, capacity, used, waiting, fared }: TopResult['resources'][number]) => {
  const { refused = 0, longestMs = 0 } = fared ?? {}
  const parts = [
    `${name} ${Math.round(used)}/${capacity}`,
    waiting > 0 ? `${waiting} waiting` : [],
    longestMs >= 1_000 ? `waited up to ${milliseconds(longestMs)}` : [],
    refused > 0 ? `${refused} refused` : [],
  ]
  return parts.flat().join(', ')
}

function line(row: readonly string[], widths: readonly number[]): string {
  const padded = row.map((cell, at) => {
    const width = widths[at] ?? 0
    return at >= rightFrom && at <= rightTo ? cell.padStart(width) : cell.padEnd(width)
  })
  return padded.join('  ').trimEnd()
}

function cut(text: string, { columns: width = Infinity }: Pick<Terminal, 'columns'>): string {
  return text.length > width ? `${text.slice(0, width - 1)}…` : text
}

function colourOf(agent: TopAgent | undefined): Parameters<Terminal['style']>[0] {
  if (agent?.state === 'failed') return 'red'
  if (agent?.state !== 'running') return 'dim'
  return agent.over.length > 0 ? 'yellow' : 'reset'
}
