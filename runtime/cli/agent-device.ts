/** The agents of a home, and the device that has the one that is meant: of a name there is one in a home. */
import { messageOf, UsageError } from '../base/errors.ts'
import type { AgentView } from '../wire/agents.ts'
import type { HubClient } from './hub-client.ts'
import { onlineDevices } from './only-device.ts'

interface Answered {
  readonly device: string
  readonly agents: readonly AgentView[]
}
export interface AgentsOnline {
  readonly answered: readonly Answered[]
  /** Why others that are online did not answer. */
  readonly silent: readonly { readonly device: string; readonly reason: string }[]
}

export const agentsPath = (device: string) => `/api/devices/${encodeURIComponent(device)}/agents`

/** Of the device that is named, which is to answer; else of all that are online. */
export async function agentsOnline(hub: HubClient, named: string | undefined): Promise<AgentsOnline> {
  const ask = async (device: string) => ({
    device,
    ...(await hub.get<Omit<Answered, 'device'>>(agentsPath(device))),
  })
  if (named !== undefined) return { answered: [await ask(named)], silent: [] }
  const devices = await onlineDevices(hub)
  const asked = await Promise.allSettled(devices.map(ask))
  if (devices.length === 1 && asked[0]?.status === 'rejected') throw asked[0].reason
  return {
    answered: asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])),
    silent: asked.flatMap((one, at) =>
      one.status === 'rejected' ? [{ device: devices[at] as string, reason: messageOf(one.reason) }] : [],
    ),
  }
}

/** Of a name: what runs or may run, before what is on its way or over. A copy of another device's is meant only where it is named. */
const nearest = ['running', 'stopped', 'failed', 'moving', 'arriving', 'ended', 'moved'] as const

/** The device that has the agent. Throws UsageError where that is not clear. */
export async function deviceOfAgent(hub: HubClient, name: string): Promise<string> {
  const [only, ...others] = await onlineDevices(hub)
  // It says itself that there is none.
  if (only !== undefined && others.length === 0) return only
  const { answered, silent } = await agentsOnline(hub, undefined)
  const all = answered.flatMap(({ device, agents }) => agents.map((agent) => ({ ...agent, device })))
  const called = all.filter((agent) => agent.name === name)
  const [first, second] = nearest.flatMap((state) => called.filter((agent) => agent.state === state))
  if (first && second?.state === first.state)
    throw new UsageError(`${name} is on ${first.device} and on ${second.device}: name one with --device`)
  if (first?.state === 'running' || (first && silent.length === 0)) return first.device
  const known = [
    ...called.map(
      ({ device, state }) => `${device} has ${state === 'standby' ? 'a copy of it' : `it, ${state}`}`,
    ),
    ...silent.map(({ device }) => `${device} does not answer`),
  ]
  if (called.length > 0)
    throw new UsageError(`${name}: which is meant is not clear: ${known.join('; ')}; name one with --device`)
  const where = answered.map(({ device }) => device).join(', ') || 'any device'
  const none = [`there is no agent called ${name} on ${where}`, ...known].join('; ')
  throw new UsageError(`${none}: "ganglion agent list" shows those there are`)
}
