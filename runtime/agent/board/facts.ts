/**
 * What one device knows of the blackboard: a replica, without a network. Of two facts under a key the one with the higher version
 * stands; of the same version that of the author whose name is later; of the same author the later text. That is a total order, so
 * devices that have seen the same facts, in whatever order and however often, show the same: a state-based
 * last-writer-wins register a key (Shapiro et al., INRIA RR-7506, 2011).
 *
 * A fact that has run out shows nothing but stays in its place, so that an older one with a longer life does not come back; and it is
 * forgotten when whatever it could have stood over has run out too.
 *
 * Invariants: [board-1] replicas that have seen the same facts show the same; [board-2] nothing that was overwritten, deleted or has run
 * out comes back; [board-3] a fact said again changes nothing; [board-4] a fact from further in the future than clocks
 * may differ is refused; [board-5] keys are bounded, in all and for each author.
 */
import { boardLimits, type FactBody } from '../../wire/board.ts'

export interface Fact {
  readonly author: string
  readonly body: FactBody
  /** The body as it was signed. */
  readonly text: string
}

/** `same`: known already. `older`: what is known stands over it. The rest: refused. */
export type Acceptance = 'new' | 'same' | 'older' | 'stale' | 'future' | 'full'

/** Whether `a` takes the place of `b`. */
export function standsOver(a: Fact, b: Fact): boolean {
  if (a.body.version !== b.body.version) return a.body.version > b.body.version
  if (a.author !== b.author) return a.author > b.author
  return a.text > b.text
}

export class Facts<F extends Fact = Fact> {
  readonly #facts = new Map<string, F>()

  accept(fact: F, nowMs: number): Acceptance {
    const { key, tsMs } = fact.body
    if (tsMs > nowMs + boardLimits.skewMsMax) return 'future'
    if (forgotten(fact, nowMs)) return 'stale'
    const known = this.#facts.get(key)
    if (known && known.author === fact.author && known.text === fact.text) return 'same'
    if (known && !standsOver(fact, known)) return 'older'
    if (!this.hasRoom(fact.author, key)) return 'full'
    this.#facts.set(key, fact)
    return 'new'
  }

  /** Whatever is in the key's place, also where it shows nothing. */
  place(key: string): F | undefined {
    return this.#facts.get(key)
  }

  /** The fact that holds now. */
  shown(key: string, nowMs: number): F | undefined {
    const fact = this.#facts.get(key)
    return fact && fact.body.value !== undefined && nowMs < fact.body.tsMs + fact.body.ttlMs
      ? fact
      : undefined
  }

  get all(): readonly F[] {
    return [...this.#facts.values()]
  }

  /** Takes out what nobody needs to remember, and says which keys. */
  forget(nowMs: number): readonly string[] {
    const gone = this.all.filter((fact) => forgotten(fact, nowMs)).map(({ body }) => body.key)
    for (const key of gone) this.#facts.delete(key)
    return gone
  }

  /** Whether a fact of this author may take its place under this key. */
  hasRoom(author: string, key: string): boolean {
    const known = this.#facts.get(key)
    if (known?.author === author) return true
    if (!known && this.#facts.size >= boardLimits.keysMax) return false
    let ofAuthor = 0
    for (const fact of this.#facts.values()) if (fact.author === author) ofAuthor += 1
    return ofAuthor < boardLimits.keysOfAuthorMax
  }
}

/** Whatever it stood over was written before it, with the longest life at most. */
function forgotten({ body }: Fact, nowMs: number): boolean {
  return nowMs > body.tsMs + boardLimits.ttlMsMax + boardLimits.skewMsMax
}
