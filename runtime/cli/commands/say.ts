/** `ganglion say` and `ganglion hear`: a command for the running hub, and what became of it. */
import { openAsBlob, statSync } from 'node:fs'
import { messageOf, UsageError } from '../../base/errors.ts'
import { wireLimits } from '../../wire/limits.ts'
import type { CommandReport, SayResult } from '../../wire/messages.ts'
import type { Context } from '../context.ts'
import { exitCodeOf } from '../exit.ts'
import { openHub } from '../hub.ts'
import { milliseconds, type Terminal } from '../terminal.ts'

export interface SayCommandOptions {
  readonly url?: string
  readonly area?: string
  readonly device?: string
}

/** Longest that a command may take, a garage door's travel and a retry included. */
const sayMsMax = 150_000

export async function say(text: string, options: SayCommandOptions, context: Context): Promise<number> {
  const hub = openHub(options, context)
  const { area, device } = options
  const result = await hub.post<SayResult>('/api/say', { text, area, device }, sayMsMax)
  printResult(result, context.terminal)
  return exitCodeOf(result.outcome)
}

export async function hear(file: string, options: SayCommandOptions, context: Context): Promise<number> {
  const recording = await openRecording(file)
  const hub = openHub(options, context)
  const query = new URLSearchParams()
  if (options.area) query.set('area', options.area)
  if (options.device) query.set('device', options.device)
  const result = await hub.upload<SayResult>(`/api/hear?${query}`, recording, 'audio/wav', sayMsMax)
  printResult(result, context.terminal)
  return exitCodeOf(result.outcome)
}

async function openRecording(file: string): Promise<Blob> {
  try {
    const { size } = statSync(file)
    if (size > wireLimits.uploadBytesMax)
      throw new UsageError(`${size} bytes, more than the ${wireLimits.uploadBytesMax} allowed`)
    return await openAsBlob(file, { type: 'audio/wav' })
  } catch (error) {
    throw new UsageError(`cannot hear ${file}: ${messageOf(error)}`, { cause: error })
  }
}

/** One JSON line for a machine; for a person what was heard, said and seen. */
export function printResult(result: SayResult, terminal: Terminal): void {
  if (terminal.json) {
    const { outcome, transcript, reply, commands, latencyMs, reading, options } = result
    terminal.out(JSON.stringify({ outcome, transcript, reply, commands, latencyMs, reading, options }))
    return
  }
  const [mark, colour] = marks[result.outcome]
  terminal.out(
    `${terminal.style(colour, mark)} ${result.reply}  ${terminal.style('dim', milliseconds(result.latencyMs))}`,
  )
  for (const option of result.options ?? []) terminal.out(`  · ${option}`)
  for (const report of result.commands) terminal.out(`  ${commandLine(report, terminal)}`)
}

const marks = {
  done: ['✓', 'green'],
  failed: ['✗', 'red'],
  refused: ['–', 'yellow'],
  question: ['?', 'cyan'],
  uncertain: ['?', 'red'],
} as const

/** `light.living_room_lamp {"state":"on"} → state on, seen after 93 ms` */
export function commandLine(report: CommandReport, terminal: Terminal): string {
  const { evidence } = report
  const what = `${report.entity} ${terminal.style('dim', JSON.stringify(report.command))}`
  if (report.outcome !== 'done')
    return `${what} ${report.outcome}: ${evidence.reason ?? 'no reason was given'}`
  if (evidence.unproven) return `${what} → taken; it does not report whether it was done`
  const tries = evidence.attempts > 1 ? `, at attempt ${evidence.attempts}` : ''
  const before = evidence.reason ? ` (${evidence.reason})` : ''
  return `${what} → ${evidence.expected}, seen after ${milliseconds(report.latencyMs)}${tries}${before}`
}
