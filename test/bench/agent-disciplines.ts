/** Four ways to serve a trace of agents on the same simulated things: at once, in order of arrival, in turn, and ours. */
import { Scheduler } from '../../runtime/agent/scheduler/scheduler.ts'
import { type Cancel, sleep, type VirtualClock } from '../../runtime/base/clock.ts'
import { backoffMs } from '../../runtime/base/retry.ts'
import { capacities, type Need, type Serve, type TraceTask } from './agent-trace.ts'

export const disciplines = { 'all at once': atOnce, fifo, 'round robin': roundRobin, ours } as const
export type Discipline = keyof typeof disciplines

/** Texts whose state the language model's memory holds; who finds none free has failed and tries again. */
export const textsMax = 4
const again = { firstMs: 100, maxMs: 2_000 }

/**
 * No scheduler. Processor and engine are shared evenly among all who run, without any loss: better than a kernel does. The
 * language model has memory for `textsMax` texts, and whoever finds none comes back later, as clients of a server that refuses do.
 */
function atOnce(clock: VirtualClock): Serve {
  const shared = {
    processor: new Shared(clock, 2),
    engine: new Shared(clock, 1),
    language: new Shared(clock, 1),
  }
  let texts = 0
  return async (_task, { need, partMs, parts }) => {
    if (need !== 'language') return await shared[need].work(partMs * parts)
    for (let attempt = 0; texts >= textsMax; attempt += 1)
      await sleep(clock, backoffMs(attempt, again, clock.random()))
    texts += 1
    await shared.language.work(partMs * parts)
    texts -= 1
  }
}

/** Each step to its end, in order of arrival. */
function fifo(clock: VirtualClock): Serve {
  const lines = linesOf(() => 0)
  return async (task, { need, partMs, parts }) => {
    const leave = await lines[need].enter(task)
    await sleep(clock, partMs * parts)
    leave()
  }
}

/** Each agent in turn, one part each. */
function roundRobin(clock: VirtualClock): Serve {
  const served = new Map<string, number>()
  let turn = 0
  const lines = linesOf((agent) => served.get(agent) ?? 0)
  return async (task, { need, partMs, parts }) => {
    for (let part = 0; part < parts; part += 1) {
      const leave = await lines[need].enter(task)
      turn += 1
      served.set(task.agent, turn)
      await sleep(clock, partMs)
      leave()
    }
  }
}

function ours(clock: VirtualClock): Serve {
  const resources = Object.entries(capacities).map(([name, capacity]) => ({
    name,
    capacity,
    queueMax: 1_024,
  }))
  const scheduler = new Scheduler(clock, { resources })
  const { signal } = new AbortController()
  return async ({ agent, priority, atMs, deadlineMs }, { need, partMs, parts }) => {
    const dueInMs = atMs + deadlineMs - clock.monotonicMs()
    const request = { agent, priority, costMs: partMs * parts, dueInMs }
    const grant = await scheduler.acquire(need, request, signal)
    for (let part = 0; part < parts; part += 1) {
      if (part > 0) await grant.pause(signal)
      await sleep(clock, partMs)
    }
    grant.release()
  }
}

type Rank = (agent: string) => number

function linesOf(rank: Rank): Readonly<Record<Need, Line>> {
  const { processor, engine, language } = capacities
  return {
    processor: new Line(processor, rank),
    engine: new Line(engine, rank),
    language: new Line(language, rank),
  }
}

/** Places in a line; the lowest rank goes next, then who came first. */
export class Line {
  readonly #rank: Rank
  readonly #waiting: { readonly agent: string; readonly go: () => void }[] = []
  #free: number

  constructor(capacity: number, rank: Rank) {
    this.#free = capacity
    this.#rank = rank
  }

  async enter({ agent }: TraceTask): Promise<() => void> {
    if (this.#free > 0) this.#free -= 1
    else await new Promise<void>((go) => this.#waiting.push({ agent, go }))
    return () => this.#leave()
  }

  #leave(): void {
    const ranks = this.#waiting.map(({ agent }) => this.#rank(agent))
    const [next] = this.#waiting.splice(ranks.indexOf(Math.min(...ranks)), 1)
    if (next) next.go()
    else this.#free += 1
  }
}

/** Work that all who have some progress in evenly, as many at full speed as there is capacity. */
export class Shared {
  readonly #clock: VirtualClock
  readonly #capacity: number
  readonly #running = new Set<{ leftMs: number; readonly done: () => void }>()
  #atMs = 0
  #cancel: Cancel = () => {}

  constructor(clock: VirtualClock, capacity: number) {
    this.#clock = clock
    this.#capacity = capacity
  }

  work(ms: number): Promise<void> {
    return new Promise((done) => {
      this.#progress()
      this.#running.add({ leftMs: ms, done })
      this.#plan()
    })
  }

  get #speed(): number {
    return Math.min(1, this.#capacity / this.#running.size)
  }

  #progress(): void {
    const nowMs = this.#clock.monotonicMs()
    const doneMs = (nowMs - this.#atMs) * this.#speed
    this.#atMs = nowMs
    for (const one of this.#running) one.leftMs -= doneMs
  }

  #plan(): void {
    this.#cancel()
    if (this.#running.size === 0) return
    const leastMs = Math.min(...[...this.#running].map(({ leftMs }) => leftMs))
    this.#cancel = this.#clock.after(Math.max(0, leastMs / this.#speed), () => {
      this.#progress()
      for (const one of this.#running)
        if (one.leftMs < 1e-6) {
          this.#running.delete(one)
          one.done()
        }
      this.#plan()
    })
  }
}
