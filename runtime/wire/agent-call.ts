/**
 * Calls between agents of different devices: `<base>/site/call/<to>/<from>`, signed by `from`.
 *
 * Who asks says it again, with the same key, until it is over or its time is; who is asked answers each saying with how far it is.
 */
import * as v from 'valibot'
import { wireLimits } from './limits.ts'
import { deviceId } from './signed.ts'

/** A message or an answer, as JSON in JSON in JSON. */
export const agentCallBytesMax: number = wireLimits.mqttPayloadBytesMax

const agent = v.pipe(v.string(), v.regex(/^[a-z0-9-]{1,64}$/, 'is no name of an agent'))
const said = {
  /** A signature says who spoke; this, to whom. */
  to: deviceId,
  /** Of the call: the same however often it is said, and after a restart of who asks. */
  key: v.pipe(v.string(), v.minLength(1), v.maxLength(120)),
}
const ms = v.pipe(v.number(), v.finite(), v.minValue(0))

const outcome = v.variant('ok', [
  v.object({ ok: v.literal(true), value: v.unknown() }),
  v.object({
    ok: v.literal(false),
    code: v.pipe(v.string(), v.maxLength(32)),
    message: v.pipe(v.string(), v.maxLength(1_000)),
  }),
])

export const agentCallBody = v.variant('kind', [
  v.object({
    ...{ kind: v.literal('ask'), ...said, caller: agent, callee: agent },
    message: v.unknown(),
    /** When it was first asked, by the clock of who asks; and the time left when it was said. */
    askedMs: ms,
    leftMs: v.pipe(ms, v.maxValue(3_600_000)),
    /** It may have been asked before a crash: only what is known of it is wanted, it is not to be begun. */
    resumed: v.boolean(),
  }),
  /** Nobody waits for it any more. */
  v.object({ kind: v.literal('leave'), ...said }),
  /** It was taken. */
  v.object({ kind: v.literal('running'), ...said }),
  v.object({ kind: v.literal('over'), ...said, outcome }),
])
export type AgentCallBody = v.InferOutput<typeof agentCallBody>
