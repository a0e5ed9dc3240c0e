/**
 * Time, randomness and ids come from here and nowhere else, so that a simulation can be replayed from its seed.
 * `realClock` is the machine's; `VirtualClock` moves only when told, or jumps from timer to timer.
 */
import { randomUUID } from 'node:crypto'

export type Cancel = () => void

export interface Clock {
  /** Wall-clock time, milliseconds since the Unix epoch. */
  nowMs(): number
  /** Monotonic time, milliseconds; only differences mean something. */
  monotonicMs(): number
  /** Calls `fn` once after `delayMs`. */
  after(delayMs: number, fn: () => void): Cancel
  /** Random number in [0, 1). */
  random(): number
  /** Unique id. */
  newId(): string
}

export const realClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, fn) {
    const timer = setTimeout(fn, delayMs)
    return () => clearTimeout(timer)
  },
  random: () => Math.random(),
  newId: () => randomUUID(),
}

/** Resolves after `delayMs` on `clock`; rejects with the signal's reason when it aborts first. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const onAbort = () => {
      cancel()
      reject(signal?.reason)
    }
    const cancel = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}

interface Timer {
  readonly dueMs: number
  readonly order: number
  readonly fn: () => void
}

/** A clock that stands still until `advance` or `run` moves it. Seeded: same seed, same ids and random numbers. */
export class VirtualClock implements Clock {
  #elapsedMs = 0
  #order = 0
  #ids = 0
  #randomState: number
  readonly #startMs: number
  readonly #timers = new Set<Timer>()

  constructor(options: { startMs?: number; seed?: number } = {}) {
    this.#startMs = options.startMs ?? Date.UTC(2026, 0, 1, 12)
    this.#randomState = (options.seed ?? 1) >>> 0
  }

  nowMs(): number {
    return this.#startMs + this.#elapsedMs
  }

  monotonicMs(): number {
    return this.#elapsedMs
  }

  after(delayMs: number, fn: () => void): Cancel {
    const timer = { dueMs: this.#elapsedMs + Math.max(0, delayMs), order: this.#order++, fn }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  /** Mulberry32 (Tommy Ettinger, public domain): 32 bits of state are enough for simulations. */
  random(): number {
    this.#randomState = (this.#randomState + 0x6d2b79f5) >>> 0
    let t = this.#randomState
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }

  newId(): string {
    this.#ids += 1
    return `id-${this.#ids}`
  }

  /** Moves time on by `ms`, firing the timers that come due, in order. */
  advance(ms: number): void {
    const untilMs = this.#elapsedMs + ms
    for (let next = this.#next(); next && next.dueMs <= untilMs; next = this.#next()) this.#fire(next)
    this.#elapsedMs = untilMs
  }

  /** Runs `work` to its end, jumping to the next timer whenever nothing else can happen. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    let settled = false
    const done = work().finally(() => {
      settled = true
    })
    done.catch(() => {})
    while (!settled) {
      await new Promise((resolve) => setImmediate(resolve))
      const next = this.#next()
      if (!settled && next) this.#fire(next)
    }
    return done
  }

  #next(): Timer | undefined {
    let first: Timer | undefined
    for (const timer of this.#timers) {
      if (!first || timer.dueMs < first.dueMs || (timer.dueMs === first.dueMs && timer.order < first.order))
        first = timer
    }
    return first
  }

  #fire(timer: Timer): void {
    this.#timers.delete(timer)
    this.#elapsedMs = Math.max(this.#elapsedMs, timer.dueMs)
    timer.fn()
  }
}
