/**
 * Performs `lease` and `release`. A lease lasts its time and is prolonged by asking for it again; one that was asked for when the
 * device stopped is asked for again, with a new token.
 */
import * as v from 'valibot'
import { leaseLimits, leaseName } from '../../wire/lease.ts'
import { check } from '../../wire/messages.ts'
import { failed, type Outcome, type Performing, type Service } from '../service.ts'
import type { Leases } from './leases.ts'

const ttl = v.pipe(v.number(), v.minValue(leaseLimits.ttlMsMin), v.maxValue(leaseLimits.ttlMsMax))
const leaseArgs = v.object({ name: leaseName, ttlMs: ttl, deadlineMs: v.optional(v.number()) })
const releaseArgs = v.object({ name: leaseName, token: v.pipe(v.number(), v.safeInteger()) })

/** Whoever holds these begins an agent of a device that died. */
const ownPrefix = 'agent.'
/** How long a call waits that named no time. */
const withinMsDefault = 10_000

export function leaseService({
  leases,
  nowMs,
}: {
  readonly leases: Leases
  readonly nowMs: () => number
}): Service {
  return {
    ops: ['lease', 'release'],
    async perform({ call, caller }: Performing, signal: AbortSignal): Promise<Outcome> {
      if (call.op === 'release') {
        const args = check(releaseArgs, call.args)
        if (!args.ok) return failed('bad-request', args.reason)
        leases.release(args.value.name, caller.agent, args.value.token)
        return { ok: true }
      }
      const args = check(leaseArgs, call.args)
      if (!args.ok) return failed('bad-request', args.reason)
      const { name, ttlMs, deadlineMs } = args.value
      if (name.startsWith(ownPrefix))
        return failed('bad-request', `${name}: leases called ${ownPrefix}… are the devices' own`)
      const withinMs = deadlineMs === undefined ? withinMsDefault : Math.max(0, deadlineMs - nowMs())
      const claimed = await leases.claim(name, caller.agent, { ttlMs: Math.floor(ttlMs), withinMs }, signal)
      if (!claimed.ok) return failed('timeout', `${name} was not to be had: ${claimed.reason}`)
      const { token } = claimed.held
      const unheard = () => leases.unheard(name, caller.agent, token)
      return { ok: true, value: { token }, unheard }
    },
  }
}
