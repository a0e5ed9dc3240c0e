/**
 * Grants: what a person lets an agent do, as JSON that is kept beside the agent. Nothing that is not granted is allowed.
 * A grant may narrow what the agent's manifest wants, never widen it.
 */
import * as v from 'valibot'
import { CodedError } from '../../base/errors.ts'
import type { Json, Limits, Want } from '../contract.ts'
import { type Capability, covering, parseCapability, printCapability } from './capability.ts'
import { limitsNarrow, parseRate, parseTimes, rateMostMax } from './limits.ts'

export type PermissionErrorCode = 'malformed' | 'wider' | 'never'
export class PermissionError extends CodedError<PermissionErrorCode> {
  override readonly name = 'PermissionError'
}

export interface Grant {
  readonly capability: Capability
  readonly limits: Limits
  /** No person granted it: it holds as long as the device's policy allows it. */
  readonly from?: 'policy'
}

const json: v.GenericSchema<unknown, Json> = v.lazy(() =>
  v.union([
    v.null(),
    v.boolean(),
    v.pipe(v.number(), v.finite()),
    // Shown to the person who is asked to grant it.
    v.pipe(
      v.string(),
      v.maxLength(256),
      v.regex(/^[^\p{Cc}\p{Cf}\u2028\u2029]*$/u, 'has characters that cannot be shown'),
    ),
    v.pipe(v.array(json), v.maxLength(32)),
  ]),
)
const finite = v.pipe(v.number('must be a number'), v.finite('must be a number'))
const range = v.pipe(
  v.strictObject({ min: v.exactOptional(finite), max: v.exactOptional(finite) }),
  v.check(({ min, max }) => min !== undefined || max !== undefined, 'needs min or max'),
  v.check(({ min, max }) => min === undefined || max === undefined || min <= max, 'has a min above its max'),
)
const field = v.pipe(v.string(), v.regex(/^[a-z][a-z0-9_]{0,63}$/, 'is no field of a command'))
const limits = v.strictObject({
  values: v.exactOptional(
    v.record(field, v.union([v.pipe(v.array(json), v.minLength(1), v.maxLength(64)), range])),
  ),
  times: v.exactOptional(
    v.pipe(
      v.array(
        v.pipe(
          v.string(),
          v.check((text) => parseTimes(text) !== undefined, 'must be like 22:00-06:00'),
        ),
      ),
      v.minLength(1),
      v.maxLength(16),
    ),
  ),
  rate: v.exactOptional(
    v.pipe(
      v.string(),
      v.check((text) => parseRate(text) !== undefined, `must be like 10/h, ${rateMostMax} at most`),
    ),
  ),
  others: v.exactOptional(v.boolean()),
  ask: v.exactOptional(v.boolean()),
})
const grant = v.strictObject({
  capability: v.string(),
  limits: v.exactOptional(limits),
  from: v.exactOptional(v.literal('policy')),
})
const grants = v.pipe(
  v.array(grant, 'must be a list such as [{"capability":"light.*:command"}]'),
  v.maxLength(64, 'must be 64 at most'),
)

/** The schema's records leave these out without a word, and a limit that is left out widens. */
const dropped: ReadonlySet<string> = new Set(['__proto__', 'prototype', 'constructor'])

/** Grants from their JSON; none from an empty text. Throws PermissionError `malformed`. */
export function parseGrants(text: string): readonly Grant[] {
  if (text === '') return []
  let parsed: unknown
  try {
    parsed = JSON.parse(text, (key, value) => {
      if (dropped.has(key)) throw new PermissionError('malformed', `grant: ${key} is no field of anything`)
      return value
    })
  } catch (error) {
    if (error instanceof PermissionError) throw error
    throw new PermissionError('malformed', 'the grants are not JSON')
  }
  const checked = v.safeParse(grants, parsed)
  if (!checked.success) {
    const [issue] = checked.issues
    const path = v.getDotPath(issue) ?? ''
    throw new PermissionError(
      'malformed',
      `${path === '' ? 'the grants' : `grant ${path}`}: ${issue.message}`,
    )
  }
  return checked.output.map(({ capability, limits: narrowed = {}, from }) => ({
    ...grantOf(capability, narrowed),
    ...(from ? { from } : {}),
  }))
}

export function printGrants(list: readonly Grant[]): string {
  const plain = list.map(({ capability, limits: narrowed, from }) => ({
    capability: printCapability(capability),
    ...(Object.keys(narrowed).length > 0 ? { limits: narrowed } : {}),
    ...(from ? { from } : {}),
  }))
  return JSON.stringify(plain)
}

/** All that a manifest wants, as grants. Throws PermissionError `malformed`. */
export function grantsOfWants(wants: readonly Want[]): readonly Grant[] {
  const plain = wants.map((want) =>
    typeof want === 'string'
      ? { capability: want }
      : { capability: want.want, ...(want.limits ? { limits: want.limits } : {}) },
  )
  return parseGrants(JSON.stringify(plain))
}

/** Whether all that `narrow` allows, `wide` allows by itself. */
export function isWithin(narrow: Grant, wide: Grant): boolean {
  return covering(wide.capability, narrow.capability) && limitsNarrow(narrow.limits, wide.limits)
}

/**
 * Throws PermissionError `wider` for the first grant that the manifest does not ask for, or asks for with tighter limits; `instead` is what
 * can be done about it.
 */
export function refuseWider(list: readonly Grant[], wants: readonly Want[], instead = ''): void {
  const wanted = grantsOfWants(wants)
  for (const one of list) {
    if (!wanted.some((want) => isWithin(one, want)))
      throw new PermissionError(
        'wider',
        `the agent does not ask for ${printCapability(one.capability)} like this${instead}`,
      )
  }
}

function grantOf(text: string, narrowed: Limits): Grant {
  const capability = parseCapability(text)
  if (typeof capability === 'string') throw new PermissionError('malformed', capability)
  if (narrowed.values && capability.kind !== 'command')
    throw new PermissionError('malformed', `${text}: values limit commands, and this is none`)
  if (narrowed.others && !narrowed.values)
    throw new PermissionError(
      'malformed',
      `${text}: others says what comes beside values, and there are none`,
    )
  return { capability, limits: narrowed }
}
