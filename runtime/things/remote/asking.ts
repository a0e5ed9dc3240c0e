/**
 * The asking side: commands of this device's agents to things of other devices. A command is said again until it is answered; it is done
 * only where the asked device, under its own signature, says that its telemetry shows the effect.
 *
 * Invariants: [remote-9] what was never said in a session of the asked device is `unavailable` where that one is gone or silent, at once
 * where it is known to be gone; [remote-10] what was, and of which no end is heard, is `uncertain`: never done, never failed; [remote-11] said
 * in another session than before, it is said as one that may have been carried out.
 */
import type { Cancel, Clock } from '../../base/clock.ts'
import { type CommandOnce, type RemoteCommandBody, remoteCommandLimits } from '../../wire/remote-command.ts'
import type { Unaddressed } from './answering.ts'

type Ask = Extract<RemoteCommandBody, { kind: 'ask' }>
export type Answer = Exclude<RemoteCommandBody, { kind: 'ask' | 'leave' }>

export interface RemoteRequest
  extends Pick<Ask, 'id' | 'agent' | 'lineage' | 'token' | 'entity' | 'command' | 'priority'> {
  readonly device: string
  readonly ttlMs: number
  readonly lease?: { readonly name: string; readonly token: number }
  readonly expires?: Exclude<Ask['expires'], undefined>
  /** It may have been said before this device restarted. */
  readonly resumed: boolean
  /** Asked before each saying: false where it is to be done no more, unless it was begun. */
  readonly isWorthIt?: () => boolean
}

export interface AskingDeps {
  readonly clock: Clock
  readonly say: (to: string, body: Unaddressed) => void
}

const limits = {
  /** Of all agents here together. */
  pendingMax: 128,
  /** Between two sayings, growing. */
  againMs: [500, 1_000, 2_000, 4_000],
  /** A device that is there answers within this, three sayings at least. */
  silentMs: 8_000,
  /** Times that a device may ask for it anew before it has to wait. */
  agains: 4,
  /** No effect takes longer: two attempts at a garage door, behind others. */
  runningMsMax: 300_000,
} as const

interface Pending {
  readonly request: RemoteRequest
  readonly startMs: number
  readonly settle: (result: CommandOnce) => void
  heardMs: number
  sayings: number
  agains: number
  /** The session in which it was last said, where it was in any. */
  session: string | undefined
  resumed: boolean
  at: number
  timer: Cancel
}

export class Asking implements Disposable {
  readonly #deps: AskingDeps
  readonly #pending = new Map<string, Pending>()
  readonly #sessions = new Map<string, string>()
  /** The last `at` of each device: one that lies about how high it must be spoils its own commands only. */
  readonly #ats = new Map<string, number>()

  #closed = false

  constructor(deps: AskingDeps) {
    this.#deps = deps
  }

