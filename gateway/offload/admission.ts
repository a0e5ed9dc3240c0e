/**
 * Who gets in, who waits and who is turned away. Each model is a lane with so many places; who finds none waits in a queue that
 * is bounded overall, per class and in bytes. When it is full the least urgent class loses first, and within a class the caller
 * who waits with most loses its newest ("longest queue drop": Suter, Lakshman, Stiliadis, Choudhury, INFOCOM 1998), so that
 * one caller's flood is its own problem. Places go to the most urgent class, in it to the caller served longest ago, of that
 * caller's to the earliest deadline.
 */
import type { Cancel, Clock } from '../../runtime/base/clock.ts'
import { InferError, type Priority } from '../../runtime/wire/infer.ts'
import { ServiceRate } from './service-rate.ts'

export interface AdmissionOptions {
  /** Requests that wait, of all models together. */
  readonly queueMax: number
  /** Bytes of inputs of requests that wait or run. */
  readonly bytesMax: number
}

export interface Applicant {
  readonly model: string
  readonly caller: string
  readonly priority: Priority
  readonly deadlineMs: number
  readonly bytes: number
  /** Places of the model's lane, and how many of them really run side by side. */
  readonly concurrency: number
  readonly parallel: number
}

/** A place. `leave` gives it back; with the time in the model when there was an answer. */
export interface Place {
  leave(modelMs?: number): void
}

export interface LaneLoad {
  readonly queued: number
  readonly running: number
  readonly queueMs: number
  readonly p50Ms?: number
  readonly p95Ms?: number
}

interface Waiting extends Applicant {
  readonly expiresAtMs: number
  readonly order: number
  readonly admit: (place: Place) => void
  readonly refuse: (error: InferError) => void
}

interface Lane {
  readonly rate: ServiceRate
  concurrency: number
  parallel: number
  background: number
  readonly waiting: Set<Waiting>
}

const classes: readonly Priority[] = ['control', 'interactive', 'background']
/** Share of the queue that a class may fill: what is more urgent always finds room. */
const queueShare: Readonly<Record<Priority, number>> = { control: 1, interactive: 0.9, background: 0.5 }
/** Share of a lane's places that background work may hold, where there is more than one. */
const backgroundPlaces = 0.5
/** What a caller is told before anything was measured, and within what bounds afterwards. */
const retryAfterMs = { unknown: 1_000, min: 50, max: 60_000 }
/** Models asked for at once; lanes of others that are idle are forgotten. */
const lanesMax = 1024

export class Admission {
  readonly #clock: Clock
  readonly #options: AdmissionOptions
  readonly #lanes = new Map<string, Lane>()
  /** When each caller was last served, as a count: only the order matters. */
  readonly #served = new Map<string, number>()
  #waiting = 0
  #bytes = 0
  #order = 0

  constructor(clock: Clock, options: AdmissionOptions) {
    this.#clock = clock
    this.#options = options
  }

