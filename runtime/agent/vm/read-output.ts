/** Reads what a machine gave out: text made by code that nobody trusts. */
import * as v from 'valibot'
import type { Json } from '../contract.ts'
import { callOps, type TurnOutput, turnLimits } from '../turn.ts'

const { argsBytesMax, callsMax, logCharsMax, logLinesMax, outputBytesMax } = turnLimits
/** What the guest adds to what a program asks for: a timer of all its deadlines, and to each call how urgent it is. */
const added = { calls: 1, argsBytes: 128 }
/** Deeper than any value of use; JSON.parse has built it by then, but nothing walks it by recursion after this. */
const depthMax = 32

const id = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(Number.MAX_SAFE_INTEGER))
const json = v.custom<Json>(
  (value) => isPlain(value, depthMax),
  `is nested deeper than ${depthMax}, or names __proto__`,
)
const args = v.pipe(
  v.custom<{ [name: string]: Json }>(
    (value) =>
      typeof value === 'object' && value !== null && !Array.isArray(value) && isPlain(value, depthMax),
    `is no object, is nested deeper than ${depthMax}, or names __proto__`,
  ),
  v.check(
    (value) => JSON.stringify(value).length <= argsBytesMax + added.argsBytes,
    `has more than ${argsBytesMax} bytes`,
  ),
)

const output = v.strictObject({
  calls: v.pipe(
    v.array(v.strictObject({ id, op: v.picklist(callOps), args, stream: v.exactOptional(v.literal(true)) })),
    v.maxLength(callsMax + added.calls, `a turn may ask for ${callsMax} things, not more`),
    v.check((calls) => calls.every(({ id }, at) => id > (calls[at - 1]?.id ?? 0)), 'do not count up'),
  ),
  cancels: v.pipe(v.array(id), v.maxLength(2 * turnLimits.openCallsMax)),
  log: v.pipe(v.array(v.strictObject({ level: v.picklist(['info', 'error']), text: v.string() }))),
  end: v.exactOptional(
    v.union([
      v.strictObject({ ok: v.literal(true), value: v.exactOptional(json) }),
      v.strictObject({ ok: v.literal(false), error: v.string() }),
    ]),
  ),
})

/** The output as an object, log cut to its limits, or one line saying what is wrong with it. */
export function readOutput(text: string): { ok: true; value: TurnOutput } | { ok: false; reason: string } {
  if (text.length > outputBytesMax)
    return {
      ok: false,
      reason: `a turn gave out ${text.length} bytes, more than the ${outputBytesMax} allowed`,
    }
  const parsed = v.safeParse(output, parseOrUndefined(text))
  if (!parsed.success) {
    const [issue] = parsed.issues
    return { ok: false, reason: `${v.getDotPath(issue) ?? 'the output'} ${issue.message}` }
  }
  const { log, ...rest } = parsed.output
  const lines = log
    .slice(0, logLinesMax)
    .map(({ level, text: line }) => ({ level, text: line.slice(0, logCharsMax) }))
  const dropped = log.length - lines.length
  if (dropped > 0) lines.push({ level: 'error', text: `${dropped} more lines in this turn were dropped` })
  return { ok: true, value: { ...rest, log: lines } as TurnOutput }
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isPlain(value: unknown, depth: number): boolean {
  if (value === null || typeof value !== 'object') return true
  if (depth === 0) return false
  if (Array.isArray(value)) return value.every((item) => isPlain(item, depth - 1))
  return Object.entries(value).every(([key, item]) => key !== '__proto__' && isPlain(item, depth - 1))
}
