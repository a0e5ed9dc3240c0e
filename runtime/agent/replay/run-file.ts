/**
 * A recorded run on the disk: a file of lines that is only ever appended to, so that it can be read while the agent runs, copied to
 * another machine, and cut by a power loss without losing more than its last line.
 *
 *     {"v":1,"run":"night-watch.1763865600123","agent":"night-watch",…,"content":"<first line of the bundle>"}
 *     {"turn":1,"nowMs":…,"inputs":[…],"output":{"calls":[…],"cancels":[…]}}
 *     …
 *     {"over":"its 16 MB are full"}
 *
 * Invariants: [recorded-1] what is read are the turns from the first on, without a gap, up to the last line that is whole.
 */
import * as v from 'valibot'
import { CodedError } from '../../base/errors.ts'
import { check } from '../../wire/messages.ts'
import type { RecordedTurn } from './replay.ts'

/** A file is read whole. */
export const runBytesMax = 256 * 1024 * 1024

export class RunFileError extends CodedError<'malformed' | 'version' | 'too-large'> {
  override readonly name = 'RunFileError'
}

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const header = v.object({
  v: v.literal(1),
  /** `<agent>.<token>`. */
  run: v.pipe(v.string(), v.maxLength(100)),
  agent: v.pipe(v.string(), v.maxLength(64)),
  device: v.string(),
  token: count,
  seed: count,
  startedMs: v.number(),
  /** SHA-256 of the engine, hex, and what ran in every machine before the program. */
  engine: v.string(),
  guest: v.objectWithRest({ 'ganglion:guest': v.string() }, v.string()),
  /** Content of its bundle. */
  content: v.string(),
})
export type RunHeader = v.InferOutput<typeof header>

/** Only this program's own lines are ever replayed, in a machine that can do nothing: their shape is enough. */
const turnLine = v.object({
  turn: v.pipe(count, v.minValue(1)),
  nowMs: v.number(),
  inputs: v.array(v.looseObject({ kind: v.string() })),
  output: v.looseObject({ calls: v.array(v.looseObject({ op: v.string() })), cancels: v.array(v.number()) }),
})
const overLine = v.object({ over: v.string() })

export interface RunFile {
  readonly header: RunHeader
  readonly turns: readonly RecordedTurn[]
  /** Why it was recorded no further. */
  readonly over?: string
}

export function headerLine(run: RunHeader): string {
  return `${JSON.stringify(run)}\n`
}

export function lineOf(turn: number, { nowMs, inputs, output }: RecordedTurn): string {
  const { calls, cancels, end } = output
  return `${JSON.stringify({ turn, nowMs, inputs, output: { calls, cancels, ...(end ? { end } : {}) } })}\n`
}

export function lastLine(over: string): string {
  return `${JSON.stringify({ over })}\n`
}

/** Where a file ends, or would behind its turn `turnsMax`: found by its lines alone, so that a large one holds nothing up. */
export function endOf(
  bytes: Buffer,
  turnsMax = Number.POSITIVE_INFINITY,
): { readonly turns: number; readonly wholeBytes: number; readonly isOver: boolean } {
  let turns = -1
  let lineBegin = 0
  let wholeBytes = 0
  for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, end + 1)) {
    if (turns === turnsMax && !isLast(bytes, wholeBytes)) break
    turns += 1
    lineBegin = wholeBytes
    wholeBytes = end + 1
  }
  const isOver = turns > 0 && isLast(bytes, lineBegin)
  return { turns: Math.max(0, isOver ? turns - 1 : turns), wholeBytes, isOver }
}

const newline = 0x0a
const isLast = (bytes: Buffer, at: number) => bytes.subarray(at, at + overBegins.length).equals(overBegins)
const overBegins = Buffer.from('{"over":')

/** Throws RunFileError. */
export function readRunFile(bytes: Uint8Array): RunFile {
  if (bytes.byteLength > runBytesMax)
    throw new RunFileError('too-large', `a recorded run has at most ${runBytesMax} bytes`)
  const text = Buffer.from(bytes).toString('utf8')
  const lines = text.split('\n')
  // What follows the last line's end is half a line, or nothing.
  lines.pop()
  const read = readHeader(lines[0] ?? '')
  const turns: RecordedTurn[] = []
  let over: string | undefined
  for (const line of lines.slice(1)) {
    const value = parsed(line)
    const end = check(overLine, value)
    const turn = check(turnLine, value)
    if (end.ok) over = end.value.over
    else if (turn.ok && turn.value.turn === turns.length + 1)
      turns.push(turn.value as unknown as RecordedTurn)
    else
      throw new RunFileError(
        'malformed',
        `line ${turns.length + 2} is not turn ${turns.length + 1} of the run`,
      )
    if (over !== undefined) break
  }
  return { header: read, turns, ...(over === undefined ? {} : { over }) }
}

function readHeader(line: string): RunHeader {
  const value = parsed(line)
  const version = (value as { v?: unknown } | null | undefined)?.v
  if (typeof version === 'number' && version !== 1)
    throw new RunFileError('version', `the run is of version ${version}, this reads version 1: update`)
  const read = check(header, value)
  if (!read.ok) throw new RunFileError('malformed', 'this is no recorded run of an agent')
  return read.value
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
