/**
 * Changes of what an agent may do.
 *
 * Invariants: [permit-4] nothing is granted that the manifest does not want, unless somebody says so in as many words; [permit-12] what
 * is taken back is gone: where a wider grant would still allow it, that is said and nothing is changed.
 */
import type { Want } from '../contract.ts'
import { covering, parseCapability, printCapability, touching } from './capability.ts'
import {
  type Grant,
  grantsOfWants,
  isWithin,
  PermissionError,
  parseGrants,
  printGrants,
  refuseWider,
} from './grant.ts'
import { rateOf } from './judge.ts'

/** As on the wire: JSON of grants, and texts of capabilities. */
export interface Change {
  readonly set?: string | undefined
  readonly allow?: string | undefined
  readonly deny?: readonly string[] | undefined
  readonly beyond?: boolean | undefined
}

/** What an agent may do after the change. Throws PermissionError. */
export function changed(now: readonly Grant[], wants: readonly Want[], change: Change): readonly Grant[] {
  const { set, allow = '', deny = [], beyond = false } = change
  let after = set === undefined ? now : parseGrants(set)
  const added = parseGrants(allow).map((grant) => (beyond ? grant : asWanted(grant, wants)))
  if (!beyond)
    refuseWider([...(set === undefined ? [] : after), ...added], wants, ': --beyond gives it all the same')
  for (const grant of added) {
    const text = printCapability(grant.capability)
    after = [...after.filter(({ capability }) => printCapability(capability) !== text), grant]
  }
  for (const text of deny) after = without(after, text)
  // Their number and size are limited, however they came together.
  return parseGrants(printGrants(after))
}

/** True where nothing is allowed after that was not before: such a change needs nobody's leave. */
export function narrows(before: readonly Grant[], after: readonly Grant[]): boolean {
  return after.every((grant) => before.some((one) => isWithin(grant, one) && isNoMore(grant, one)))
}

/** What the policy granted does not become a person's; and uses are counted by capability: two halves of one have its rate twice. */
function isNoMore(grant: Grant, one: Grant): boolean {
  if (one.from === 'policy' && grant.from !== 'policy') return false
  const same = printCapability(grant.capability) === printCapability(one.capability)
  return same || rateOf(one) === undefined
}

/** Without limits: with those that the agent itself asks for. */
function asWanted(grant: Grant, wants: readonly Want[]): Grant {
  if (Object.keys(grant.limits).length > 0) return grant
  const wanted = grantsOfWants(wants).find(({ capability }) => covering(capability, grant.capability))
  return wanted ? { ...grant, limits: wanted.limits } : grant
}

function without(grants: readonly Grant[], text: string): readonly Grant[] {
  if (text === 'all') return []
  const denied = parseCapability(text)
  if (typeof denied === 'string') throw new PermissionError('malformed', denied)
  const left = grants.filter(({ capability }) => !covering(denied, capability))
  const still = left.find(({ capability }) => touching(denied, capability))
  if (still) {
    const wide = printCapability(still.capability)
    throw new PermissionError(
      'wider',
      `${wide} allows some of ${text}: take that back, and allow what is to stay`,
    )
  }
  if (left.length === grants.length) throw new PermissionError('malformed', `it was not granted ${text}`)
  return left
}
