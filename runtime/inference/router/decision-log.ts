/**
 * The router's decisions, the latest ones, in memory and nowhere else: when someone asks what in a home tells a lot about
 * them, so it is not written to a disk. No inputs, no outputs. Sources (a model, asked with one priority) share the room
 * evenly: a microphone that asks twenty times a second pushes out its own decisions, and not what a person asked.
 */
import { type Decision, type DecisionAttempt, decisionLineMax } from '../../wire/decisions.ts'

/** Of all together, as they are on the wire. They are some 1 kB each: two minutes of a microphone that is alone. */
const bytesMax = 2 * 1024 * 1024
/** What is older is nobody's question any more. */
const ageMsMax = 60 * 60_000
const listedMax = 20
const linesMax = 16
const attemptsMax = 32

/** A decision while its request is under way. */
export interface OpenDecision {
  readonly id: string
  /** What was tried; ends when `end` is called, once. */
  attempt(attempt: Pick<DecisionAttempt, 'route' | 'kind' | 'model' | 'startMs'>): {
    end(end: Pick<DecisionAttempt, 'outcome' | 'error'> & { readonly endMs: number }): void
  }
  note(line: string): void
  end(result: NonNullable<Decision['result']>): void
}

type Kept = { -readonly [K in keyof Decision]: Decision[K] }

interface Entry {
  readonly kept: Kept
  readonly source: Source
  bytes: number
}

interface Source {
  readonly name: string
  /** The oldest first. */
  readonly entries: Set<Entry>
  bytes: number
}

export class DecisionLog {
  /** The oldest first. */
  readonly #entries = new Map<string, Entry>()
  readonly #sources = new Map<string, Source>()
  #bytes = 0

  open(decision: Omit<Decision, 'attempts' | 'notes' | 'result'>): OpenDecision {
    const kept: Kept = bounded({ ...decision, attempts: [], notes: [] })
    const entry = this.#keep(kept)
    const grow = (told: unknown) => this.#grow(entry, sizeOf(told))
    this.#forget(decision.ts - ageMsMax)
    return {
      id: kept.id,
      attempt(begun) {
        const attempt: DecisionAttempt = bounded({ ...begun, outcome: 'under way' as const })
        if (kept.attempts.length < attemptsMax) {
          kept.attempts.push(attempt)
          grow(attempt)
        }
        return {
          end(end) {
            if (attempt.outcome !== 'under way') return
            Object.assign(attempt, bounded(end))
            if (attempt.error) grow(attempt.error)
          },
        }
      },
      note(line) {
        if (kept.notes.length >= linesMax) return
        kept.notes.push(bounded(line))
        grow(line)
      },
      end(result) {
        if (kept.result) return
        kept.result = bounded(result)
        grow(kept.result)
      },
    }
  }

  of(id: string): Decision | undefined {
    const entry = this.#entries.get(id)
    return entry && structuredClone(entry.kept)
  }

  /** The one of this id, else all whose ids begin with it. */
  beginningWith(id: string): Decision[] {
    const exact = this.of(id)
    if (exact) return [exact]
    const found = [...this.#entries.values()].filter(({ kept }) => kept.id.startsWith(id))
    return found.map(({ kept }) => structuredClone(kept))
  }

  /** The latest ones, newest first: of each source its latest before another one's second. */
  latest(): Decision[] {
    const newestFirst = [...this.#entries.values()].reverse()
    const seen = new Map<Source, number>()
    const ranked = newestFirst.map((entry, at) => {
      const rank = seen.get(entry.source) ?? 0
      seen.set(entry.source, rank + 1)
      return { entry, rank, at }
    })
    const listed = ranked.sort((a, b) => a.rank - b.rank || a.at - b.at).slice(0, listedMax)
    return listed.sort((a, b) => a.at - b.at).map(({ entry }) => structuredClone(entry.kept))
  }

  #keep(kept: Kept): Entry {
    const name = `${kept.priority} ${kept.model}`
    const source = this.#sources.get(name) ?? { name, entries: new Set(), bytes: 0 }
    this.#sources.set(name, source)
    const entry: Entry = { kept, source, bytes: 0 }
    source.entries.add(entry)
    this.#entries.set(kept.id, entry)
    this.#grow(entry, sizeOf(kept))
    return entry
  }

  #grow(entry: Entry, bytes: number): void {
    // It was pushed out while its request was under way.
    if (this.#entries.get(entry.kept.id) !== entry) return
    entry.bytes += bytes
    entry.source.bytes += bytes
    this.#bytes += bytes
    while (this.#bytes > bytesMax) {
      const largest = [...this.#sources.values()].reduce((a, b) => (b.bytes > a.bytes ? b : a))
      for (const oldest of largest.entries) {
        this.#drop(oldest)
        break
      }
    }
  }

  #forget(beforeTs: number): void {
    for (const entry of this.#entries.values()) {
      if (entry.kept.ts >= beforeTs) return
      this.#drop(entry)
    }
  }

  #drop(entry: Entry): void {
    const { source, kept, bytes } = entry
    this.#entries.delete(kept.id)
    source.entries.delete(entry)
    source.bytes -= bytes
    this.#bytes -= bytes
    if (source.entries.size === 0) this.#sources.delete(source.name)
  }
}

function sizeOf(told: unknown): number {
  return JSON.stringify(told).length
}

/**
 * As it may be on the wire: one line that is too long, or a number that is none, would keep all decisions from whoever asks.
 * What a place says of itself, a model's name and an upstream's error end up in here.
 */
function bounded<T>(told: T): T {
  if (typeof told === 'string') return told.slice(0, decisionLineMax) as T
  if (typeof told === 'number') return (Number.isFinite(told) ? Math.max(0, told) : 0) as T
  if (Array.isArray(told)) return told.map(bounded) as T
  if (typeof told !== 'object' || told === null) return told
  return Object.fromEntries(Object.entries(told).map(([key, value]) => [key, bounded(value)])) as T
}
