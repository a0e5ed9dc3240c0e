/** Utterances and commands with their events, newest first, bounded. An event told twice counts once. */
import { signal } from '@preact/signals'
import type { CommandEvent } from '../../../../runtime/wire/messages.ts'
import type { RunRecord } from '../api.ts'

/** What a person scrolls through; older ones stay in the device's own log. */
export const runsMax = 50
/** An utterance that moves every lamp of a large home stays below this. */
const eventsMax = 400

export const runs = signal<readonly RunRecord[]>([])

export function addEvent(event: CommandEvent, device: string): void {
  const before = runs.peek()
  const known = before.find((run) => run.run === event.run && run.device === device)
  if (!known) {
    runs.value = [{ run: event.run, device, events: [event] }, ...before].slice(0, runsMax)
    return
  }
  if (known.events.length >= eventsMax || known.events.some((other) => other.id === event.id)) return
  const grown = { ...known, events: [...known.events, event] }
  runs.value = before.map((run) => (run === known ? grown : run))
}

/** Takes the gateway's record. Runs that only this page saw are kept. */
export function replaceRuns(records: readonly RunRecord[]): void {
  const recorded = new Set(records.map(keyOfRun))
  const others = runs.peek().filter((run) => !recorded.has(keyOfRun(run)))
  runs.value = [...records, ...others].sort((a, b) => startOf(b) - startOf(a)).slice(0, runsMax)
}

export function keyOfRun({ device, run }: RunRecord): string {
  return `${device}/${run}`
}

function startOf(run: RunRecord): number {
  return run.events[0]?.ts ?? 0
}
