/**
 * What the events of one run add up to. Pure. A run is over when each command that was sent has a verdict, or when it
 * was answered, asked back or refused; one that stays silent is called unfinished, never done.
 */
import type { CommandEvent, Evidence, Json, Reading } from '../../../../runtime/wire/messages.ts'
import type { RunRecord } from '../api.ts'

/** The longest verification with its retries stays below this. */
const silentAfterMs = 60_000

export type Verdict = 'done' | 'taken' | 'failed' | 'refused' | 'question' | 'pending' | 'unfinished'
type Stage = CommandEvent['stage']

/** One command's part in a step. */
export interface Part {
  readonly id: string
  readonly entity: string
  readonly command: Readonly<Record<string, Json>>
  readonly evidence?: Evidence
}

/** Events of one stage that follow each other: eight lamps sent for are one step with eight parts. */
export interface Step {
  readonly id: string
  readonly stage: Stage
  /** When its last event happened. */
  readonly sinceMs: number
  readonly parts: readonly Part[]
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
    steps: stepsOf(events),
  }
}

function verdictOf(events: readonly CommandEvent[]): Verdict {
  const has = (stage: Stage) => events.some((event) => event.stage === stage)
  const entitiesAt = (...stages: Stage[]) =>
    new Set(events.filter((event) => stages.includes(event.stage)).map((event) => event.entity))
  const judged = entitiesAt('verified', 'taken', 'failed', 'refused')
  if ([...entitiesAt('sent')].some((entity) => !judged.has(entity))) return 'pending'
  if (has('failed')) return 'failed'
  if (has('refused')) return 'refused'
  if (has('asked')) return 'question'
  if (has('taken')) return 'taken'
  return has('verified') || has('answered') ? 'done' : 'pending'
}

function stepsOf(events: readonly CommandEvent[]): readonly Step[] {
  const steps: Step[] = []
  for (const event of events) {
    const before = steps.at(-1)
    const parts = partsOf(event)
    if (before?.stage === event.stage)
      steps[steps.length - 1] = {
        ...before,
        sinceMs: event.sinceMs,
        parts: [...before.parts, ...parts],
      }
    else steps.push({ id: event.id, stage: event.stage, sinceMs: event.sinceMs, parts })
  }
  return steps
}

function partsOf({ id, entity, command, evidence }: CommandEvent): readonly Part[] {
  if (entity === undefined) return []
  return [{ id, entity, command: command ?? {}, ...(evidence !== undefined && { evidence }) }]
}

export interface Segment {
  readonly stage: Stage
  /** Share of the run's time, 0 to 1. */
  readonly share: number
}

/** The time up to each step, as shares of the whole: what a bar shows. */
export function segmentsOf(story: Story): readonly Segment[] {
  if (story.totalMs <= 0) return []
  let before = 0
  return story.steps.flatMap((step) => {
    const ms = step.sinceMs - before
    before = step.sinceMs
    return ms > 0 ? [{ stage: step.stage, share: ms / story.totalMs }] : []
  })
}
