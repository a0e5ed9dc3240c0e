/**
 * A fleet's policy: what agents of a device may do without a person's leave, and what nobody may grant them.
 *
 * Invariants: [policy-1] what the policy grants is what an agent wants and the policy allows, both; [policy-2] what it never allows is
 * denied at each call, whoever granted it and when; [policy-3] what was granted by the policy is gone when the policy no longer allows
 * it, also from calls that wait: the device reads it when it starts, and when it is told to; [policy-4] an agent is served before others only as far as somebody allowed that.
 */
import { createHash } from 'node:crypto'
import * as v from 'valibot'
import type { AuditEntry } from '../../observe/audit-chain.ts'
import type { Priority } from '../contract.ts'
import {
  type Capability,
  covering,
  describeCapability,
  parseCapability,
  printCapability,
  touching,
} from './capability.ts'
import { type Grant, isWithin, PermissionError, parseGrants, printGrants } from './grant.ts'
import { limitsNarrow } from './limits.ts'

export interface Policy {
  readonly allow: readonly Grant[]
  readonly never: readonly Capability[]
  /** The highest priority of an agent that no person has granted anything. */
  readonly priority: Priority
}

export const noPolicy: Policy = { allow: [], never: [], priority: 'background' }

const policySchema = v.strictObject({
  allow: v.optional(v.array(v.unknown()), []),
  never: v.optional(v.pipe(v.array(v.pipe(v.string(), v.maxLength(200))), v.maxLength(64)), []),
  priority: v.optional(v.picklist(['control', 'interactive', 'background']), 'background'),
})

/** For the record: whoever has the file can show that it was this one. */
export function policyEntry({ allow, never, priority }: Policy): AuditEntry {
  const text = JSON.stringify([JSON.parse(printGrants(allow)), never.map(printCapability), priority])
  const sha256 = createHash('sha256').update(text).digest('hex')
  return { kind: 'policy', allow: allow.length, never: never.length, priority, sha256 }
}

/** Throws PermissionError `malformed`, with one line that says where. */
export function policyOf(value: unknown): Policy {
  const checked = v.safeParse(policySchema, value)
  if (!checked.success) {
    const [issue] = checked.issues
    throw new PermissionError('malformed', `${v.getDotPath(issue) ?? 'it'}: ${issue.message}`)
  }
  const { allow, never, priority } = checked.output
  return {
    allow: allowed(allow),
    never: never.map((text, at) => capabilityOf(text, `never.${at}`)),
    priority,
  }
}

function allowed(list: readonly unknown[]): readonly Grant[] {
  // A text stands for itself without limits.
  const grants = list.map((one) => (typeof one === 'string' ? { capability: one } : one))
  try {
    return parseGrants(JSON.stringify(grants))
  } catch (error) {
    if (!(error instanceof PermissionError)) throw error
    throw new PermissionError('malformed', `allow: ${error.message}`, { cause: error })
  }
}

function capabilityOf(text: string, where: string): Capability {
  const capability = parseCapability(text)
  if (typeof capability === 'string') throw new PermissionError('malformed', `${where}: ${capability}`)
  return capability
}

/** Of what an agent wants: what the policy grants, and what it does not. */
export function grantedBy(
  policy: Policy,
  wanted: readonly Grant[],
): { readonly granted: readonly Grant[]; readonly left: readonly Grant[] } {
  const granted: Grant[] = []
  const left: Grant[] = []
  for (const want of wanted) {
    const both = policy.allow
      .flatMap((allow) => bothOf(want, allow) ?? [])
      .filter((one) => !isNever(policy, one))
    granted.push(...both)
    if (!both.some((one) => isWithin(want, one))) left.push(want)
  }
  const texts = new Set<string>()
  const isNew = (grant: Grant) => {
    const text = JSON.stringify(grant)
    return !texts.has(text) && texts.add(text)
  }
  return { granted: granted.filter(isNew), left }
}

/** What is both wanted and allowed; undefined where neither is inside of the other. */
function bothOf(want: Grant, allow: Grant): Grant | undefined {
  const capability = covering(allow.capability, want.capability)
    ? want.capability
    : covering(want.capability, allow.capability)
      ? allow.capability
      : undefined
  const limits = limitsNarrow(want.limits, allow.limits)
    ? want.limits
    : limitsNarrow(allow.limits, want.limits)
      ? allow.limits
      : undefined
  return capability && limits && { capability, limits, from: 'policy' }
}

/** Grants that hold under this policy. */
export function effective(policy: Policy, grants: readonly Grant[]): readonly Grant[] {
  return grants.filter(
    (grant) =>
      !isNever(policy, grant) &&
      (grant.from !== 'policy' || policy.allow.some((one) => isWithin(grant, one))),
  )
}

/** Whether it touches what may never be. */
export function touchesNever({ never }: Policy, capability: Capability): boolean {
  return never.some((one) => touching(one, capability))
}

function isNever({ never }: Policy, { capability }: Grant): boolean {
  return never.some((one) => covering(one, capability))
}

/** Throws PermissionError `never` for the first grant of which nothing could ever be used. */
export function refuseNever(policy: Policy, grants: readonly Grant[]): void {
  const wrong = grants.find((grant) => isNever(policy, grant))
  if (wrong)
    throw new PermissionError(
      'never',
      `the policy of this device lets no agent ${describeCapability(wrong.capability)}`,
    )
}

const ranks = ['background', 'interactive', 'control'] as const

/** How soon an agent is served: as it asks for, no sooner than its grants allow. */
export function priorityOf(asked: Priority, grants: readonly Grant[], policy: Policy): Priority {
  const isControl = grants.some(({ capability }) => capability.kind === 'priority')
  const byPerson = grants.some(({ from }) => from !== 'policy')
  const most = isControl ? 'control' : byPerson ? 'interactive' : policy.priority
  return ranks[Math.min(ranks.indexOf(asked), ranks.indexOf(most))] ?? 'background'
}
