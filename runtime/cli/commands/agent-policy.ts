/** `ganglion agent policy reload`: a device reads its policy's file anew, and what that no longer allows is taken back at once. */
import type { AgentPolicy } from '../../wire/agents.ts'
import type { Context } from '../context.ts'
import { openHub } from '../hub.ts'
import { onlyDevice } from '../only-device.ts'
import { type PersonOptions, personFor } from '../person.ts'
import type { AgentOptions } from './agent.ts'

const reloadMsMax = 35_000

export async function agentPolicyReload(
  options: AgentOptions & PersonOptions,
  context: Context,
): Promise<number> {
  const { terminal } = context
  const hub = openHub(options, context)
  const device = options.device ?? (await onlyDevice(hub))
  const person = await personFor(options, device, ['policy'], context)
  const path = `/api/devices/${encodeURIComponent(device)}/policy`
  const policy = await hub.post<AgentPolicy>(path, person, reloadMsMax)
  if (terminal.json) {
    terminal.out(JSON.stringify({ device, ...policy }))
    return 0
  }
  const { allow, never, priority, agents } = policy
  terminal.out(`${terminal.style('green', '✓')} the policy holds for ${agents} agents of ${device} now`)
  terminal.note(`It allows ${allow} and never ${never} things; priority ${priority}`)
  return 0
}
