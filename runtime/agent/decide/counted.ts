/**
 * Decisions that their opener counts and everybody counts again: auction and vote. The opener can leave out what came late and
 * can fall silent; it can invent nothing, as a result is believed only where it follows from the signed words beside it.
 */
import type { OpenBody, ResultBody, WordBody } from '../../wire/decide.ts'
import { bidDigest, type Outcome, settleAuction, tallyVote, undecided } from './count.ts'
import { type Intent, Process } from './process.ts'
import type { Words } from './words.ts'

type Opened<What extends OpenBody['what']> = Extract<OpenBody, { what: What }>

/** When the opener closes the bids, and when it counts, as shares of the time: the rest is for the result to arrive. */
const closesAt = 0.45
const countsAt = 0.8

abstract class Counted<Open extends OpenBody> extends Process<Open> {
  protected abstract count(words: Words): Outcome
  /** Nothing more can come. */
  protected abstract complete(): boolean
  protected onStep(_nowMs: number): void {}

  protected step(nowMs: number): void {
    if (!this.opens) return
    this.onStep(nowMs)
    if (this.words.of('veto').length > 0 || this.complete() || this.passed(nowMs) >= countsAt)
      this.tell(this.count(this.words))
  }

  protected override onResult(result: ResultBody): void {
    const { decided, value, winner, price, reason } = result
    if (!decided) {
      this.end(undecided(reason))
      return
    }
    const counted = this.count(this.wordsOf(result))
    const same =
      counted.decided && counted.value === value && counted.winner === winner && counted.price === price
    if (same) {
      this.end(counted)
      return
    }
    this.note(`the result that ${this.setting.opener} told does not follow from the words beside it`)
    this.end(undecided(`the result of ${this.setting.opener} does not follow from what was said`))
  }

  protected abstain(reason: string | undefined): void {
    this.say({ kind: 'abstain', id: this.setting.open.id, ...(reason !== undefined && { reason }) })
  }
}

export class Auction extends Counted<Opened<'auction'>> {
  #bid:
    | { readonly amount: number; readonly nonce: string; readonly hash: string; readonly reason?: string }
    | undefined

  intend({ bid, reason }: Intent): void {
    const { open, self, nonce: make } = this.setting
    if (this.#bid || this.said('abstain') || this.said('veto')) return
    if (bid === undefined) {
      this.abstain(reason)
      return
    }
    const nonce = make()
    const hash = bidDigest(open.id, self, bid, nonce)
    this.#bid = { amount: bid, nonce, hash, ...(reason !== undefined && { reason }) }
    this.say({ kind: 'commit', id: open.id, hash })
  }

  /** A bid is shown only when it can no longer be answered by another. */
  protected override onWord(from: string, body: WordBody): void {
    const { open, self, opener } = this.setting
    if (body.kind === 'commit' && this.words.of('close').length > 0)
      this.note(`the commit of ${from} came late`)
    if (body.kind !== 'close' || from !== opener || !this.#bid || this.said('reveal')) return
    const { amount, nonce, hash, reason } = this.#bid
    if (!body.commits.some((commit) => commit.device === self && commit.hash === hash))
      this.note(`${opener} closed the bids without this device's`)
    else this.say({ kind: 'reveal', id: open.id, amount, nonce, ...(reason !== undefined && { reason }) })
  }

  protected override onStep(nowMs: number): void {
    const everybody = this.answered('commit', 'abstain').size >= this.setting.open.members.length
    if (this.said('close') || !(everybody || this.passed(nowMs) >= closesAt)) return
    const commits = this.words.of('commit').map(([device, { hash }]) => ({ device, hash }))
    this.say({ kind: 'close', id: this.setting.open.id, commits })
  }

  protected complete(): boolean {
    const revealed = this.answered('reveal')
    return this.#closed?.commits.every(({ device }) => revealed.has(device)) ?? false
  }

  protected awaited(): ReadonlySet<string> | undefined {
    if (!this.opens) return undefined
    if (!this.#closed) return this.answered('commit', 'abstain')
    const bidders = this.#closed.commits.map(({ device }) => device)
    const others = this.setting.open.members.filter((member) => !bidders.includes(member))
    return new Set([...others, ...this.answered('reveal')])
  }

  get #closed() {
    return this.words.of('close').find(([device]) => device === this.setting.opener)?.[1]
  }

  protected count(words: Words): Outcome {
    return settleAuction(this.setting.open, this.setting.opener, words)
  }
}

export class Vote extends Counted<Opened<'vote'>> {
  intend({ choices = [], reason }: Intent): void {
    if (this.said('ballot') || this.said('abstain')) return
    if (choices.length === 0) {
      this.abstain(reason)
      return
    }
    const { id } = this.setting.open
    this.say({ kind: 'ballot', id, choices: [...choices], ...(reason !== undefined && { reason }) })
  }

  protected complete(): boolean {
    return this.answered('ballot', 'abstain').size >= this.setting.open.members.length
  }

  protected awaited(): ReadonlySet<string> | undefined {
    return this.opens ? this.answered('ballot', 'abstain') : undefined
  }

  protected count(words: Words): Outcome {
    return tallyVote(this.setting.open, words)
  }
}
