/** JSON with one way to write each value, so that equal values have equal bytes: RFC 8785 (JSON Canonicalization Scheme). */
import type { Json } from '../contract.ts'

/** Keys in the order of their UTF-16 code units, no spaces; numbers and strings are written as ECMAScript writes them. */
export function canonicalJson(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  const entries = Object.entries(value)
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([key, inner]) => `${JSON.stringify(key)}:${canonicalJson(inner)}`)
  return `{${entries.join(',')}}`
}
