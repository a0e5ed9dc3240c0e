/** What an agent costs the network that goes to another device. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { realClock } from '../../runtime/base/clock.ts'
import { MovingDevice, type MovingDeviceDeps } from '../fixtures/agent/moving-device.ts'
import { ScriptedService } from '../fixtures/agent/scripted-service.ts'
import { startAedes } from '../fixtures/broker.ts'
import { openSite, type SiteDevice } from '../fixtures/site.ts'

const waiter = `export default { name: 'waiter', wants: [], async run(ctx) { await ctx.sleep('1d') } }`

test('what goes over the network of an agent is told, as much as its pieces are [account-5]', async () => {
  await using stack = new AsyncDisposableStack()
  const broker = stack.use(await startAedes())
  const sites = await openSite(broker.url, ['hub', 'cellar'])
  const open = async ({ identity, link, stateDir }: SiteDevice, more: Partial<MovingDeviceDeps>) => {
    const service = new ScriptedService(['sleep'])
    const directory = join(stateDir, 'agents')
    const shared = { clock: realClock, bus: link, identity, directory, services: [service] }
    return { service, device: stack.use(await MovingDevice.open({ ...shared, ...more })) }
  }
  for (const site of sites) stack.use(site)
  const went: unknown[] = []
  const carried = (agent: string, bytes: number) => went.push([agent, bytes])
  const [hub, cellar] = await Promise.all(sites.map((site) => open(site, { carried })))
  if (!hub || !cellar) throw new Error('there are two')
  await hub.device.run(waiter)
  await hub.service.nth(0)
  const { bytes } = await hub.device.mover.move('waiter', 'cellar')
  expect(went).toEqual([['waiter', Math.ceil((bytes * 4) / 3)]])
})
