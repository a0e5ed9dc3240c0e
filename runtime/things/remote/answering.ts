/**
 * The asked side: commands of agents of other devices to this device's things.
 *
 * Invariants: [remote-4] nothing is done for whom this device does not believe, or who did not sign it to this device; [remote-5] a
 * command is carried out once however often it is said, whatever is lost and whoever of the two restarts: what this device has taken since
 * its start it knows, and what was said to it before its start means nothing; [remote-6] this device's own rule is kept
 * (`rule.ts`), whatever the agent's people granted; [remote-7] what cannot be recorded is not done; [remote-8] nobody has more than a few
 * commands under way here, nor more than some answers a second; [remote-12] they wait for each other and for those of this device's agents, one after the other at each thing.
 */
import { entityLock } from '../../agent/scheduler/device-resources.ts'
import { type Grant, ScheduleError, type Scheduler } from '../../agent/scheduler/scheduler.ts'
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { AuditEntry } from '../../observe/audit-chain.ts'
import type { CommandOnce, RemoteCommandBody } from '../../wire/remote-command.ts'
import type { Actuation } from '../actuation.ts'
import { commandOnce } from '../once.ts'
import type { EntityRegistry } from '../registry.ts'
import { type RemoteRuleOptions, remoteRefusal } from './rule.ts'

type Ask = Extract<RemoteCommandBody, { kind: 'ask' }>
type Leave = Extract<RemoteCommandBody, { kind: 'leave' }>

export interface AnsweringDeps {
  readonly clock: Clock
  readonly log: Log
  readonly registry: EntityRegistry
  readonly actuation: Actuation
  /** Where this device's own agents wait for its things. */
  readonly scheduler: Pick<Scheduler, 'lock'>
  /** Settles when it is on the disk. */
  readonly record: (entry: AuditEntry) => Promise<void>
  /** Says something to a device under this one's name. */
  readonly say: (to: string, body: Unaddressed) => void
}

/** What is said, but for to whom. */
export type Unaddressed = RemoteCommandBody extends infer Body
  ? Body extends RemoteCommandBody
    ? Omit<Body, 'to'>
    : never
  : never

const limits = {
  /** Devices that are known here: more than a site has. */
  askersMax: 128,
  /** Of one device, under way: as many as an entity takes. */
  runningMax: 16,
  /** At one thing, of all devices together: 64 commands may wait there, and those of agents here are among them. */
  atThingMax: 48,
  /** Ended commands of one device of which the outcome is known. */
  keptMax: 256,
  /** Of one device, answered at once, and then each second. */
  burst: 100,
  perSecond: 50,
  /** What may have been done before is looked for, also where it has no time left: so long the thing is waited for then. */
  lookMs: 30_000,
  /** Characters of what telemetry shows, and of a reason. */
  wordsMax: 1_000,
} as const

/** To be served before this device's people and agents is for its own people to grant. */
const urgentMost = 'interactive'

interface Taken {
  /** The command itself: an id that comes with another one is a mistake. */
  readonly what: string
  at: number
  result?: CommandOnce
  readonly leave: AbortController
}

interface Asker {
  readonly taken: Map<string, Taken>
  running: number
  /** What was said up to here and is not known any more is not taken. */
  floor: number
  budget: number
  budgetMs: number
}

export class Answering implements AsyncDisposable {
  readonly #deps: AnsweringDeps
  readonly #rule: RemoteRuleOptions
  readonly #session: string
  readonly #askers = new Map<string, Asker>()
  /** Of commands that wait for their thing or are under way. */
  readonly #places = new Set<{ readonly from: string; readonly entity: string }>()
  readonly #stop = new AbortController()
  readonly #running = new Set<Promise<void>>()

