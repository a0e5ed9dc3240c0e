/**
 * The blackboard on the wire. `<base>/site/board/<key>`, retained: a signed message whose body is a fact. `<base>/site/board/<key>/<device>`:
 * what devices say to each other when one compares and sets. And the call `board`, by which a person looks at it.
 */
import * as v from 'valibot'
import { deviceId } from './signed.ts'

export const boardLimits = {
  /** JSON of one value: a fact is a few numbers and names; larger things have a place elsewhere. */
  valueBytesMax: 8 * 1024,
  /** One message: the value with quotes escaped, and what is around it. */
  factBytesMax: 24 * 1024,
  /** Two facts in base64, and what is around them. */
  wordBytesMax: 72 * 1024,
  /** Keys of a site; of one author, so that one that lies cannot fill the board alone. */
  keysMax: 1_024,
  keysOfAuthorMax: 256,
  /** The longest life, and that of a fact whose author named none. What was deleted is remembered as long. */
  ttlMsMax: 30 * 24 * 3_600_000,
  /** Clocks of a site may be so far apart. A fact from further in the future is refused until it is not. */
  skewMsMax: 5 * 60_000,
  /** A version is at most the time of its writing divided by this: nobody can write one that no other can follow. */
  msPerVersion: 32,
} as const

export const boardKey = v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9_.-]{0,99}$/i, 'is not a key'))
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
/** In words of the site `*` stands for any characters but a dot. */
const pattern = v.pipe(v.string(), v.minLength(1), v.maxLength(100))

export const factBody = v.pipe(
  v.object({
    key: boardKey,
    /** Grows by one with each writing by somebody who knew the fact before. */
    version: v.pipe(count, v.minValue(1)),
    /** Absent: it was deleted. */
    value: v.optional(v.unknown()),
    /** When it was written, by its author's clock, and for how long it holds. */
    tsMs: count,
    ttlMs: v.pipe(count, v.minValue(1), v.maxValue(boardLimits.ttlMsMax)),
    /** Which call wrote it: so that it is known after a restart, and not written twice. */
    by: v.optional(v.pipe(v.string(), v.maxLength(200))),
  }),
  v.check(({ version, tsMs }) => version * boardLimits.msPerVersion <= tsMs, 'has a version before its time'),
)
export type FactBody = v.InferOutput<typeof factBody>

/** Rounds of comparing and setting are ordered by `n`, then by device. `id` is of this round alone. */
export const ballot = v.object({ n: count, device: deviceId, id: v.pipe(v.string(), v.maxLength(64)) })
export type Ballot = v.InferOutput<typeof ballot>

/** A signed fact as it was on the wire, in base64: JSON in JSON in JSON would grow with each level. */
const envelope = v.pipe(v.string(), v.maxLength(Math.ceil((boardLimits.factBytesMax * 4) / 3) + 4))

export const boardWord = v.variant('kind', [
  v.object({ kind: v.literal('prepare'), key: boardKey, ballot }),
  /** `accepted`: the last proposal that was accepted here and may not be known on the board. `place`: what is on the board. */
  v.object({
    kind: v.literal('promise'),
    key: boardKey,
    ballot,
    accepted: v.optional(v.object({ ballot, envelope })),
    place: v.optional(envelope),
  }),
  v.object({ kind: v.literal('propose'), key: boardKey, ballot, envelope }),
  v.object({ kind: v.literal('accept'), key: boardKey, ballot }),
  v.object({
    kind: v.literal('refuse'),
    key: boardKey,
    ballot,
    highest: count,
    why: v.picklist(['later', 'full', 'clock']),
  }),
])
export type BoardWord = v.InferOutput<typeof boardWord>

/** The call `board`: facts that hold now, by key, those after `after`. */
export const boardParams = v.looseObject({ pattern: v.optional(pattern), after: v.optional(v.string()) })

/** Facts of one answer; it has fewer where their values are large. */
export const boardPageMax = 100

export const boardFact = v.object({
  key: boardKey,
  value: v.unknown(),
  version: count,
  /** Device that wrote it. */
  author: deviceId,
  tsMs: v.number(),
  /** When it runs out, by the clock of the device that answers. */
  untilMs: v.number(),
})
export type BoardFact = v.InferOutput<typeof boardFact>

/** Answer to `board`. */
export const boardResult = v.object({
  facts: v.pipe(v.array(boardFact), v.maxLength(boardPageMax)),
  /** There are more: ask for those after the last. */
  more: v.boolean(),
  /** Facts on the board in all, whatever was asked for. */
  count,
  /** Messages refused since the device started: forged, malformed, from the future, over a limit. */
  refused: count,
})
export type BoardResult = v.InferOutput<typeof boardResult>
