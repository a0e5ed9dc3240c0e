/**
 * One device's part in one decision: a state machine without a clock, a network or a key. It is told what was heard and what time it
 * is, and gives what this device says; whoever runs it signs that, sends it, says it again while the decision lasts
 * (messages are lost) and tells the process its own words like anybody else's.
 */
import { decideLimits, type OpenBody, type ResultBody, type WordBody } from '../../wire/decide.ts'
import { type Outcome, undecided } from './count.ts'
import { type Word, Words } from './words.ts'

/** What this device wants of a decision; a field is read where the kind of decision has it. */
export interface Intent {
  readonly bid?: number
  readonly choices?: readonly string[]
  readonly value?: unknown
  readonly reason?: string
}

export interface Setting<Open extends OpenBody = OpenBody> {
  readonly self: string
  readonly opener: string
  readonly open: Open
  /** When this device heard of it, monotonic. */
  readonly startMs: number
  /** Devices that are known to be away: they count as ever, but are not waited for. */
  readonly away?: () => ReadonlySet<string>
  /** A secret number, 64 hex digits. */
  readonly nonce: () => string
  /** Reads a signed word; undefined where it is none. */
  readonly read: (envelope: string) => Word | undefined
}

/** As it is said: the words in a body, and that in a message. */
function fits(result: ResultBody): boolean {
  if (result.words.length > 4 * decideLimits.membersMax) return false
  const bytes = Buffer.byteLength(JSON.stringify(JSON.stringify(result)))
  return bytes + aroundBytes <= decideLimits.resultBytesMax
}

/** The sender, the signature and their names. */
const aroundBytes = 512
/** More would only repeat itself. */
const notesMax = 64
/** Who has said nothing else by this share of the time says that it is here: for the quorum. */
const hereAt = 0.05

export abstract class Process<Open extends OpenBody = OpenBody> {
  readonly setting: Setting<Open>
  /** What this device says, in order; it only grows. */
  readonly statements: (WordBody | ResultBody)[] = []
  /** What was odd: late, double, false. For the record. */
  readonly notes: string[] = []
  protected readonly words: Words
  #outcome: Outcome | undefined

  constructor(setting: Setting<Open>) {
    this.setting = setting
    this.words = this.#noWords()
  }

  get outcome(): Outcome | undefined {
    return this.#outcome
  }

  /** Words that were kept: more of them are news. */
  get heard(): number {
    return this.words.size
  }

  get endMs(): number {
    return this.setting.startMs + this.setting.open.lastsMs
  }

  get opens(): boolean {
    return this.setting.self === this.setting.opener
  }

  /** What this device wants. The first word counts. */
  abstract intend(intent: Intent, nowMs: number): void

  /** Takes a message of a member that was checked: signed by `from`, of this decision. */
  hear(from: string, body: WordBody | ResultBody, envelope: string, nowMs: number): void {
    if (body.kind === 'result') {
      if (from !== this.setting.opener) this.note(`${from} told a result that is not its own to tell`)
      else if (!this.#outcome && !this.opens) this.onResult(body)
      return
    }
    if (this.#outcome !== undefined || nowMs >= this.endMs) {
      if (!this.words.knows(from, body)) this.note(`the ${body.kind} of ${from} came late`)
      this.tick(nowMs)
      return
    }
    const added = this.words.add({ from, body, envelope })
    if (added === 'struck') this.note(`${from} said two different things: it counts for nothing`)
    if (added === 'stranger') this.note(`${from} takes no part in this`)
    if (added === 'new' || added === 'struck') this.onWord(from, body, nowMs)
    this.tick(nowMs)
  }

  /** Time passes: whoever runs it asks at least ten times a decision. */
  tick(nowMs: number): void {
    if (this.#outcome) return
    const { id, members } = this.setting.open
    const isSilent = this.statements.length === 0 && members.includes(this.setting.self)
    if (isSilent && this.passed(nowMs) >= hereAt) this.say({ kind: 'here', id })
    this.step(nowMs)
    if (!this.#outcome && nowMs >= this.endMs) this.end(this.expired())
  }

  /** Says that this device's safety rules forbid it. */
  veto(reason: string): void {
    this.say({ kind: 'veto', id: this.setting.open.id, reason })
  }

  /** Members without whose words this device cannot go on, as far as it is not known why they say nothing. */
  lacks(): readonly string[] {
    if (this.#outcome) return []
    const answered = this.awaited()
    if (!answered) return []
    return this.setting.open.members.filter((one) => one !== this.setting.self && !answered.has(one))
  }

  /** Whoever has said what is waited for now; undefined: this device waits for nobody but the opener, who says it again unasked. */
  protected abstract awaited(): ReadonlySet<string> | undefined

  protected onWord(_from: string, _body: WordBody, _nowMs: number): void {}
  protected onResult(_result: ResultBody): void {}
  protected abstract step(nowMs: number): void

  protected expired(): Outcome {
    return undecided(`${this.setting.opener} told no result in time`)
  }

  /** Share of the time that has passed. */
  protected passed(nowMs: number): number {
    return (nowMs - this.setting.startMs) / this.setting.open.lastsMs
  }

  /** Members from whom nothing more is to be expected: who said one of these, who lied, who is away. */
  protected answered(...kinds: readonly Parameters<Words['of']>[0][]): ReadonlySet<string> {
    const { away, open } = this.setting
    const absent = open.members.filter((member) => away?.().has(member))
    const spoke = kinds.flatMap((kind) => this.words.of(kind).map(([device]) => device))
    return new Set([...absent, ...this.words.liars, ...spoke])
  }

  /** Who vetoes says nothing else beside it, so that nobody goes on without having heard the veto. */
  protected say(body: WordBody | ResultBody): void {
    if (this.opens || !this.said('veto')) this.statements.push(body)
  }

  protected said(kind: WordBody['kind']): boolean {
    return this.statements.some((statement) => statement.kind === kind)
  }

  protected note(line: string): void {
    if (this.notes.length < notesMax && !this.notes.includes(line)) this.notes.push(line)
  }

  protected end(outcome: Outcome): void {
    this.#outcome ??= outcome
  }

  /** Of the opener: how it ended, with what it rests on. What nobody can be told is not decided. */
  protected tell(outcome: Outcome): void {
    const { id } = this.setting.open
    const told = { kind: 'result', id, ...outcome, words: this.words.envelopes } as const
    if (fits(told)) {
      this.end(outcome)
      this.say(told)
      return
    }
    const instead = outcome.decided ? undecided('what was said is too much to be told as a result') : outcome
    this.end(instead)
    this.say({ kind: 'result', id, ...instead, words: [] })
  }

  #noWords(): Words {
    return new Words({ members: this.setting.open.members, opener: this.setting.opener })
  }

  /** The words that a result rests on, each checked again. */
  protected wordsOf(result: ResultBody): Words {
    const words = this.#noWords()
    for (const envelope of result.words) {
      const word = this.setting.read(envelope)
      if (word?.body.id === this.setting.open.id) words.add(word)
    }
    return words
  }
}
