/**
 * The router: every inference of this device goes through it, to the place that the policy chooses. It keeps no input and no
 * output. `policy.ts` decides, `dispatch.ts` carries out, here they meet what is known of routes and of the device.
 */
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { Decision } from '../../wire/decisions.ts'
import { type InferChunk, InferError, type InferErrorCode, type InferRequest } from '../../wire/infer.ts'
import type { Inference } from '../inference.ts'
import { redacted } from '../redaction/redacted.ts'
import type { Redactor } from '../redaction/redactor.ts'
import { Allowance } from './allowance.ts'
import type { UsableRoute } from './attempt.ts'
import { answerOf, type CascadePlan, confidenceOf } from './cascade.ts'
import { Circuits } from './circuit.ts'
import { type Conditions, describe, isHot } from './conditions.ts'
import { DecisionLog, type OpenDecision } from './decision-log.ts'
import { Dispatch, type Passage } from './dispatch.ts'
import { Estimates } from './estimates.ts'
import { type Choice, choose, type Incumbent, type PolicyOptions, policyDefaults } from './policy.ts'
import { requestBytes } from './request-bytes.ts'
import type { Route } from './route.ts'
import { chooseCut, type SplitPlan } from './split.ts'

/** What a manifest says of a model beyond the model itself. */
export interface ModelPlan {
  readonly cascade?: CascadePlan | undefined
  readonly split?: SplitPlan | undefined
}

export interface RouterDeps {
  readonly clock: Clock
  readonly log: Log
  /** The places there are now; asked at every decision. */
  readonly routes: () => readonly Route[]
  /** State of the device now; absent: on mains, cool, memory not known. */
  readonly conditions?: () => Conditions
  /** Cascades and splits; absent: none. */
  readonly plan?: (model: string) => ModelPlan | undefined
  /** What hides personal things in text that leaves the site; asked at every such request. */
  readonly redactor: () => Redactor
}

export interface RouterOptions extends Partial<PolicyOptions> {
  /** Share of requests that may be asked of two places at once; 0 to switch it off. */
  readonly hedgeShare?: number
  /** Share of requests of which a copy may go elsewhere, to learn how it is there. */
  readonly probeShare?: number
  /** How long a place may go unheard before it is worth a copy, milliseconds. */
  readonly probeEveryMs?: number
  /** After this long what was measured is doubted, milliseconds. */
  readonly staleMs?: number
}

const defaults = {
  ...policyDefaults,
  hedgeShare: 0.05,
  probeShare: 0.05,
  probeEveryMs: 5_000,
  staleMs: 60_000,
} as const satisfies Required<RouterOptions>
/** Second tries and copies saved up for bad times: enough for the first moments of an outage. */
const savedMax = 5
/** Copies are small: what a slow link carries in a fraction of a second. */
const probeBytesMax = 256 * 1024
const probeDeadlineMs = 10_000
const probesMax = 2
/** Models whose current place is remembered: many times what a device has. */
const incumbentsMax = 256
/** A model on this device is learnt about more rarely: it takes from what the device is for. */
const localProbeFactor = 12

/** Failures of a cascade's small model after which the large one is asked at once. */
const skipped: ReadonlySet<InferErrorCode> = new Set([
  'model-unknown',
  'model-load',
  'memory',
  'overloaded',
  'unavailable',
  'engine-lost',
])

type Request = Omit<InferRequest, 'id'>

export class Router implements Inference, AsyncDisposable {
  readonly #deps: RouterDeps
  readonly #options: Required<RouterOptions>
  readonly #estimates: Estimates
  readonly #circuits: Circuits
  readonly #hedges: Allowance
  readonly #probes: Allowance
  readonly #decisions = new DecisionLog()
  readonly #incumbents = new Map<string, Incumbent>()
  readonly #probing = new Map<string, Promise<void>>()
  readonly #stop = new AbortController()

  /** Does no I/O. */
  constructor(deps: RouterDeps, options: RouterOptions = {}) {
    this.#deps = { ...deps, log: deps.log.named('router') }
    this.#options = { ...defaults, ...options }
    this.#estimates = new Estimates({ staleMs: this.#options.staleMs })
    this.#circuits = new Circuits(() => deps.clock.random())
    this.#hedges = new Allowance(this.#options.hedgeShare, savedMax)
    this.#probes = new Allowance(this.#options.probeShare, savedMax)
  }

