/** `ganglion agent run|list|logs|stop|resume|remove`: the agents of a running device. */
import type { Content } from '../../agent/bundle/bundle.ts'
import { plainWords } from '../../agent/bundle/plain-words.ts'
import {
  type Grant,
  grantsOfWants,
  parseGrants,
  printGrants,
  refuseWider,
} from '../../agent/permissions/grant.ts'
import { realClock, sleep } from '../../base/clock.ts'
import { CodedError, UsageError } from '../../base/errors.ts'
import { type AgentDone, type AgentLogs, type AgentView, signedParts } from '../../wire/agents.ts'
import { agentsOnline, agentsPath, deviceOfAgent } from '../agent-device.ts'
import { confirm } from '../confirm.ts'
import type { Context } from '../context.ts'
import { openHub } from '../hub.ts'
import type { HubClient } from '../hub-client.ts'
import { onlyDevice } from '../only-device.ts'
import { type PersonOptions, personFor } from '../person.ts'
import { plainText, type Terminal } from '../terminal.ts'
import { grantsIn, introduction, readAgent } from './agent-source.ts'

export interface AgentOptions {
  readonly url?: string
  readonly device?: string
}
export interface AgentRunOptions extends AgentOptions, PersonOptions {
  readonly grant?: string
  readonly as?: string
  readonly record?: boolean
}
export interface AgentLogsOptions extends AgentOptions {
  readonly lines: string
  readonly follow?: boolean
}

const installMsMax = 45_000
const followEveryMs = 1_000
const linesMax = 200

/** Where the agent is, if it is there already; else the only device there is. */
async function placeOf(
  options: AgentOptions,
  context: Context,
  name?: string,
): Promise<{ hub: HubClient; device: string; path: string }> {
  const hub = openHub(options, context)
  const device = options.device ?? (await (name === undefined ? onlyDevice(hub) : deviceOfAgent(hub, name)))
  return { hub, device, path: agentsPath(device) }
}

/** Shows what the agent wants, has a person say yes to it, and begins it. Exit code 1 where nobody says yes. */
export async function agentRun(file: string, options: AgentRunOptions, context: Context): Promise<number> {
  const { terminal } = context
  const content = await readAgent(file, options.as)
  const { hub, device, path } = await placeOf(options, context)
  for (const line of introduction(content, terminal)) terminal.note(line)
  const byPolicy = options.grant === 'policy'
  const grants = byPolicy ? undefined : await grantsOf(content, options, device, context)
  if (grants === undefined && !byPolicy) {
    terminal.error(`${content.manifest.name} was granted nothing and was not started`)
    return 1
  }
  terminal.progress(`  ${device} looks at it`, 'install')
  const asked = { ...(grants === undefined ? {} : { grants }), ...(options.record ? { record: true } : {}) }
  const person = await personFor(
    options,
    device,
    signedParts({ ask: 'run', ...asked }, content.text),
    context,
  )
  const done = await hub.post<AgentDone>(path, { bundle: content.text, ...asked, ...person }, installMsMax)
  const given = done.grants ?? '[]'
  terminal.progressEnd()
  if (terminal.json) terminal.out(JSON.stringify({ device, ...done, grants: JSON.parse(given) }))
  else {
    terminal.out(`${terminal.style('green', '✓')} ${done.name} runs on ${device}`)
    if (byPolicy) for (const line of grantedLines(parseGrants(given))) terminal.note(line)
    terminal.note(terminal.style('dim', `ganglion agent logs ${done.name} -f follows what it says`))
  }
  return 0
}

/** What a person granted, as JSON; undefined: nothing. Never silently. Throws UsageError. */
async function grantsOf(
  { manifest: { name, wants = [] } }: Content,
  { grant }: AgentRunOptions,
  device: string,
  { terminal, signal }: Context,
): Promise<string | undefined> {
  const wanted = printGrants(grantsOfWants(wants))
  if (wants.length === 0 || grant === 'all') return wanted
  if (grant !== undefined) return grantsOfFile(grant, wants, terminal)
  const instead = 'grant it with --grant all, with --grant FILE what it may do, or with --grant policy'
  if (terminal.json) throw new UsageError(`--json asks nobody: ${instead}`)
  return (await confirm(`Let ${name} do this on ${device}?`, instead, signal)) ? wanted : undefined
}

