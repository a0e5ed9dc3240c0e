/** How long a request for a model waits at this gateway: looked up again after a while only, for an answer may come every millisecond. */
import type { Clock } from '../../runtime/base/clock.ts'
import type { Serving } from './serving.ts'

const lifeMs = 20

export class QueueTimes {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #serving: Pick<Serving, 'load'>
  #atMs = Number.NEGATIVE_INFINITY
  #byModel: ReadonlyMap<string, number> = new Map()

  constructor(clock: Pick<Clock, 'monotonicMs'>, serving: Pick<Serving, 'load'>) {
    this.#clock = clock
    this.#serving = serving
  }

  /** Milliseconds; 0 of a model that is not served. */
  of(model: string): number {
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#atMs >= lifeMs) {
      this.#byModel = new Map(this.#serving.load().map((load) => [load.model, load.queueMs]))
      this.#atMs = nowMs
    }
    return Math.round(this.#byModel.get(model) ?? 0)
  }
}
