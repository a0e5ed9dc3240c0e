/**
 * A lease as its holder shows it to others: the signatures of those who granted it. Whoever knows the devices of the site sees whether
 * they are more than half, long after, and without asking anybody.
 */
import type { ShownLease } from '../../wire/lease.ts'
import { type Signer, signedBytes } from '../together/envelope.ts'
import { grantOf } from './claims.ts'

/** In one line why it is not believed that `holder` was granted `name`; undefined where it is. */
export function unshown(
  signer: Signer,
  name: string,
  holder: string,
  { token, claim, grants }: ShownLease,
): string | undefined {
  const { trusted } = signer
  const bytes = signedBytes('lease', JSON.stringify(grantOf({ name, token, at: claim }, holder)))
  const granted = new Set<string>()
  for (const [device, sig] of grants) {
    if (granted.size * 2 > trusted.length) break
    if (granted.has(device) || !trusted.includes(device)) continue
    if (!(signer.admits?.(`beside lease ${holder}`) ?? true)) return `${holder} says more than is checked`
    if (signer.verify(device, bytes, Buffer.from(sig, 'base64')) === 'valid') granted.add(device)
  }
  if (granted.size * 2 > trusted.length) return undefined
  return `${holder} does not show that more than half granted it`
}
