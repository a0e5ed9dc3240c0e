/**
 * Leases on the wire. `<base>/site/lease/<name>`, retained: who holds it. `<base>/site/lease/<name>/<device>`: claims, and what the
 * others answer. All of it signed.
 */
import * as v from 'valibot'
import { deviceId } from './signed.ts'

export const leaseLimits = {
  bytesMax: 2 * 1024,
  /** A lease that its holder does not renew ends by itself within this. */
  ttlMsMax: 10 * 60_000,
  ttlMsMin: 100,
  /** Names that a device keeps in mind. */
  namesMax: 512,
  /** Leases that are told of, of those that are held. */
  toldMax: 64,
} as const

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const ttlMs = v.pipe(
  v.number(),
  v.safeInteger(),
  v.minValue(leaseLimits.ttlMsMin),
  v.maxValue(leaseLimits.ttlMsMax),
)
export const leaseName = deviceId

/** `at` grows with each claim of a device: an answer names the claim that it answers, and an old claim is none. */
export const leaseBody = v.variant('kind', [
  v.object({ kind: v.literal('claim'), name: leaseName, token: count, ttlMs, at: count }),
  v.object({ kind: v.literal('grant'), name: leaseName, token: count, at: count, to: deviceId }),
  v.object({ kind: v.literal('refuse'), name: leaseName, highest: count, at: count, to: deviceId }),
  v.object({ kind: v.literal('release'), name: leaseName, token: count, at: count }),
  v.object({ kind: v.literal('held'), name: leaseName, token: count, ttlMs, at: count }),
])
export type LeaseBody = v.InferOutput<typeof leaseBody>
