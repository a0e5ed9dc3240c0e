/**
 * Agreement on a value although some devices lie: Bracha's echo and ready (G. Bracha, "Asynchronous Byzantine agreement
 * protocols", Information and Computation 75, 1987), signed. Of n devices at most f may lie, n ≥ 3f + 1. Each echoes one value, its own
 * or, where it has none, the opener's; a value that more than (n + f) / 2 devices echo is made ready, and so is one that f + 1 devices
 * made ready; one that 2f + 1 devices made ready holds.
 *
 * Promised: [agree-1] no two honest devices decide different values; [agree-2] where all honest devices want the same value and
 * messages arrive in time, they decide it; [agree-3] when one honest device decides, the others do as soon as its words reach them.
 * Not promised: that there is a decision where honest devices want different values, or in time on a network that holds
 * messages back: no protocol without chance can (Fischer, Lynch, Paterson 1985). `decided: false` means that this device knows of no
 * decision, never that there is another.
 */
import type { OpenBody, WordBody } from '../../wire/decide.ts'
import { type Outcome, undecided } from './count.ts'
import { type Intent, Process } from './process.ts'

/** A device that wants nothing itself waits so long for its agents to say otherwise, as a share of the time. */
const echoesAt = 0.3

export class Agree extends Process<Extract<OpenBody, { what: 'agree' }>> {
  /** Of each word its value: all are counted again with each new one. */
  readonly #texts = new WeakMap<WordBody, string>()

  /** Without a value of its own it takes the opener's. */
  intend({ value }: Intent): void {
    this.#echo(value === undefined ? this.setting.open.value : value)
  }

  protected step(nowMs: number): void {
    if (this.passed(nowMs) >= echoesAt) this.#echo(this.setting.open.value)
    this.#advance()
  }

  protected override expired(): Outcome {
    const { members } = this.setting.open
    return undecided(
      `no value was agreed in time: ${this.words.present} of ${members.length} devices took part, ${2 * this.#faulty + 1} must say the same`,
    )
  }

  protected awaited(): ReadonlySet<string> {
    return this.answered('ready')
  }

  get #faulty(): number {
    return this.setting.open.faulty
  }

  #echo(value: unknown): void {
    if (!this.said('echo') && !this.said('veto')) this.say({ kind: 'echo', id: this.setting.open.id, value })
  }

  #advance(): void {
    if (this.outcome) return
    const [veto] = this.words.of('veto')
    if (veto) {
      this.end(undecided(`${veto[0]} vetoed it: ${veto[1].reason}`))
      return
    }
    const { id, members } = this.setting.open
    const echoed = this.#most(this.words.of('echo'))
    const ready = this.#most(this.words.of('ready'))
    const enoughEchoes = echoed && echoed.count * 2 > members.length + this.#faulty
    const enoughReady = ready && ready.count >= this.#faulty + 1
    const next = enoughReady ? ready : enoughEchoes ? echoed : undefined
    if (next && !this.said('ready')) this.say({ kind: 'ready', id, value: next.value })
    if (ready && ready.count >= 2 * this.#faulty + 1)
      this.end({
        decided: true,
        value: ready.value,
        reason: `${ready.count} of ${members.length} devices are ready for it`,
      })
  }

  /** The value that most devices said. */
  #most(words: readonly [string, WordBody & { readonly value?: unknown }][]) {
    const counts = new Map<string, { readonly value: unknown; count: number }>()
    for (const [, body] of words) {
      const text = this.#texts.get(body) ?? canonical(body.value)
      this.#texts.set(body, text)
      const entry = counts.get(text) ?? { value: body.value, count: 0 }
      entry.count += 1
      counts.set(text, entry)
    }
    return [...counts.values()].toSorted((a, b) => b.count - a.count)[0]
  }
}

/** JSON with the keys of objects in order: the same value is the same text. */
function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_, part: unknown) =>
      part !== null && typeof part === 'object' && !Array.isArray(part)
        ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
        : part,
    ) ?? 'undefined'
  )
}
