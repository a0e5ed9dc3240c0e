/**
 * An agent between two turns as bytes: what one device sends to another. CBOR (RFC 8949); what was JSON on the disk stays the text
 * that it was, since turns are run again from it.
 */
import * as v from 'valibot'
import { CodedError, messageOf } from '../../base/errors.ts'
import { decodeCbor, encodeCbor } from '../../wire/cbor.ts'
import { check } from '../../wire/messages.ts'
import { moveLimits } from '../../wire/move.ts'
import type { Arrival } from '../store/move-store.ts'
import { type CallOp, callOps, type TurnInput, turnLimits } from '../turn.ts'

/** `refused`: the other device says no. `failed`: it came to nothing, and the agent is where it was. */
export type MoveErrorCode = 'refused' | 'failed' | 'unknown-device' | 'too-large' | 'malformed'
export class MoveError extends CodedError<MoveErrorCode> {
  override readonly name = 'MoveError'
}

/** What is wrong, in a line that another device may hear. */
export function moveReason(error: unknown): string {
  const [first = ''] = messageOf(error).split('\n')
  return first.slice(0, 400)
}

/** What is on its way may name them. */
export const forgetting = 'somebody is being forgotten just now'
export const forgotten = 'somebody was forgotten while it was on its way: try again'

/** In its log there. */
export const recordingStays =
  'it came here without what was recorded of it, and is recorded no further: that stays on the device that it came from, and ends there'

/** Lines of its log that go with it: what a person looks at. */
export const packedLogLines = 200

const bytes = v.instance(Uint8Array)
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const ms = v.pipe(v.number(), v.finite())
const hash = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'is not a digest'))
const json = v.pipe(v.string(), v.parseJson())
const guest = v.pipe(
  v.string(),
  v.check(
    (text) => v.is(v.pipe(v.string(), v.parseJson(), v.record(v.string(), v.string())), text),
    'is no guest',
  ),
)

const agentSchema = v.object({
  name: v.pipe(v.string(), v.minLength(1), v.maxLength(64)),
  program: hash,
  grants: v.string(),
  // It goes on under a higher one.
  token: v.pipe(count, v.maxValue(2 ** 51, 'is higher than any token')),
  seed: count,
  turn: count,
  nowMs: ms,
  startedMs: ms,
  restartsMax: count,
  restarts: v.array(ms),
  device: v.string(),
  lastCall: count,
})
const packageSchema = v.object({
  v: v.literal(1),
  agent: agentSchema,
  was: v.picklist(['running', 'stopped']),
  bundle: bytes,
  guest,
  image: v.optional(v.object({ turn: count, sealed: bytes })),
  turns: v.array(v.object({ turn: count, nowMs: ms, inputs: json, digest: hash })),
  calls: v.pipe(
    v.array(
      v.object({
        ...{ id: v.pipe(count, v.minValue(1)), op: v.picklist(callOps), args: json, stream: v.boolean() },
        ...{ askedMs: ms, begun: v.boolean() },
      }),
    ),
    v.maxLength(turnLimits.openCallsMax),
  ),
  log: v.pipe(
    v.array(v.object({ atMs: ms, level: v.picklist(['info', 'error']), text: v.string() })),
    v.maxLength(packedLogLines),
  ),
  luggage: bytes,
  // Devices that know of none leave it out, on either side.
  recording: v.optional(bytes),
})

/** What was recorded of it stays behind where it is too much, and its log says so. Throws MoveError `too-large`. */
export function packed(arrival: Arrival, nowMs: number): Uint8Array {
  const { agent, turns, calls, image, recording, ...rest } = arrival
  const { state: _state, reason: _reason, ...kept } = agent
  const whole = encodeCbor({
    ...{ v: 1, agent: kept, ...rest, ...(image && { image }), ...(recording && { recording }) },
    turns: turns.map((turn) => ({ ...turn, inputs: JSON.stringify(turn.inputs) })),
    calls: calls.map(({ call: { id, op, args, stream = false, askedMs }, begun }) => ({
      ...{ id, op, args: JSON.stringify(args), stream, askedMs, begun },
    })),
  })
  if (whole.byteLength <= moveLimits.agentBytesMax) return whole
  const told = { atMs: nowMs, level: 'info', text: recordingStays }
  if (recording) return packed({ ...arrival, log: [...arrival.log, told], recording: undefined }, nowMs)
  throw new MoveError(
    'too-large',
    `${agent.name} has ${whole.byteLength} bytes, more than the ${moveLimits.agentBytesMax} that can move`,
  )
}

/** Throws MoveError `malformed`: one line. */
export function unpacked(whole: Uint8Array): Arrival {
  const decoded = decodeCbor(whole, moveLimits.agentBytesMax)
  const parsed = decoded.ok ? check(packageSchema, decoded.value) : decoded
  if (!parsed.ok) throw new MoveError('malformed', `what came is no agent: ${parsed.reason}`)
  const { v: _v, agent, image, turns, calls, ...rest } = parsed.value
  return {
    ...{ ...rest, image },
    agent: { ...agent, state: 'arriving', reason: undefined },
    turns: turns.map((turn) => ({ ...turn, inputs: turn.inputs as readonly TurnInput[] })),
    calls: calls.map(({ id, op, args, stream, askedMs, begun }) => ({
      call: { id, op: op as CallOp, args: args as never, askedMs, ...(stream ? { stream: true } : {}) },
      begun,
    })),
  }
}
