/**
 * Verified actuation: the only way from a command to a "done".
 *
 * Invariants: [actuation-1] done means that telemetry shows the declared effect, or says `unproven` where nothing could; [actuation-2] a command that is not
 * understood, out of range or not supported is refused before anything moves; [actuation-3] at most one retry, only where
 * it is safe and the time to live allows; [actuation-4] a later command supersedes an earlier one to the same entity,
 * unless the kind's commands add up; [actuation-5] every outcome carries what was seen.
 */
import type { Actuator, Command, CommandMeta } from '../../hal/contract/actuator.ts'
import type { Clock } from '../base/clock.ts'
import { DeadlineError, withDeadline } from '../base/deadline.ts'
import { messageOf } from '../base/errors.ts'
import { type CommandReport, check, type Evidence } from '../wire/messages.ts'
import { describeEffect, describeObserved, isShown } from './effect.ts'
import { kinds } from './kinds/index.ts'
import type { Effect } from './kinds/kind.ts'
import type { EntityRegistry } from './registry.ts'

export interface ActuationRequest {
  readonly entity: string
  readonly command: Readonly<Record<string, unknown>>
  /** Who asked: `user` at the device, `mqtt` or `mqtt:<who>` over the broker, `agent:<name>`, `agent:<name>@<device>`. */
  readonly principal: string
  readonly id?: string
  /** The command is worth nothing after this long, milliseconds. */
  readonly ttlMs?: number
  /** It came over the network: what it commanded does not outlast a lost one, unless the part says so. */
  readonly viaNetwork?: boolean
  /** Fencing token of an agent that commands: one lower than was seen of the same agent, wherever it ran, is refused. */
  readonly token?: number
  /** Of which beginning of the agent this is a copy; absent: of the only one of its name. */
  readonly lineage?: string | undefined
  /** Of something that only one in the site may do: refused where a later holder is known. */
  readonly lease?: { readonly name: string; readonly token: number }
  /** Why it may not leave now, whatever was true when it was asked for; undefined: it may. */
  readonly refusal?: () => string | undefined
  /** Unless something is commanded of the entity before, it goes back so long after. */
  readonly expires?: Expires
  /** Whose wish an agent carries out: what is commanded counts as commanded by them, under the agent's token. */
  readonly onBehalfOf?: Pick<ActuationRequest, 'principal' | 'viaNetwork'>
  /** Called at the moment the command leaves for the hardware. */
  readonly onSent?: () => void
}

interface Expires {
  readonly afterMs: number
  /** The command that brings it back. */
  readonly to: Readonly<Record<string, unknown>>
}

/** Brings back what was commanded for a while. */
export interface Expiring {
  /** Told of every command as it leaves. Why it must not, undefined: it may. */
  handedOver(request: ActuationRequest): string | undefined
  /** Told how each ended that may have left: `refused` only where nothing has moved. */
  ended(request: ActuationRequest, outcome: CommandReport['outcome']): void
}

/** Refuses whoever has been replaced. */
export interface Fence {
  /**
   * Why a command under this token is refused; undefined: it may pass, and none lower than `kept` (the token itself, unless said)
   * will. `device`: another one that it comes from. Never throws.
   */
  refusal(
    principal: string,
    token: number,
    of?: { readonly device?: string; readonly kept?: number },
  ): string | undefined
}

/** What is known of a command that may have been sent before. */
export type Recheck =
  | { readonly ok: false; readonly reason: string }
  | {
      readonly ok: true
      /** Telemetry shows the declared effect. */
      readonly shown: boolean
      /** Sending it again can do no more than sending it once. */
      readonly repeatable: boolean
      readonly expected: string
      readonly observed: string
    }

/** Who may command what: gives the lease that an attached actuator asks for. */
export interface Authority {
  /** Undefined where none is needed. Throws `{code: 'permission'}` with the reason when it is denied. */
  grant(
    component: string,
    request: Pick<ActuationRequest, 'principal' | 'viaNetwork'>,
    signal: AbortSignal,
  ): Promise<CommandMeta['lease']>
}

export interface ActuationOptions {
  /** Time for the hardware to take a command, milliseconds: longer than any bus, shorter than a person's patience. */
  readonly acceptMsMax: number
  /** Default time to live, milliseconds. */
  readonly ttlMs: number
  /** Commands waiting or under way on one entity. */
  readonly perEntityMax: number
}

export const actuationDefaults: ActuationOptions = { acceptMsMax: 3_000, ttlMs: 30_000, perEntityMax: 16 }

/** Refused by the hardware before anything moved. */
const refusals: ReadonlySet<string> = new Set(['out-of-range', 'unsupported', 'malformed', 'permission'])

type AskedMeta = CommandMeta & { readonly viaNetwork: boolean }

