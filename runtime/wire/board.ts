/** The blackboard on the wire: `<base>/site/board/<key>`, retained; a signed message whose body is a fact. */
import * as v from 'valibot'

export const boardLimits = {
  /** JSON of one value: a fact is a few numbers and names; larger things have a place elsewhere. */
  valueBytesMax: 8 * 1024,
  /** One message: the value with quotes escaped, and what is around it. */
  factBytesMax: 24 * 1024,
  /** Keys of a site; of one author, so that one that lies cannot fill the board alone. */
  keysMax: 1_024,
  keysOfAuthorMax: 256,
  /** The longest life, and that of a fact whose author named none. What was deleted is remembered as long. */
  ttlMsMax: 30 * 24 * 3_600_000,
  /** Clocks of a site may be so far apart. A fact from further in the future is refused until it is not. */
  skewMsMax: 5 * 60_000,
} as const

export const boardKey = v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9_.-]{0,99}$/i, 'is not a key'))

export const factBody = v.object({
  key: boardKey,
  /** Grows by one with each writing by somebody who knew the fact before. */
  version: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  /** Absent: it was deleted. */
  value: v.optional(v.unknown()),
  /** When it was written, by its author's clock, and for how long it holds. */
  tsMs: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  ttlMs: v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(boardLimits.ttlMsMax)),
  /** Which call wrote it: so that it is known after a restart, and not written twice. */
  by: v.optional(v.pipe(v.string(), v.maxLength(200))),
})
export type FactBody = v.InferOutput<typeof factBody>
