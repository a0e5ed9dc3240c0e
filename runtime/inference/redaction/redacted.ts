/**
 * A request whose texts leave the site, and its answer on the way back. Only tensors of texts (BYTES) are looked at: what is
 * in a picture or a sound is hidden by no pattern, and its label decides.
 */
import {
  type InferChunk,
  InferError,
  type InferErrorCode,
  type InferRequest,
  type Tensor,
} from '../../wire/infer.ts'
import { changeTexts, parseJson } from './json-texts.ts'
import { atOnce, type InTurns, type RedactionSession, type Redactor, type Restorer } from './redactor.ts'

/** Parameter of a request whose text streams in pieces, `delta`, rather than as the whole so far. */
const streamParameter = 'text_stream'

/** Texts of one request together. Looking at them takes up to a microsecond a character. */
const charsMax = 4_000_000
/** Looked at without a stop, or one longer text by one pattern of some twenty: tens of milliseconds for what is made to be slow. */
const turnChars = 200_000

export interface Redacted {
  readonly request: Omit<InferRequest, 'id'>
  /** A chunk as the caller may see it. Throws InferError `run` for what is nested too deep to be looked at. */
  readonly back: (chunk: InferChunk) => InferChunk
}

/** Throws InferError `bad-input` for texts that are too long or nested too deep to be looked at. */
export function redacted(redactor: Redactor, request: Omit<InferRequest, 'id'>): Redacted {
  return orInferError(() => atOnce(redacting(redactor, request)), 'bad-input')
}

/** The same for a process that has more to do meanwhile: after some milliseconds of work each it waits for its `turn`. */
export async function redactedInTurns(
  redactor: Redactor,
  request: Omit<InferRequest, 'id'>,
  turn: () => Promise<void>,
): Promise<Redacted> {
  const work = redacting(redactor, request)
  let chars = 0
  for (;;) {
    const { done, value } = orInferError(() => work.next(), 'bad-input')
    if (done) return value
    chars += value
    if (chars < turnChars) continue
    chars = 0
    await turn()
  }
}

function* redacting(redactor: Redactor, request: Omit<InferRequest, 'id'>): InTurns<Redacted> {
  const session = redactor.session()
  // All of it first: what somebody else has hidden keeps its placeholder, and nothing else gets the same one.
  let chars = 0
  for (const tensor of request.inputs)
    for (const text of textsOf(tensor))
      for (const one of textsIn(text)) {
        chars += one.length
        if (chars > charsMax) throw new RangeError(`texts of more than ${charsMax} characters`)
        session.keep(one)
        yield one.length
      }
  const inputs: Tensor[] = []
  for (const tensor of request.inputs) {
    const data: string[] = []
    for (const text of textsOf(tensor)) data.push(yield* hiding(session, text))
    inputs.push(tensor.datatype === 'BYTES' ? { ...tensor, data } : tensor)
  }
  if (session.size === 0) return { request, back: (chunk) => chunk }
  const way = new WayBack(session, request.parameters?.[streamParameter] === 'delta')
  return {
    request: { ...request, inputs },
    back: (chunk) => orInferError(() => way.chunk(chunk), 'run', 'the answer: '),
  }
}

function orInferError<T>(work: () => T, code: InferErrorCode, where = ''): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof RangeError) throw new InferError(code, `${where}${error.message}`, { cause: error })
    throw error
  }
}

function textsOf(tensor: Tensor): readonly string[] {
  return tensor.datatype === 'BYTES' ? tensor.data : []
}

/** Each once: the text itself, or those in it where it is JSON. */
function textsIn(text: string): ReadonlySet<string> {
  const json = parseJson(text)
  if (!json) return new Set([text])
  const texts = new Set<string>()
  changeTexts(json, (one) => {
    texts.add(one)
    return one
  })
  return texts
}

function* hiding(session: RedactionSession, text: string): InTurns<string> {
  const hidden = new Map<string, string>()
  for (const one of textsIn(text)) hidden.set(one, yield* session.redacting(one))
  const json = parseJson(text)
  const change = (one: string) => hidden.get(one) ?? session.redact(one)
  return json ? JSON.stringify(changeTexts(json, change)) : change(text)
}

class WayBack {
  readonly #session: RedactionSession
  readonly #inPieces: boolean
  /** By where a piece belongs. */
  readonly #restorers = new Map<string, Restorer>()

