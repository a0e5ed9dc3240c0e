/**
 * What became of the last command to each entity: pending until telemetry proved it, then the proof or the honest
 * failure. Filled by this page's own calls and by the events of everybody else's.
 */
import { type Signal, signal } from '@preact/signals'
import type { CommandEvent, CommandReport, Json } from '../../../../runtime/wire/messages.ts'
import { keyOf } from '../entity.ts'
import { commandWords, duration, observedWords } from '../words.ts'

type Command = Readonly<Record<string, Json>>

export interface Outcome {
  readonly kind: 'pending' | 'verified' | 'taken' | 'failed' | 'refused'
  readonly text: string
}
export type Feedback = Outcome | { readonly kind: 'none' }

const none: Feedback = { kind: 'none' }
const all = new Map<string, Signal<Feedback>>()

export function feedbackOf(key: string): Signal<Feedback> {
  const known = all.get(key)
  if (known) return known
  const created = signal<Feedback>(none)
  all.set(key, created)
  return created
}

/** Entities that this page is waiting for, with the number of the newest call: only that one may settle the card. */
const inFlight = new Map<string, number>()
let calls = 0

/** Shows a command as pending. The number that comes back settles it. */
export function begin(key: string, command: Command): number {
  calls += 1
  inFlight.set(key, calls)
  feedbackOf(key).value = pending(command)
  return calls
}

/** Shows what became of a call, unless a newer one took over the card. */
export function settle(key: string, call: number, feedback: Outcome): void {
  if (inFlight.get(key) !== call) return
  inFlight.delete(key)
  feedbackOf(key).value = feedback
}

function pending(command: Command): Outcome {
  return { kind: 'pending', text: `Asked for ${commandWords(command)}, checking` }
}

/** The words for a report: proof, or what was seen instead. */
export function settled(report: CommandReport): Outcome {
  const words = commandWords(report.command)
  if (report.outcome === 'done' && report.evidence.unproven) return { kind: 'taken', text: takenWords(words) }
  if (report.outcome === 'done')
    return { kind: 'verified', text: `Verified: ${words}, ${duration(report.latencyMs)}` }
  return { kind: report.outcome, text: failureWords(report) }
}

/** For what no telemetry can show. */
function takenWords(words: string): string {
  return `Taken: ${words}. It does not report whether it was done`
}

/** One honest line: the device's own reason, or what its telemetry still shows. */
export function failureWords(report: Pick<CommandReport, 'evidence' | 'command' | 'outcome'>): string {
  const { evidence } = report
  const start = report.outcome === 'refused' ? 'Refused' : 'Did not work'
  if (evidence.reason) return `${start}: ${evidence.reason}`
  if (!evidence.observed) return `${start}: nothing was reported back`
  return `${start}: still ${observedWords(evidence.observed, report.command)}`
}

/** Follows a command that somebody else gave: by voice, by an agent, on another page. */
export function followEvent(event: CommandEvent, device: string): void {
  if (event.entity === undefined) return
  const key = keyOf({ device, id: event.entity })
  if (inFlight.has(key)) return
  const feedback = feedbackOf(key)
  const command = event.command ?? {}
  if (event.stage === 'sent') {
    feedback.value = pending(command)
  } else if (event.stage === 'verified') {
    feedback.value = {
      kind: 'verified',
      text: `Verified: ${event.evidence?.expected ?? commandWords(command)}, ${duration(event.sinceMs)}`,
    }
  } else if (event.stage === 'taken') {
    feedback.value = { kind: 'taken', text: takenWords(commandWords(command)) }
  } else if (event.stage === 'failed' || event.stage === 'refused') {
    const kind = event.stage
    const evidence = event.evidence ?? { expected: '', attempts: 0 }
    feedback.value = { kind, text: failureWords({ outcome: kind, evidence, command }) }
  }
}
