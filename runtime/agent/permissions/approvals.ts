/**
 * What waits for a person's yes.
 *
 * Invariants: [permit-7] an approval is for one call and is answered once, by somebody whose name is kept: a second answer, an
 * answer after it expired and one without a name are refused; [permit-8] no more wait than a person will read, and of one agent
 * no more than a few.
 */
import type { Clock } from '../../base/clock.ts'
import { CodedError } from '../../base/errors.ts'
import { type Approval, type ApprovalEvent, approvalsMax } from '../../wire/approvals.ts'

export type ApprovalErrorCode = 'limit' | 'not-found' | 'answered' | 'expired' | 'anonymous'
export class ApprovalError extends CodedError<ApprovalErrorCode> {
  override readonly name = 'ApprovalError'
}

export type Answer =
  | { readonly answer: 'yes' | 'no'; readonly by: string }
  /** Nobody answered in time; nobody needs to any more. */
  | { readonly answer: 'expired' | 'withdrawn' }

const perAgentMax = 8
/** Approvals that are over and remembered, to say so to who answers too late. */
const overMax = 256

interface Waiting {
  readonly approval: Approval
  readonly settle: (answer: Answer) => void
}

export interface ApprovalsDeps {
  readonly clock: Clock
  /** Tells people. Never throws. */
  readonly publish: (event: ApprovalEvent) => void
}

export class Approvals {
  readonly #deps: ApprovalsDeps
  readonly #waiting = new Map<string, Waiting>()
  readonly #over = new Map<string, Answer['answer']>()

  constructor(deps: ApprovalsDeps) {
    this.#deps = deps
  }

  /** Oldest first. */
  waiting(): readonly Approval[] {
    return [...this.#waiting.values()].map(({ approval }) => approval)
  }

  /** Resolves when a person answers, at `expiresMs`, or when `signal` aborts. Throws ApprovalError `limit`. */
  ask(agent: string, words: string, expiresMs: number, signal: AbortSignal): Promise<Answer> {
    const own = this.waiting().filter((one) => one.agent === agent).length
    if (own >= perAgentMax || this.#waiting.size >= approvalsMax)
      throw new ApprovalError('limit', 'too many questions wait for a person already')
    if (signal.aborted) return Promise.resolve({ answer: 'withdrawn' })
    const { clock } = this.#deps
    const approval = { id: clock.newId(), agent, words, askedMs: clock.nowMs(), expiresMs }
    return new Promise((resolve) => {
      const onAbort = () => this.#end(approval.id, { answer: 'withdrawn' })
      const cancel = clock.after(Math.max(0, expiresMs - clock.nowMs()), () =>
        this.#end(approval.id, { answer: 'expired' }),
      )
      signal.addEventListener('abort', onAbort, { once: true })
      const settle = (answer: Answer) => {
        cancel()
        signal.removeEventListener('abort', onAbort)
        resolve(answer)
      }
      this.#waiting.set(approval.id, { approval, settle })
      this.#tell(approval, { state: 'asked' })
    })
  }

  /** A person's answer. Throws ApprovalError: whose it is must be known, and it must still be waited for. */
  answer(id: string, answer: 'yes' | 'no', by: string): Approval {
    if (by.trim() === '') throw new ApprovalError('anonymous', 'an answer needs the name of who gives it')
    const before = this.#over.get(id)
    if (before === 'yes' || before === 'no')
      throw new ApprovalError('answered', `this was answered already: ${before}`)
    if (before !== undefined) throw new ApprovalError('expired', `too late: this has ${overWords[before]}`)
    const waiting = this.#waiting.get(id)
    if (!waiting) throw new ApprovalError('not-found', 'nothing of this id waits for an answer')
    // A timer may be late; the time is not.
    if (this.#deps.clock.nowMs() >= waiting.approval.expiresMs) {
      this.#end(id, { answer: 'expired' })
      throw new ApprovalError('expired', `too late: this has ${overWords.expired}`)
    }
    this.#end(id, { answer, by })
    return waiting.approval
  }

  #end(id: string, answer: Answer): void {
    const waiting = this.#waiting.get(id)
    if (!waiting) return
    this.#waiting.delete(id)
    this.#over.set(id, answer.answer)
    const [oldest] = this.#over.keys()
    if (this.#over.size > overMax && oldest !== undefined) this.#over.delete(oldest)
    this.#tell(waiting.approval, {
      state: answer.answer,
      ...('by' in answer ? { by: answer.by } : {}),
    })
    waiting.settle(answer)
  }

  #tell({ id, ...approval }: Approval, over: Pick<ApprovalEvent, 'state' | 'by'>): void {
    this.#deps.publish({ approval: id, ...approval, ...over })
  }
}

const overWords = { expired: 'expired', withdrawn: 'been withdrawn' } as const
