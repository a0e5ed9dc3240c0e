/**
 * The lease under which a copy of an agent is begun: its name says whose the agent is, so that nobody grants it while that device is
 * there.
 */
import { leaseLimits } from '../../wire/lease.ts'

const prefix = 'agent.'

export function ownerLease(owner: string, agent: string): string {
  return `${prefix}${owner}.${agent}`.slice(0, leaseLimits.nameCharsMax)
}

/** Whether that name is of a lease for what a device has that is there, as far as is known. */
export function ownerIsThere(
  name: string,
  { known, away }: { readonly known: readonly string[]; readonly away: ReadonlySet<string> },
): boolean {
  // Of `hub` and `hub.cellar` it is the longer one's: names of devices may have dots, those of agents have none.
  const [owner] = known
    .filter((device) => name.startsWith(ownerLease(device, '')))
    .sort((left, right) => right.length - left.length)
  return owner !== undefined && !away.has(owner)
}
