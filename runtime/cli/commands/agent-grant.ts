/** `ganglion agent grant NAME`: shows what an agent may do, and changes it while it runs. */
import { plainWords } from '../../agent/bundle/plain-words.ts'
import { isWithin, parseGrants } from '../../agent/permissions/grant.ts'
import { CodedError, UsageError } from '../../base/errors.ts'
import { type AgentMay, signedParts } from '../../wire/agents.ts'
import { agentsPath, deviceOfAgent } from '../agent-device.ts'
import type { Context } from '../context.ts'
import { openHub } from '../hub.ts'
import { type PersonOptions, personFor } from '../person.ts'
import type { Terminal } from '../terminal.ts'
import { grantsIn } from './agent-source.ts'

export interface AgentGrantOptions extends PersonOptions {
  readonly url?: string
  readonly device?: string
  readonly allow?: readonly string[]
  readonly limits?: string
  readonly deny?: readonly string[]
  readonly set?: string
  readonly beyond?: boolean
}

const grantMsMax = 15_000

/** Without a change it shows. Throws UsageError. */
export async function agentGrant(
  name: string,
  options: AgentGrantOptions,
  context: Context,
): Promise<number> {
  const change = changeOf(options)
  const hub = openHub(options, context)
  const device = options.device ?? (await deviceOfAgent(hub, name))
  const path = `${agentsPath(device)}/${encodeURIComponent(name)}/grants`
  if (!change) {
    show(await hub.get<AgentMay>(path), device, context.terminal)
    return 0
  }
  const person = await personFor(options, device, signedParts({ ask: 'grant', name, ...change }), context)
  show(await hub.post<AgentMay>(path, { ...change, ...person }, grantMsMax), device, context.terminal)
  return 0
}

interface Change {
  readonly set?: string
  readonly allow?: string
  readonly deny?: string[]
  readonly beyond?: true
}

function changeOf({ allow, limits, deny, set, beyond }: AgentGrantOptions): Change | undefined {
  if (limits !== undefined && !allow) throw new UsageError('--limits are of what --allow names: name it')
  if (!allow && !deny && set === undefined) {
    if (beyond) throw new UsageError('--beyond needs what to allow: --allow CAPABILITY')
    return undefined
  }
  return {
    ...(set === undefined ? {} : { set: grantsIn(set, '--set') }),
    ...(allow ? { allow: grantsText(allow, limits) } : {}),
    ...(deny ? { deny: [...deny] } : {}),
    ...(beyond ? { beyond } : {}),
  }
}

function grantsText(capabilities: readonly string[], limits: string | undefined): string {
  const more = limits === undefined ? {} : { limits: jsonOf(limits) }
  const text = JSON.stringify(capabilities.map((capability) => ({ capability, ...more })))
  try {
    parseGrants(text)
  } catch (error) {
    if (error instanceof CodedError) throw new UsageError(error.message, { cause: error })
    throw error
  }
  return text
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new UsageError('--limits is no JSON: write \'{"rate":"10/h"}\'', { cause: error })
  }
}

function show(
  { name, wants, grants, priority, unrecorded }: AgentMay,
  device: string,
  terminal: Terminal,
): void {
  if (terminal.json) {
    const shown = { device, name, wants: JSON.parse(wants), grants: JSON.parse(grants), priority }
    terminal.out(JSON.stringify({ ...shown, unrecorded }))
    return
  }
  const granted = parseGrants(grants)
  terminal.out(granted.length === 0 ? `${name} may do nothing` : `${name} may`)
  for (const grant of granted) terminal.out(`  - ${plainWords(grant)}`)
  const missing = parseGrants(wants).filter((want) => !granted.some((grant) => isWithin(want, grant)))
  if (missing.length > 0) terminal.note(terminal.style('dim', 'It wants to, and may not like this'))
  for (const want of missing) terminal.note(terminal.style('dim', `  - ${plainWords(want)}`))
  if (unrecorded) terminal.note(`Not on record: ${unrecorded}`)
}
