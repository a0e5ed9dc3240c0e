/**
 * Renders the few forms of Jinja that our discovery templates use, as Home Assistant does: absent values are an error
 * unless a default is given, null is `None`, true is `True`. Throws on any other form, so a template that this does not
 * understand cannot slip by.
 */
type Names = Readonly<Record<string, unknown>>
const absent = Symbol('absent')

export function render(template: string, names: Names): string {
  const chosen = template
    .replace(/{% if (\w+) == '(\w+)' %}(.*?){% else %}(.*?){% endif %}/g, (_, name, word, yes, no) =>
      String(names[name]) === word ? yes : no,
    )
    .replace(/{% if (\w+) is defined %}(.*?){% endif %}/g, (_, name, text) => (name in names ? text : ''))
  const text = chosen.replace(/{{ (.*?) }}/g, (_, expression) => show(evaluate(expression, names)))
  if (/{%|{{/.test(text)) throw new Error(`not understood: ${template}`)
  return text
}

function evaluate(expression: string, names: Names): unknown {
  const map = /^{(.*)}\.get\(([\w.]+), ('[^']*'|[\w.]+)\)$/.exec(expression)
  if (map) {
    const entries = [...(map[1] ?? '').matchAll(/'([^']*)': '([^']*)'/g)].map(([, from, to]) => [from, to])
    const found = new Map(entries as [string, string][]).get(String(value(map[2] ?? '', names)))
    return found ?? value(map[3] ?? '', names)
  }
  const nested = /^\((.*)\)(?:\[(\d)\]| \/ (\d+))$/.exec(expression)
  if (nested) {
    const inner = evaluate(nested[1] ?? '', names)
    return nested[2] === undefined
      ? Number(inner) / Number(nested[3])
      : (inner as unknown[])[Number(nested[2])]
  }
  const [path = '', ...filters] = expression.split(' | ')
  return filters.reduce(filter, value(path, names))
}

function filter(input: unknown, text: string): unknown {
  const [, literal = '', orFalsy] = /^default\((.*?)(, true)?\)$/.exec(text) ?? []
  if (literal) return input === absent || (orFalsy && !input) ? value(literal, {}) : input
  if (text === 'to_json' && input !== absent) return JSON.stringify(input)
  throw new Error(`filter not understood: ${text}`)
}

function value(text: string, names: Names): unknown {
  if (/^(-?\d|\[|true|false)/.test(text)) return JSON.parse(text.replaceAll('none', 'null'))
  if (text.startsWith("'")) return text.slice(1, -1)
  return text.split('.').reduce<unknown>((at, key) => (isObject(at) && key in at ? at[key] : absent), names)
}

function isObject(thing: unknown): thing is Record<string, unknown> {
  return typeof thing === 'object' && thing !== null
}

function show(thing: unknown): string {
  if (thing === absent) throw new Error('absent value without a default')
  if (thing === null) return 'None'
  if (typeof thing === 'boolean') return thing ? 'True' : 'False'
  return String(thing)
}