  /** Resolves with a place. Throws InferError `overloaded` with `retryAfterMs`, `deadline`, `cancelled`. */
  enter(applicant: Applicant, signal: AbortSignal): Promise<Place> {
    const lane = this.#lane(applicant)
    if (signal.aborted) return Promise.reject(cancelled())
    if (!this.#makeRoom(applicant, 'bytes')) return Promise.reject(this.#refusal(lane, 'too many bytes'))
    // The lane may have grown; nobody who waits is overtaken.
    this.#fill(lane)
    if (hasPlace(lane, applicant.priority)) return Promise.resolve(this.#admit(lane, applicant))
    if (!this.#makeRoom(applicant, 'class') || !this.#makeRoom(applicant, 'queue'))
      return Promise.reject(this.#refusal(lane, `too many ${applicant.priority} requests`))
    return this.#wait(lane, applicant, signal)
  }

  get queued(): number {
    return this.#waiting
  }

  /** Undefined for a model nobody asked for lately. */
  load(model: string): LaneLoad | undefined {
    const lane = this.#lanes.get(model)
    if (!lane) return undefined
    const p50Ms = lane.rate.quantile(0.5)
    const p95Ms = lane.rate.quantile(0.95)
    return {
      queued: lane.waiting.size,
      running: lane.rate.running,
      queueMs: queueMs(lane) ?? 0,
      ...(p50Ms !== undefined && { p50Ms }),
      ...(p95Ms !== undefined && { p95Ms }),
    }
  }

  #lane({ model, concurrency, parallel }: Applicant): Lane {
    let lane = this.#lanes.get(model)
    if (!lane) {
      if (this.#lanes.size >= lanesMax)
        for (const [name, one] of this.#lanes)
          if (one.rate.running === 0 && one.waiting.size === 0) this.#lanes.delete(name)
      lane = {
        rate: new ServiceRate(this.#clock),
        concurrency,
        parallel,
        background: 0,
        waiting: new Set(),
      }
      this.#lanes.set(model, lane)
    }
    // Backends come and go.
    lane.concurrency = concurrency
    lane.parallel = parallel
    return lane
  }

  #admit(lane: Lane, { caller, priority, bytes }: Applicant): Place {
    this.#serve(caller)
    this.#bytes += bytes
    lane.rate.onStart()
    if (priority === 'background') lane.background += 1
    let left = false
    return {
      leave: (modelMs) => {
        if (left) return
        left = true
        this.#bytes -= bytes
        lane.rate.onEnd(modelMs)
        if (priority === 'background') lane.background -= 1
        this.#fill(lane)
      },
    }
  }

  #serve(caller: string): void {
    this.#order += 1
    this.#served.delete(caller)
    this.#served.set(caller, this.#order)
    // Who was served before everybody who waits now is as good as new.
    if (this.#served.size > this.#options.queueMax * 4) {
      const [oldest] = this.#served.keys()
      if (oldest !== undefined) this.#served.delete(oldest)
    }
  }

  #wait(lane: Lane, applicant: Applicant, signal: AbortSignal): Promise<Place> {
    return new Promise((resolve, reject) => {
      let cancelTimer: Cancel = () => {}
      const onAbort = () => waiting.refuse(cancelled())
      const leave = () => {
        cancelTimer()
        signal.removeEventListener('abort', onAbort)
        lane.waiting.delete(waiting)
        this.#waiting -= 1
        this.#bytes -= applicant.bytes
      }
      this.#order += 1
      const waiting: Waiting = {
        ...applicant,
        expiresAtMs: this.#clock.monotonicMs() + applicant.deadlineMs,
        order: this.#order,
        admit: (place) => {
          leave()
          resolve(place)
        },
        refuse: (error) => {
          leave()
          reject(error)
        },
      }
      lane.waiting.add(waiting)
      this.#waiting += 1
      this.#bytes += applicant.bytes
      cancelTimer = this.#clock.after(applicant.deadlineMs, () => waiting.refuse(expired(applicant)))
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  #fill(lane: Lane): void {
    for (;;) {
      const next = this.#next(lane)
      if (!next) return
      const place = this.#admit(lane, next)
      next.admit(place)
    }
  }

  #next(lane: Lane): Waiting | undefined {
    let best: Waiting | undefined
    for (const one of lane.waiting)
      if (hasPlace(lane, one.priority) && (!best || this.#isBefore(one, best))) best = one
    return best
  }

  #isBefore(a: Waiting, b: Waiting): boolean {
    const byClass = classes.indexOf(a.priority) - classes.indexOf(b.priority)
    if (byClass !== 0) return byClass < 0
    const byCaller = (this.#served.get(a.caller) ?? 0) - (this.#served.get(b.caller) ?? 0)
    if (byCaller !== 0) return byCaller < 0
    if (a.expiresAtMs !== b.expiresAtMs) return a.expiresAtMs < b.expiresAtMs
    return a.order < b.order
  }

  /** Turns others away until there is room of this kind. False, and nobody is: those who should go before this one are too few. */
  #makeRoom(applicant: Applicant, kind: 'bytes' | 'class' | 'queue'): boolean {
    const victims = new Set<Waiting>()
    while (!this.#hasRoom(applicant, kind, victims)) {
      const victim = this.#victim(applicant, kind, victims)
      if (!victim) return false
      victims.add(victim)
    }
    for (const victim of victims) {
      const lane = this.#lanes.get(victim.model) as Lane
      victim.refuse(this.#refusal(lane, `its place went to ${applicant.priority} work`))
    }
    return true
  }

  #hasRoom(
    { priority, bytes }: Applicant,
    kind: 'bytes' | 'class' | 'queue',
    victims: ReadonlySet<Waiting>,
  ): boolean {
    const { queueMax, bytesMax } = this.#options
    if (kind === 'queue') return this.#waiting - victims.size < queueMax
    if (kind === 'class')
      return (
        this.#everybody(priority, victims).length < Math.max(1, Math.floor(queueMax * queueShare[priority]))
      )
    let held = this.#bytes
    for (const victim of victims) held -= victim.bytes
    return held + bytes <= bytesMax
  }

  #victim(
    applicant: Applicant,
    kind: 'bytes' | 'class' | 'queue',
    victims: ReadonlySet<Waiting>,
  ): Waiting | undefined {
    const own = classes.indexOf(applicant.priority)
    if (kind !== 'class')
      for (const priority of classes.slice(own + 1).reverse()) {
        const victim = longest(this.#everybody(priority, victims))?.newest
        if (victim) return victim
      }
    const same = this.#everybody(applicant.priority, victims)
    const mine = same.filter(({ caller }) => caller === applicant.caller).length
    const most = longest(same)
    return most && most.count > mine + 1 ? most.newest : undefined
  }

  /** Of a class, but those. */
  #everybody(priority: Priority, but: ReadonlySet<Waiting>): Waiting[] {
    return [...this.#lanes.values()].flatMap((lane) =>
      [...lane.waiting].filter((one) => one.priority === priority && !but.has(one)),
    )
  }

  #refusal(lane: Lane, why: string): InferError {
    const waitMs = queueMs(lane) ?? retryAfterMs.unknown
    return new InferError('overloaded', `the gateway is busy: ${why}`, {
      retryable: true,
      retryAfterMs: Math.round(Math.min(retryAfterMs.max, Math.max(retryAfterMs.min, waitMs))),
    })
  }
}

/** Of the caller who waits with most. */
function longest(waiting: readonly Waiting[]): { count: number; newest: Waiting } | undefined {
  const byCaller = Map.groupBy(waiting, ({ caller }) => caller)
  let most: readonly Waiting[] = []
  for (const one of byCaller.values()) if (one.length > most.length) most = one
  if (most.length === 0) return undefined
  return { count: most.length, newest: most.reduce((a, b) => (b.order > a.order ? b : a)) }
}

function hasPlace(lane: Lane, priority: Priority): boolean {
  if (lane.rate.running >= lane.concurrency) return false
  if (priority !== 'background' || lane.concurrency === 1) return true
  return lane.background < Math.max(1, Math.floor(lane.concurrency * backgroundPlaces))
}

/** Expected wait of a request that comes now: those before it beyond what runs side by side, at the measured rate. */
function queueMs({ rate, parallel, waiting }: Lane): number | undefined {
  const { msPerAnswer } = rate
  if (msPerAnswer === undefined) return undefined
  return Math.max(0, rate.running + waiting.size + 1 - parallel) * msPerAnswer
}

function cancelled(): InferError {
  return new InferError('cancelled', 'cancelled by its caller')
}

function expired({ model, deadlineMs }: Applicant): InferError {
  return new InferError('deadline', `${model} had no place within ${Math.round(deadlineMs)} ms`, {
    retryable: true,
  })
}
