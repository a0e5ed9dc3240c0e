/** Where the agent of a name is, as devices of a scripted hub say: [cli-8]. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { deviceOfAgent } from '../../../runtime/cli/agent-device.ts'
import { HubClient } from '../../../runtime/cli/hub-client.ts'

let server: Server | undefined
afterEach(() => server?.close())

/** Agents and their states by device; undefined: it does not answer. */
type Devices = Readonly<Record<string, Readonly<Record<string, string>> | undefined>>

async function found(name: string, devices: Devices): Promise<string> {
  server = createServer((request, response) => {
    const device = /^\/api\/devices\/([^/]+)\/agents$/.exec(request.url ?? '')?.[1]
    const agents = device === undefined ? undefined : devices[device]
    if (device !== undefined && !agents) response.statusCode = 504
    const list = Object.entries(agents ?? {}).map(([called, state]) => ({ name: called, state }))
    const online = Object.keys(devices).map((id) => ({ id, availability: 'online' }))
    response.end(JSON.stringify(device === undefined ? { devices: online } : { agents: list }))
  })
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const hub = new HubClient(`http://127.0.0.1:${port}`, AbortSignal.timeout(20_000))
  return await deviceOfAgent(hub, name).catch((error) => (error as Error).message)
}

const cases: [string, Devices, string | RegExp][] = [
  ['where it runs', { bath: {}, hub: { comfort: 'running' } }, 'hub'],
  [
    'where it runs, although it ended elsewhere',
    { bath: { comfort: 'ended' }, hub: { comfort: 'running' } },
    'hub',
  ],
  [
    'where it runs, not where its copies are',
    { bath: { comfort: 'standby' }, hub: { comfort: 'running' } },
    'hub',
  ],
  [
    'where it runs, although another device is silent',
    { bath: undefined, hub: { comfort: 'running' } },
    'hub',
  ],
  ['where it was stopped', { bath: {}, hub: { comfort: 'stopped' } }, 'hub'],
  ['on the only device, whatever that has', { hub: {} }, 'hub'],
  [
    'nowhere where two have one of the name',
    { bath: { comfort: 'running' }, hub: { comfort: 'running' } },
    'comfort is on bath and on hub: name one with --device',
  ],
  [
    'nowhere where it may run on one that is silent',
    { bath: undefined, hub: { comfort: 'stopped' } },
    'comfort: which is meant is not clear: hub has it, stopped; bath does not answer; name one with --device',
  ],
  [
    'nowhere where all there is are copies',
    { bath: { comfort: 'standby' }, hub: {} },
    'comfort: which is meant is not clear: bath has a copy of it; name one with --device',
  ],
  [
    'nowhere where nobody answers',
    { bath: undefined, hub: undefined },
    /on any device; bath does not answer; hub/,
  ],
]
test.each(cases)('an agent is found %s', async (_, devices, expected) => {
  const said = await found('comfort', devices)
  if (typeof expected === 'string') expect(said).toBe(expected)
  else expect(said).toMatch(expected)
})
