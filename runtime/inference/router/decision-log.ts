/**
 * The router's decisions, the latest ones, in memory and nowhere else: when someone asks what in a home tells a lot about
 * them, so it is not written to a disk. No inputs, no outputs.
 */
import { type Decision, type DecisionAttempt, decisionLineMax } from '../../wire/decisions.ts'

/** A quarter of an hour of a busy device; some 1 kB each. */
const keptMax = 500
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

export class DecisionLog {
  readonly #kept = new Map<string, Kept>()

  open(decision: Omit<Decision, 'attempts' | 'notes' | 'result'>): OpenDecision {
    const kept: Kept = bounded({ ...decision, attempts: [], notes: [] })
    this.#kept.set(kept.id, kept)
    const oldest = this.#kept.keys().next().value
    if (this.#kept.size > keptMax && oldest !== undefined) this.#kept.delete(oldest)
    return {
      id: kept.id,
      attempt(begun) {
        const attempt: DecisionAttempt = bounded({ ...begun, outcome: 'under way' as const })
        if (kept.attempts.length < attemptsMax) kept.attempts.push(attempt)
        return {
          end(end) {
            if (attempt.outcome === 'under way') Object.assign(attempt, bounded(end))
          },
        }
      },
      note(line) {
        if (kept.notes.length < linesMax) kept.notes.push(bounded(line))
      },
      end(result) {
        kept.result ??= bounded(result)
      },
    }
  }

  of(id: string): Decision | undefined {
    const kept = this.#kept.get(id)
    return kept && structuredClone(kept)
  }

  /** The one of this id, else all whose ids begin with it. */
  beginningWith(id: string): Decision[] {
    const exact = this.of(id)
    if (exact) return [exact]
    return [...this.#kept.values()].filter((one) => one.id.startsWith(id)).map((one) => structuredClone(one))
  }

  /** The latest ones, newest first. */
  latest(): Decision[] {
    return [...this.#kept.values()]
      .slice(-listedMax)
      .reverse()
      .map((one) => structuredClone(one))
  }
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
