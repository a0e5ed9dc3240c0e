/**
 * Leases on the wire. `<base>/site/lease/<name>`, retained: who holds it. `<base>/site/lease/<name>/<device>`: claims, and what the
 * others answer. All of it signed.
 */
import * as v from 'valibot'
import { deviceId, signature } from './signed.ts'

export const leaseLimits = {
  bytesMax: 2 * 1024,
  /** Who holds a lease, with the signatures of those who granted it. */
  heldBytesMax: 24 * 1024,
  /** A lease that its holder does not renew ends by itself within this. */
  ttlMsMax: 10 * 60_000,
  ttlMsMin: 100,
  nameCharsMax: 128,
  /** Names that a device keeps in mind. */
  namesMax: 512,
  /** Who was granted a lease by more than half says so within this; a device that hears nothing then goes by the holder before. */
  shownMsMax: 10_000,
  /** Of them held by one device: one that lies must not use them up. */
  namesOfDeviceMax: 128,
  /** And that a device may hold where others have used them up. */
  namesOfDeviceLeast: 4,
  /** Clocks of a site may be so far apart. What is numbered by a time further ahead is not believed. */
  aheadMsMax: 24 * 3_600_000,
  /** Leases that are told of, of those that are held. */
  toldMax: 64,
} as const

/** As many devices believe each other. */
const membersMax = 64
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
/** Signatures under what was granted, by device. */
const grants = v.pipe(v.array(v.tuple([deviceId, signature])), v.maxLength(membersMax))
/** A lease as it is shown to others later. */
export const shownLease = v.object({
  token: count,
  /** The claim that was granted. */
  claim: count,
  grants,
})
export type ShownLease = v.InferOutput<typeof shownLease>
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
  v.object({
    ...{ kind: v.literal('refuse'), name: leaseName, highest: count, at: count, to: deviceId },
    /** The claim is of a time to come; too many leases are held. Absent: another holds it, or the claim is an old one. */
    why: v.optional(v.picklist(['clock', 'many'])),
  }),
  v.object({ kind: v.literal('release'), name: leaseName, token: count, at: count }),
  v.object({
    ...{ kind: v.literal('held'), name: leaseName, token: count, ttlMs, at: count },
    /** The claim that was granted, and by whom: the signature of each under its grant, of more than half of the devices. */
    claim: count,
    grants,
  }),
])
export type LeaseBody = v.InferOutput<typeof leaseBody>
