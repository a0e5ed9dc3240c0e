/**
 * The router: every inference of this device goes through it, to the place that the policy chooses. It keeps no input and no
 * output. `policy.ts` decides, `dispatch.ts` carries out, here they meet what is known of routes and of the device.
 */
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { Decision } from '../../wire/decisions.ts'
import {
  type InferChunk,
  InferError,
  type InferErrorCode,
  type InferRequest,
  mayTravel,
  type Privacy,
  privacies,
} from '../../wire/infer.ts'
import type { Inference } from '../inference.ts'
import { redacted } from '../redaction/redacted.ts'
import type { Redactor } from '../redaction/redactor.ts'
import { Allowance } from './allowance.ts'
import type { UsableRoute } from './attempt.ts'
import { answerOf, type CascadePlan, confidenceOf } from './cascade.ts'
import { Circuits } from './circuit.ts'
import { type Conditions, describe, isHot } from './conditions.ts'
import { Copies, copyOf } from './copies.ts'
import { DecisionLog, type OpenDecision } from './decision-log.ts'
import { Dispatch, type Passage } from './dispatch.ts'
import { type Estimate, Estimates } from './estimates.ts'
import { type Choice, choose, costOf, type Incumbent, type PolicyOptions, policyDefaults } from './policy.ts'
import { requestBytes } from './request-bytes.ts'
import type { Route } from './route.ts'
import { type ChosenCut, type CutChoice, chooseCut, type PartRoute, type SplitPlan } from './split.ts'

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
/** Second tries saved up for bad times: enough for the first moments of an outage. */
const savedMax = 5
/** Copies are small: what a slow link carries in a fraction of a second. */
const probeBytesMax = 256 * 1024
/** Models of which something is remembered: many times what a device has. */
const modelsMax = 256
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

/** Of a model that may be cut. */
interface CutMemory {
  /** Tensor at which its requests are cut now. */
  readonly current: string | undefined
  /** When a copy was last made of one, monotonic. */
  readonly copiedMs: number
}

const preferred = 'the cut was chosen for this place'

export class Router implements Inference, AsyncDisposable {
  readonly #deps: RouterDeps
  readonly #options: Required<RouterOptions>
  readonly #estimates: Estimates
  readonly #circuits: Circuits
  readonly #hedges: Allowance
  readonly #copies: Copies
  readonly #decisions = new DecisionLog()
  readonly #incumbents = new Map<string, Incumbent>()
  readonly #cuts = new Map<string, CutMemory>()
  #closed = false

