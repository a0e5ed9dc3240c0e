/**
 * One question of a thought to a language model: it waits for its turn and for what it may use, and counts what it used, whatever
 * becomes of it. Between two pieces of an answer it gives way, and it is stopped there by what is used up. Invariants: README.md.
 */
import { type Clock, sleep } from '../../base/clock.ts'
import { InferError, type InferErrorCode } from '../../wire/infer.ts'
import type { Sharing } from '../service.ts'
import type { Chat, ChatAnswer, ChatRequest, Used } from './chat.ts'
import { ThinkError } from './think-error.ts'

export interface QuestionDeps {
  readonly clock: Clock
  readonly chat: Chat
  readonly sharing: Sharing
}

export interface Question {
  readonly request: Omit<ChatRequest, 'deadlineMs'>
  /** Tokens that are read of it, as far as anybody can tell before. */
  readonly asking: number
  /** What asking and answering may take, of a second try as well. */
  readonly tokensLeft: number
  /** Milliseconds since the Unix epoch. */
  readonly deadlineMs: number
}

export interface Answered extends Pick<ChatAnswer, 'content' | 'toolCalls' | 'privacy'> {
  readonly tokens: number
  /** Settles when the thought may go on: whoever was more urgent went first. Never rejects. */
  readonly turn: Promise<void>
}

/** Characters of a token where nobody counted: English text in the usual vocabularies. */
const charsPerToken = 4
const retryMs = 500
/** Worth one more try: the same request may be answered the next time. */
const worthRetrying: readonly InferErrorCode[] = ['overloaded', 'run', 'unavailable']

export const tokensOf = (text: string) => Math.ceil(text.length / charsPerToken)

/** Throws ThinkError `limit`, InferError, what a boundary throws; the signal's reason when that aborts. */
export async function answerTo(
  deps: QuestionDeps,
  question: Question,
  signal: AbortSignal,
): Promise<Answered> {
  const lost = { tokens: 0 }
  try {
    return await askOnce(deps, question, lost, signal)
  } catch (error) {
    signal.throwIfAborted()
    if (!isWorthRetrying(error)) throw error
    const { asking, request, tokensLeft } = question
    const left = tokensLeft - lost.tokens - asking
    if (left <= 0) throw error
    await sleep(deps.clock, error.retryAfterMs ?? retryMs, signal)
    const again = { ...question, request: { ...request, tokensMax: Math.min(request.tokensMax, left) } }
    const answered = await askOnce(deps, again, lost, signal)
    return { ...answered, tokens: answered.tokens + lost.tokens }
  }
}

async function askOnce(
  deps: QuestionDeps,
  { request, asking, deadlineMs }: Question,
  /** Of a try that came to nothing. */
  lost: { tokens: number },
  signal: AbortSignal,
): Promise<Answered> {
  const { clock, chat, sharing } = deps
  await sharing.boundary(signal)
  const used = await draw(sharing, request, asking, signal)
  const hearing = new Hearing(deps, request.tokensMax, asking, signal)
  try {
    const left = { deadlineMs: Math.max(1, deadlineMs - clock.nowMs()) }
    const answer = await chat({ ...request, ...left }, hearing.signal, (soFar) => hearing.hear(soFar))
    const { content, toolCalls, privacy } = answer
    const tokens = hearing.end(answer)
    return { content, toolCalls, privacy, tokens, turn: hearing.turn }
  } catch (error) {
    const { stopped } = hearing
    lost.tokens += await hearing.leave(error)
    throw stopped ?? error
  } finally {
    used(hearing.drawn)
  }
}

/** What broke in the middle may be asked again: it costs twice, and changes nothing. */
function isWorthRetrying(error: unknown): error is InferError {
  if (!(error instanceof InferError)) return false
  return error.code === 'engine-lost' || (error.retryable && worthRetrying.includes(error.code))
}

/** A step begins when there is something left of what all agents share; a model elsewhere is more likely than not. */
async function draw(
  sharing: Sharing,
  { privacy, tokensMax }: Question['request'],
  asking: number,
  signal: AbortSignal,
) {
  const tokensUsed = await sharing.draw('tokens', asking + tokensMax, signal)
  const bytesUsed = await drawBytes().catch((error) => {
    tokensUsed(0)
    throw error
  })
  return ({ tokens, bytes }: Pick<Used, 'tokens' | 'bytes'>) => {
    tokensUsed(tokens)
    bytesUsed(bytes)
  }

  async function drawBytes(): Promise<(used: number) => void> {
    if (privacy === 'device') return () => {}
    return await sharing.draw('gateway', asking * charsPerToken, signal)
  }
}

