/** `ganglion agent move NAME DEVICE`: carries an agent to another device of the site, in the middle of what it waits for. */
import type { AgentMoved } from '../../wire/agents.ts'
import { agentsPath, deviceOfAgent } from '../agent-device.ts'
import type { Context } from '../context.ts'
import { openHub } from '../hub.ts'
import { type PersonOptions, personFor } from '../person.ts'
import type { AgentOptions } from './agent.ts'

/** An agent that has 32 MB, over a slow link, and the other device's last word. */
const moveMsMax = 45_000

export async function agentMove(
  name: string,
  to: string,
  options: AgentOptions & PersonOptions,
  context: Context,
): Promise<number> {
  const { terminal } = context
  const hub = openHub(options, context)
  const device = options.device ?? (await deviceOfAgent(hub, name))
  const person = await personFor(options, device, ['move', name, to], context)
  const path = `${agentsPath(device)}/${encodeURIComponent(name)}/move`
  terminal.progress(`  ${name} goes from ${device} to ${to}`, 'move')
  const moved = await hub.post<AgentMoved>(path, { to, ...person }, moveMsMax)
  terminal.progressEnd()
  if (terminal.json) {
    terminal.out(JSON.stringify({ from: device, ...moved }))
    return 0
  }
  const kilobytes = Math.ceil(moved.bytes / 1024)
  terminal.out(`${terminal.style('green', '✓')} ${name} is on ${to} now (${kilobytes} KB)`)
  if (moved.pending)
    terminal.note(
      `${to} has it and has not said yet that it goes on there; "ganglion agent list --device ${to}" shows it`,
    )
  return 0
}