  constructor(session: RedactionSession, inPieces: boolean) {
    this.#session = session
    this.#inPieces = inPieces
  }

  chunk(chunk: InferChunk): InferChunk {
    const outputs = chunk.outputs.map((tensor) =>
      withTexts(tensor, (text, at) => this.#text(text, `${tensor.name} ${at}`, chunk.final)),
    )
    return { ...chunk, outputs }
  }

  #text(text: string, place: string, final: boolean): string {
    const json = parseJson(text)
    if (json) return JSON.stringify(this.#json(json, place))
    if (this.#inPieces) {
      const shown = this.#restorer(place).push(text)
      return final ? shown + this.#restorer(place).end() : shown
    }
    // The whole so far: what may be half a placeholder waits for the next one.
    return final ? this.#session.restore(text) : this.#session.restorer().push(text)
  }

  #json(json: object, place: string): unknown {
    const { choices } = json as { readonly choices?: unknown }
    if (!Array.isArray(choices) || !choices.some((choice) => isRecord(choice) && 'delta' in choice))
      return changeTexts(json, (text) => this.#session.restore(text))
    return { ...json, choices: choices.map((choice: unknown) => this.#choice(choice, place)) }
  }

  /** A piece of a streamed chat: what was held back of a text comes with its next piece, or with the end of the choice. */
  #choice(choice: unknown, place: string): unknown {
    if (!isRecord(choice)) return choice
    const where = (path: string) => `${place} ${String(choice['index'])} ${path}`
    const delta = changePieces(choice['delta'], (text, path) => {
      // Arguments are JSON in pieces: what is put back has to be escaped as a part of it.
      return this.#restorer(where(path), path.endsWith('.arguments')).push(text)
    })
    if (choice['finish_reason'] == null || !isRecord(delta)) return { ...choice, delta }
    return { ...choice, delta: this.#withHeld(delta, where('')) }
  }

  /** With what was held back of the texts at `place`, as the end of them. */
  #withHeld(delta: Readonly<Record<string, unknown>>, place: string): unknown {
    let whole = delta
    for (const [at, restorer] of this.#restorers) {
      const held = at.startsWith(place) ? restorer.end() : ''
      if (held !== '') whole = appended(whole, at.slice(place.length), held)
    }
    return whole
  }

  #restorer(place: string, escaped = false): Restorer {
    const one = this.#restorers.get(place) ?? this.#session.restorer(escaped)
    this.#restorers.set(place, one)
    return one
  }
}

/** `path`: `.content`, or `.tool_calls.<index>.function.arguments`. */
function appended(delta: Readonly<Record<string, unknown>>, path: string, text: string) {
  const [, key = '', index] = path.split('.')
  if (index === undefined) return { ...delta, [key]: `${String(delta[key] ?? '')}${text}` }
  const calls = Array.isArray(delta[key]) ? delta[key] : []
  return { ...delta, [key]: [...calls, { index: Number(index), function: { arguments: text } }] }
}

/** As `changeTexts`, where no text is JSON by itself: pieces are not. */
function changePieces(value: unknown, change: (text: string, path: string) => string, path = ''): unknown {
  if (Array.isArray(value))
    return value.map((one, at) => changePieces(one, change, `${path}.${indexOf(one, at)}`))
  if (!isRecord(value)) return value
  const entries = Object.entries(value).map(([key, one]): [string, unknown] => {
    const inside = `${path}.${key}`
    return [
      key,
      typeof one === 'string' && pieceKeys.has(key) ? change(one, inside) : changePieces(one, change, inside),
    ]
  })
  return Object.fromEntries(entries)
}

/** Keys of a streamed chat whose texts come in pieces. */
const pieceKeys: ReadonlySet<string> = new Set([
  'content',
  'refusal',
  'reasoning_content',
  'reasoning',
  'arguments',
])

/** Pieces of a tool's call say which call they belong to. */
function indexOf(value: unknown, at: number): unknown {
  return isRecord(value) ? (value['index'] ?? at) : at
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function withTexts(tensor: Tensor, change: (text: string, at: number) => string): Tensor {
  if (tensor.datatype !== 'BYTES') return tensor
  return { ...tensor, data: tensor.data.map((text, at) => change(text, at)) }
}
