/**
 * The texts inside a text that is JSON, such as the body of a chat: changed one by one, so that the JSON stays JSON whatever is
 * hidden or put back. What only holds the form together (roles, types, ids, the name of a model) and what is no text (pictures
 * and sounds as base64) is left alone.
 */

/** Of OpenAI's API; in other JSON these are ids and kinds as well. */
const formKeys: ReadonlySet<string> = new Set([
  ...['role', 'type', 'model', 'object', 'id', 'tool_call_id', 'tool_choice', 'finish_reason'],
  ...['encoding_format', 'reasoning_effort', 'service_tier', 'system_fingerprint', 'format', 'data'],
])
/** A JSON text inside a JSON text inside a JSON text: the arguments of a tool are one. */
const depthMax = 32

/** Where a text stands: keys and indices, dotted. */
export type ChangeText = (text: string, path: string) => string

/** Undefined where `text` is no JSON object or array. */
export function parseJson(text: string): object | undefined {
  if (!/^\s*[{[]/.test(text)) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

/** `value` with its texts changed. Throws RangeError for what is nested too deep to be looked at. */
export function changeTexts(value: unknown, change: ChangeText, path = '', depth = 0): unknown {
  if (depth > depthMax) throw new RangeError(`JSON nested deeper than ${depthMax}`)
  if (typeof value === 'string') {
    if (value.startsWith('data:')) return value
    const inner = parseJson(value)
    return inner ? JSON.stringify(changeTexts(inner, change, path, depth + 1)) : change(value, path)
  }
  if (Array.isArray(value))
    return value.map((one, at) => changeTexts(one, change, `${path}.${at}`, depth + 1))
  if (typeof value !== 'object' || value === null) return value
  const changed = Object.entries(value).map(([key, one]): [string, unknown] => [
    key,
    formKeys.has(key) && typeof one === 'string'
      ? one
      : changeTexts(one, change, `${path}.${key}`, depth + 1),
  ])
  return Object.fromEntries(changed)
}
