/** The last runs (one utterance or command each) with their events, so that a page opened later shows them. Each event once, by its id. */
import type { CommandEvent } from '../../runtime/wire/messages.ts'

export interface Run {
  readonly run: string
  readonly device: string
  readonly events: readonly CommandEvent[]
}

export const runsMax = 100
/** A run of the largest scene: 64 commands with three steps each. */
const eventsPerRunMax = 200

export class CommandTimeline {
  readonly #runs = new Map<string, { readonly device: string; readonly events: Map<string, CommandEvent> }>()

  /** False when the event was known already, or its run is full. */
  add(device: string, event: CommandEvent): boolean {
    const key = `${device}/${event.run}`
    let run = this.#runs.get(key)
    if (!run) {
      run = { device, events: new Map() }
      this.#runs.set(key, run)
      const oldest = this.#runs.keys().next().value
      if (this.#runs.size > runsMax && oldest !== undefined) this.#runs.delete(oldest)
    }
    if (run.events.has(event.id) || run.events.size >= eventsPerRunMax) return false
    run.events.set(event.id, event)
    return true
  }

  /** Newest run first; the events of a run in the order of `sinceMs`. */
  recent(limit: number): Run[] {
    return [...this.#runs.entries()]
      .slice(-limit)
      .reverse()
      .map(([key, { device, events }]) => ({
        run: key.slice(device.length + 1),
        device,
        events: [...events.values()].sort((a, b) => a.sinceMs - b.sinceMs),
      }))
  }
}