function grantedLines(granted: readonly Grant[]): string[] {
  return [
    granted.length === 0 ? 'Granted: nothing' : 'Granted, to',
    ...granted.map((one) => `  - ${plainWords(one)}`),
  ]
}

function grantsOfFile(file: string, wants: Parameters<typeof refuseWider>[1], terminal: Terminal): string {
  const text = grantsIn(file, '--grant')
  try {
    const granted = parseGrants(text)
    refuseWider(granted, wants)
    for (const line of grantedLines(granted)) terminal.note(line)
    return printGrants(granted)
  } catch (error) {
    if (error instanceof CodedError)
      throw new UsageError(`--grant ${file}: ${error.message}`, { cause: error })
    throw error
  }
}

/** Of all devices that are online, or of one. Exit code 1 where one does not answer. */
export async function agentList(options: AgentOptions, context: Context): Promise<number> {
  const { terminal } = context
  const { answered, silent } = await agentsOnline(openHub(options, context), options.device)
  const agents = answered.flatMap(({ device, agents: of }) => of.map((agent) => ({ device, ...agent })))
  const where = answered.map(({ device }) => device).join(', ')
  if (terminal.json) terminal.out(JSON.stringify({ agents, silent }))
  else if (agents.length > 0)
    for (const line of tableLines(agents, terminal, realClock.nowMs(), answered.length > 1))
      terminal.out(line)
  else if (answered.length > 0)
    terminal.out(
      `${where} ${answered.length > 1 ? 'have' : 'has'} no agents: "ganglion agent run FILE" starts one`,
    )
  for (const { device, reason } of silent) terminal.error(`${device}: ${reason}`)
  return silent.length > 0 ? 1 : 0
}

const stateColours = {
  running: 'green',
  stopped: 'yellow',
  ended: 'dim',
  failed: 'red',
  moving: 'yellow',
  moved: 'yellow',
  arriving: 'yellow',
  standby: 'dim',
} as const
const columns = ['name', 'state', 'turns', 'waits for', 'since']

/** A head, a line each no wider than the terminal, and below an agent that does not run why, or what is wrong about it. */
function tableLines(
  agents: readonly (AgentView & { readonly device: string })[],
  { style, columns: widthMax }: Terminal,
  nowMs: number,
  areSeveral: boolean,
): string[] {
  const rows = agents.map(({ device, name, state, turns, waiting, startedMs }) => [
    ...[name, ...(areSeveral ? [device] : []), state],
    ...[String(turns), waitingWords(waiting) || '-', sinceWords(nowMs - startedMs)],
  ])
  const head = areSeveral ? columns.toSpliced(1, 0, 'device') : columns
  const widths = head.map((column, at) =>
    Math.max(column.length, ...rows.map((cells) => (cells[at] as string).length)),
  )
  const line = (cells: readonly string[]) => {
    const text = cells
      .map((cell, at) => cell.padEnd(widths[at] as number))
      .join('  ')
      .trimEnd()
    return widthMax === undefined || text.length <= widthMax ? text : `${text.slice(0, widthMax - 1)}…`
  }
  return [
    style('dim', line(head)),
    ...agents.flatMap(({ state, reason, problem = reason }, at) => {
      const coloured = line(rows[at] as string[]).replace(
        ` ${state} `,
        ` ${style(stateColours[state], state)} `,
      )
      return problem === undefined
        ? [coloured]
        : [coloured, style('dim', `  ${state === 'ended' ? 'it gave back ' : ''}${plainText(problem)}`)]
    }),
  ]
}

const waits: Readonly<Record<string, string>> = {
  sleep: 'a time',
  cron: 'a time of day',
  on: 'reports',
  until: 'a report',
  command: 'an effect',
  infer: 'a model',
  think: 'a language model',
  ask: 'a person',
  call: 'another agent',
  calls: 'calls',
  lease: 'a lease',
}

