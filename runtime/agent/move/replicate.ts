/**
 * Sends copies of this device's agents to others of its site, for the day on which this one dies: from time to time, and only of what
 * has taken turns since. What is here no more is forgotten there. What a copy is and who may begin it: `agent-copies.ts`, `take-over.ts`.
 *
 * Invariants: [replica-1] of each agent another device keeps the latest copy that it acknowledged, and no other; [replica-2] a copy of
 * what has ended, failed, was removed or is no longer to be copied goes, as soon as the other is there; [replica-3] one copy is on its
 * way at a time.
 */
import type { Cancel, Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { AgentCopies } from './agent-copies.ts'
import type { Mover } from './mover.ts'
import { moveReason } from './package.ts'

export interface ReplicatorDeps {
  readonly clock: Clock
  readonly log: Log
  readonly mover: Pick<Mover, 'copy' | 'drop'>
  readonly known: () => Promise<Pick<AgentCopies, 'copyable' | 'all' | 'has'> | undefined>
}

export interface ReplicatorOptions {
  readonly to: readonly string[]
  readonly everyMs: number
  /** Absent: all. */
  readonly agents?: readonly string[] | undefined
}

/** Where one configuration is shared by all devices of a fleet each is in it: none keeps copies of its own agents. */
export function toOthers<Options extends Pick<ReplicatorOptions, 'to'>>(
  replicate: Options | undefined,
  device: string,
): Options | undefined {
  const to = replicate?.to.filter((other) => other !== device) ?? []
  return replicate && to.length > 0 ? { ...replicate, to } : undefined
}

/** After something was done with an agent: it is told soon, so that a copy is not begun of what a person stopped. */
const changedMs = 1_000

export class Replicator implements AsyncDisposable {
  readonly #deps: ReplicatorDeps
  readonly #options: ReplicatorOptions
  /** What each device has, by device and agent. */
  readonly #kept = new Map<string, string>()
  /** Why a copy was not kept, as it was logged last. */
  readonly #logged = new Map<string, string>()
  #timer: Cancel = () => {}
  #round: Promise<void> | undefined
  #seen = ''
  #closed = false

  constructor(deps: ReplicatorDeps, options: ReplicatorOptions) {
    this.#deps = { ...deps, log: deps.log.named('copies') }
    this.#options = options
    this.#next(options.everyMs)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    this.#timer()
    await this.#round
  }

  /** Something was done with an agent, or one has come to its end. */
  async changed(): Promise<void> {
    const moves = await this.#deps.known()
    const seen = JSON.stringify(moves?.copyable().map(({ name, urgent }) => [name, urgent]) ?? [])
    if (seen === this.#seen || this.#closed) return
    this.#seen = seen
    if (!this.#round) this.#next(Math.min(changedMs, this.#options.everyMs))
  }

  #next(afterMs: number): void {
    this.#timer()
    if (this.#closed) return
    this.#timer = this.#deps.clock.after(afterMs, () => {
      const seen = this.#seen
      this.#round = this.#copyAll()
        .catch((error) => this.#deps.log.warn('no agent was copied', { reason: moveReason(error) }))
        .then(() => {
          this.#round = undefined
          // What came about meanwhile was not heard of.
          this.#next(seen === this.#seen ? this.#options.everyMs : Math.min(changedMs, this.#options.everyMs))
        })
    })
  }

  async #copyAll(): Promise<void> {
    const { known, mover } = this.#deps
    const { to } = this.#options
    const moves = await known()
    if (!moves) return
    const stale = moves
      .all()
      .filter(({ agent, peer }) => !moves.has(agent) || !to.includes(peer) || !this.#chosen(agent))
    mover.drop(stale)
    for (const { agent, peer } of stale) this.#kept.delete(`${peer} ${agent}`)
    for (const { name, mark } of moves.copyable().filter((one) => this.#chosen(one.name)))
      for (const device of to) {
        // A move that came to nothing had it dropped.
        if (this.#closed) return
        const is = moves.all().some(({ agent, peer }) => agent === name && peer === device)
        if (!is || this.#kept.get(`${device} ${name}`) !== mark) await this.#copy(moves, name, device, mark)
      }
  }

  #chosen(agent: string): boolean {
    return this.#options.agents?.includes(agent) ?? true
  }

  async #copy(
    moves: Pick<AgentCopies, 'copyable'>,
    agent: string,
    device: string,
    mark: string,
  ): Promise<void> {
    const { log, mover } = this.#deps
    const pair = `${device} ${agent}`
    try {
      await mover.copy(agent, device)
      this.#kept.set(pair, mark)
      this.#logged.delete(pair)
    } catch (error) {
      const reason = moveReason(error)
      // It has ended meanwhile, or leaves: there is nothing to be copied any more.
      if (!this.#closed && !moves.copyable().some(({ name }) => name === agent)) {
        this.#logged.delete(pair)
        return
      }
      if (this.#closed || this.#logged.get(pair) === reason) return
      this.#logged.set(pair, reason)
      log.warn('a copy of an agent was not kept', { agent, device, reason })
    }
  }
}
