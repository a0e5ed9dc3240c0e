/** Leases of a site over a real broker. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { leaseService } from '../../runtime/agent/leader/lease-service.ts'
import { Leases } from '../../runtime/agent/leader/leases.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { Peer, startAedes, type TestBroker } from '../fixtures/broker.ts'
import { openSite, type SiteDevice, until } from '../fixtures/site.ts'

let stack: AsyncDisposableStack
let broker: TestBroker
beforeEach(async () => {
  stack = new AsyncDisposableStack()
  broker = stack.use(await startAedes())
})
afterEach(() => stack.disposeAsync())

const forever = new AbortController().signal

async function site(): Promise<SiteDevice[]> {
  const devices = await openSite(broker.url, ['attic', 'bath', 'cellar'])
  for (const device of devices) stack.use(device)
  return devices
}

function leasesOf({ link, identity, stateDir }: SiteDevice, lives = () => true): Leases {
  const deps = { clock: realClock, log: silentLog, bus: link, signer: identity, lives }
  return stack.use(Leases.open(deps, { path: join(stateDir, 'granted-leases.json') }))
}

test('one device holds a name, the next has it when it was released, with a higher token [lease-2] [lease-5]', async () => {
  const [attic, bath, cellar] = (await site()).map((device) => leasesOf(device)) as [Leases, Leases, Leases]
  const ask = { ttlMs: 60_000, withinMs: 20_000 }
  const first = await attic.claim('heat-pump', 'comfort', ask, forever)
  expect(first).toMatchObject({ ok: true })
  const token = first.ok ? first.held.token : 0
  expect(await bath.claim('heat-pump', 'comfort', { ttlMs: 60_000, withinMs: 0 }, forever)).toMatchObject({
    ok: false,
  })
  expect(await attic.claim('heat-pump', 'other', { ttlMs: 60_000, withinMs: 0 }, forever)).toMatchObject({
    ok: false,
  })
  // Asked for again by who has it: prolonged, with the same token.
  expect(await attic.claim('heat-pump', 'comfort', ask, forever)).toMatchObject({ ok: true, held: { token } })

  const next = bath.claim('heat-pump', 'comfort', ask, forever)
  expect(attic.release('heat-pump', 'comfort', token)).toBe(true)
  const second = await next
  expect(second.ok && second.held.token > token).toBe(true)
  expect(attic.held('heat-pump', 'comfort')).toBeUndefined()
  await until('all know the newer token', () => cellar.highest('heat-pump') > token)
}, 60_000)

test('a device that has no majority holds nothing, and its agent is told why [lease-1]', async () => {
  const [attic] = (await site()) as [SiteDevice]
  const service = leaseService({ leases: leasesOf(attic), nowMs: realClock.nowMs })
  const args = { name: 'valve', ttlMs: 200, deadlineMs: realClock.nowMs() + 300 }
  const call = { id: 1, op: 'lease', args } as const
  const caller = { agent: 'leak-guard', token: 1 }
  const outcome = await service.perform(
    { caller, call, resumed: false, askedMs: 0, emit: () => true },
    forever,
  )
  expect(outcome).toMatchObject({
    error: {
      code: 'timeout',
      message: 'valve was not to be had: 1 of 3 devices granted it, more than half must',
    },
  })
})

test('no agent claims what the devices claim among themselves', async () => {
  const [attic] = (await site()) as [SiteDevice]
  const service = leaseService({ leases: leasesOf(attic), nowMs: realClock.nowMs })
  const call = { id: 1, op: 'lease', args: { name: 'agent.comfort', ttlMs: 1_000 } } as const
  const caller = { agent: 'leak-guard', token: 1 }
  const asked = { caller, call, resumed: false, askedMs: 0, emit: () => true }
  expect(await service.perform(asked, forever)).toMatchObject({ error: { code: 'bad-request' } })
}, 60_000)

test('devices that restart keep to what they granted, and tokens go on growing [lease-8]', async () => {
  const devices = await site()
  const before = devices.map((device) => leasesOf(device))
  const ask = { ttlMs: 60_000, withinMs: 20_000 }
  const first = await (before[0] as Leases).claim('heat-pump', 'comfort', ask, forever)
  const token = first.ok ? first.held.token : 0
  expect(token).toBeGreaterThanOrEqual(realClock.nowMs() - 60_000)
  for (const leases of before) leases[Symbol.dispose]()
  // Whatever the broker keeps of it is gone too.
  const peer = stack.use(await Peer.connect(broker.url, []))
  await peer.say('ganglion/site/lease/heat-pump', '', { retain: true })

  const [attic, bath] = devices.map((device) => leasesOf(device)) as [Leases, Leases]
  expect(await bath.claim('heat-pump', 'comfort', { ttlMs: 60_000, withinMs: 0 }, forever)).toMatchObject({
    ok: false,
  })
  // Its own device knows the name as its own: it is granted again, under a higher token.
  const again = await attic.claim('heat-pump', 'comfort', ask, forever)
  expect(again.ok && again.held.token > token).toBe(true)
}, 60_000)

test('a holder that runs is prolonged, one that has ended lets go [lease-7]', async () => {
  const [attic, bath] = (await site()) as [SiteDevice, SiteDevice]
  const holder = { lives: true }
  const held = leasesOf(attic, () => holder.lives)
  const other = leasesOf(bath)
  const first = await held.claim('valve', 'leak-guard', { ttlMs: 3_000, withinMs: 20_000 }, forever)
  const untilMs = first.ok ? first.held.untilMs : 0
  await until('it is prolonged', () => (held.held('valve', 'leak-guard')?.untilMs ?? 0) > untilMs)
  holder.lives = false
  const next = await other.claim('valve', 'leak-guard', { ttlMs: 3_000, withinMs: 30_000 }, forever)
  expect(next.ok && first.ok && next.held.token > first.held.token).toBe(true)
  expect(held.held('valve', 'leak-guard')).toBeUndefined()
}, 60_000)

test('which leases it granted being unreadable, a device grants none [lease-8]', async () => {
  const [attic] = (await site()) as [SiteDevice]
  writeFileSync(join(attic.stateDir, 'granted-leases.json'), '{"v":1,"grants":[{"na')
  const claimed = await leasesOf(attic).claim('valve', 'a', { ttlMs: 200, withinMs: 0 }, forever)
  expect(claimed).toMatchObject({ ok: false, reason: '0 of 3 devices granted it, more than half must' })
}, 60_000)
