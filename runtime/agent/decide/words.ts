/**
 * What was said in one decision: one word of a kind a device. Who says two different ones is struck out with all it said: it is
 * lying, and whoever believed the first may not have heard the second.
 *
 * Invariants: [decide-1] a device counts once, however often it is heard; [decide-2] who says two different things counts for
 * nothing, not for a quorum either; [decide-3] who is no member counts for nothing; [decide-14] of each device no more is kept than an
 * honest one says.
 */
import type { WordBody } from '../../wire/decide.ts'

export interface Word {
  readonly from: string
  readonly body: WordBody
  /** The message as it was signed. */
  readonly envelope: string
}

/** `unheard`: not its to say. */
export type Added = 'new' | 'repeat' | 'struck' | 'stranger' | 'unheard'

export class Words {
  readonly members: readonly string[]
  readonly #opener: string
  readonly #words = new Map<string, Word>()
  /** The second, different word of those who lied: the proof. */
  readonly #struck = new Map<string, Word>()

  constructor({ members, opener }: { readonly members: readonly string[]; readonly opener: string }) {
    this.members = members
    this.#opener = opener
  }

  add(word: Word): Added {
    const { from, body } = word
    if (!this.members.includes(from)) return 'stranger'
    const isOpeners = body.kind === 'award' || body.kind === 'close'
    if (isOpeners && from !== this.#opener) return 'unheard'
    // Nobody is awarded it twice.
    if (body.kind === 'award' && body.round >= this.members.length) return 'unheard'
    const key = keyOf(from, body)
    const before = this.#words.get(key)
    if (before && JSON.stringify(before.body) !== JSON.stringify(body)) {
      this.#struck.set(from, word)
      return 'struck'
    }
    if (before || this.#struck.has(from)) return 'repeat'
    this.#words.set(key, word)
    return 'new'
  }

  /** Whether this very word was heard. */
  knows(from: string, body: WordBody): boolean {
    const known = this.#words.get(keyOf(from, body))
    return known !== undefined && JSON.stringify(known.body) === JSON.stringify(body)
  }

  /** Of each member that said one and did not lie, in the order of members. Of awards there may be several. */
  of<Kind extends Exclude<WordBody['kind'], 'award'>>(
    kind: Kind,
  ): [string, Extract<WordBody, { kind: Kind }>][] {
    const found: [string, Extract<WordBody, { kind: Kind }>][] = []
    for (const from of this.members) {
      const word = this.#struck.has(from) ? undefined : this.#words.get(keyOf(from, { kind }))
      if (word) found.push([from, word.body as Extract<WordBody, { kind: Kind }>])
    }
    return found
  }

  get liars(): readonly string[] {
    return [...this.#struck.keys()]
  }

  /** All that was kept: it grows with what is new. */
  get size(): number {
    return this.#words.size
  }

  /** Members that took part. */
  get present(): number {
    const heard = new Set([...this.#words.values()].map(({ from }) => from))
    return [...heard].filter((device) => !this.#struck.has(device)).length
  }

  get envelopes(): string[] {
    return [...this.#words.values(), ...this.#struck.values()].map(({ envelope }) => envelope)
  }
}

/** One of a kind, but for the awards of the opener. */
function keyOf(from: string, body: WordBody | { readonly kind: Exclude<WordBody['kind'], 'award'> }): string {
  return `${from} ${body.kind}${body.kind === 'award' ? body.round : ''}`
}
