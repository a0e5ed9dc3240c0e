/**
 * Copies of requests, whose answers nobody waits for: how a place is, or a cut of a model, is learnt from them. Few: a share of
 * all requests, two at once, one about each thing.
 */
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import { InferError, type InferRequest } from '../../wire/infer.ts'
import { Allowance } from './allowance.ts'
import type { UsableRoute } from './attempt.ts'
import type { Circuits } from './circuit.ts'
import type { OpenDecision } from './decision-log.ts'
import type { Passage } from './dispatch.ts'
import type { Estimates } from './estimates.ts'

type Request = Omit<InferRequest, 'id'>

export interface CopiesDeps {
  readonly clock: Clock
  readonly log: Log
  readonly estimates: Estimates
  readonly circuits: Circuits
  /** As it goes to a route. */
  readonly onWay: (on: UsableRoute, request: Request) => Pick<Passage, 'request'>
}

const atOnceMax = 2
/** Saved up for bad times: enough for the first moments of an outage. */
const savedMax = 5
const deadlineMs = 10_000

/** What is sent: the same in the background. */
export function copyOf(request: Request): Request {
  return { ...request, priority: 'background', deadlineMs }
}

export class Copies implements AsyncDisposable {
  readonly #deps: CopiesDeps
  readonly #allowance: Allowance
  readonly #running = new Map<string, Promise<void>>()
  readonly #stop = new AbortController()

  /** `share`: of all requests. */
  constructor(deps: CopiesDeps, share: number) {
    this.#deps = deps
    this.#allowance = new Allowance(share, savedMax)
  }

  /** One more request came. */
  earn(): void {
    this.#allowance.earn()
  }

  /** Begins `work` where one more is allowed and none about the same thing is under way. False: it did not. */
  begin(about: string, work: (signal: AbortSignal) => Promise<void>): boolean {
    if (this.#running.size >= atOnceMax || this.#running.has(about) || !this.#allowance.spend()) return false
    const done = work(this.#stop.signal)
      .catch((error: unknown) => {
        this.#deps.log.debug('a copy got no answer', { about, why: messageOf(error) })
      })
      .finally(() => this.#running.delete(about))
    this.#running.set(about, done)
    return true
  }

  /** A copy to one place, where one is allowed. */
  send(on: UsableRoute, request: Request, bytes: number, decision: OpenDecision): void {
    this.begin(on.route.id, (signal) => this.#send(on, copyOf(request), bytes, decision, signal))
  }

  async #send(
    on: UsableRoute,
    copy: Request,
    bytes: number,
    decision: OpenDecision,
    stopped: AbortSignal,
  ): Promise<void> {
    const { clock, circuits, estimates, onWay } = this.#deps
    const { route, offer } = on
    const startMs = clock.monotonicMs()
    const told = decision.attempt({ route: route.id, kind: 'probe', model: copy.model, startMs: 0 })
    const stop = new AbortController()
    const cancel = clock.after(copy.deadlineMs, () => stop.abort())
    const wallMs = () => clock.monotonicMs() - startMs
    const about = () => ({ route, model: copy.model, bytes, offer, wallMs: wallMs() })
    try {
      const signal = AbortSignal.any([stop.signal, stopped])
      for await (const chunk of route.infer(onWay(on, copy).request, signal)) {
        if (!chunk.final) continue
        circuits.answered(route.id, copy.model)
        if (!chunk.cached) estimates.observe({ ...about(), modelMs: chunk.modelMs }, clock.monotonicMs())
      }
      told.end({ endMs: wallMs(), outcome: 'answered' })
    } catch (error) {
      const code = error instanceof InferError ? error.code : 'run'
      told.end({ endMs: wallMs(), outcome: 'failed', error: { code, message: messageOf(error) } })
      // Background work is refused first: that says nothing about other work.
      if (code !== 'overloaded' && !stopped.aborted) {
        const failure = stop.signal.aborted ? 'deadline' : code
        circuits.failed(route.id, copy.model, failure, { nowMs: clock.monotonicMs(), sentMs: startMs })
        if (failure === 'deadline') estimates.observe({ ...about(), atLeast: true }, clock.monotonicMs())
      }
      throw error
    } finally {
      cancel()
    }
  }

  /** Ends those under way, and waits for it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#running.values())
  }
}
