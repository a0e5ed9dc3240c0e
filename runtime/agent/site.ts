/**
 * What the devices of a site do together, as one of them: whom it believes, what it decides with the others, which leases it holds.
 * Opened on every device on which agents may run, also where none does: a device without agents counts in a quorum.
 *
 * Invariants: [site-1] at rest it has no timer, no thread and no file of its own but its key and those it believes.
 */
import { join } from 'node:path'
import type { Clock } from '../base/clock.ts'
import { UsageError } from '../base/errors.ts'
import type { Identity } from '../base/identity.ts'
import type { Log } from '../base/log.ts'
import type { Bus } from '../link/bus.ts'
import { type DecisionEvent, decideLimits } from '../wire/decide.ts'
import { leaseLimits } from '../wire/lease.ts'
import { recentMax, type TogetherResult } from '../wire/together.ts'
import { Board } from './board/board.ts'
import { boardService } from './board/board-service.ts'
import type { Weights } from './decide/count.ts'
import { decideService } from './decide/decide-service.ts'
import { Decisions, type DecisionsDeps } from './decide/decisions.ts'
import { eventOf } from './decide/record.ts'
import { leaseService } from './leader/lease-service.ts'
import { Leases } from './leader/leases.ts'
import { ownerIsThere } from './move/owner-lease.ts'
import type { Service } from './service.ts'
import { Checking } from './together/checking.ts'
import type { Signer } from './together/envelope.ts'
import { Namesakes } from './together/namesakes.ts'
import { Peers } from './together/peers.ts'

export interface SiteDeps extends Pick<DecisionsDeps, 'record' | 'contractor' | 'veto' | 'interested'> {
  /** Whether an agent of this name runs on this device. */
  readonly runs: (agent: string) => boolean
  readonly clock: Clock
  readonly log: Log
  readonly bus: Bus
  readonly identity: Identity
}

export interface SiteOptions {
  readonly stateDir: string
  /** Public keys of the other devices. Where any is named, nobody else is believed. */
  readonly peers?: Readonly<Record<string, string>>
  /** What devices' votes weigh; absent: no weighted vote is opened here. */
  readonly weights?: Weights | undefined
}

export class Site implements AsyncDisposable {
  /** Checks what the others say, as much as there is time for. */
  readonly signer: Signer
  readonly bus: Bus
  readonly peers: Peers
  /** Agents of the others. */
  readonly namesakes: Namesakes
  readonly decisions: Decisions
  readonly leases: Leases
  readonly board: Board
  /** What agents may call of all this. */
  readonly services: readonly Service[]
  readonly #recent: readonly DecisionEvent[]
  readonly #stack: AsyncDisposableStack

  /** Throws UsageError where the keys that are configured cannot be. */
  static async open(
    deps: SiteDeps,
    { stateDir, peers: keys, weights }: SiteOptions,
    signal: AbortSignal,
  ): Promise<Site> {
    signal.throwIfAborted()
    const { clock, log, bus, identity } = deps
    await using stack = new AsyncDisposableStack()
    const peers = stack.use(openPeers(deps, { path: join(stateDir, 'peers.json'), ...(keys && { keys }) }))
    const namesakes = stack.use(new Namesakes({ bus, peers, own: identity.device }))
    const { contractor, veto, interested } = deps
    const signer = new Checking(identity, clock)
    const recent: DecisionEvent[] = []
    const record: DecisionsDeps['record'] = (decision) => {
      recent.push(eventOf(decision))
      if (recent.length > recentMax) recent.shift()
      deps.record(decision)
    }
    const asked = {
      record,
      away: () => peers.away,
      ...(contractor && { contractor }),
      ...(veto && { veto }),
      ...(interested && { interested }),
    }
    const decisions = stack.use(new Decisions({ clock, log, bus, signer, weights, ...asked }))
    const leases = stack.use(
      Leases.open(
        { clock, log, bus, signer, lives: deps.runs, refuses: (name) => ownerIsThere(name, peers) },
        { path: join(stateDir, 'granted-leases.json') },
      ),
    )
    const onPeer = (listener: () => void) => peers.onNew(listener)
    const shared = { clock, log, bus, signer, onPeer }
    const board = stack.use(await Board.open(shared, { path: join(stateDir, 'board.db') }, signal))
    const nowMs = () => clock.nowMs()
    const services = [
      decideService({ decisions, known: () => peers.known, weights, nowMs }),
      leaseService({ leases, nowMs }),
      boardService({ board, after: (delayMs, work) => clock.after(delayMs, work) }),
    ]
    return new Site(
      { signer, bus, peers, namesakes, decisions, leases, board, services },
      recent,
      stack.move(),
    )
  }

  private constructor(
    parts: Pick<
      Site,
      'signer' | 'bus' | 'peers' | 'namesakes' | 'decisions' | 'leases' | 'board' | 'services'
    >,
    recent: readonly DecisionEvent[],
    stack: AsyncDisposableStack,
  ) {
    this.#recent = recent
    this.signer = parts.signer
    this.bus = parts.bus
    this.peers = parts.peers
    this.namesakes = parts.namesakes
    this.decisions = parts.decisions
    this.leases = parts.leases
    this.board = parts.board
    this.services = parts.services
    this.#stack = stack
  }

  /** For people: whom this device believes, what it decided lately, who holds what. */
  together(): TogetherResult {
    const devices = Object.entries(this.peers.keys).map(([device, key]) => ({ device, key }))
    return {
      devices: devices.slice(0, decideLimits.membersMax),
      decisions: [...this.#recent],
      leases: this.leases.known().slice(0, leaseLimits.toldMax),
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync()
  }
}

function openPeers(
  { clock, log, bus, identity }: SiteDeps,
  options: ConstructorParameters<typeof Peers>[1],
): Peers {
  try {
    return new Peers({ clock, log, bus, identity }, options)
  } catch (error) {
    throw new UsageError(`device.peers: ${(error as Error).message}`, { cause: error })
  }
}
