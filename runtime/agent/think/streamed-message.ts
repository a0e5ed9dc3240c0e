/**
 * A message of a language model that comes in pieces, put together (OpenAI's "chat completion chunk"): text, and what it wants done, each
 * call of a tool by its index or its id. What a server says here is checked piece by piece; the whole is checked as any whole is.
 */
import * as v from 'valibot'
import { InferError } from '../../wire/infer.ts'

/** Calls of one message; a model that asks for more is asked again after these. */
export const toolCallsMax = 16
/** Texts and arguments of one message together: many times what the tokens of an answer have. */
export const messageCharsMax = 128 * 1024

/** More than any model reads and writes at once. */
const tokensMax = 100_000_000
/** What is no count says nothing. */
export const usage = v.fallback(
  v.nullish(
    v.object({ total_tokens: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(tokensMax)) }),
  ),
  undefined,
)
const text = v.nullish(v.string(), null)
const called = v.object({
  index: v.nullish(v.pipe(v.number(), v.integer(), v.minValue(0))),
  id: text,
  function: v.nullish(v.object({ name: text, arguments: text })),
})
const delta = v.object({
  content: text,
  /** What it thinks is heard, so that its tokens count, and not kept. */
  reasoning_content: text,
  reasoning: text,
  tool_calls: v.nullish(v.array(called), []),
})
const piece = v.object({
  choices: v.nullish(v.array(v.object({ index: v.nullish(v.number(), 0), delta: v.nullish(delta) })), []),
  usage,
})
type Called = v.InferOutput<typeof called>

interface Asked {
  id: string
  name: string
  readonly arguments: string[]
}

export class StreamedMessage {
  readonly #model: string
  readonly #content: string[] = []
  readonly #calls: Asked[] = []
  readonly #byIndex = new Map<number, Asked>()
  #usage: unknown
  #keptChars = 0
  #chars = 0
  #pieces = 0

  constructor(model: string) {
    this.#model = model
  }

  /**
   * Tokens so far, or somewhat fewer, since nobody counts them as they come: one a piece, where pieces are not single letters; and
   * where a piece is many tokens, as many as its letters are at least.
   */
  get tokens(): number {
    return Math.ceil(Math.max(Math.min(this.#pieces, this.#chars / 3), this.#chars / 8))
  }

  /** The data of one event. Throws InferError `run`. */
  add(event: string): void {
    if (event.length > messageCharsMax) throw tooLong(this.#model)
    const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), piece), event)
    if (!parsed.success)
      throw new InferError('run', `${this.#model} gave what is no piece of a chat`, { retryable: true })
    const { choices, usage } = parsed.output
    if (usage != null) this.#usage = usage
    // One answer was asked for.
    const said = choices.find(({ index }) => index === 0)?.delta
    if (!said) return
    const { content, reasoning_content: thought, reasoning } = said
    if (content) this.#content.push(this.#kept(content))
    this.#heard(thought ?? reasoning ?? '')
    for (const one of said.tool_calls) this.#call(one)
  }

  /** As a server says it that gives the whole at once; not checked further. */
  whole(): object {
    const tool_calls = this.#calls.map(({ id, name, arguments: pieces }) => ({
      ...{ id, type: 'function', function: { name, arguments: pieces.join('') } },
    }))
    const content = this.#content.length > 0 ? this.#content.join('') : null
    return { choices: [{ message: { content, tool_calls } }], usage: this.#usage }
  }

  #call({ index, id, function: said }: Called): void {
    const call = this.#callOf(index ?? undefined, id)
    if (!call) {
      // Beyond those that a message may have.
      this.#heard(said?.arguments ?? '')
      return
    }
    call.id ||= this.#kept(id ?? '')
    call.name ||= this.#kept(said?.name ?? '')
    if (said?.arguments) call.arguments.push(this.#kept(said.arguments))
  }

  /** Some servers give each call whole, without an index or all with the same one: another id is another call. */
  #callOf(index: number | undefined, id: string | null): Asked | undefined {
    const known = index === undefined ? this.#calls.at(-1) : this.#byIndex.get(index)
    if (known && (!id || id === known.id || known.id === '')) return known
    if (this.#calls.length >= toolCallsMax) return undefined
    const call: Asked = { id: '', name: '', arguments: [] }
    this.#calls.push(call)
    if (index !== undefined) this.#byIndex.set(index, call)
    return call
  }

  #kept(said: string): string {
    this.#keptChars += said.length
    if (this.#keptChars > messageCharsMax) throw tooLong(this.#model)
    this.#heard(said)
    return said
  }

  #heard(said: string): void {
    if (said === '') return
    this.#pieces += 1
    this.#chars += said.length
  }
}

export function tooLong(model: string): InferError {
  return new InferError('run', `${model} says more than ${messageCharsMax} characters in one message`)
}