  /**
   * Throws InferError: `refused` names the label and what would have been needed; `unavailable` every place and why not. A
   * cascade answers from the small model where it is sure enough, and where the large one cannot be reached.
   */
  async *infer(request: Request, signal: AbortSignal): AsyncGenerator<InferChunk, void, undefined> {
    if (this.#stop.signal.aborted) throw new InferError('engine-stopped', 'the router was closed')
    const plan = this.#deps.plan?.(request.model)
    if (plan?.cascade) yield* this.#cascade(request, plan.cascade, plan.split, signal)
    else yield* this.#route(request, plan?.split, signal)
  }

  /** The decision of this id; undefined: it is not kept any more, or never was. */
  decision(id: string): Decision | undefined {
    return this.#decisions.of(id)
  }

  /** Decisions whose ids begin so; the one alone whose whole id it is. */
  decisionsOf(id: string): Decision[] {
    return this.#decisions.beginningWith(id)
  }

  /** The latest decisions, newest first. */
  decisions(): Decision[] {
    return this.#decisions.latest()
  }

  /** Ends the copies that are under way. Routes belong to whoever made them. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#probing.values())
  }

  async *#cascade(
    request: Request,
    plan: CascadePlan,
    split: SplitPlan | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<InferChunk, void, undefined> {
    const { clock } = this.#deps
    const startMs = clock.monotonicMs()
    const noted: { decision?: OpenDecision } = {}
    const note = (one: OpenDecision) => {
      noted.decision = one
    }
    const small = await this.#final(request, split, signal, note).catch((error: unknown) => {
      if (!(error instanceof InferError) || !skipped.has(error.code)) throw error
      return undefined
    })
    const confidence = small ? confidenceOf(answerOf(small, plan.output), plan.temperature) : 0
    if (small && confidence >= plan.threshold) {
      noted.decision?.note(`confidence ${confidence.toFixed(2)}, from ${plan.threshold} on it counts`)
      yield small
      return
    }
    const leftMs = request.deadlineMs - (clock.monotonicMs() - startMs)
    const unsure = small
      ? `confidence ${confidence.toFixed(2)} is under ${plan.threshold}`
      : `${request.model} gave no answer`
    const tell = (one: OpenDecision) => {
      one.note(`asked in place of ${request.model}: ${unsure} (decision ${noted.decision?.id})`)
      noted.decision?.note(`${unsure}: ${plan.large} was asked (decision ${one.id})`)
    }
    try {
      const large = { ...request, model: plan.large, deadlineMs: Math.max(1, leftMs) }
      yield* this.#route(large, this.#deps.plan?.(plan.large)?.split, signal, tell)
    } catch (error) {
      if (!small || !(error instanceof InferError) || error.code === 'cancelled') throw error
      // An answer that is not sure is worth more than none, and its label says no less.
      noted.decision?.note(`${plan.large} gave no answer (${error.code}): this one's own answer stands`)
      yield small
    }
  }

  async *#route(
    request: Request,
    split: SplitPlan | undefined,
    signal: AbortSignal,
    onDecision: (decision: OpenDecision) => void = () => {},
    /** Of a part of a cut model: the cut was chosen for it to run there. */
    prefer?: string,
  ): AsyncGenerator<InferChunk, void, undefined> {
    const { clock } = this.#deps
    const startMs = clock.monotonicMs()
    const bytes = requestBytes(request)
    this.#hedges.earn()
    this.#probes.earn()
    const { choice, usable } = this.#choose(request, bytes, request.deadlineMs, new Map(), true)
    const first = usable.find(({ route }) => route.id === prefer) ?? usable[0]
    const conditions = this.#conditions()
    const decision = this.#decisions.open({
      id: clock.newId(),
      ts: clock.nowMs(),
      model: request.model,
      privacy: request.privacy,
      priority: request.priority,
      deadlineMs: request.deadlineMs,
      bytes,
      conditions: describe(conditions, this.#options.hotC),
      candidates: [...choice.candidates],
      ...(first === undefined ? {} : { route: first.route.id }),
      reason: first && first.route.id === prefer ? 'the cut was chosen for this place' : choice.reason,
    })
    onDecision(decision)
    if (split) {
      const answer = await this.#split(request, split, usable, startMs, decision, signal)
      if (answer) {
        yield answer
        return
      }
    }
    if (!first) throw this.#refused(choice, decision, startMs)
    this.#probe(request, bytes, first, choice, conditions, decision)
    const dispatch = new Dispatch(
      {
        clock,
        estimates: this.#estimates,
        circuits: this.#circuits,
        hedges: this.#hedges,
        alternatives: (leftMs, tried) => this.#choose(request, bytes, leftMs, tried, false).usable,
        onWay: (on, sent) => this.#onWay(on, sent),
      },
      { request, bytes, decision, startMs },
      signal,
    )
    yield* dispatch.run(first)
  }

  #refused(choice: Choice, decision: OpenDecision, startMs: number): InferError {
    const { code, message } = choice.refusal ?? { code: 'unavailable' as const, message: choice.reason }
    const latencyMs = this.#deps.clock.monotonicMs() - startMs
    decision.end({ ok: false, latencyMs, error: { code, message: message.slice(0, 500) } })
    return new InferError(code, `${message} (ganglion why ${decision.id})`, {
      retryable: code === 'unavailable',
    })
  }

  /** Looks at every route. `remember`: this is a request's first choice, which others then stay with. */
  #choose(
    request: Request,
    bytes: number,
    deadlineMs: number,
    tried: ReadonlyMap<string, string>,
    remember: boolean,
  ): { readonly choice: Choice; readonly usable: readonly UsableRoute[] } {
    const nowMs = this.#deps.clock.monotonicMs()
    const { model } = request
    const looked = this.#deps.routes().map((route) => {
      const offer = route.offer(model)
      const estimate = offer.usable ? this.#estimates.of(route, model, offer, bytes, nowMs) : undefined
      return { route, offer, estimate }
    })
    const candidates = (leftAlone: 'all' | 'remote' | 'none') =>
      looked.map(({ route, offer, estimate }) => {
        const failing = this.#circuits.whyNot(route.id, model, nowMs)
        const counts = leftAlone === 'all' || (leftAlone === 'remote' && route.reach !== 'device')
        const excluded = tried.get(route.id) ?? (counts ? failing : undefined)
        return {
          id: route.id,
          reach: route.reach,
          offer,
          ...(estimate ? { estimate } : {}),
          ...(excluded === undefined ? {} : { excluded }),
        }
      })
    const incumbent = this.#incumbents.get(model)
    const asked = { ...request, deadlineMs, bytes }
    const conditions = this.#conditions()
    const chosen = (leftAlone: 'all' | 'remote' | 'none') =>
      choose(asked, candidates(leftAlone), conditions, this.#options, incumbent, nowMs)
    let choice = chosen('all')
    // What this device has is better than nothing, also after it failed: the board copes.
    if (choice.refusal) choice = chosen('remote')
    // And a place that failed lately is better than one that is too late for certain.
    else if (!choice.inTime) choice = chosen('none')
    if (remember && choice.incumbent) this.#remember(model, choice.incumbent)
    const usable = choice.ranked.flatMap((id) => {
      const found = looked.find(({ route }) => route.id === id)
      return found?.offer.usable && found.estimate
        ? [{ route: found.route, offer: found.offer, estimate: found.estimate }]
        : []
    })
    return { choice, usable }
  }

  #remember(model: string, incumbent: Incumbent): void {
    this.#incumbents.delete(model)
    this.#incumbents.set(model, incumbent)
    const oldest = this.#incumbents.keys().next().value
    if (this.#incumbents.size > incumbentsMax && oldest !== undefined) this.#incumbents.delete(oldest)
  }

  #conditions(): Conditions {
    return this.#deps.conditions?.() ?? {}
  }

  /** Text that leaves the site leaves without names, addresses and secrets; they come back in the answer. */
  #onWay({ route }: UsableRoute, request: Request): Passage {
    if (route.reach !== 'cloud') return { request, back: (chunk) => chunk }
    return redacted(this.#deps.redactor(), request)
  }

  // Copies, to learn from

  #probe(
    request: Request,
    bytes: number,
    chosen: UsableRoute,
    choice: Choice,
    conditions: Conditions,
    decision: OpenDecision,
  ): void {
    if (this.#probing.size >= probesMax || bytes > probeBytesMax) return
    // A board that is hot or lives on a battery has nothing to spare for learning.
    if (isHot(conditions, this.#options.hotC) || conditions.power === 'battery') return
    const nowMs = this.#deps.clock.monotonicMs()
    const worth = this.#deps.routes().find((route) => {
      if (route.id === chosen.route.id || !choice.ranked.includes(route.id)) return false
      if (this.#probing.has(route.id)) return false
      const local = route.reach === 'device'
      const heardMs = local
        ? this.#estimates.newestMs(route.id, request.model)
        : this.#estimates.reachedMs(route.id, bytes)
      return nowMs - heardMs > this.#options.probeEveryMs * (local ? localProbeFactor : 1)
    })
    const offer = worth?.offer(request.model)
    if (!worth || !offer?.usable || !offer.idempotent || offer.loadMs > 0 || !this.#probes.spend()) return
    const estimate = this.#estimates.of(worth, request.model, offer, bytes, nowMs)
    const copy = { ...request, priority: 'background' as const, deadlineMs: probeDeadlineMs }
    const done = this.#sendCopy({ route: worth, offer, estimate }, copy, bytes, decision)
    this.#probing.set(worth.id, done)
    void done.finally(() => this.#probing.delete(worth.id))
  }

  /** Never rejects. */
  async #sendCopy(on: UsableRoute, copy: Request, bytes: number, decision: OpenDecision): Promise<void> {
    const { clock, log } = this.#deps
    const { route, offer } = on
    const startMs = clock.monotonicMs()
    const told = decision.attempt({ route: route.id, kind: 'probe', model: copy.model, startMs: 0 })
    const stop = new AbortController()
    const cancel = clock.after(copy.deadlineMs, () => stop.abort())
    const wallMs = () => clock.monotonicMs() - startMs
    const about = () => ({ route, model: copy.model, bytes, offer, wallMs: wallMs() })
    try {
      const signal = AbortSignal.any([stop.signal, this.#stop.signal])
      for await (const chunk of route.infer(this.#onWay(on, copy).request, signal)) {
        if (!chunk.final) continue
        this.#circuits.answered(route.id, copy.model)
        if (!chunk.cached)
          this.#estimates.observe({ ...about(), modelMs: chunk.modelMs }, clock.monotonicMs())
      }
      told.end({ endMs: wallMs(), outcome: 'answered' })
    } catch (error) {
      const code = error instanceof InferError ? error.code : 'run'
      // Background work is refused first: that says nothing about other work.
      const expected = code === 'overloaded' || this.#stop.signal.aborted
      if (!expected) {
        this.#circuits.failed(route.id, copy.model, stop.signal.aborted ? 'deadline' : code, {
          nowMs: clock.monotonicMs(),
          sentMs: startMs,
        })
        this.#estimates.observe({ ...about(), atLeast: true }, clock.monotonicMs())
      }
      told.end({
        endMs: wallMs(),
        outcome: 'failed',
        error: { code, message: messageOf(error).slice(0, 500) },
      })
      log.debug('a copy got no answer', { route: route.id, code })
    } finally {
      cancel()
    }
  }

  // A model cut in two

  /** The answer by way of a cut, where that is quicker than every whole; undefined where it is not, or did not work. */
  async #split(
    request: Request,
    plan: SplitPlan,
    usable: readonly UsableRoute[],
    startMs: number,
    decision: OpenDecision,
    signal: AbortSignal,
  ): Promise<InferChunk | undefined> {
    const nowMs = this.#deps.clock.monotonicMs()
    const look = (model: string, bytes: number) =>
      this.#choose({ ...request, model }, bytes, request.deadlineMs, new Map(), false).usable.map((one) => ({
        id: one.route.id,
        local: one.route.reach === 'device',
        estimate: this.#estimates.of(one.route, model, one.offer, bytes, nowMs),
      }))
    const whole = usable.map(({ route, estimate }) => ({
      id: route.id,
      local: route.reach === 'device',
      estimate,
    }))
    const cut = chooseCut(plan, requestBytes(request), look, whole, request.deadlineMs)
    if (!cut) return undefined
    decision.note(`cut at ${cut.tensor}: head on ${cut.headRoute}, tail on ${cut.tailRoute}, ${cut.why}`)
    try {
      const head = await this.#part(request, { model: cut.head }, cut.headRoute, startMs, signal)
      // What is in between is as private as what went in, or more.
      const between = { model: cut.tail, inputs: head.outputs, privacy: head.privacy ?? request.privacy }
      const tail = await this.#part(request, between, cut.tailRoute, startMs, signal)
      const latencyMs = this.#deps.clock.monotonicMs() - startMs
      const route = `${head.route ?? cut.headRoute}+${tail.route ?? cut.tailRoute}`
      decision.end({ ok: true, latencyMs, route })
      const modelMs = (head.modelMs ?? 0) + (tail.modelMs ?? 0)
      return { ...tail, id: decision.id, modelMs, route, decision: decision.id }
    } catch (error) {
      if (!(error instanceof InferError)) throw error
      if (error.code === 'cancelled' || usable.length === 0) {
        const latencyMs = this.#deps.clock.monotonicMs() - startMs
        decision.end({
          ok: false,
          latencyMs,
          error: { code: error.code, message: error.message.slice(0, 500) },
        })
        throw error
      }
      decision.note(`the cut model gave no answer (${error.code}): whole after all`)
      return undefined
    }
  }

  async #part(
    request: Request,
    change: Pick<Request, 'model'> & Partial<Request>,
    prefer: string,
    startMs: number,
    signal: AbortSignal,
  ): Promise<InferChunk> {
    const leftMs = request.deadlineMs - (this.#deps.clock.monotonicMs() - startMs)
    const part = { ...request, ...change, deadlineMs: Math.max(1, leftMs) }
    return this.#final(part, undefined, signal, () => {}, prefer)
  }

  /** The last chunk of a routed request. */
  async #final(
    request: Request,
    split: SplitPlan | undefined,
    signal: AbortSignal,
    onDecision?: (decision: OpenDecision) => void,
    prefer?: string,
  ): Promise<InferChunk> {
    for await (const chunk of this.#route(request, split, signal, onDecision, prefer))
      if (chunk.final) return chunk
    throw new InferError('run', `${request.model} ended without an answer`)
  }
}
