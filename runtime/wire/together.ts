/** `together`: whom a device believes, what it decided with them lately, and who holds which lease, as far as it knows. */
import * as v from 'valibot'
import { decideLimits, decisionEvent } from './decide.ts'
import { leaseLimits } from './lease.ts'

/** Decisions that are told: more are in the audit log. */
export const recentMax = 32

const ms = v.pipe(v.number(), v.minValue(0))

export const togetherResult = v.object({
  /** This device and those it believes, with their public keys: what `device.peers` of the configuration names. */
  devices: v.pipe(
    v.array(v.object({ device: v.string(), key: v.string() })),
    v.maxLength(decideLimits.membersMax),
  ),
  /** The newest last. */
  decisions: v.pipe(v.array(decisionEvent), v.maxLength(recentMax)),
  leases: v.pipe(
    v.array(v.object({ name: v.string(), holder: v.string(), token: v.number(), leftMs: ms })),
    v.maxLength(leaseLimits.toldMax),
  ),
})
export type TogetherResult = v.InferOutput<typeof togetherResult>
