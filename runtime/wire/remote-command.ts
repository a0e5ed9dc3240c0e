/**
 * Commands of agents to things of other devices, and what comes of them: `<base>/site/command/<to>/<from>`, signed by `from`.
 *
 * Who asks says it again until it has an answer; `at` grows with each saying. `session` is drawn by the asked device at its start, so
 * that what was said to it before means nothing afterwards: it answers `again` with its session, and the asker says it anew.
 */
import * as v from 'valibot'
import { priorities } from './infer.ts'
import { leaseName } from './lease.ts'
import { jsonRecord } from './messages.ts'
import { deviceId } from './signed.ts'

export const remoteCommandLimits = {
  /** A command of 8 KiB as JSON in JSON in JSON. */
  bytesMax: 32 * 1024,
  ttlMsMax: 600_000,
  /** A day: longer than anything that an agent does for a while. */
  expiresMsMax: 86_400_000,
} as const

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const line = v.pipe(v.string(), v.maxLength(4096))
const said = {
  /** A signature says who spoke; this, to whom. */
  to: deviceId,
  /** Of the command: the same however often it is said. */
  id: v.pipe(v.string(), v.minLength(1), v.maxLength(256)),
  at: count,
}
const session = v.pipe(v.string(), v.maxLength(64))

const commandOnceResult = v.variant('outcome', [
  v.object({
    outcome: v.literal('done'),
    /** What telemetry shows, in words. */
    shown: line,
    unproven: v.exactOptional(v.boolean()),
    already: v.exactOptional(v.boolean()),
    ms: v.pipe(v.number(), v.finite()),
  }),
  v.object({
    outcome: v.picklist(['refused', 'failed', 'uncertain', 'not-found', 'unavailable']),
    reason: line,
  }),
])
/** How a command ended that is done once at most, whatever is lost on the way. */
export type CommandOnce = v.InferOutput<typeof commandOnceResult>

export const remoteCommandBody = v.variant('kind', [
  v.object({
    ...{ kind: v.literal('ask'), ...said, session },
    agent: v.pipe(v.string(), v.regex(/^[a-z0-9-]{1,64}$/, 'is no name of an agent')),
    /** Of which beginning of the agent this is a copy, and its fencing token: of copies the one with the highest commands. */
    lineage: v.pipe(v.string(), v.regex(/^[a-f0-9]{0,64}$/, 'is no lineage')),
    token: count,
    entity: v.pipe(v.string(), v.minLength(1), v.maxLength(255)),
    command: jsonRecord,
    /** How urgent the agent's work is at its own device; absent: `background`. */
    priority: v.exactOptional(v.picklist(priorities)),
    /** Time left when it was said. */
    ttlMs: v.pipe(v.number(), v.minValue(0), v.maxValue(remoteCommandLimits.ttlMsMax)),
    /** It may have been carried out before: look first. */
    resumed: v.boolean(),
    lease: v.exactOptional(v.object({ name: leaseName, token: count })),
    /** Unless the entity is commanded again before, it goes back. */
    expires: v.exactOptional(
      v.object({
        afterMs: v.pipe(v.number(), v.minValue(0), v.maxValue(remoteCommandLimits.expiresMsMax)),
        to: jsonRecord,
      }),
    ),
  }),
  /** Nobody waits for it any more. */
  v.object({ kind: v.literal('leave'), ...said, session }),
  /** It was not taken: say it in this session, with a greater `at` than `floor`. */
  v.object({ kind: v.literal('again'), ...said, session, floor: count }),
  v.object({ kind: v.literal('running'), ...said }),
  v.object({ kind: v.literal('over'), ...said, result: commandOnceResult }),
])
export type RemoteCommandBody = v.InferOutput<typeof remoteCommandBody>