const nothing: Used = { tokens: 0, bytes: 0, money: 0, engineMs: 0 }

/** What is heard of an answer: counted as it comes, for the agent and for all. */
class Hearing {
  /** Ends the question: nobody wants it any more, or may have it. */
  readonly signal: AbortSignal
  readonly #deps: QuestionDeps
  readonly #tokensMax: number
  readonly #asking: number
  readonly #given: AbortSignal
  readonly #stop = new AbortController()
  readonly #startMs: number
  #turn: Promise<void> | undefined
  /** Something was heard since the last boundary. */
  #more = false
  #soFar: Used | undefined
  /** Tokens that were counted against the agent already. */
  #spent = 0
  /** Of what all share. Somebody who does not answer may have read it. */
  #drawn: Pick<Used, 'tokens' | 'bytes'>

  constructor(deps: QuestionDeps, tokensMax: number, asking: number, signal: AbortSignal) {
    this.#deps = deps
    this.#tokensMax = tokensMax
    this.#asking = asking
    this.#given = signal
    this.signal = AbortSignal.any([signal, this.#stop.signal])
    this.#startMs = deps.clock.monotonicMs()
    this.#drawn = { tokens: asking, bytes: asking * charsPerToken }
  }

  get drawn(): Pick<Used, 'tokens' | 'bytes'> {
    return this.#drawn
  }
  /** What stopped it; undefined: nothing of ours. */
  get stopped(): unknown {
    return this.#stop.signal.aborted && !this.#given.aborted ? this.#stop.signal.reason : undefined
  }
  get turn(): Promise<void> {
    return this.#turn ?? Promise.resolve()
  }

  /** One piece more: what it used counts at once, and it goes on when that leaves something. */
  hear(soFar: Used): void {
    this.#soFar = soFar
    this.#spend(soFar.tokens)
    if (soFar.tokens > this.#tokensMax)
      this.#stop.abort(
        new ThinkError(
          'limit',
          `the answer is longer than the ${this.#tokensMax} tokens that are left for it`,
        ),
      )
    this.#more = true
    this.#turn ??= this.#giveWay()
  }

  /** What comes meanwhile is heard: a server that has begun cannot be told to wait. */
  async #giveWay(): Promise<void> {
    try {
      while (this.#more) {
        this.#more = false
        await this.#deps.sharing.boundary(this.signal)
      }
    } catch (error) {
      this.#stop.abort(error)
    } finally {
      this.#turn = undefined
    }
  }

  /** The whole is there. Returns its tokens and those of the question, as the server said or as they look. */
  end({ content, toolCalls, tokens, used = nothing }: ChatAnswer): number {
    const looks = Math.max(used.tokens, tokensOf(JSON.stringify([content, toolCalls])))
    const counted = Math.max(tokens ?? this.#asking + looks, used.tokens)
    this.#bill(used, counted)
    return counted
  }

  /**
   * It came to nothing. What was asked counts where something was heard, and where nobody waits any more: the model has read it. Where
   * none may see it, it went nowhere. Returns the tokens that count.
   */
  async leave(error: unknown): Promise<number> {
    const { signal } = this
    const used = this.#soFar ?? { ...nothing, bytes: this.#drawn.bytes }
    const tokens = this.#soFar || signal.aborted ? this.#asking + used.tokens : 0
    if (tokens > 0) this.#bill(used, tokens)
    else if (error instanceof InferError && error.code === 'refused') this.#drawn = { tokens: 0, bytes: 0 }
    // It waits for its turn no longer, and holds none.
    this.#stop.abort()
    await this.#turn
    return tokens
  }

  #bill(used: Used, tokens: number): void {
    const { bytes, money } = used
    const { clock, sharing } = this.#deps
    const engineMs = used.engineMs ?? clock.monotonicMs() - this.#startMs
    this.#drawn = { tokens, bytes }
    sharing.spend({ tokens: Math.max(0, tokens - this.#spent), bytes, money, engineMs })
  }

  #spend(tokens: number): void {
    if (tokens <= this.#spent) return
    this.#deps.sharing.spend({ tokens: tokens - this.#spent })
    this.#spent = tokens
  }
}
