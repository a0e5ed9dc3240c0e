/**
 * One request on its way: the first choice, the next one when that fails or keeps silent, two at once where that is allowed,
 * and the stream of whoever speaks first. What was tried is in the decision.
 */
import type { Clock } from '../../base/clock.ts'
import type { DecisionAttempt } from '../../wire/decisions.ts'
import {
  type InferChunk,
  InferError,
  type InferErrorCode,
  type InferRequest,
  strictest,
} from '../../wire/infer.ts'
import type { Allowance } from './allowance.ts'
import { Attempt, type FirstChunk, type UsableRoute } from './attempt.ts'
import type { Circuits } from './circuit.ts'
import type { OpenDecision } from './decision-log.ts'
import type { Estimates } from './estimates.ts'

export interface DispatchDeps {
  readonly clock: Clock
  readonly estimates: Estimates
  readonly circuits: Circuits
  readonly hedges: Allowance
  /** Routes that may still take it, the best first; `tried` says why some may not, by route. */
  readonly alternatives: (leftMs: number, tried: ReadonlyMap<string, string>) => readonly UsableRoute[]
  /** As it goes to a route, and back. */
  readonly onWay: (on: UsableRoute, request: Omit<InferRequest, 'id'>) => Passage
}

/** What a request becomes for one route, and what its chunks become for the caller. */
export interface Passage {
  readonly request: Omit<InferRequest, 'id'>
  readonly back: (chunk: InferChunk) => InferChunk
}

/** Codes after which another place may well succeed, although asking the same one again would not help. */
const elsewhere: ReadonlySet<InferErrorCode> = new Set([
  'model-unknown',
  'model-load',
  'memory',
  'overloaded',
  'unavailable',
  'engine-lost',
  'engine-stopped',
  'refused',
  'deadline',
])
/**
 * The first is late after so many times its usual time, and not before this much of it: a p95 with stalls in it says how long
 * those are, and not when one began.
 */
const lateFactor = 1.5
const lateMsMin = 20
/** A first choice that keeps silent this many times as long as it should is given up for the next one. */
const patience = 2
const patienceMsMin = 50
/** Under this a second try costs more than it saves. */
const hedgeMsMin = 2
/** A late first may take this share of what the second would need on top: it will often be quicker still. */
const hedgeSlack = 0.25

interface Tried {
  readonly attempt: Attempt
  readonly told: Told
  readonly passage: Passage
  readonly hedge: boolean
  readonly sent: { readonly end: (answered: boolean) => void }
}
type Told = { end(end: Pick<DecisionAttempt, 'outcome' | 'error'> & { readonly endMs: number }): void }

export class Dispatch {
  readonly #deps: DispatchDeps
  readonly #request: Omit<InferRequest, 'id'>
  readonly #bytes: number
  readonly #decision: OpenDecision
  readonly #signal: AbortSignal
  readonly #startMs: number
  readonly #tried = new Map<string, string>()
  readonly #running: Tried[] = []
  #hedged = false
  #lastError: InferError | undefined

  constructor(
    deps: DispatchDeps,
    what: {
      readonly request: Omit<InferRequest, 'id'>
      readonly bytes: number
      readonly decision: OpenDecision
      readonly startMs: number
    },
    signal: AbortSignal,
  ) {
    this.#deps = deps
    this.#request = what.request
    this.#bytes = what.bytes
    this.#decision = what.decision
    this.#startMs = what.startMs
    this.#signal = signal
  }

