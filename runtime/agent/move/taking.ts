/**
 * The device that an agent comes to, until it has it: whether it would take it, its pieces, and that it is kept. It is begun by what the
 * other device says then (`mover.ts`).
 */
import type { Clock } from '../../base/clock.ts'
import { CodedError } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { AuditEntry } from '../../observe/audit-chain.ts'
import { type AcceptOptions, acceptRefusal } from './accept.ts'
import type { AgentMoves } from './agent-moves.ts'
import { Coming, type Whole } from './coming.ts'
import { forgetting, moveReason } from './package.ts'
import type { Said, Word } from './words.ts'

export interface TakingDeps {
  readonly clock: Clock
  readonly log: Log
  /** The agents of this device, brought here where there are none yet. */
  readonly open: () => Promise<AgentMoves>
  /** What an agent of another device that may do this would find missing on this one, or may not do here, in a line. */
  readonly lacks: (grants: string, from: string) => string | undefined
  /** Whose agents and copies are taken. */
  readonly accepts: AcceptOptions
  /** Puts on record what comes here, before it is kept. Rejects where it cannot. */
  readonly record: (entry: AuditEntry) => Promise<void>
  readonly say: (to: string, word: Word) => void
  /** Does things one after the other. */
  readonly later: (work: () => Promise<void>) => void
  /** Told when one is kept: it is asked about until it is known what becomes of it. */
  readonly kept: () => void
}

export class Taking implements Disposable {
  readonly #deps: TakingDeps
  readonly #coming: Coming

  constructor(deps: TakingDeps) {
    this.#deps = deps
    this.#coming = new Coming(deps.clock)
  }

  [Symbol.dispose](): void {
    this.#coming[Symbol.dispose]()
  }

  /** False where it is refused before anything is opened for it. */
  accepts(from: string, ask: Said<'ask'>): boolean {
    const reason = acceptRefusal(this.#deps.accepts, from, ask)
    if (reason !== undefined) this.#deps.say(from, { kind: 'no', n: ask.n, reason })
    return reason === undefined
  }

  async consider(from: string, { n, kind: _, to: __, proven: ___, ...leaving }: Said<'ask'>): Promise<void> {
    const { lacks, open, clock, say } = this.#deps
    const { agent, grants, copy } = leaving
    const refused = (reason: string) => say(from, { kind: 'no', n, reason })
    try {
      const missing = lacks(grants, from)
      if (missing !== undefined) return refused(missing)
      const moves = await open()
      const no = moves.refusal(leaving, from) ?? this.#coming.refusal(from, n, agent)
      if (no !== undefined) return refused(no)
      const { epoch } = moves.copies
      if (epoch === undefined) return refused(`${forgetting}: try again in a moment`)
      const id = this.#coming.expect(from, n, { ...leaving, epoch }, clock.newId())
      const holds = copy ? moves.copies.holds(from, agent) : undefined
      say(from, {
        kind: 'yes',
        n,
        id,
        recording: moves.recordingBytesMax,
        ...(holds === undefined ? {} : { holds }),
      })
    } catch (error) {
      refused(moveReason(error))
    }
  }

  /** False where it is a piece of nothing that is expected, any more. */
  piece(from: string, piece: Said<'chunk'>): boolean {
    const { id, at } = piece
    const taken = this.#coming.take(from, piece)
    if (taken === 'unknown') return false
    this.#deps.say(from, { kind: 'got', id, at })
    if (typeof taken === 'object') this.#deps.later(() => this.#keep(from, id, taken))
    return true
  }

  forget(id: string): void {
    this.#coming.forget(id)
  }

  async #keep(from: string, id: string, whole: Whole): Promise<void> {
    const { open, record, say, kept, log } = this.#deps
    const { agent, grants, copy, by = 'claimed:nobody' } = whole.leaving
    try {
      // Of copies it is that they are begun.
      if (!copy) await record({ kind: 'agent-comes', agent, from, by, grants: JSON.parse(grants) })
      await (await open()).arrive(id, from, whole.bytes, whole.leaving)
      say(from, { kind: 'kept', id })
      kept()
    } catch (error) {
      if (!(error instanceof CodedError)) log.error('an agent was not kept', { reason: moveReason(error) })
      say(from, { kind: 'refused', id, reason: moveReason(error) })
    }
  }
}