interface Lane {
  /** Ends the wait of the command under way. */
  current?: AbortController
  tail: Promise<unknown>
  waiting: number
}

const superseded = 'a later command took its place'
/** The reason of a `done` that changed nothing. */
export const shownBefore = 'it was so before'

/** A device that answers at all does so within this; milliseconds. */
const silenceMs = 1_000

type Attempt =
  | { readonly outcome: 'done'; readonly reason: string | undefined }
  | { readonly outcome: 'refused'; readonly reason: string }
  | { readonly outcome: 'missed'; readonly reason: string; readonly again: boolean }

export class Actuation {
  readonly #clock: Clock
  readonly #registry: EntityRegistry
  readonly #options: ActuationOptions
  readonly #authority: Authority | undefined
  readonly #fence: Fence | undefined
  readonly #leaseToken: ((name: string) => number) | undefined
  readonly #expiries: Expiring | undefined
  readonly #actuators = new Map<string, Actuator>()
  readonly #lanes = new Map<string, Lane>()

  constructor(
    deps: {
      clock: Clock
      registry: EntityRegistry
      authority?: Authority | undefined
      fence?: Fence | undefined
      /** The highest token of a lease that was heard of, 0 for none. */
      leaseToken?: ((name: string) => number) | undefined
      expiries?: Expiring | undefined
    },
    options: ActuationOptions = actuationDefaults,
  ) {
    this.#clock = deps.clock
    this.#authority = deps.authority
    this.#fence = deps.fence
    this.#leaseToken = deps.leaseToken
    this.#expiries = deps.expiries
    this.#registry = deps.registry
    this.#options = options
  }

  attach(actuator: Actuator): void {
    this.#actuators.set(actuator.info.id, actuator)
  }

