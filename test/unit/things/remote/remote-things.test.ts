/** Listening to other devices, where what is asked for and the end of all asking meet. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { Scheduler } from '../../../../runtime/agent/scheduler/scheduler.ts'
import { type Cancel, sleep, VirtualClock } from '../../../../runtime/base/clock.ts'
import { Identity } from '../../../../runtime/base/identity.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import { Remote } from '../../../../runtime/things/remote/remote.ts'
import { type RemoteBus, RemoteThings } from '../../../../runtime/things/remote/remote-things.ts'
import { openSimHome } from '../../../fixtures/sim-home.ts'
import { SimulatedBroker, SimulatedBus } from '../../agent/board/simulated-broker.ts'

const forever = new AbortController().signal

/** A bus that knows what is subscribed to now. */
function counted(bus: SimulatedBus): RemoteBus & { readonly filters: Set<string> } {
  const filters = new Set<string>()
  const subscribe: RemoteBus['subscribe'] = (filter, taker) => {
    filters.add(filter)
    const cancel = bus.subscribe(filter, taker)
    return () => {
      filters.delete(filter)
      cancel()
    }
  }
  const { topics } = bus
  const publish: RemoteBus['publish'] = (topic, payload) => bus.publish(topic, payload)
  return { topics, connected: true, onChange: (l) => bus.onChange(l), subscribe, publish, filters }
}

function opened() {
  const clock = new VirtualClock()
  const bus = counted(new SimulatedBus(new SimulatedBroker(clock, { loss: 0, twice: 0, delayMsMax: 1 })))
  const joined = new Set<(device: string) => void>()
  const onNew = (listener: (device: string) => void): Cancel => {
    joined.add(listener)
    return () => joined.delete(listener)
  }
  return { clock, bus, joined, onNew }
}

test('nothing stays subscribed to where a device is waited for, or joins, as this one closes [remote-1]', async () => {
  const { clock, bus, joined, onNew } = opened()
  const things = new RemoteThings({ clock, bus, own: 'attic', known: () => ['attic', 'hub'], onNew })
  const waits = things.find('hub', forever)
  const letGo = things.follow(() => true)
  expect(bus.filters.size).toBe(3)
  things[Symbol.dispose]()
  expect(bus.filters.size).toBe(0)
  for (const listener of joined) listener('cellar')
  expect(things.followOne('cellar')).toBeUndefined()
  expect(await things.find('cellar', forever)).toMatchObject({ ok: false })
  const answer = clock.run(() => waits)
  expect(await answer).toEqual({ ok: false, reason: 'this device is stopping' })
  letGo()
  expect([bus.filters.size, things.listened]).toEqual([0, 0])
})

test('a device that is to be commanded is listened to while its key is waited for, whoever else is asked about [remote-1]', async () => {
  const { clock, bus, onNew } = opened()
  const directory = mkdtempSync(join(tmpdir(), 'remote-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const { registry, actuation } = await openSimHome()
  const signer = Identity.open('attic', directory)
  const scheduler = new Scheduler(clock, { resources: [] })
  const things = { registry, actuation, scheduler, record: async () => {} }
  const deps = { clock, log: silentLog, bus, signer, onNew, ...things }
  await using remote = new Remote(deps, { remoteCommands: 'none', remoteAllow: [] })
  const home = {
    ...{ v: 1, device: { id: 'hub', name: 'hub', board: 'none', version: '1', simulated: true }, areas: [] },
    entities: [{ id: 'light.hall', kind: 'light', name: 'Hall', simulated: true }],
  }
  const said = {
    [bus.topics.home('hub')]: JSON.stringify(home),
    [bus.topics.availability('hub')]: 'online',
    [bus.topics.state('hub', 'light.hall')]: JSON.stringify({
      v: 1,
      state: 'off',
      attributes: {},
      ts: clock.nowMs(),
    }),
  }
  const asked = remote.command(
    {
      ...{ id: 'a/1/1', agent: 'a', lineage: '', token: 1, entity: 'light.hall', command: { state: 'on' } },
      ...{ device: 'hub', ttlMs: 30_000, resumed: false },
    },
    forever,
  )
  for (const [topic, payload] of Object.entries(said)) await bus.publish(topic, payload)
  await clock.run(() => sleep(clock, 500))
  expect(remote.things.get('light.hall@hub')).toBeDefined()
  // As many others as can be listened to.
  const others = Array.from({ length: 64 }, (_, at) => remote.things.find(`other-${at}`, forever))
  expect(remote.things.get('light.hall@hub')).toBeDefined()
  await clock.run(() => Promise.all([asked, ...others]))
  expect(await asked).toMatchObject({ outcome: 'unavailable', reason: expect.stringContaining('key') })
})
