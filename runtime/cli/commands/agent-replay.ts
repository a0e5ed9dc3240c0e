/** `ganglion agent replay`: the recorded runs of this machine's device, and one of them once more, with the program it had or another. */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { parsedContent } from '../../agent/bundle/bundle.ts'
import { recordingsIn, runFileOf } from '../../agent/replay/recordings.ts'
import { type Asked, type Difference, type ReplayReport, replay } from '../../agent/replay/replay.ts'
import { type RunFile, readRunFile, runBytesMax } from '../../agent/replay/run-file.ts'
import { agentsIn } from '../../agent/store/agents-dir.ts'
import { readEngineFiles } from '../../agent/vm/engine-files.ts'
import { messageOf, UsageError } from '../../base/errors.ts'
import type { Context } from '../context.ts'
import { deviceStateDir, deviceStateDirs } from '../device-dir.ts'
import { exitCodes } from '../exit.ts'
import { megabytes, plainText, type Terminal } from '../terminal.ts'
import { readAgent } from './agent-source.ts'

export interface AgentReplayOptions {
  readonly with?: string
  readonly config?: string
}

/** Lists the runs where none is named. Exit code 1 where the recorded program does not say again what it said, or cannot go on. */
export async function agentReplay(
  run: string | undefined,
  options: AgentReplayOptions,
  context: Context,
): Promise<number> {
  const { config } = options
  const dirs = config === undefined ? deviceStateDirs(context) : [deviceStateDir(config, context)]
  const directories = dirs.map((dir) => recordingsIn(agentsIn(dir)))
  if (run === undefined) return list(directories, context.terminal)
  const { terminal } = context
  const file = readRun(pathOf(run, directories))
  const { wasm, guest } = readEngineFiles()
  const engine = createHash('sha256').update(wasm).digest('hex')
  const recorded = { guest: file.header.guest, program: parsedContent(file.header.content).program }
  const program =
    options.with === undefined ? recorded : { guest, program: (await readAgent(options.with)).program }
  if (!terminal.json) terminal.note(introduction(file, engine))
  const report = await replay(
    { ...file.header, turns: file.turns },
    { wasm: await WebAssembly.compile(wasm), ...program },
    (turn) => terminal.progress(`  turn ${turn} of ${file.turns.length}`, 'replay'),
  )
  terminal.progressEnd()
  if (terminal.json) terminal.out(JSON.stringify({ run: file.header.run, over: file.over, ...report }))
  else for (const line of reportLines(file, report, options.with, terminal)) terminal.out(line)
  const same = report.differences.length === 0
  return report.fault === undefined && (same || options.with !== undefined)
    ? exitCodes.done
    : exitCodes.failed
}

interface Found {
  readonly run: string
  readonly agent: string
  readonly bytes: number
  readonly changedMs: number
}

/** The newest first. */
function runsIn(directories: readonly string[]): (Found & { readonly directory: string })[] {
  return directories
    .flatMap((directory) =>
      (existsSync(directory) ? readdirSync(directory) : []).flatMap((name) => {
        const [, run, agent] = /^((.+)\.\d+)\.jsonl$/.exec(name) ?? []
        if (run === undefined || agent === undefined) return []
        const { size: bytes, mtimeMs } = statSync(join(directory, name))
        return [{ run, agent, bytes, changedMs: Math.floor(mtimeMs), directory }]
      }),
    )
    .sort((left, right) => right.changedMs - left.changedMs)
}

function list(directories: readonly string[], terminal: Terminal): number {
  const runs: Found[] = runsIn(directories).map(({ directory: _, ...run }) => run)
  if (terminal.json) terminal.out(JSON.stringify({ runs }))
  else if (runs.length === 0)
    terminal.out(
      'no run is recorded here: "ganglion agent run AGENT --record" records one from its beginning',
    )
  const width = Math.max(...runs.map(({ run }) => run.length))
  if (!terminal.json)
    for (const { run, bytes, changedMs } of runs)
      terminal.out(`${run.padEnd(width)}  ${megabytes(bytes).padStart(8)}  until ${when(changedMs)}`)
  return exitCodes.done
}