  /**
   * By what was heard of leases, and by the highest token that a command came under: the disk has that one over a restart. A
   * token that no device told of is not kept: who lies could name one that no holder ever has.
   */
  #fenced({ principal, token, lineage, lease, refusal }: ActuationRequest): string | undefined {
    const now = refusal?.()
    if (now !== undefined) return now
    // A copy of one agent wherever it runs: from which device it asks does not tell it from another one.
    const [agent = principal, device = ''] = principal.split('@', 2)
    const copies = lineage ? `${agent} ${lineage}` : agent
    const old = token === undefined ? undefined : this.#fence?.refusal(copies, token, { device })
    if (old !== undefined || !lease) return old
    const { name, token: under } = lease
    const heard = this.#leaseToken?.(name) ?? 0
    if (under < heard) return `${name} has another holder by now: its token is ${heard}, not ${under}`
    return this.#fence?.refusal(`lease:${name}`, under, { device, kept: Math.min(under, heard) })
  }

  /** Never throws for an operating error: the report says what happened. */
  async run(request: ActuationRequest, signal: AbortSignal): Promise<CommandReport> {
    const startMs = this.#clock.monotonicMs()
    const report = (outcome: CommandReport['outcome'], evidence: Evidence): CommandReport => ({
      entity: request.entity,
      command: request.command as CommandReport['command'],
      outcome,
      evidence,
      latencyMs: Math.round((this.#clock.monotonicMs() - startMs) * 10) / 10,
    })
    const refused = (reason: string) =>
      report('refused', { expected: 'nothing: the command was refused', attempts: 0, reason })

    const fenced = this.#fenced(request)
    if (fenced !== undefined) return refused(fenced)
    const understood = this.#understand(request)
    if (!understood.ok) return refused(understood.reason)
    const { entity, expires } = request
    const back = expires && this.#understand({ entity, command: expires.to })
    if (back?.ok === false) return refused(`expires.to: ${back.reason}`)
    const { actuator, command, effectNow } = understood
    return this.#inLane(entity, effectNow(), signal, refused, async (laneSignal) => {
      let ended: CommandReport['outcome'] = 'failed'
      try {
        // An additive command that waited counts from what is there now.
        const { outcome, evidence } = await this.#attempts(
          actuator,
          command,
          effectNow(),
          request,
          startMs,
          laneSignal,
        )
        // What is refused the second time may have moved something the first.
        if (outcome !== 'refused' || evidence.attempts <= 1) ended = outcome
        return report(outcome, evidence)
      } finally {
        this.#expiries?.ended(request, ended)
      }
    })
  }

  /**
   * Looks whether a command that may have been sent before shows its effect; sends nothing. One that must not be repeated is
   * waited for as long as its effect may take: it may be under way.
   */
  async recheck(
    request: Pick<ActuationRequest, 'entity' | 'command'>,
    signal: AbortSignal,
  ): Promise<Recheck> {
    const understood = this.#understand(request)
    if (!understood.ok) return understood
    const { actuator, effectNow } = understood
    const effect = effectNow()
    const repeatable = effect.retrySafe && !effect.additive
    // What adds up is told by what was there before, which nobody knows any more.
    const tells = effect.checks.length > 0 && !effect.additive
    const isSo = () => tells && isShown(effect, this.#observed(actuator))
    const never = () => false
    if (tells && !repeatable && !isSo()) await this.#waitFor(effect.deadlineMs, isSo, never, signal)
    const observed = describeObserved(effect, this.#observed(actuator))
    return { ok: true, shown: isSo(), repeatable, expected: describeEffect(effect), observed }
  }

  /** Whether the entity is in this home. */
  knows(id: string): boolean {
    return this.#registry.get(id) !== undefined
  }

  #understand({ entity: id, command }: Pick<ActuationRequest, 'entity' | 'command'>) {
    const refused = (reason: string) => ({ ok: false, reason }) as const
    const entity = this.#registry.get(id)
    if (!entity) return refused(`there is no ${id}`)
    const actuator = this.#actuators.get(id)
    if (!actuator) return refused(`${id} only reports; it takes no commands`)
    const rules = kinds[actuator.info.kind]
    const parsed = check(rules.schema, command)
    if (!parsed.ok) return refused(`${id}: ${parsed.reason}`)
    const effectNow = () => rules.effect(parsed.value, actuator.info, this.#observed(actuator))
    return { ok: true, actuator, command: parsed.value, effectNow } as const
  }

  /** One command at a time per entity; a superseding one ends the wait of the one before. */
  async #inLane(
    id: string,
    effect: Effect,
    signal: AbortSignal,
    refused: (reason: string) => CommandReport,
    work: (signal: AbortSignal) => Promise<CommandReport>,
  ): Promise<CommandReport> {
    const lane = this.#lanes.get(id) ?? { tail: Promise.resolve(), waiting: 0 }
    if (lane.waiting >= this.#options.perEntityMax)
      return refused(`${id} already has ${lane.waiting} commands waiting`)
    this.#lanes.set(id, lane)
    if (!effect.additive) lane.current?.abort(superseded)
    const controller = new AbortController()
    lane.current = controller
    lane.waiting += 1
    const before = lane.tail
    const done = before.then(() => work(AbortSignal.any([signal, controller.signal])))
    lane.tail = done.catch(() => {})
    try {
      return await done
    } finally {
      lane.waiting -= 1
      if (lane.waiting === 0) this.#lanes.delete(id)
    }
  }

  async #attempts(
    actuator: Actuator,
    command: Command,
    effect: Effect,
    request: ActuationRequest,
    startMs: number,
    signal: AbortSignal,
  ): Promise<{ outcome: CommandReport['outcome']; evidence: Evidence }> {
    const { id = this.#clock.newId(), ttlMs = this.#options.ttlMs } = request
    const { principal, viaNetwork = false } = request.onBehalfOf ?? request
    const asked = { principal, viaNetwork }
    const end = (outcome: CommandReport['outcome'], attempts: number, reason?: string) => ({
      outcome,
      evidence: this.#evidence(actuator, effect, attempts, reason),
    })
    const attemptsMax = effect.retrySafe ? 2 : 1
    let missed = ''
    for (let attempts = 1; attempts <= attemptsMax; attempts++) {
      const leftMs = ttlMs - (this.#clock.monotonicMs() - startMs)
      if (leftMs <= 0) {
        const tooOld =
          ttlMs > 0
            ? `the command was ${Math.round(ttlMs / 1000)} s old before it could be sent`
            : 'the command was worth nothing any more when it came'
        return end('failed', attempts - 1, missed || tooOld)
      }
      if (signal.aborted) return end('failed', attempts - 1, whyEnded(signal))
      // While it waited another may have taken over.
      const fenced = this.#fenced(request)
      if (fenced !== undefined) return end(attempts === 1 ? 'refused' : 'failed', attempts - 1, fenced)
      const unkept = attempts === 1 ? this.#unkept(request) : undefined
      if (unkept !== undefined) return end('refused', 0, unkept)
      if (attempts === 1) request.onSent?.()
      const meta = { id, ttlMs: leftMs, ...asked }
      const attempt = await this.#attempt(actuator, command, effect, meta, signal)
      if (attempt.outcome !== 'missed') return end(attempt.outcome, attempts, attempt.reason)
      missed = attempt.reason
      if (!attempt.again) return end('failed', attempts, missed)
    }
    return end('failed', attemptsMax, missed)
  }

  #unkept(request: ActuationRequest): string | undefined {
    if (this.#expiries) return this.#expiries.handedOver(request)
    return request.expires && 'commands do not expire here'
  }

  /** Hands the command over once and waits for its effect. */
  async #attempt(
    actuator: Actuator,
    command: Command,
    effect: Effect,
    meta: AskedMeta,
    signal: AbortSignal,
  ): Promise<Attempt> {
    const soBefore = effect.checks.length > 0 && isShown(effect, this.#observed(actuator))
    let reports = 0
    const stopCounting = this.#registry.onReport(({ info }) => {
      if (info.id === actuator.info.id) reports += 1
    })
    try {
      const taken = await this.#handOver(actuator, command, meta, signal)
      if (!taken.ok) return taken.attempt
      // What was so before proves nothing until the device reports again; one that has nothing new to say may stay silent.
      const proven = () => isShown(effect, this.#observed(actuator)) && (reports > 0 || !soBefore)
      const silent = soBefore ? () => reports === 0 && isShown(effect, this.#observed(actuator)) : () => false
      const waited =
        effect.checks.length === 0 ? 'shown' : await this.#waitFor(effect.deadlineMs, proven, silent, signal)
      if (waited === 'shown') return { outcome: 'done', reason: soBefore ? shownBefore : undefined }
      if (waited === 'ended') return { outcome: 'missed', reason: whyEnded(signal), again: false }
      return { outcome: 'missed', reason: this.#notShown(actuator, effect), again: true }
    } finally {
      stopCounting()
    }
  }

  async #handOver(
    actuator: Actuator,
    command: Command,
    { viaNetwork, ...meta }: AskedMeta,
    signal: AbortSignal,
  ): Promise<{ ok: true } | { ok: false; attempt: Attempt }> {
    const limitMs = Math.min(this.#options.acceptMsMax, meta.ttlMs)
    const what = `${actuator.info.id} taking the command`
    const missed = (reason: string, again: boolean) =>
      ({ ok: false, attempt: { outcome: 'missed', reason, again } }) as const
    try {
      const handOver = async (s: AbortSignal) => {
        const asked = { principal: meta.principal, viaNetwork }
        const lease = await this.#authority?.grant(actuator.info.id, asked, s)
        await actuator.command(command, lease ? { ...meta, lease } : meta, s)
      }
      await withDeadline(this.#clock, what, limitMs, handOver, signal)
      return { ok: true }
    } catch (error) {
      if (signal.aborted) return missed(whyEnded(signal), false)
      if (error instanceof DeadlineError) return missed(error.message, true)
      // HalError by shape: the runtime imports only the HAL's types.
      const { code, retryable } = error as { code?: unknown; retryable?: unknown }
      if (typeof code !== 'string') throw error
      if (refusals.has(code)) return { ok: false, attempt: { outcome: 'refused', reason: messageOf(error) } }
      return missed(messageOf(error), retryable === true)
    }
  }

  /** Until a report proves the effect, or the device stayed silent about what was so before, or the deadline passes. */
  #waitFor(
    deadlineMs: number,
    proven: () => boolean,
    silent: () => boolean,
    signal: AbortSignal,
  ): Promise<'shown' | 'not-shown' | 'ended'> {
    if (proven()) return Promise.resolve('shown')
    return new Promise((resolve) => {
      const finish = (how: 'shown' | 'not-shown' | 'ended') => {
        for (const stop of stops) stop()
        signal.removeEventListener('abort', onAbort)
        resolve(how)
      }
      const onAbort = () => finish('ended')
      const stops = [
        this.#clock.after(deadlineMs, () => finish('not-shown')),
        this.#clock.after(Math.min(silenceMs, deadlineMs), () => {
          if (silent()) finish('shown')
        }),
        this.#registry.onReport(() => {
          if (proven()) finish('shown')
        }),
      ]
      if (signal.aborted) onAbort()
      else signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  #observed(actuator: Actuator) {
    return this.#registry.get(actuator.info.id)?.telemetry ?? actuator.current()
  }

  #notShown(actuator: Actuator, effect: Effect): string {
    const seen = describeObserved(effect, this.#observed(actuator))
    return `after ${effect.deadlineMs / 1000} s telemetry showed ${seen}, not ${describeEffect(effect)}`
  }

  #evidence(actuator: Actuator, effect: Effect, attempts: number, reason: string | undefined): Evidence {
    const { state, attributes, tsMs } = this.#observed(actuator)
    return {
      expected: describeEffect(effect),
      observed: { state, attributes: { ...attributes }, ts: tsMs },
      attempts,
      ...(effect.checks.length === 0 ? { unproven: true } : {}),
      ...(reason === undefined ? {} : { reason }),
    }
  }
}

/** Why a wait was ended early, for a person. */
function whyEnded(signal: AbortSignal): string {
  return signal.reason === superseded ? superseded : 'the caller stopped waiting'
}
