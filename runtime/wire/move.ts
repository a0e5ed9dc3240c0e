/**
 * Agents that move, on the wire: `<base>/site/move/<to>/<from>`, each message signed by the device that its topic names last. The
 * device that takes an agent makes the move's `id`: so nothing that was said about an earlier move means anything in this one.
 * `…/<to>/<from>/<id>`, retained: that an agent of `to` goes on with `from`, for `to` when it is back and for others that have a copy.
 */
import * as v from 'valibot'
import { agentGrants } from './agents.ts'
import { shownLease } from './lease.ts'
import { deviceId } from './signed.ts'

export const moveLimits = {
  /** One message: a chunk in base64, or what an agent may do. */
  bytesMax: 112 * 1024,
  chunkBytes: 64 * 1024,
  /** An agent whole: its image, and all it remembers. */
  agentBytesMax: 32 * 1024 * 1024,
} as const

const name = v.pipe(v.string(), v.minLength(1), v.maxLength(64))
const id = deviceId
const hash = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'is not a digest'))
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
/** Far beyond any clock, and far from where numbers end: the device that it is said to counts on from there. */
const token = v.pipe(count, v.maxValue(2 ** 52, 'is higher than any token'))
const reason = v.pipe(v.string(), v.maxLength(400))
export const byCharsMax = 100
/** As many as a configuration may name. */
const holdersMax = 4
const by = v.pipe(v.string(), v.maxLength(byCharsMax))
const chunks = v.pipe(
  count,
  v.minValue(1),
  v.maxValue(Math.ceil(moveLimits.agentBytesMax / moveLimits.chunkBytes)),
)
const part = v.pipe(v.string(), v.maxLength(Math.ceil(moveLimits.chunkBytes / 3) * 4))

/** `to` is whom it is said to: said again to another it means nothing. `n` names the question that is answered. */
export const moveBody = v.variant('kind', [
  // Whether it would be taken.
  v.object({
    ...{ kind: v.literal('ask'), to: deviceId, n: id, agent: name, engine: hash, bytes: count },
    grants: agentGrants,
    // Who asked there for this, and whether they have proved to that device who they are. It is that device's word, as all of this is.
    ...{ by: v.optional(by), proven: v.optional(v.boolean()) },
    // It stays where it is, and the other keeps a copy for the day on which it is not.
    copy: v.optional(v.boolean()),
    // Of a copy: all devices that may have one.
    holders: v.optional(v.pipe(v.array(deviceId), v.maxLength(holdersMax))),
  }),
  // `holds`: the copy of it that is there already. `recording`: as many bytes of what was recorded of it may go along.
  v.object({
    ...{ kind: v.literal('yes'), to: deviceId, n: id, id, holds: v.optional(id) },
    recording: v.optional(count),
  }),
  v.object({ kind: v.literal('no'), to: deviceId, n: id, reason }),
  // The agent, piece by piece; each is acknowledged, and the whole once it is on the disk.
  v.object({ kind: v.literal('chunk'), to: deviceId, id, at: count, of: chunks, sha256: hash, part }),
  v.object({ kind: v.literal('got'), to: deviceId, id, at: count }),
  v.object({ kind: v.literal('kept'), to: deviceId, id }),
  v.object({ kind: v.literal('refused'), to: deviceId, id, reason }),
  // It was let go of, and begins there under this token.
  v.object({ kind: v.literal('begin'), to: deviceId, id, n: id, token }),
  // `recorded`: what was recorded of it is there too.
  v.object({ kind: v.literal('begun'), to: deviceId, id, n: id, recorded: v.optional(v.boolean()) }),
  v.object({ kind: v.literal('lost'), to: deviceId, id, n: id }),
  // It stayed where it was.
  v.object({ kind: v.literal('drop'), to: deviceId, id }),
  // `unknown`: it never was, or what was known of it is lost.
  v.object({ kind: v.literal('dropped'), to: deviceId, id, unknown: v.optional(v.boolean()) }),
  // Whoever keeps it asks what became of the move. `lineage`: of what comes.
  v.object({ kind: v.literal('how'), to: deviceId, id, lineage: v.optional(deviceId) }),
  // It was begun there, by a person's word or from a copy, since the other was not to be reached.
  v.object({
    ...{ kind: v.literal('seized'), to: deviceId, id, token, lineage: v.optional(deviceId) },
    // That the others let it be begun; absent: a person did.
    lease: v.optional(shownLease),
  }),
  v.object({ kind: v.literal('let-go'), to: deviceId, id }),
  // Whether the other is there, before its agents are begun elsewhere.
  v.object({ kind: v.literal('there'), to: deviceId, n: id }),
  v.object({ kind: v.literal('here'), to: deviceId, n: id }),
])
export type MoveBody = v.InferOutput<typeof moveBody>
