/** A copy on a device that was off when its agent went to a third one. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { MovingDevice, type MovingDeviceDeps, stepping } from '../fixtures/agent/moving-device.ts'
import { ScriptedService } from '../fixtures/agent/scripted-service.ts'
import { startAedes } from '../fixtures/broker.ts'
import { JumpingClock } from '../fixtures/jumping-clock.ts'
import { openSite, type SiteDevice, until } from '../fixtures/site.ts'

test('is begun neither by hand nor by itself while that runs there, and goes when its own device is back [move-15] [move-12]', async () => {
  await using stack = new AsyncDisposableStack()
  const broker = stack.use(await startAedes())
  const sites = (await openSite(broker.url, ['hub', 'cellar', 'attic'])).map((site) => stack.use(site))
  const open = async (at: number, more: Partial<MovingDeviceDeps> = {}) => {
    const { identity, link: bus, stateDir } = sites[at] as SiteDevice
    const service = new ScriptedService(['memory.get'])
    const clock = new JumpingClock()
    const deps = { clock, bus, identity, directory: join(stateDir, 'agents'), services: [service] }
    return { device: stack.use(await MovingDevice.open({ ...deps, ...more })), service, clock }
  }
  type Here = Awaited<ReturnType<typeof open>>
  const states = async ({ device }: Here) =>
    (await device.agents()).list().map(({ name, state }) => `${name} ${state}`)

  const hub = await open(0, { copies: { to: ['attic'] } })
  const keeps = { accepts: { keepsFor: ['hub'] } }
  const attic = await open(2, keeps)
  await hub.device.run(stepping('traveller', `return await ctx.memory.get('a')`))
  await hub.service.nth(0)
  await hub.device.mover.copy('traveller', 'attic')
  await attic.device[Symbol.asyncDispose]()
  await hub.device[Symbol.asyncDispose]()

  // Its people say that the attic is gone for good.
  const cellar = await open(1)
  const again = await open(0)
  await again.service.nth(0)
  await again.device.mover.move('traveller', 'cellar')
  await cellar.service.nth(0)
  await again.device[Symbol.asyncDispose]()

  const asked: object[] = []
  const elsewhere: MovingDeviceDeps['elsewhere'] = (copy) => {
    asked.push(copy)
    return 'cellar'
  }
  const back = await open(2, { ...keeps, elsewhere })
  const refused =
    'traveller went from hub to cellar, and runs there: "ganglion agent remove traveller" forgets'
  await expect(back.device.mover.begin('traveller')).rejects.toThrow(refused)
  const lease = { token: 1, claim: 1, grants: [] }
  await expect(back.device.mover.begin('traveller', lease)).rejects.toThrow(refused)
  const { startedMs } = (await cellar.device.agents()).list()[0] ?? {}
  expect(asked[0]).toMatchObject({ name: 'traveller', peer: 'hub', startedMs })
  expect([await states(cellar), await states(back)]).toEqual([['traveller running'], ['traveller standby']])

  await open(0)
  await until('its copy is gone', async () => (await states(back)).length === 0)
  expect(await states(cellar)).toEqual(['traveller running'])
})