  [Symbol.dispose](): void {
    this.#closed = true
    for (const pending of [...this.#pending.values()]) this.#giveUp(pending)
  }

  /** Settles with how it ended, at a deadline at the latest. Where `signal` aborts the asked device is told to leave it. */
  command(request: RemoteRequest, signal: AbortSignal): Promise<CommandOnce> {
    const { clock, say } = this.#deps
    const { id, device } = request
    const key = `${device} ${id}`
    if (signal.aborted || this.#closed)
      return Promise.resolve({
        outcome: request.resumed ? 'uncertain' : 'unavailable',
        reason: 'nobody waits for it any more',
      })
    if (this.#pending.size >= limits.pendingMax || this.#pending.has(key))
      return Promise.resolve({
        outcome: 'unavailable',
        reason: `${limits.pendingMax} commands to other devices are under way`,
      })
    return new Promise((resolve) => {
      const nowMs = clock.monotonicMs()
      const onAbort = () => {
        if (pending.session !== undefined)
          say(device, { kind: 'leave', id, at: this.#next(device), session: pending.session })
        pending.settle({ outcome: 'uncertain', reason: 'nobody waits for it any more' })
      }
      const settle = (result: CommandOnce) => {
        if (!this.#pending.delete(key)) return
        pending.timer()
        signal.removeEventListener('abort', onAbort)
        resolve(result)
      }
      const pending: Pending = {
        ...{ request, startMs: nowMs, heardMs: nowMs, settle, sayings: 0, agains: 0, at: 0 },
        ...{ session: undefined, resumed: request.resumed, timer: () => {} },
      }
      this.#pending.set(key, pending)
      signal.addEventListener('abort', onAbort, { once: true })
      this.#say(pending)
    })
  }

  /** Takes what `from` signed. */
  take(from: string, body: Answer): void {
    const pending = this.#pending.get(`${from} ${body.id}`)
    // Of before a restart, or of what was left.
    if (!pending || body.at > pending.at) return
    pending.heardMs = this.#deps.clock.monotonicMs()
    if (body.kind === 'over') {
      // That it was not taken now says nothing of what was done before.
      if (body.result.outcome === 'unavailable' && pending.resumed) return
      pending.settle(body.result)
      return
    }
    if (body.kind !== 'again' || body.at !== pending.at || pending.agains >= limits.agains) return
    pending.agains += 1
    this.#sessions.set(from, body.session)
    this.#ats.set(from, Math.max(this.#ats.get(from) ?? 0, body.floor))
    this.#say(pending)
  }

  /** A device came or went: its session may be another, and what was said to it may be lost. `undefined`: nobody knows. */
  present(device: string, online: boolean | undefined): void {
    this.#sessions.delete(device)
    for (const pending of [...this.#pending.values()]) {
      if (pending.request.device !== device) continue
      if (online) {
        pending.sayings = 0
        this.#say(pending)
      } else if (online === false && !this.#mayHaveBegun(pending)) this.#giveUp(pending)
    }
  }

  #say(pending: Pending): void {
    const { clock, say } = this.#deps
    const { device, resumed: _, ttlMs, lease, isWorthIt, ...request } = pending.request
    const session = this.#sessions.get(device) ?? ''
    if (session !== '' && pending.session !== undefined && pending.session !== session) pending.resumed = true
    if (session !== '') pending.session = session
    pending.at = this.#next(device)
    const passedMs = clock.monotonicMs() - pending.startMs
    // It takes no more: beyond that it tells how it ended.
    const leftMs = Math.min(remoteCommandLimits.ttlMsMax, Math.max(0, ttlMs - passedMs))
    const left = (isWorthIt?.() ?? true) ? leftMs : 0
    const { resumed, at } = pending
    say(device, { kind: 'ask', ...request, ...(lease && { lease }), at, session, ttlMs: left, resumed })
    pending.timer()
    const waitMs = limits.againMs[Math.min(pending.sayings, limits.againMs.length - 1)] ?? limits.silentMs
    pending.sayings += 1
    pending.timer = clock.after(waitMs, () =>
      this.#isOver(pending) ? this.#giveUp(pending) : this.#say(pending),
    )
  }

  #isOver(pending: Pending): boolean {
    const nowMs = this.#deps.clock.monotonicMs()
    const { ttlMs } = pending.request
    const isSilent = nowMs - pending.heardMs >= limits.silentMs
    if (!this.#mayHaveBegun(pending)) return isSilent
    // It may come back and tell how it ended: that is worth waiting for as long as the command is worth anything.
    return (
      (isSilent && nowMs - pending.startMs >= ttlMs) || nowMs - pending.startMs >= ttlMs + limits.runningMsMax
    )
  }

  #mayHaveBegun({ session, request }: Pending): boolean {
    return session !== undefined || request.resumed
  }

  #giveUp(pending: Pending): void {
    const { device, entity } = pending.request
    const result: CommandOnce = this.#mayHaveBegun(pending)
      ? {
          outcome: 'uncertain',
          reason: `whether ${entity} was commanded is not known: ${device} says nothing more`,
        }
      : { outcome: 'unavailable', reason: `${device} is not there: nothing was done` }
    pending.settle(result)
  }

  /** Grows with each word, also over restarts as long as the clock does. */
  #next(device: string): number {
    const at = Math.max((this.#ats.get(device) ?? 0) + 1, Math.floor(this.#deps.clock.nowMs()))
    this.#ats.set(device, at)
    return at
  }
}
