/**
 * What waits for a person: for their yes, or for their answer to a question.
 *
 * Invariants: [permit-7] an approval is for one call and is answered once, with one of its choices, by somebody whose name is kept: a
 * second answer, an answer after it expired and one without a name are refused; [permit-8] no more wait than a person will read, of one
 * agent no more than a few, and where no place is left whoever has most makes room for who has less, with the newest of its own; [permit-11] after a restart it is the same one with the same id, and an answer that was given stands.
 */
import { createHash } from 'node:crypto'
import type { Clock } from '../../base/clock.ts'
import { CodedError } from '../../base/errors.ts'
import { type Approval, type ApprovalEvent, approvalsMax } from '../../wire/approvals.ts'

export type ApprovalErrorCode = 'limit' | 'not-found' | 'answered' | 'expired' | 'anonymous' | 'choice'
export class ApprovalError extends CodedError<ApprovalErrorCode> {
  override readonly name = 'ApprovalError'
}

export interface Answered {
  readonly answer: string
  readonly by: string
}
export type Answer =
  | ({ readonly state: 'answered' } & Answered)
  /** Nobody answered in time; nobody needs to any more. */
  | { readonly state: 'expired' | 'withdrawn' }

const perAgentMax = 8
/** Approvals that are over and remembered, to say so to who answers too late. */
const overMax = 256

interface Waiting {
  readonly approval: Approval
  readonly settle: (answer: Answer) => void
  readonly refuse: (error: ApprovalError) => void
}

export interface ApprovalsDeps {
  readonly clock: Clock
  /** Answers that were given, on the disk. */
  readonly answers: {
    answer(id: string): Answered | undefined
    keepAnswer(id: string, answered: Answered, nowMs: number): void
  }
  /** Tells people. Never throws. */
  readonly publish: (event: ApprovalEvent) => void
}

/** The same for the same call of the same agent, also after a restart and a move. */
export function approvalIdOf(agent: string, call: { readonly id: number; readonly askedMs: number }): string {
  const text = JSON.stringify([agent, call.id, call.askedMs])
  return createHash('sha256').update(text).digest('hex').slice(0, 20)
}

/** As one line of text: nothing that moves the cursor, hides text or turns its direction. */
export function plainLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ').trim()
}

export class Approvals {
  readonly #deps: ApprovalsDeps
  readonly #waiting = new Map<string, Waiting>()
  readonly #over = new Map<string, 'expired' | 'withdrawn'>()

  constructor(deps: ApprovalsDeps) {
    this.#deps = deps
  }

  /** Oldest first. */
  waiting(): readonly Approval[] {
    return [...this.#waiting.values()].map(({ approval }) => approval)
  }

  /**
   * Resolves when a person answers, at `expiresMs`, or when `signal` aborts; at once where one has. Throws ApprovalError `limit`, also
   * later: where another agent that has fewer needs the place.
   */
  ask(approval: Approval, signal: AbortSignal): Promise<Answer> {
    const { clock, answers } = this.#deps
    const { id, agent, expiresMs } = approval
    const before = answers.answer(id)
    if (before) return Promise.resolve({ state: 'answered', ...before })
    if (signal.aborted) return Promise.resolve({ state: 'withdrawn' })
    if (this.#waiting.has(id) || !this.#hasRoomFor(agent)) throw tooMany()
    return new Promise((resolve, reject) => {
      const onAbort = () => this.#end(id, { state: 'withdrawn' })
      const cancel = clock.after(Math.max(0, expiresMs - clock.nowMs()), () =>
        this.#end(id, { state: 'expired' }),
      )
      signal.addEventListener('abort', onAbort, { once: true })
      const over = () => {
        cancel()
        signal.removeEventListener('abort', onAbort)
      }
      const settle = (answer: Answer) => {
        over()
        resolve(answer)
      }
      const refuse = (error: ApprovalError) => {
        over()
        reject(error)
      }
      this.#waiting.set(id, { approval, settle, refuse })
      this.#tell(approval, { state: 'asked' })
    })
  }

  /** What is asked, for whoever is about to answer it. Throws ApprovalError as `answer` does. */
  find(id: string, answer: string): Approval {
    const waiting = this.#waiting.get(id)
    // A timer may be late; the time is not.
    if (waiting && this.#deps.clock.nowMs() >= waiting.approval.expiresMs) this.#end(id, { state: 'expired' })
    else if (waiting) {
      const { choices } = waiting.approval
      if (choices.includes(answer)) return waiting.approval
      throw new ApprovalError('choice', `that is none of the answers: ${choices.join(', ')}`)
    }
    // What it was is between that person and the agent.
    if (this.#deps.answers.answer(id)) throw new ApprovalError('answered', 'this was answered already')
    const over = this.#over.get(id)
    if (over) throw new ApprovalError('expired', `too late: this has ${overWords[over]}`)
    throw new ApprovalError('not-found', 'nothing of this id waits for an answer')
  }

  /** A person's answer. Throws ApprovalError: whose it is must be known, and it must still be waited for. */
  answer(id: string, answer: string, by: string): Approval {
    if (by.trim() === '') throw new ApprovalError('anonymous', 'an answer needs the name of who gives it')
    const approval = this.find(id, answer)
    // On the disk first: who has answered is not asked again.
    this.#deps.answers.keepAnswer(id, { answer, by }, this.#deps.clock.nowMs())
    this.#end(id, { state: 'answered', answer, by })
    return approval
  }

  /** Makes it, where another agent has at least two more than this one: no number of hostile agents leaves none to the next. */
  #hasRoomFor(agent: string): boolean {
    const byAgent = Map.groupBy(this.waiting(), (one) => one.agent)
    const own = byAgent.get(agent)?.length ?? 0
    if (own >= perAgentMax) return false
    if (this.#waiting.size < approvalsMax) return true
    const [most = []] = [...byAgent.values()].sort((one, other) => other.length - one.length)
    const newest = most.at(-1)
    if (!newest || most.length <= own + 1) return false
    const { refuse } = this.#waiting.get(newest.id) as Waiting
    this.#waiting.delete(newest.id)
    this.#overNow(newest.id, 'withdrawn')
    this.#tell(newest, { state: 'withdrawn' })
    refuse(tooMany())
    return true
  }

  #end(id: string, answer: Answer): void {
    const waiting = this.#waiting.get(id)
    if (!waiting) return
    this.#waiting.delete(id)
    if (answer.state !== 'answered') this.#overNow(id, answer.state)
    this.#tell(waiting.approval, {
      state: stateOf(waiting.approval, answer),
      ...(answer.state === 'answered' ? { by: answer.by } : {}),
    })
    waiting.settle(answer)
  }

  #overNow(id: string, state: 'expired' | 'withdrawn'): void {
    this.#over.set(id, state)
    const [oldest] = this.#over.keys()
    if (this.#over.size > overMax && oldest !== undefined) this.#over.delete(oldest)
  }

  #tell({ id, ...approval }: Approval, over: Pick<ApprovalEvent, 'state' | 'by'>): void {
    this.#deps.publish({ approval: id, ...approval, ...over })
  }
}

const tooMany = () => new ApprovalError('limit', 'too many questions wait for a person already')

const overWords = { expired: 'expired', withdrawn: 'been withdrawn' } as const

/** What a question was answered is between the person and the agent. */
function stateOf({ kind }: Approval, answer: Answer): ApprovalEvent['state'] {
  if (answer.state !== 'answered' || kind === 'question') return answer.state
  return answer.answer === 'yes' ? 'yes' : 'no'
}
