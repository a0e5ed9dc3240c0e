/**
 * Text to token ids by a unigram vocabulary: of all ways to cut a text into pieces the likeliest, found by Viterbi's algorithm
 * (Kudo, "Subword Regularization", 2018, section 3.1). A character may also be unknown, which is less likely than any piece; a
 * stretch of them is one unknown.
 */

/** What no piece covers. */
const unknown = 0
/** How much less likely than the least likely piece it is, logarithm: SentencePiece's own choice. */
const unknownPenalty = 10
/** Stands for a space, and before the first word. */
const space = '▁'
/** The vocabulary's first entries are signs of control, never text. */
const reserved = 6

interface Piece {
  readonly id: number
  readonly logProbability: number
}

export class UnigramTokenizer {
  readonly #pieces = new Map<string, Piece>()
  readonly #lengths: readonly number[]
  readonly #longest: number
  readonly #unknownLogProbability: number

  /** Pieces with the logarithm of their probability; the place in the list is the id. */
  constructor(vocabulary: readonly (readonly [string, number])[]) {
    for (const [id, [text, logProbability]] of vocabulary.entries())
      if (id >= reserved) this.#pieces.set(text, { id, logProbability })
    this.#lengths = vocabulary.map(([text]) => [...text].length)
    const least = [...this.#pieces.values()].reduce((low, piece) => Math.min(low, piece.logProbability), 0)
    this.#unknownLogProbability = least - unknownPenalty
    this.#longest = this.#lengths.reduce((a, b) => Math.max(a, b), 1)
  }

  /** In time proportional to the text's length. */
  encode(text: string): number[] {
    const normal = text.normalize('NFKC')
    if (normal === '') return []
    return this.#trace(this.#likeliest([...(space + normal.replaceAll(' ', space))]))
  }

  /** For each place in the text the id of the piece that ends there on the likeliest way. */
  #likeliest(characters: readonly string[]): number[] {
    const last = new Array<number>(characters.length + 1).fill(unknown)
    const best = new Array<number>(characters.length + 1).fill(Number.NEGATIVE_INFINITY)
    best[0] = 0
    const reach = (end: number, id: number, score: number) => {
      if (score < (best[end] ?? 0)) return
      best[end] = score
      last[end] = id
    }
    for (let start = 0; start < characters.length; start += 1) {
      const before = best[start] ?? 0
      reach(start + 1, unknown, before + this.#unknownLogProbability)
      let text = ''
      for (let end = start + 1; end <= Math.min(characters.length, start + this.#longest); end += 1) {
        text += characters[end - 1]
        const piece = this.#pieces.get(text)
        if (piece) reach(end, piece.id, before + piece.logProbability)
      }
    }
    return last
  }

  #trace(last: readonly number[]): number[] {
    const ids: number[] = []
    for (let end = last.length - 1; end > 0; ) {
      const id = last[end] ?? unknown
      if (id !== unknown || ids.at(-1) !== unknown) ids.push(id)
      end -= id === unknown ? 1 : (this.#lengths[id] ?? 1)
    }
    return ids.reverse()
  }
}
