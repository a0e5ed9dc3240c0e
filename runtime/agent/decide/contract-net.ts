/**
 * Contract net (R. G. Smith, IEEE Transactions on Computers C-29, 1980): the opener announces a task, devices offer what it would cost
 * them, the cheapest is awarded it and reports. One that reports failure, or nothing in its share of the time left, is passed
 * over and the next is awarded. A device whose award was passed on is told by that award, and stops.
 *
 * [decide-8] at most one award stands at a time; a report of an earlier one is late and does not count. What a device that fell silent
 * did all the same, the next may do again: a task must bear that.
 */
import type { OpenBody, ResultBody, WordBody } from '../../wire/decide.ts'
import { lot, obstacle, undecided } from './count.ts'
import { type Intent, Process, type Setting } from './process.ts'

type Open = Extract<OpenBody, { what: 'contract-net' }>

/** When offers close, as a share of the time. */
const closesAt = 0.25
/** An award has this share of the time that is left, so that another can follow. */
const awardShare = 0.5
/** Left at the end, for the result to arrive. */
const tellsAt = 0.95

export class ContractNet extends Process<Open> {
  readonly #onAward: (round: number) => void
  readonly #passedOver = new Set<string>()
  #award: { readonly round: number; readonly to: string; readonly untilMs: number } | undefined
  #closed = false
  /** The award that this device works on, or was passed over with. */
  #working = -1

  /** `onAward`: this device was awarded the task in a round; -1: it no longer is. */
  constructor(setting: Setting<Open>, onAward: (round: number) => void) {
    super(setting)
    this.#onAward = onAward
  }

  /** `bid`: what it would cost this device. */
  intend({ bid, reason }: Intent): void {
    if (this.said('offer') || this.said('abstain')) return
    const { id } = this.setting.open
    const why = reason === undefined ? {} : { reason }
    this.say(bid === undefined ? { kind: 'abstain', id, ...why } : { kind: 'offer', id, cost: bid, ...why })
  }

  report(round: number, done: boolean, value?: unknown): void {
    if (round !== this.#working) return
    const { id } = this.setting.open
    this.say({ kind: 'report', id, round, done, ...(value !== undefined && { value }) })
  }

  protected override onWord(from: string, body: WordBody): void {
    if (body.kind === 'award' && from === this.setting.opener) this.#awarded(body.round, body.to)
    if (!this.opens) return
    if (body.kind === 'offer' && this.#closed) this.note(`the offer of ${from} came late`)
    const mine = body.kind === 'report' && this.#award?.to === from && this.#award.round === body.round
    if (body.kind === 'report' && !mine) this.note(`the report of ${from} came late`)
  }

  protected step(nowMs: number): void {
    if (!this.opens) return
    const { members } = this.setting.open
    const answered = this.answered('offer', 'abstain').size
    const veto = this.words.of('veto').length > 0
    if (!veto && !this.#closed && answered < members.length && this.passed(nowMs) < closesAt) return
    this.#closed = true
    const stopped = obstacle(this.setting.open, this.words)
    if (stopped) {
      this.tell(stopped)
      return
    }
    if (this.#award) this.#judge(this.#award, nowMs)
    else this.#next(nowMs)
  }

  protected awaited(): ReadonlySet<string> | undefined {
    if (!this.opens) return undefined
    if (!this.#award) return this.answered('offer', 'abstain')
    const { to } = this.#award
    return new Set(this.setting.open.members.filter((member) => member !== to))
  }

  protected override onResult(result: ResultBody): void {
    const { decided, winner, value, price, reason } = result
    if (!decided) {
      this.end(undecided(reason))
      return
    }
    const reported = this.wordsOf(result)
      .of('report')
      .some(([device, report]) => device === winner && report.done && sameJson(report.value, value))
    this.end(
      reported
        ? {
            ...{ decided, reason },
            ...(winner !== undefined && { winner }),
            ...(price !== undefined && { price }),
            ...(value !== undefined && { value }),
          }
        : undecided(`${this.setting.opener} told a result that ${winner} did not report`),
    )
  }

  #awarded(round: number, to: string): void {
    if (round < this.#working) return
    const mine = to === this.setting.self
    if (mine) this.#working = round
    else if (this.#working >= 0) this.#working = -1
    this.#onAward(mine ? round : -1)
  }

  #judge({ round, to, untilMs }: { round: number; to: string; untilMs: number }, nowMs: number): void {
    const report = this.words
      .of('report')
      .find(([device, body]) => device === to && body.round === round)?.[1]
    if (report?.done) {
      const cost = this.words.of('offer').find(([device]) => device === to)?.[1].cost
      this.tell({
        decided: true,
        winner: to,
        ...(cost !== undefined && { price: cost }),
        ...(report.value !== undefined && { value: report.value }),
        reason: `${to} did it, awarded as number ${round + 1}`,
      })
      return
    }
    // Of a device that was found out no report counts.
    const lied = this.words.liars.includes(to)
    if (!report && !lied && nowMs < untilMs && this.passed(nowMs) < tellsAt) return
    this.#passedOver.add(to)
    if (!lied) this.note(report ? `${to} reported that it failed` : `${to} was awarded it and vanished`)
    this.#next(nowMs)
  }

  #next(nowMs: number): void {
    const { id } = this.setting.open
    const offers = this.words.of('offer').filter(([device]) => !this.#passedOver.has(device))
    const [best] = offers.toSorted(
      ([a, one], [b, other]) => one.cost - other.cost || (lot(id, a) < lot(id, b) ? -1 : 1),
    )
    const tried = this.#passedOver.size
    if (!best || this.passed(nowMs) >= tellsAt) {
      this.tell(undecided(tried > 0 ? `${tried} tried it, none did it` : 'nobody offered'))
      return
    }
    const round = (this.#award?.round ?? -1) + 1
    this.#award = { round, to: best[0], untilMs: nowMs + (this.endMs - nowMs) * awardShare }
    this.say({ kind: 'award', id, round, to: best[0] })
  }
}

function sameJson(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
