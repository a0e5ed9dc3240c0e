/**
 * What the events of one run add up to. Pure. A run is over when each command that was sent has a verdict, or when it
 * was answered, asked back or refused; one that stays silent is called unfinished, never done.
 */
import type { CommandEvent, Evidence, Json, Reading } from '../../../../runtime/wire/messages.ts'
import type { RunRecord } from '../api.ts'

/** The longest verification with its retries stays below this. */
const silentAfterMs = 60_000

export type Verdict = 'done' | 'failed' | 'refused' | 'question' | 'pending' | 'unfinished'

export interface Step {
  readonly id: string
  readonly stage: CommandEvent['stage']
  readonly sinceMs: number
  readonly entity?: string
  readonly command?: Readonly<Record<string, Json>>
  readonly evidence?: Evidence
}

export interface Story {
  /** What was said; undefined for a command that was pressed, not said. */
  readonly transcript: string | undefined
  readonly reply: string | undefined
  readonly reading: Reading | undefined
  readonly verdict: Verdict
  readonly startedTs: number
  readonly totalMs: number
  readonly steps: readonly Step[]
}

export function storyOf(run: RunRecord, nowMs: number): Story {
  const events = [...run.events].sort((a, b) => a.sinceMs - b.sinceMs || a.ts - b.ts)
  const last = events.at(-1)
  const startedTs = last ? last.ts - last.sinceMs : 0
  const verdict = verdictOf(events)
  return {
    transcript: events.find((event) => event.stage === 'heard')?.text,
    reply: events.findLast((event) => event.text !== undefined && event.stage !== 'heard')?.text,
    reading: events.find((event) => event.reading !== undefined)?.reading,
    verdict: verdict === 'pending' && nowMs - startedTs > silentAfterMs ? 'unfinished' : verdict,
    startedTs,
    totalMs: last?.sinceMs ?? 0,
    steps: events.map(stepOf),
  }
}

function verdictOf(events: readonly CommandEvent[]): Verdict {
  const has = (stage: CommandEvent['stage']) => events.some((event) => event.stage === stage)
  const entitiesAt = (...stages: CommandEvent['stage'][]) =>
    new Set(events.filter((event) => stages.includes(event.stage)).map((event) => event.entity))
  const judged = entitiesAt('verified', 'failed', 'refused')
  if ([...entitiesAt('sent')].some((entity) => !judged.has(entity))) return 'pending'
  if (has('failed')) return 'failed'
  if (has('refused')) return 'refused'
  if (has('asked')) return 'question'
  return has('verified') || has('answered') ? 'done' : 'pending'
}

function stepOf(event: CommandEvent): Step {
  return {
    id: event.id,
    stage: event.stage,
    sinceMs: event.sinceMs,
    ...(event.entity !== undefined && { entity: event.entity }),
    ...(event.command !== undefined && { command: event.command }),
    ...(event.evidence !== undefined && { evidence: event.evidence }),
  }
}

export interface Segment {
  readonly stage: Step['stage']
  /** Share of the run's time, 0 to 1. */
  readonly share: number
  readonly ms: number
}

/** The time between the steps, as shares of the whole: what a bar shows. */
export function segmentsOf(story: Story): readonly Segment[] {
  if (story.totalMs <= 0) return []
  let before = 0
  return story.steps.flatMap((step) => {
    const ms = step.sinceMs - before
    before = Math.max(before, step.sinceMs)
    return ms > 0 ? [{ stage: step.stage, share: ms / story.totalMs, ms }] : []
  })
}