  constructor(deps: AnsweringDeps, rule: RemoteRuleOptions) {
    this.#deps = deps
    this.#rule = rule
    this.#session = deps.clock.newId()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('the device is stopping'))
    await Promise.all(this.#running)
  }

  /** Takes what `from` signed; returns what is wrong with it, if anything. */
  take(from: string, body: Ask | Leave): string | undefined {
    if (this.#stop.signal.aborted) return undefined
    const asker = this.#askerOf(from)
    if (!asker) return `${limits.askersMax} devices command things here already`
    if (!this.#mayAnswer(asker)) return `${from} says too much`
    if (body.kind === 'leave') {
      if (body.session === this.#session) asker.taken.get(body.id)?.leave.abort()
      return undefined
    }
    return this.#ask(from, asker, body)
  }

  #ask(from: string, asker: Asker, ask: Ask): string | undefined {
    const { id, at } = ask
    const { say } = this.#deps
    const again = () => say(from, { kind: 'again', id, at, session: this.#session, floor: asker.floor })
    if (ask.session !== this.#session) {
      again()
      return undefined
    }
    const known = asker.taken.get(id)
    if (known) {
      if (known.what !== whatOf(ask)) return 'another command of this id was taken before'
      known.at = Math.max(known.at, at)
      say(from, known.result ? { kind: 'over', id, at, result: known.result } : { kind: 'running', id, at })
      return undefined
    }
    if (at <= asker.floor) {
      again()
      return undefined
    }
    if (asker.running >= limits.runningMax) {
      const reason = `${from} already has ${limits.runningMax} commands under way here`
      say(from, { kind: 'over', id, at, result: { outcome: 'unavailable', reason } })
      return undefined
    }
    const taken = { what: whatOf(ask), at, leave: new AbortController() }
    asker.taken.set(id, taken)
    this.#forget(asker)
    const running = this.#run(from, asker, ask, taken).finally(() => this.#running.delete(running))
    this.#running.add(running)
    return undefined
  }

  async #run(from: string, asker: Asker, ask: Ask, taken: Taken): Promise<void> {
    asker.running += 1
    const { id } = ask
    try {
      const signal = AbortSignal.any([this.#stop.signal, taken.leave.signal])
      taken.result = shortened(await this.#carriedOut(from, ask, signal))
    } catch (error) {
      this.#deps.log.error('a command of another device failed', { from, reason: messageOf(error) })
      taken.result = shortened({ outcome: 'failed', reason: messageOf(error) })
    } finally {
      asker.running -= 1
    }
    // Of what a stopping device left nobody knows how it ends: whoever asked asks again, and is told what is seen then.
    if (this.#stop.signal.aborted) return
    this.#deps.say(from, { kind: 'over', id, at: taken.at, result: taken.result })
  }

  async #carriedOut(from: string, ask: Ask, signal: AbortSignal): Promise<CommandOnce> {
    const { registry, actuation } = this.#deps
    const { agent, lineage, token, entity, command, lease, expires, id } = ask
    const info = registry.get(entity)?.info
    if (!info) return { outcome: 'not-found', reason: `there is no ${entity}` }
    const refusal = remoteRefusal(this.#rule, from, info)
    const principal = `agent:${agent}@${from}`
    const about = { principal, token, about: entity, ...(ask.resumed ? { resumed: true } : {}) }
    const verdict = refusal === undefined ? 'allow' : 'deny'
    if (!(await this.#recorded({ kind: 'remote-command', ...about, verdict })))
      return { outcome: 'unavailable', reason: 'it cannot be recorded, so it is not done' }
    if (refusal !== undefined) return { outcome: 'refused', reason: refusal }
    const request = {
      ...{ entity, command, principal, lineage, token, viaNetwork: true },
      ...(lease && { lease }),
      ...(expires && { expires }),
      id: `${from}/${id}`,
    }
    const run = (ttlMs: number) => commandOnce(actuation, { ...request, ttlMs }, ask, signal)
    const result = await this.#inTurn(from, ask, run, signal)
    void this.#recorded({ kind: 'remote-effect', ...about, outcome: result.outcome })
    return result
  }

  /** Its time goes on while it waits; `run` is told what is left of it. */
  async #inTurn(
    from: string,
    { id, agent, entity, ttlMs, resumed, priority = 'background' }: Ask,
    run: (ttlMs: number) => Promise<CommandOnce>,
    signal: AbortSignal,
  ): Promise<CommandOnce> {
    const request = {
      ...{ agent: `${agent}@${from}`, task: `${from}/${id}` },
      priority: priority === 'control' ? urgentMost : priority,
      withinMs: resumed ? Math.max(ttlMs, limits.lookMs) : ttlMs,
    }
    const notHad = (why: string): CommandOnce => {
      const reason = `${entity} was not to be had: ${why}`
      return { outcome: resumed ? 'uncertain' : 'unavailable', reason }
    }
    const full = this.#full(from, entity)
    if (full !== undefined) return notHad(full)
    const place = { from, entity }
    using held = new DisposableStack()
    held.defer(() => this.#places.delete(place))
    this.#places.add(place)
    let lock: Grant
    try {
      lock = await this.#deps.scheduler.lock(entityLock(entity), request, signal)
    } catch (error) {
      if (signal.aborted) return { outcome: 'failed', reason: 'nobody waits for it any more' }
      if (!(error instanceof ScheduleError)) throw error
      return notHad(error.message)
    }
    held.defer(() => lock.release())
    return await run(Math.max(0, ttlMs - lock.waitedMs))
  }

  /** Devices together leave room at a thing for the agents of this one, and for a device that has nothing there yet. */
  #full(from: string, entity: string): string | undefined {
    const there = [...this.#places].filter((place) => place.entity === entity)
    if (there.length < limits.atThingMax || there.every((place) => place.from !== from)) return undefined
    return `${there.length} commands of other devices wait for it already`
  }

  async #recorded(entry: AuditEntry): Promise<boolean> {
    try {
      await this.#deps.record(entry)
      return true
    } catch (error) {
      this.#deps.log.error('a command of another device cannot be recorded', { reason: messageOf(error) })
      return false
    }
  }

  #askerOf(from: string): Asker | undefined {
    const known = this.#askers.get(from)
    if (known) return known
    if (this.#askers.size >= limits.askersMax) return undefined
    const budgetMs = this.#deps.clock.monotonicMs()
    const fresh: Asker = { taken: new Map(), running: 0, floor: 0, budget: limits.burst, budgetMs }
    this.#askers.set(from, fresh)
    return fresh
  }

  #mayAnswer(asker: Asker): boolean {
    const nowMs = this.#deps.clock.monotonicMs()
    const refill = ((nowMs - asker.budgetMs) / 1000) * limits.perSecond
    asker.budget = Math.min(limits.burst, asker.budget + refill)
    asker.budgetMs = nowMs
    if (asker.budget < 1) return false
    asker.budget -= 1
    return true
  }

  /** The oldest that have ended; what was said until then is never taken again. */
  #forget(asker: Asker): void {
    for (const [id, { at, result }] of asker.taken) {
      if (asker.taken.size <= limits.keptMax + limits.runningMax) return
      if (!result) continue
      asker.taken.delete(id)
      asker.floor = Math.max(asker.floor, at)
    }
  }
}

const whatOf = ({ agent, entity, command, expires }: Ask) => JSON.stringify([agent, entity, command, expires])

function shortened(result: CommandOnce): CommandOnce {
  if (result.outcome === 'done') return { ...result, shown: result.shown.slice(0, limits.wordsMax) }
  return { ...result, reason: result.reason.slice(0, limits.wordsMax) }
}
