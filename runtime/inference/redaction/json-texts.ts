/**
 * The texts inside a text that is JSON, such as the body of a chat: changed one by one, so that the JSON stays JSON whatever is
 * hidden or put back. What only holds a chat together (roles, types, ids, names of models and tools, a schema's keys) and what
 * is no text (pictures and sounds as base64) is left alone; other JSON, also inside a chat, has no such form: its keys count too.
 */

/** Of OpenAI's API. */
const formKeys: ReadonlySet<string> = new Set([
  ...['role', 'type', 'model', 'object', 'id', 'tool_call_id', 'tool_choice', 'finish_reason'],
  ...['encoding_format', 'reasoning_effort', 'service_tier', 'system_fingerprint', 'format'],
])
/** Where a name is an identifier, a text a sound, and a list one of keys. */
const formPaths = /\.(?:(?:function|json_schema|custom)\.name|input_audio\.data|required\.\d+)$/
/** A JSON text inside a JSON text inside a JSON text: the arguments of a tool are one. */
const depthMax = 32

/** RFC 2397, in base64: a picture. */
const dataUrl = /^data:[\w.+-]{1,64}\/[\w.+-]{1,64}(?:;[\w=.+-]{1,64}){0,4};base64,[\w+/=-]*$/

export type ChangeText = (text: string) => string

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
export function changeTexts(value: object, change: ChangeText): unknown {
  const isChat = 'messages' in value || 'choices' in value
  return isChat ? changeChat(value, change, '', 0) : changeAll(value, change, 0)
}

function changeChat(value: unknown, change: ChangeText, path: string, depth: number): unknown {
  if (depth > depthMax) throw tooDeep()
  if (typeof value === 'string') return formPaths.test(path) ? value : changeText(value, change, depth)
  if (Array.isArray(value)) return value.map((one, at) => changeChat(one, change, `${path}.${at}`, depth + 1))
  if (typeof value !== 'object' || value === null) return value
  const changed = Object.entries(value).map(([key, one]): [string, unknown] => [
    key,
    formKeys.has(key) && typeof one === 'string' ? one : changeChat(one, change, `${path}.${key}`, depth + 1),
  ])
  return Object.fromEntries(changed)
}

function changeAll(value: unknown, change: ChangeText, depth: number): unknown {
  if (depth > depthMax) throw tooDeep()
  if (typeof value === 'string') return changeText(value, change, depth)
  if (Array.isArray(value)) return value.map((one) => changeAll(one, change, depth + 1))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [change(key), changeAll(one, change, depth + 1)]),
  )
}

function changeText(text: string, change: ChangeText, depth: number): string {
  if (dataUrl.test(text)) return text
  const inner = parseJson(text)
  return inner ? JSON.stringify(changeAll(inner, change, depth + 1)) : change(text)
}

function tooDeep(): RangeError {
  return new RangeError(`JSON nested deeper than ${depthMax}`)
}