  /** Throws InferError. Leaving the loop early cancels everywhere. */
  async *run(first: UsableRoute): AsyncGenerator<InferChunk, void, undefined> {
    const cancelled = Promise.withResolvers<'cancelled'>()
    const onAbort = () => cancelled.resolve('cancelled')
    this.#signal.addEventListener('abort', onAbort, { once: true })
    if (this.#signal.aborted) onAbort()
    try {
      this.#launch(first, 'first')
      for (;;) {
        const event = await this.#event(cancelled.promise)
        if (event === 'cancelled') throw new InferError('cancelled', 'cancelled by its caller')
        if (event === 'timer') this.#onTimer()
        else if ('error' in event) this.#onFailure(event.attempt, event.error)
        else {
          yield* this.#stream(event.attempt, event.chunk, cancelled.promise)
          return
        }
      }
    } catch (error) {
      this.#end(error as InferError)
      throw error
    } finally {
      this.#signal.removeEventListener('abort', onAbort)
      for (const { attempt } of [...this.#running]) this.#drop(attempt, 'given up')
      this.#end(new InferError('cancelled', 'its reader has gone'))
    }
  }

  get #nowMs(): number {
    return this.#deps.clock.monotonicMs()
  }

  get #leftMs(): number {
    return this.#startMs + this.#request.deadlineMs - this.#nowMs
  }

  #launch(on: UsableRoute, kind: 'first' | 'fallback' | 'hedge'): void {
    const { route } = on
    const nowMs = this.#nowMs
    this.#tried.set(route.id, kind === 'hedge' ? 'is asked already' : 'was tried already')
    const told = this.#decision.attempt({
      route: route.id,
      kind,
      model: this.#request.model,
      startMs: nowMs - this.#startMs,
    })
    const passage = this.#deps.onWay(on, { ...this.#request, deadlineMs: Math.max(1, this.#leftMs) })
    const attempt = new Attempt(on, passage.request, nowMs, this.#signal)
    const sent = this.#deps.estimates.sent(route, this.#bytes, on.estimate, nowMs)
    this.#running.push({ attempt, told, passage, hedge: kind === 'hedge', sent })
  }

  async #event(cancelled: Promise<'cancelled'>): Promise<FirstChunk | 'timer' | 'cancelled'> {
    const timer = Promise.withResolvers<'timer'>()
    const dueMs = Math.min(this.#leftMs, this.#hedgeInMs(), this.#giveUpInMs())
    const cancel = this.#deps.clock.after(Math.max(0, dueMs), () => timer.resolve('timer'))
    try {
      return await Promise.race([
        ...this.#running.map(({ attempt }) => attempt.first),
        timer.promise,
        cancelled,
      ])
    } finally {
      cancel()
    }
  }

  #onTimer(): void {
    if (this.#leftMs <= 0) this.#expire()
    else if (this.#hedgeInMs() <= 0) this.#hedge()
    else if (this.#giveUpInMs() <= 0) this.#giveUp()
  }

  #expire(): void {
    for (const { attempt } of [...this.#running]) {
      this.#silent(attempt, true)
      this.#drop(attempt, 'given up')
    }
    throw this.#late()
  }

  #late(): InferError {
    const { model, deadlineMs } = this.#request
    const after = this.#lastError ? `; before that: ${this.#lastError.message}` : ''
    return new InferError('deadline', `${model} did not answer within ${Math.round(deadlineMs)} ms${after}`, {
      retryable: true,
    })
  }

  /** Time until a second place is asked as well; Infinity where none may be. */
  #hedgeInMs(): number {
    const [only, ...others] = this.#running
    if (!only || others.length > 0 || this.#hedged || only.hedge) return Infinity
    if (this.#request.priority === 'background' || !only.attempt.on.offer.idempotent) return Infinity
    const second = this.#alternatives().find(({ offer }) => offer.idempotent)
    if (!second) return Infinity
    const { startMs, on } = only.attempt
    const slackMs = Math.max(hedgeMsMin, hedgeSlack * second.estimate.p50Ms)
    const { p50Ms, p95Ms } = on.estimate
    const lateMs = Math.min(p95Ms, Math.max(lateFactor * p50Ms, p50Ms + lateMsMin))
    return startMs + lateMs + slackMs - this.#nowMs
  }

  #hedge(): void {
    this.#hedged = true
    const leftMs = this.#leftMs
    const second = this.#alternatives().find(
      ({ offer, estimate }) => offer.idempotent && estimate.p50Ms <= leftMs,
    )
    if (!second) return
    if (this.#deps.hedges.spend()) this.#launch(second, 'hedge')
    else
      this.#decision.note(
        `${second.route.id} would have been asked as well, but enough requests had a second try`,
      )
  }

  /** Time until a silent place is given up for another; Infinity where there is no other, or it is asked already. */
  #giveUpInMs(): number {
    const [only, ...others] = this.#running
    if (!only || others.length > 0) return Infinity
    const { startMs, on } = only.attempt
    const next = this.#alternatives()[0]
    if (!next) return Infinity
    const { p50Ms, p95Ms } = on.estimate
    const { p50Ms: nextMs, p95Ms: nextP95Ms } = next.estimate
    const endMs = this.#startMs + this.#request.deadlineMs
    const reserveMs = nextP95Ms < this.#request.deadlineMs / 2 ? nextP95Ms : 1.05 * nextMs
    // In time for the next one; but not before this one was waited for as long as the next one takes: that costs at most twice
    // what the next one alone would have (ski rental), and what is late now may well come before the next one would.
    const usualMs = Math.max(patience * p50Ms, nextMs)
    const patientMs = Math.min(
      Math.max(patienceMsMin, Math.min(patience * p95Ms, usualMs)),
      endMs - reserveMs - startMs,
    )
    const untilMs = startMs + Math.max(p50Ms, nextMs, patientMs)
    // Too late for the next one: what was begun is the better chance.
    return Math.max(untilMs, this.#nowMs) + 0.95 * nextMs > endMs ? Infinity : untilMs - this.#nowMs
  }

  #giveUp(): void {
    const [silent] = this.#running
    const next = this.#alternatives()[0]
    if (!silent || !next) return
    this.#silent(silent.attempt, true)
    this.#drop(silent.attempt, 'given up')
    this.#lastError = new InferError('deadline', `${silent.attempt.on.route.id} kept silent`, {
      retryable: true,
    })
    this.#launch(next, 'fallback')
  }

  #onFailure(attempt: Attempt, error: InferError): void {
    const { route, offer, estimate } = attempt.on
    const nowMs = this.#nowMs
    this.#take(attempt)?.told.end({
      endMs: nowMs - this.#startMs,
      outcome: 'failed',
      error: { code: error.code, message: error.message },
    })
    // A deadline that nobody could have kept says nothing about the place.
    const blameless =
      error.code === 'deadline' && (route.reach === 'device' || attempt.limitMs < estimate.p95Ms)
    if (!blameless)
      this.#deps.circuits.failed(route.id, this.#request.model, error.code, {
        nowMs,
        sentMs: attempt.startMs,
        retryAfterMs: error.retryAfterMs,
      })
    if (error.code === 'deadline' && !blameless)
      this.#deps.estimates.observe(this.#seen(attempt, offer, nowMs), nowMs)
    this.#lastError = error
    if (!error.retryable && !elsewhere.has(error.code)) throw error
    if (this.#running.length > 0) return
    if (this.#leftMs <= 0) throw error.code === 'deadline' ? error : this.#late()
    const next = this.#alternatives()[0]
    if (!next) throw error
    this.#launch(next, 'fallback')
  }

  async *#stream(
    winner: Attempt,
    firstChunk: InferChunk,
    cancelled: Promise<'cancelled'>,
  ): AsyncGenerator<InferChunk, void, undefined> {
    const { route } = winner.on
    for (const { attempt } of this.#running.filter(({ attempt }) => attempt !== winner)) {
      this.#silent(attempt, false)
      this.#drop(attempt, 'not needed')
    }
    const passage = this.#running[0]?.passage
    let chunk = firstChunk
    try {
      for (;;) {
        // What cannot be put back together is no answer.
        const shown = this.#labelled(passage?.back(chunk) ?? chunk, winner.on)
        if (chunk.final) this.#answered(winner, chunk)
        yield shown
        if (chunk.final) return winner.end()
        const next = await Promise.race([winner.next(), cancelled, this.#expired()])
        if (next === 'cancelled') throw new InferError('cancelled', 'cancelled by its caller')
        if (next === 'late') throw this.#late()
        chunk = next
      }
    } catch (error) {
      const failure =
        error instanceof InferError ? error : new InferError('run', String(error), { cause: error })
      if (failure.code !== 'cancelled')
        this.#deps.circuits.failed(route.id, this.#request.model, failure.code, {
          nowMs: this.#nowMs,
          sentMs: winner.startMs,
          retryAfterMs: failure.retryAfterMs,
        })
      this.#take(winner)?.told.end({
        endMs: this.#nowMs - this.#startMs,
        outcome: 'failed',
        error: { code: failure.code, message: failure.message },
      })
      winner.abandon()
      throw failure
    }
  }

  #expired(): Promise<'late'> {
    const { promise, resolve } = Promise.withResolvers<'late'>()
    const cancel = this.#deps.clock.after(Math.max(0, this.#leftMs), () => resolve('late'))
    this.#cancelExpiry()
    this.#cancelExpiry = cancel
    return promise
  }
  #cancelExpiry: () => void = () => {}

  #answered(attempt: Attempt, chunk: InferChunk): void {
    const { route, offer } = attempt.on
    const nowMs = this.#nowMs
    const { model } = this.#request
    this.#deps.circuits.answered(route.id, model)
    if (!chunk.cached)
      this.#deps.estimates.observe(
        {
          route,
          model,
          bytes: this.#bytes,
          offer,
          wallMs: nowMs - attempt.startMs,
          modelMs: chunk.modelMs,
        },
        nowMs,
      )
    this.#take(attempt, true)?.told.end({ endMs: nowMs - this.#startMs, outcome: 'answered' })
    this.#decision.end({
      ok: true,
      latencyMs: nowMs - this.#startMs,
      route: chunk.route ?? route.id,
      ...(chunk.served && { served: chunk.served }),
    })
  }

  /** Labels travel: the answer is as private as what it was made of, or more. */
  #labelled(chunk: InferChunk, { route, offer }: UsableRoute): InferChunk {
    const privacy = strictest(this.#request.privacy, chunk.privacy ?? this.#request.privacy)
    // On each piece: who stops in the middle has used it all the same.
    const used = {
      ...(route.reach !== 'device' && { away: true as const }),
      // What was kept costs nothing a second time.
      ...(offer.price > 0 && !chunk.cached && { price: offer.price }),
    }
    if (!chunk.final) return { ...chunk, privacy, ...used }
    return { ...chunk, privacy, route: chunk.route ?? route.id, decision: this.#decision.id, ...used }
  }

  #alternatives(): readonly UsableRoute[] {
    return this.#deps.alternatives(this.#leftMs, this.#tried)
  }

  /** It has not answered and is not waited for any more. */
  #silent(attempt: Attempt, blame: boolean): void {
    const { route, offer, estimate } = attempt.on
    const nowMs = this.#nowMs
    if (nowMs - attempt.startMs < estimate.p95Ms) return
    this.#deps.estimates.observe(this.#seen(attempt, offer, nowMs), nowMs)
    if (route.reach === 'device') return
    const at = { nowMs, sentMs: attempt.startMs }
    if (blame) this.#deps.circuits.failed(route.id, this.#request.model, 'deadline', at)
    else this.#deps.circuits.silent(route.id, this.#request.model, at)
  }

  #seen(attempt: Attempt, offer: UsableRoute['offer'], nowMs: number) {
    const wallMs = nowMs - attempt.startMs
    const { model } = this.#request
    return { route: attempt.on.route, model, bytes: this.#bytes, offer, wallMs, atLeast: true }
  }

  #drop(attempt: Attempt, outcome: 'given up' | 'not needed'): void {
    this.#take(attempt)?.told.end({ endMs: this.#nowMs - this.#startMs, outcome })
    attempt.abandon()
  }

  #take(attempt: Attempt, answered = false): Tried | undefined {
    const at = this.#running.findIndex((one) => one.attempt === attempt)
    const [tried] = at < 0 ? [] : this.#running.splice(at, 1)
    tried?.sent.end(answered)
    return tried
  }

  #end(error: InferError): void {
    this.#cancelExpiry()
    this.#decision.end({
      ok: false,
      latencyMs: this.#nowMs - this.#startMs,
      error: { code: error.code, message: error.message },
    })
  }
}