  /** Does no I/O. */
  constructor(deps: RouterDeps, options: RouterOptions = {}) {
    this.#deps = { ...deps, log: deps.log.named('router') }
    this.#options = { ...defaults, ...options }
    this.#estimates = new Estimates({ staleMs: this.#options.staleMs })
    this.#circuits = new Circuits(() => deps.clock.random())
    this.#hedges = new Allowance(this.#options.hedgeShare, savedMax)
    this.#copies = new Copies(
      {
        clock: deps.clock,
        log: this.#deps.log,
        estimates: this.#estimates,
        circuits: this.#circuits,
        onWay: (on, request) => this.#onWay(on, request),
      },
      this.#options.probeShare,
    )
  }

  /**
   * Throws InferError: `refused` names the label and what would have been needed; `unavailable` every place and why not. A
   * cascade answers from the small model where it is sure enough, and where the large one cannot be reached.
   */
  async *infer(request: Request, signal: AbortSignal): AsyncGenerator<InferChunk, void, undefined> {
    if (this.#closed) throw new InferError('engine-stopped', 'the router was closed')
    const plan = this.#deps.plan?.(request.model)
    if (plan?.cascade) yield* this.#cascade(request, plan.cascade, plan.split, signal)
    else yield* this.#route(request, plan?.split, signal)
  }

  /** Models for a task (`chat`) that may be asked now, the nearest first. How far each is says `reach`. */
  modelsFor(task: string): { readonly name: string; readonly reach: Privacy }[] {
    return this.#deps
      .routes()
      .filter(({ reach }) => mayTravel(this.#options.allow, reach))
      .flatMap((route) => (route.modelsFor?.(task) ?? []).map((name) => ({ name, reach: route.reach })))
      .sort((a, b) => privacies.indexOf(a.reach) - privacies.indexOf(b.reach))
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
    this.#closed = true
    await this.#copies[Symbol.asyncDispose]()
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
    this.#copies.earn()
    const { choice, usable } = this.#choose(request, bytes, request.deadlineMs, new Map(), true)
    const first = usable.find(({ route }) => route.id === prefer) ?? usable[0]
    const cuts = split ? this.#chooseCut(request, split, bytes, usable) : {}
    const conditions = this.#conditions()
    const sent = cuts.use
      ? { route: `${cuts.use.headRoute}+${cuts.use.tailRoute}`, reason: `cut in two: ${cuts.use.why}` }
      : first && { route: first.route.id, reason: first.route.id === prefer ? preferred : choice.reason }
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
      ...(sent ?? { reason: choice.reason }),
    })
    onDecision(decision)
    if (cuts.learn) this.#learnCut(request, cuts.learn, conditions, decision)
    if (cuts.use) {
      const answer = await this.#split(request, cuts.use, usable, startMs, decision, signal)
      if (answer) {
        yield answer
        return
      }
    }
    if (!first) throw this.#refused(choice, decision, startMs)
    this.#probe(request, bytes, first, usable, conditions, decision)
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
    decision.end({ ok: false, latencyMs, error: { code, message } })
    return new InferError(code, `${message} (ganglion why ${decision.id})`, {
      retryable: code === 'unavailable',
    })
  }

  /** Looks at every route. `settles`: this is a request's first choice, which others then stay with. */
  #choose(
    request: Request,
    bytes: number,
    deadlineMs: number,
    tried: ReadonlyMap<string, string>,
    settles: boolean,
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
    if (settles && choice.incumbent) remember(this.#incumbents, model, choice.incumbent)
    const usable = choice.ranked.flatMap((id) => {
      const found = looked.find(({ route }) => route.id === id)
      return found?.offer.usable && found.estimate
        ? [{ route: found.route, offer: found.offer, estimate: found.estimate }]
        : []
    })
    return { choice, usable }
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

  /** A board that is hot or lives on a battery has nothing to spare for learning. */
  #mayLearn(conditions: Conditions, bytes: number): boolean {
    return bytes <= probeBytesMax && !isHot(conditions, this.#options.hotC) && conditions.power !== 'battery'
  }

  #probe(
    request: Request,
    bytes: number,
    chosen: UsableRoute,
    usable: readonly UsableRoute[],
    conditions: Conditions,
    decision: OpenDecision,
  ): void {
    if (!this.#mayLearn(conditions, bytes)) return
    const nowMs = this.#deps.clock.monotonicMs()
    const unheard = ({ route, estimate }: UsableRoute) => {
      const local = route.reach === 'device'
      const heardMs = local
        ? this.#estimates.newestMs(route.id, request.model)
        : this.#estimates.reachedMs(route.id, bytes)
      const longMs = this.#options.probeEveryMs * (local ? localProbeFactor : 1)
      return estimate.basis === 'guessed' || nowMs - heardMs > longMs
    }
    const worth = usable.find(
      (one) => one.route.id !== chosen.route.id && one.offer.loadMs === 0 && mayBeCopied(one) && unheard(one),
    )
    if (worth) this.#copies.send(worth, request, bytes, decision)
  }

  // A model cut in two

  #chooseCut(
    request: Request,
    plan: SplitPlan,
    inputBytes: number,
    usable: readonly UsableRoute[],
  ): CutChoice {
    const conditions = this.#conditions()
    const partsOf = (model: string, bytes: number, routes: readonly UsableRoute[]) =>
      routes.map(({ route, offer, estimate }): PartRoute => {
        const costing = (supposed: Estimate) => ({ reach: route.reach, offer, estimate: supposed })
        return {
          id: route.id,
          local: route.reach === 'device',
          estimate,
          costOf: (supposed) =>
            costOf({ ...request, model, bytes }, costing(supposed), conditions, this.#options),
          copies: mayBeCopied({ offer }),
        }
      })
    const look = (model: string, bytes: number) => {
      const part = { ...request, model }
      return partsOf(model, bytes, this.#choose(part, bytes, request.deadlineMs, new Map(), false).usable)
    }
    const whole = partsOf(request.model, inputBytes, usable)
    const memory = this.#cuts.get(request.model)
    const { deadlineMs } = request
    const chosen = chooseCut({ plan, inputBytes, deadlineMs, whole, look, current: memory?.current })
    remember(this.#cuts, request.model, {
      current: chosen.use?.tensor,
      copiedMs: memory?.copiedMs ?? -Infinity,
    })
    return chosen
  }

  #learnCut(request: Request, cut: ChosenCut, conditions: Conditions, decision: OpenDecision): void {
    const memory = this.#cuts.get(request.model)
    const nowMs = this.#deps.clock.monotonicMs()
    // Its first half runs here: as rarely as a model that is learnt about here.
    const longMs = this.#options.probeEveryMs * localProbeFactor
    if (!memory || nowMs - memory.copiedMs < longMs || !this.#mayLearn(conditions, cut.bytes)) return
    const begun = this.#copies.begin(`${request.model} cut`, async (signal) => {
      await this.#inTwo(copyOf(request), cut, nowMs, decision, signal)
    })
    if (!begun) return
    remember(this.#cuts, request.model, { ...memory, copiedMs: nowMs })
    decision.note(`a copy runs cut at ${cut.tensor}, to learn how quick that is`)
  }

  /** The answer by way of a cut; undefined where it gave none and the model can run whole. */
  async #split(
    request: Request,
    cut: ChosenCut,
    usable: readonly UsableRoute[],
    startMs: number,
    decision: OpenDecision,
    signal: AbortSignal,
  ): Promise<InferChunk | undefined> {
    decision.note(`cut at ${cut.tensor}: head on ${cut.headRoute}, tail on ${cut.tailRoute}, ${cut.why}`)
    // The place that keeps silent will not run it whole either: the other one needs its time.
    const other = usable.find(({ route }) => route.id !== cut.tailRoute)
    const limitMs = request.deadlineMs - (other?.estimate.p95Ms ?? 0)
    const deadlineMs = limitMs >= cut.p95Ms ? limitMs : request.deadlineMs
    const latencyMs = () => this.#deps.clock.monotonicMs() - startMs
    try {
      const answer = await this.#inTwo({ ...request, deadlineMs }, cut, startMs, decision, signal)
      const { route, served } = answer
      decision.end({ ok: true, latencyMs: latencyMs(), ...(route && { route }), ...(served && { served }) })
      return { ...answer, id: decision.id, decision: decision.id }
    } catch (error) {
      if (!(error instanceof InferError)) throw error
      const { code, message } = error
      if (code === 'cancelled' || usable.length === 0) {
        decision.end({ ok: false, latencyMs: latencyMs(), error: { code, message } })
        throw error
      }
      decision.note(`the cut model gave no answer (${code}): whole after all`)
      return undefined
    }
  }

  async #inTwo(
    request: Request,
    cut: ChosenCut,
    startMs: number,
    decision: OpenDecision,
    signal: AbortSignal,
  ): Promise<InferChunk> {
    const part = (change: Pick<Request, 'model'> & Partial<Request>, prefer: string) => {
      const leftMs = request.deadlineMs - (this.#deps.clock.monotonicMs() - startMs)
      const half = { ...request, ...change, deadlineMs: Math.max(1, leftMs) }
      const tell = (one: OpenDecision) => one.note(`a half of ${request.model} (decision ${decision.id})`)
      return this.#final(half, undefined, signal, tell, prefer)
    }
    const head = await part({ model: cut.head }, cut.headRoute)
    // What is in between is as private as what went in, or more.
    const between = { model: cut.tail, inputs: head.outputs, privacy: head.privacy ?? request.privacy }
    const tail = await part(between, cut.tailRoute)
    const route = `${head.route ?? cut.headRoute}+${tail.route ?? cut.tailRoute}`
    return { ...tail, route, modelMs: (head.modelMs ?? 0) + (tail.modelMs ?? 0) }
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

/** Nobody may notice: not by another answer, and not by a bill. */
function mayBeCopied({ offer }: Pick<UsableRoute, 'offer'>): boolean {
  return offer.idempotent && offer.price === 0
}

function remember<T>(map: Map<string, T>, model: string, value: T): void {
  map.delete(model)
  map.set(model, value)
  const oldest = map.keys().next().value
  if (map.size > modelsMax && oldest !== undefined) map.delete(oldest)
}