function waitingWords(waiting: AgentView['waiting']): string {
  return waiting
    .map(
      ({ op, count }) => `${(Object.hasOwn(waits, op) && waits[op]) || op}${count > 1 ? ` ×${count}` : ''}`,
    )
    .join(', ')
}

function sinceWords(ms: number): string {
  const spans = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
  ] as const
  const [unit, span] = spans.find(([, length]) => ms >= length) ?? ['s', 1_000]
  return `${Math.max(0, Math.floor(ms / span))} ${unit}`
}

/** The last lines; with `follow` those to come, until Ctrl-C. */
export async function agentLogs(name: string, options: AgentLogsOptions, context: Context): Promise<number> {
  const lines = /^\d{1,3}$/.test(options.lines) ? Number(options.lines) : 0
  if (lines < 1 || lines > linesMax) throw new UsageError(`--lines ${options.lines}: 1 to ${linesMax}`)
  const { hub, path } = await placeOf(options, context, name)
  const asked = (most: number) => hub.get<AgentLogs>(`${path}/${encodeURIComponent(name)}/logs?lines=${most}`)
  let seen = (await asked(linesMax)).lines
  for (const line of seen.slice(-lines)) print(line, context.terminal)
  if (seen.length === 0) context.terminal.note(context.terminal.style('dim', `${name} has said nothing yet`))
  while (options.follow) {
    await sleep(realClock, followEveryMs, context.signal)
    const now = (await asked(linesMax)).lines
    for (const line of newLines(seen, now)) print(line, context.terminal)
    seen = now
  }
  return 0
}

type LogLine = AgentLogs['lines'][number]

/** Lines of `now` that come after those of `before`, both being ends of one log: what they share is left out. */
export function newLines(before: readonly LogLine[], now: readonly LogLine[]): readonly LogLine[] {
  const same = (left: LogLine | undefined, right: LogLine | undefined) =>
    left?.atMs === right?.atMs && left?.text === right?.text && left?.level === right?.level
  for (let from = Math.max(0, before.length - now.length); from < before.length; from += 1) {
    const shared = before.slice(from)
    if (shared.every((line, at) => same(line, now[at]))) return now.slice(shared.length)
  }
  return now
}

function print({ atMs, level, text }: LogLine, terminal: Terminal): void {
  if (terminal.json) {
    terminal.out(JSON.stringify({ atMs, level, text }))
    return
  }
  const time = terminal.style('dim', new Date(atMs).toLocaleString('sv-SE'))
  terminal.out(`${time}  ${logText({ level, text }, terminal)}`)
}

export function logText(
  { level, text }: Pick<LogLine, 'level' | 'text'>,
  { style }: Pick<Terminal, 'style'>,
): string {
  return level === 'error' ? style('red', plainText(text)) : plainText(text)
}

const doneWords = {
  stop: 'is stopped; "ganglion agent resume" goes on from there',
  resume: 'goes on',
  remove: 'is removed, with all it left',
} as const

export async function agentChange(
  change: 'stop' | 'resume' | 'remove',
  name: string,
  options: AgentOptions & PersonOptions & { readonly here?: boolean },
  context: Context,
): Promise<number> {
  const { hub, device, path } = await placeOf(options, context, name)
  const here = options.here ? { here: true } : {}
  const person = await personFor(options, device, [change, name, ...Object.keys(here)], context)
  const asked = `${path}/${encodeURIComponent(name)}/${change}`
  const done = await hub.post<AgentDone>(asked, { ...person, ...here }, installMsMax)
  const { terminal } = context
  const words = done.anew ? 'begins anew: its run had ended by an error' : doneWords[change]
  if (terminal.json) terminal.out(JSON.stringify({ device, ...done, did: change }))
  else terminal.out(`${terminal.style('green', '✓')} ${done.name} ${words}`)
  if (done.unrecorded) terminal.note(`Not on record: ${done.unrecorded}`)
  return 0
}