/** A run, the newest of an agent, or a file that was copied from elsewhere. Throws UsageError. */
function pathOf(run: string, directories: readonly string[]): string {
  const found = runsIn(directories).find((one) => one.run === run || one.agent === run)
  if (found) return join(found.directory, runFileOf(found.run))
  if (statSync(run, { throwIfNoEntry: false })?.isFile()) return run
  throw new UsageError(
    `no run of ${run} is recorded in ${directories.join(', ')}: "ganglion agent replay" lists those that are; where one came here without its run, "ganglion agent logs NAME" says so`,
  )
}

function readRun(path: string): RunFile {
  try {
    if (statSync(path).size > runBytesMax) throw new Error(`more than ${megabytes(runBytesMax)}`)
    return readRunFile(readFileSync(path))
  } catch (error) {
    throw new UsageError(`cannot read ${path}: ${messageOf(error)}`, { cause: error })
  }
}

function introduction({ header, turns, over }: RunFile, engine: string): string {
  const until = turns.at(-1)?.nowMs ?? header.startedMs
  const moved = turns.flatMap(({ inputs }) =>
    inputs.flatMap((one) => (one.kind === 'moved' ? one.device : [])),
  )
  const lines = [
    `${header.agent} on ${[header.device, ...moved].join(', then ')}, ${when(header.startedMs)} to ${when(until)}, ${turns.length} turns`,
  ]
  if (over !== undefined) lines.push(`it was recorded no further: ${over}`)
  if (engine !== header.engine)
    lines.push('the engine is another than it was then: a difference may be the engine’s')
  return lines.join('\n')
}

function reportLines(
  { turns }: RunFile,
  { differences, unanswered, fault, turns: taken }: ReplayReport,
  changed: string | undefined,
  terminal: Terminal,
): string[] {
  const { style, columns = Number.POSITIVE_INFINITY } = terminal
  const fitted = (line: string) => (line.length <= columns ? line : `${line.slice(0, columns - 1)}…`)
  const lines = differences.flatMap((difference) => differenceLines(difference, style, fitted))
  for (const asked of unanswered) lines.push(style('yellow', fitted(`  ? ${words(asked)}`)))
  if (unanswered.length > 0)
    lines.push('the run has no answer to what stands behind ?: the changed program waited for it to the end')
  if (fault !== undefined) lines.push(style('red', `turn ${taken} of ${turns.length}: ${plainText(fault)}`))
  else if (differences.length > 0)
    lines.push(`${differences.length} of ${turns.length} turns ask for something else`)
  else if (changed === undefined)
    lines.push(`${style('green', '✓')} all ${turns.length} turns ask again for what they asked for`)
  else lines.push(`${style('green', '✓')} ${changed} asks for the same in all ${turns.length} turns`)
  return lines
}

function differenceLines(
  { turn, nowMs, missing, added, end }: Difference,
  style: Terminal['style'],
  fitted: (line: string) => string,
): string[] {
  return [
    style('dim', `turn ${turn}, ${when(nowMs)}`),
    ...missing.map((asked) => style('red', fitted(`  - ${words(asked)}`))),
    ...added.map((asked) => style('green', fitted(`  + ${words(asked)}`))),
    ...(end
      ? [style('red', fitted(`  - ${endWords(end.was)}`)), style('green', fitted(`  + ${endWords(end.is)}`))]
      : []),
  ]
}

const words = ({ op, args }: Asked) => `${op} ${plainText(JSON.stringify(args))}`

function endWords(end: NonNullable<Difference['end']>['was']): string {
  if (!end) return 'it goes on'
  return end.ok
    ? `it ends with ${plainText(JSON.stringify(end.value ?? null))}`
    : `it fails: ${plainText(end.error.split('\n')[0] ?? '')}`
}

const when = (ms: number) => new Date(ms).toLocaleString('sv-SE')
