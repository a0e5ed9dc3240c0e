/**
 * Finds what a JavaScript module imports, with the line of each. It reads tokens, not grammar: a program that deceives it gains
 * nothing, for the machine finds no module that is not in the bundle.
 * Tokens as in ECMA-262, chapter 12 (https://tc39.es/ecma262/#sec-ecmascript-language-lexical-grammar).
 */

export interface FoundImport {
  /** Undefined: written as something else than a string, so that it is known only when it runs. */
  readonly specifier: string | undefined
  /** From 1. */
  readonly line: number
}

interface Token {
  readonly kind: 'word' | 'string' | 'mark' | 'other'
  readonly text: string
  readonly line: number
}

/** After one of these words a slash begins a regular expression; after any other it divides. */
const beforeExpression = new Set(
  'await case delete do else extends in instanceof new of return throw typeof void yield'.split(' '),
)

/** Imports, exports from elsewhere and calls of `import()`, in the order they are written. */
export function importsOf(source: string): FoundImport[] {
  const found: FoundImport[] = []
  const tokens = tokensOf(source)
  for (const [at, { kind, text, line }] of tokens.entries()) {
    const before = tokens[at - 1]?.text
    if (kind !== 'word' || before === '.' || before === '?.') continue
    if (text === 'import') found.push(...importAt(tokens, at, line))
    // `export * from` and `export { … } from`: what follows `from` is a string in no other place.
    else if (text === 'from' && (before === '}' || before === '*' || tokens[at - 2]?.text === 'as'))
      found.push(...stringAt(tokens, at + 1, isExport(tokens, at)))
  }
  return found
}

function importAt(tokens: readonly Token[], at: number, line: number): FoundImport[] {
  const next = tokens[at + 1]
  if (next?.text === '(') {
    const argument = tokens[at + 2]
    const isPlain = argument?.kind === 'string' && [')', ','].includes(tokens[at + 3]?.text ?? '')
    return [{ specifier: isPlain ? argument.text : undefined, line }]
  }
  if (next?.kind === 'string') return [{ specifier: next.text, line: next.line }]
  if (next?.text === '.' || next?.text === ':') return []
  for (let here = at + 1; here < tokens.length && tokens[here]?.text !== ';'; here += 1) {
    const from = tokens[here]
    if (from?.kind === 'word' && from.text === 'from' && tokens[here + 1]?.kind === 'string')
      return stringAt(tokens, here + 1, true)
  }
  return []
}

function stringAt(tokens: readonly Token[], at: number, isOne: boolean): FoundImport[] {
  const token = tokens[at]
  return isOne && token?.kind === 'string' ? [{ specifier: token.text, line: token.line }] : []
}

/** Whether the `from` at this place belongs to an `export`. */
function isExport(tokens: readonly Token[], at: number): boolean {
  for (let here = at - 1; here >= 0; here -= 1) {
    const { kind, text } = tokens[here] as Token
    if (kind === 'word' && (text === 'export' || text === 'import')) return text === 'export'
    if (text === ';' || text === '(' || text === '=') return false
  }
  return false
}

function tokensOf(source: string): Token[] {
  const tokens: Token[] = []
  /** For each template literal that is open: how many braces were open where its `${` stood. */
  const templates: number[] = []
  let braces = 0
  let at = 0
  let line = 1
  const take = (kind: Token['kind'], end: number, text = source.slice(at, end)) => {
    tokens.push({ kind, text, line })
    pass(end)
  }
  const pass = (end: number) => {
    for (let here = at; here < end; here += 1) if (source[here] === '\n') line += 1
    at = end
  }
  while (at < source.length) {
    const rest = (pattern: RegExp): string | undefined => {
      pattern.lastIndex = at
      return pattern.exec(source)?.[0]
    }
    const skipped = rest(/\s+|\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/y)
    const word = skipped ?? rest(/[\p{ID_Start}$_#][\p{ID_Continue}$\u200c\u200d]*/uy)
    const mark = source[at] as string
    if (skipped !== undefined) pass(at + skipped.length)
    else if (word !== undefined) take('word', at + word.length)
    else if (mark === '"' || mark === "'") {
      const text = rest(/(["'])(?:\\[\s\S]|(?!\1)[^\\\n])*\1?/y) as string
      take('string', at + text.length, unquoted(text))
    } else if (mark === '`' || (mark === '}' && templates.at(-1) === braces)) {
      if (mark === '}') templates.pop()
      const text = rest(/[`}](?:\\[\s\S]|\$(?!\{)|[^\\`$])*(?:`|\$\{)?/y) as string
      take('other', at + text.length)
      if (text.endsWith('${')) templates.push(braces)
    } else if (mark === '/' && isExpressionNext(tokens.at(-1))) {
      const text = rest(/\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/\w*/y) ?? mark
      take('other', at + text.length)
    } else {
      const number = rest(/\d[\w.]*/y)
      const step = rest(/\?\.(?!\d)/y)
      if (mark === '{') braces += 1
      if (mark === '}') braces -= 1
      take(number === undefined ? 'mark' : 'other', at + (number ?? step ?? mark).length)
    }
  }
  return tokens
}

function isExpressionNext(before: Token | undefined): boolean {
  if (!before) return true
  if (before.kind === 'word') return beforeExpression.has(before.text)
  return before.kind === 'mark' && ![')', ']', '}'].includes(before.text)
}

/** The value of a string literal; specifiers need no more than the plain escapes. */
function unquoted(text: string): string {
  return text.slice(1, -1).replace(/\\(?:u\{([\da-f]+)\}|u([\da-f]{4})|x([\da-f]{2})|([\s\S]))/gi, escaped)
}

function escaped(_all: string, braced?: string, four?: string, two?: string, plain?: string): string {
  const code = braced ?? four ?? two
  return code === undefined
    ? (plain ?? '')
    : String.fromCodePoint(Math.min(Number.parseInt(code, 16), 0x10ffff))
}
