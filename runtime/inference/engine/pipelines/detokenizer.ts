/**
 * Token ids of the Llama vocabulary to text, one at a time (SentencePiece byte-fallback: `<0x0A>` is one byte, `▁` a
 * space). Bytes of a character that is not complete yet are held back, the space before the first word is dropped, and ids
 * that stand for no text (start, end, and those past the vocabulary) give none.
 */
const byteToken = /^<0x([0-9A-F]{2})>$/
const firstTextId = 3

export class Detokenizer {
  readonly #vocabulary: readonly string[]
  readonly #decoder = new TextDecoder('utf-8')
  readonly #encoder = new TextEncoder()
  #text = ''

  constructor(vocabulary: readonly string[]) {
    this.#vocabulary = vocabulary
  }

  /** Everything said so far. */
  get text(): string {
    return this.#text.startsWith(' ') ? this.#text.slice(1) : this.#text
  }

  push(id: number): void {
    const token = id < firstTextId ? undefined : this.#vocabulary[id]
    if (token === undefined) return
    const byte = byteToken.exec(token)
    const bytes = byte
      ? Uint8Array.of(Number.parseInt(byte[1] ?? '', 16))
      : this.#encoder.encode(token.replaceAll('▁', ' '))
    this.#text += this.#decoder.decode(bytes, { stream: true })
  }

  /** The whole text; bytes that never became a character show as U+FFFD. */
  end(): string {
    this.#text += this.#decoder.decode()
    return this.text
  }
}
