/** `device.agents.policy`: what a fleet lets its agents do, inline or in a YAML file of its own. */
import * as v from 'valibot'
import { noPolicy, type Policy, policyOf } from '../agent/permissions/policy.ts'
import { readYaml } from '../base/config-file.ts'
import { CodedError, UsageError } from '../base/errors.ts'

const bytesMax = 64 * 1024

/** What it may hold is checked where it is read. */
export const policySchema = v.union(
  [v.pipe(v.string(), v.minLength(1)), v.looseObject({})],
  'must be a file, or allow, never and priority',
)

/** Throws UsageError with one line that names the place. */
export function readPolicy(policy: string | object | undefined): Policy {
  if (policy === undefined) return noPolicy
  const value = typeof policy === 'string' ? readYaml(policy, `the policy ${policy}`, bytesMax) : policy
  try {
    return policyOf(value)
  } catch (error) {
    if (!(error instanceof CodedError)) throw error
    const where = typeof policy === 'string' ? policy : 'device.agents.policy'
    throw new UsageError(`${where}: ${error.message}`, { cause: error })
  }
}
