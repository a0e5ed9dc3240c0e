/**
 * What an engine says of itself: asked by whoever wants to know, and every while as long as it works. An engine that does
 * nothing is not woken for it.
 */
import { totalmem } from 'node:os'
import type { Cancel, Clock } from '../../base/clock.ts'
import type { FromEngine } from '../../wire/engine-protocol.ts'
import { type MemoryLimits, MemoryWatch } from './memory-watch.ts'

export type Reading = FromEngine & { readonly t: 'status' }

export interface ReadingsDeps {
  readonly clock: Clock
  /** Sends the question; does nothing while no engine runs. */
  readonly ask: () => void
  readonly onCreep: (rssMb: number) => void
}

/** An engine in the middle of a native run is healthy and silent. */
const answerMsMax = 500

export class Readings {
  readonly #deps: ReadingsDeps
  readonly #everyMs: number
  readonly #watch: MemoryWatch
  readonly #waiting = new Set<(reading: Reading) => void>()
  #machineMb: number | undefined
  #last: Reading | undefined
  #cancel: Cancel | undefined

  constructor(deps: ReadingsDeps, options: { readonly everyMs: number; readonly memory: MemoryLimits }) {
    this.#deps = deps
    this.#everyMs = options.everyMs
    this.#watch = new MemoryWatch(options.memory)
  }

  /** The latest of the engine that runs now. */
  get last(): Reading | undefined {
    return this.#last
  }

  /** Megabytes past which the engine is ended at once; undefined while nothing limits it. */
  peakMb(budgetMb: number | undefined): number | undefined {
    this.#machineMb ??= Math.min(totalmem(), process.constrainedMemory() || Infinity) / 2 ** 20
    return this.#watch.peakMb(budgetMb, this.#machineMb)
  }

  /** A fresh engine, before it has a model: the first reading is that of the bare process. */
  onStarted(): void {
    this.#last = undefined
    this.#watch.onStarted()
    this.#deps.ask()
  }

  onStatus(reading: Reading, budgetMb: number | undefined): void {
    this.#last = reading
    for (const tell of this.#waiting) tell(reading)
    const nowMs = this.#deps.clock.monotonicMs()
    if (this.#watch.read(reading.rssMb, budgetMb, nowMs)) this.#deps.onCreep(reading.rssMb)
    if (this.isOver(budgetMb)) this.onWork()
  }

  /** The latest is over what the engine's memory may creep up to. */
  isOver(budgetMb: number | undefined): boolean {
    const limitMb = this.#watch.limitMb(budgetMb)
    return limitMb !== undefined && this.#last !== undefined && this.#last.rssMb > limitMb
  }

  /** It did something: a reading follows. */
  onWork(): void {
    this.#cancel ??= this.#deps.clock.after(this.#everyMs, () => {
      this.#cancel = undefined
      this.#deps.ask()
    })
  }

  /** It was replaced, or could not be: not again for a while. */
  rest(): void {
    this.#watch.rest(this.#deps.clock.monotonicMs())
  }

  /** A fresh reading; undefined when none comes in time. */
  async ask(): Promise<Reading | undefined> {
    const { promise, resolve } = Promise.withResolvers<Reading | undefined>()
    const cancel = this.#deps.clock.after(answerMsMax, () => resolve(undefined))
    this.#waiting.add(resolve)
    this.#deps.ask()
    try {
      return await promise
    } finally {
      cancel()
      this.#waiting.delete(resolve)
    }
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }
}
