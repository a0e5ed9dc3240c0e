/** JSON as a language model writes it: anything may be in it. */
import type { Json } from '../contract.ts'

/** Deeper than anybody needs. What is compared or sent on later may be looked at by recursion. */
const depthMax = 64

/** Undefined: it is none, or nested too deep. */
export function jsonIn(text: string): Json | undefined {
  if (isTooDeep(text)) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export function objectIn(text: string): { readonly [name: string]: Json } | undefined {
  const value = text.trim() === '' ? {} : jsonIn(text)
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as { [name: string]: Json })
    : undefined
}

/** Each character once, whatever it is. */
function isTooDeep(text: string): boolean {
  let depth = 0
  let isQuoted = false
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at]
    if (char === '"') isQuoted = !isQuoted
    else if (isQuoted) at += char === '\\' ? 1 : 0
    else if (char === '[' || char === '{') depth += 1
    else if (char === ']' || char === '}') depth -= 1
    if (depth > depthMax) return true
  }
  return false
}
