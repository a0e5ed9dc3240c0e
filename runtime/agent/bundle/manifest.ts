/**
 * What an agent says of itself: its definition without its code. It is read by loading the program in a machine, which can do
 * nothing to anybody, within the ticks of one turn; the same program says the same on every processor.
 */
import * as v from 'valibot'
import type { AgentDefinition, Limits } from '../contract.ts'
import { grantsOfWants, PermissionError } from '../permissions/grant.ts'
import { hostName } from '../service.ts'
import { type MachinePool, type Program, ProgramError } from '../vm/machine-pool.ts'
import { BundleError, bundleLimits } from './bundle-error.ts'

const line = (most: number) =>
  v.pipe(
    v.string('must be a text'),
    v.maxLength(most, `has more than ${most} characters`),
    v.regex(/^[^\p{Cc}\p{Cf}\u2028\u2029]*$/u, 'has characters that cannot be shown'),
  )
/** Capabilities and limits are checked where they are understood, in `permissions/`. */
const want = v.strictObject({
  want: line(200),
  why: v.optional(line(500)),
  limits: v.optional(v.custom<Limits>((value) => typeof value === 'object', 'must be an object')),
})
const nameRule = 'must be a name of a-z, 0-9 and - between them, at most 64 characters'
const agentName = v.pipe(
  v.string('must be a text'),
  v.regex(/^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/, nameRule),
  v.notValue(hostName, `must be another name: ${hostName} is the device itself`),
)
const manifest = v.strictObject({
  name: agentName,
  says: v.optional(line(500)),
  wants: v.optional(
    v.pipe(
      v.array(
        v.lazy((value) => (typeof value === 'string' ? line(200) : want)),
        'must be a list',
      ),
      v.maxLength(bundleLimits.wantsMax, `has more than ${bundleLimits.wantsMax} entries`),
    ),
  ),
  priority: v.optional(
    v.picklist(['control', 'interactive', 'background'], 'must be control, interactive or background'),
  ),
})

export const isAgentName = (text: string): boolean => v.is(agentName, text)

export type Manifest = Omit<AgentDefinition, 'run'>

/** Throws BundleError `manifest`: one line that names the field. */
export function checkManifest(value: unknown): Manifest {
  const parsed = v.safeParse(manifest, value)
  if (!parsed.success)
    throw new BundleError('manifest', `the agent's definition: ${faultOf(parsed.issues[0])}`)
  const checked = parsed.output as Manifest
  for (const [at, one] of (checked.wants ?? []).entries()) {
    try {
      grantsOfWants([one])
    } catch (error) {
      if (!(error instanceof PermissionError)) throw error
      const why = error.message.replace(/^grant 0(?:\.limits)?\.?/, '')
      throw new BundleError('manifest', `the agent's definition: wants.${at}: ${why}`, { cause: error })
    }
  }
  return checked
}

function faultOf(issue: v.BaseIssue<unknown>): string {
  const path = v.getDotPath(issue) ?? 'it'
  if (issue.type !== 'strict_object') return `${path} ${issue.message}`
  if (issue.expected === 'never') return `there is no field ${path}`
  return issue.received === 'undefined' ? `${path} is missing` : `${path} must be an object`
}

/** Any would do: it decides nothing but what a program does with chance and time while it is loaded. */
const fixed = { seed: 1, nowMs: 0 }

/** Loads the program, and checks what it says of itself. Throws BundleError `source`, `manifest`; MachineLost. */
export async function readManifest(pool: MachinePool, program: Program): Promise<Manifest> {
  try {
    const machine = await pool.create({ program, seed: fixed.seed }, fixed.nowMs)
    const text = machine.manifest
    await machine.drop()
    return checkManifest(JSON.parse(text))
  } catch (error) {
    if (error instanceof ProgramError) throw new BundleError('source', error.message, { cause: error })
    if (error instanceof SyntaxError)
      throw new BundleError('manifest', "the agent's definition is not JSON", { cause: error })
    throw error
  }
}
