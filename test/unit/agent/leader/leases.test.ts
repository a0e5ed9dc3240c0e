/** Leases of one device, in virtual time: what others may make it do, and that it stops. */
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { leaseService } from '../../../../runtime/agent/leader/lease-service.ts'
import { Leases } from '../../../../runtime/agent/leader/leases.ts'
import { seal } from '../../../../runtime/agent/together/envelope.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { Identity } from '../../../../runtime/base/identity.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import { leaseLimits } from '../../../../runtime/wire/lease.ts'
import { SimulatedBroker, SimulatedBus } from '../board/simulated-broker.ts'

let directory: string
let clock: VirtualClock
let broker: SimulatedBroker
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'leases-'))
  clock = new VirtualClock()
  broker = new SimulatedBroker(clock, { loss: 0, twice: 0, delayMsMax: 1 })
})
afterEach(() => rmSync(directory, { recursive: true }))

const identityOf = (name: string) => Identity.open(name, join(directory, name))
const path = () => join(directory, 'granted-leases.json')
const forever = new AbortController().signal
const farAhead = Number.MAX_SAFE_INTEGER

/** Devices that believe each other. */
function site(...names: string[]) {
  const identities = names.map(identityOf)
  for (const one of identities) for (const other of identities) one.trust(other.device, other.publicKey)
  return identities.map((identity) => ({ identity, bus: new SimulatedBus(broker) }))
}
type Member = ReturnType<typeof site>[number]

const leasesOf = ({ identity, bus }: Member) =>
  Leases.open(
    { clock, log: silentLog, bus, signer: identity, lives: () => true },
    { path: join(directory, `${identity.device}.json`) },
  )

const says = ({ identity, bus }: Member, body: object & { name: string }) =>
  bus.publish(bus.topics.lease(body.name, identity.device), seal(identity, 'lease', body))

/** Time passes until it has settled. */
async function passing<T>(promise: Promise<T>): Promise<T> {
  let over = false
  const end = promise.finally(() => {
    over = true
  })
  while (!over) {
    clock.advance(5)
    await settle()
  }
  return await end
}
const settle = () => new Promise((resolve) => setImmediate(resolve))

/** Whatever is claimed, it knows of a later claim of that device, and of a higher token. */
const lies = (eve: Member) =>
  eve.bus.subscribe(eve.bus.topics.lease('+', '+'), ({ topic, payload }) => {
    const [, , name = '', to = ''] = eve.bus.topics.levels(topic) ?? []
    const { kind, at } = JSON.parse(JSON.parse(Buffer.from(payload).toString()).body)
    if (kind !== 'claim') return undefined
    for (const known of [at, clock.nowMs() + 3_600_000, farAhead])
      void says(eve, { kind: 'refuse', name, highest: farAhead, at: known, to } as never)
    return undefined
  })

test('a device that claims without end makes the other write a few times a second [lease-9]', async () => {
  const [own, eve] = [identityOf('attic'), identityOf('eve')]
  own.trust('eve', eve.publicKey)
  const [bus, evesBus] = [new SimulatedBus(broker), new SimulatedBus(broker)]
  let granted = 0
  evesBus.subscribe(evesBus.topics.lease('+', '+'), ({ payload }) => {
    if (Buffer.from(payload).toString().includes('grant')) granted += 1
    return undefined
  })
  using _ = Leases.open({ clock, log: silentLog, bus, signer: own, lives: () => true }, { path: path() })
  const flood = async (from: number, claims: number) => {
    for (let at = from; at < from + claims; at += 1) {
      const claim = { kind: 'claim', name: 'pump', token: at, ttlMs: 60_000, at }
      await evesBus.publish(evesBus.topics.lease('pump', 'eve'), seal(eve, 'lease', claim))
      clock.advance(3)
    }
    await settle()
  }
  await flood(1, 300)
  expect(granted).toBeGreaterThan(10)
  expect(granted).toBeLessThan(60)
  const { mtimeMs } = statSync(path())
  // Later it is answered again.
  granted = 0
  clock.advance(60_000)
  await flood(1_000, 1)
  expect(granted).toBe(1)
  expect(statSync(path()).mtimeMs).toBeGreaterThanOrEqual(mtimeMs)
})

test('what is prolonged at the moment of stopping is not prolonged on [lease-10]', async () => {
  let asked = 0
  const lives = () => {
    asked += 1
    return true
  }
  const bus = new SimulatedBus(broker)
  const leases = Leases.open(
    { clock, log: silentLog, bus, signer: identityOf('attic'), lives },
    { path: path() },
  )
  const { signal } = new AbortController()
  const claimed = leases.claim('pump', 'comfort', { ttlMs: 40_000, withinMs: 1_000 }, signal)
  await settle()
  expect(await claimed).toMatchObject({ ok: true })
  clock.advance(10_000)
  expect(asked).toBe(1)
  leases[Symbol.dispose]()
  await settle()
  clock.advance(120_000)
  await settle()
  expect(asked).toBe(1)
})

test('one that lies about what it knows keeps nobody from a lease [lease-11]', async () => {
  const [attic, bath, eve] = site('attic', 'bath', 'eve') as [Member, Member, Member]
  using first = leasesOf(attic)
  using second = leasesOf(bath)
  lies(eve)
  const ask = { ttlMs: 60_000, withinMs: 8_000 }
  for (const [n, leases] of [first, second, first, second].entries()) {
    const claimed = await passing(leases.claim('pump', `agent-${n}`, ask, forever))
    expect(claimed).toMatchObject({ ok: true })
    const token = claimed.ok ? claimed.held.token : 0
    expect(token).toBeLessThan(clock.nowMs() + 60_000)
    clock.advance(10)
    await settle()
    expect(first.highest('pump')).toBe(token)
    leases.release('pump', `agent-${n}`, token)
    clock.advance(10)
    await settle()
  }
})

test('one that lies while another is away makes no number that the two cannot outdo later [lease-11]', async () => {
  const [attic, bath, eve] = site('attic', 'bath', 'eve') as [Member, Member, Member]
  lies(eve)
  const dayMs = 24 * 3_600_000
  const ask = { ttlMs: 60_000, withinMs: 8_000 }
  {
    using first = leasesOf(attic)
    expect(await passing(first.claim('pump', 'comfort', ask, forever))).toMatchObject({ ok: false })
    expect(first.highest('pump')).toBeLessThan(clock.nowMs() + dayMs)
  }
  // Also not on its disk.
  using first = leasesOf(attic)
  using second = leasesOf(bath)
  for (const leases of [first, second]) {
    clock.advance(61_000)
    const claimed = await passing(leases.claim('pump', 'comfort', ask, forever))
    expect(claimed).toMatchObject({ ok: true })
    const token = claimed.ok ? claimed.held.token : 0
    expect(token).toBeLessThan(clock.nowMs() + dayMs)
    leases.release('pump', 'comfort', token)
  }
})

test('what was granted by a clock that was wrong once is outdone when its time is over [lease-11]', async () => {
  const ask = { ttlMs: 60_000, withinMs: 8_000 }
  const startAt = (startMs: number) => {
    clock = new VirtualClock({ startMs })
    broker = new SimulatedBroker(clock, { loss: 0, twice: 0, delayMsMax: 1 })
    return site('attic', 'bath').map(leasesOf) as [Leases, Leases]
  }
  const rightMs = clock.nowMs()
  const before = startAt(rightMs + 365 * 86_400_000)
  expect(await passing(before[0].claim('pump', 'comfort', ask, forever))).toMatchObject({ ok: true })
  for (const leases of before) leases[Symbol.dispose]()
  const [first, second] = startAt(rightMs)
  // Until then nobody else has it.
  expect(await passing(second.claim('pump', 'comfort', ask, forever))).toMatchObject({ ok: false })
  clock.advance(61_000)
  expect(await passing(second.claim('pump', 'comfort', ask, forever))).toMatchObject({ ok: true })
  for (const leases of [first, second]) {
    expect(leases.highest('pump')).toBeLessThan(clock.nowMs() + 60_000)
    leases[Symbol.dispose]()
  }
})

test('who says that it holds what more than half did not grant it is not believed [lease-11]', async () => {
  const [attic, bath, eve] = site('attic', 'bath', 'eve') as [Member, Member, Member]
  using first = leasesOf(attic)
  using second = leasesOf(bath)
  const claimed = await passing(first.claim('pump', 'comfort', { ttlMs: 60_000, withinMs: 8_000 }, forever))
  const token = claimed.ok ? claimed.held.token : 0
  const own = { kind: 'grant', name: 'pump', token: token + 1, at: 5, to: 'eve' }
  const { sig } = JSON.parse(seal(eve.identity, 'lease', own))
  // Its own grant is one of three; said three times, or under others' names, it is no more.
  const grants = [
    ['eve', sig],
    ['eve', sig],
    ['bath', sig],
    ['attic', sig],
  ]
  const held = { kind: 'held', name: 'pump', token: token + 1, ttlMs: 60_000, at: 6, claim: 5, grants }
  eve.bus.setRetained(eve.bus.topics.lease('pump'), seal(eve.identity, 'lease', held))
  clock.advance(10)
  for (const leases of [first, second]) {
    expect(leases.highest('pump')).toBe(token)
    expect(leases.known()).toMatchObject([{ holder: 'attic', token }])
  }
  // Nor are numbers from far ahead, also where it is the only one that wants it.
  await says(eve, { kind: 'claim', name: 'valve', token: farAhead, ttlMs: 60_000, at: 7 } as never)
  await says(eve, { kind: 'claim', name: 'valve', token: 8, ttlMs: 60_000, at: farAhead } as never)
  clock.advance(10)
  expect(second.highest('valve')).toBe(0)
  expect(
    await passing(second.claim('valve', 'leak-guard', { ttlMs: 60_000, withinMs: 8_000 }, forever)),
  ).toMatchObject({ ok: true })
})

test('what one device alone granted shuts out nobody to whom more than half granted it [lease-13] [lease-11]', async () => {
  const [hub, attic, bath, cellar, eve] = site('hub', 'attic', 'bath', 'cellar', 'eve') as Member[]
  using alone = leasesOf(hub as Member)
  const token = clock.nowMs() + 20 * 3_600_000
  // Only the hub is there to hear it.
  await says(eve as Member, { kind: 'claim', name: 'pump', token, ttlMs: 60_000, at: 1 } as never)
  clock.advance(10)
  expect(alone.highest('pump')).toBe(token)
  using first = leasesOf(attic as Member)
  using second = leasesOf(bath as Member)
  using _ = leasesOf(cellar as Member)
  const ask = { ttlMs: 60_000, withinMs: 8_000 }
  const claims = async (leases: Leases) => {
    const claimed = await passing(leases.claim('pump', 'comfort', ask, forever))
    clock.advance(10)
    return claimed.ok ? claimed.held.token : 0
  }
  const held = await claims(first)
  expect(held).toBeGreaterThan(0)
  expect(held).toBeLessThan(token)
  expect(alone.highest('pump')).toBe(held)
  // Of its next claim, too, nobody says that it made a holder.
  await says(eve as Member, { kind: 'claim', name: 'pump', token: token + 1, ttlMs: 60_000, at: 2 } as never)
  clock.advance(10)
  clock.advance(leaseLimits.shownMsMax)
  expect(alone.highest('pump')).toBe(held)
  // It cannot begin that time anew.
  await says(eve as Member, { kind: 'claim', name: 'pump', token: token + 2, ttlMs: 60_000, at: 3 } as never)
  clock.advance(10)
  expect(alone.highest('pump')).toBe(held)
  first.release('pump', 'comfort', held)
  clock.advance(61_000)
  // Of later holders it hears as before.
  const later = await claims(second)
  expect(later).toBeGreaterThan(held)
  expect(alone.highest('pump')).toBe(later)
})

test('the earlier holder is shut out where the next was granted it and is not yet heard of [lease-13]', async () => {
  const [hub, attic, bath] = site('hub', 'attic', 'bath') as [Member, Member, Member]
  using thing = leasesOf(hub)
  using first = leasesOf(attic)
  using _ = leasesOf(bath)
  const ask = { ttlMs: 60_000, withinMs: 8_000 }
  const claimed = await passing(first.claim('pump', 'comfort', ask, forever))
  const before = claimed.ok ? claimed.held.token : 0
  clock.advance(10)
  expect(thing.highest('pump')).toBe(before)
  first.release('pump', 'comfort', before)
  clock.advance(10)
  const next = before + 1_000
  await says(bath, { kind: 'claim', name: 'pump', token: next, ttlMs: 60_000, at: clock.nowMs() } as never)
  clock.advance(10)
  expect(thing.highest('pump')).toBe(next)
})

test('a device that was not there when it was granted hears who holds it [lease-11]', async () => {
  const [attic, bath, cellar] = site('attic', 'bath', 'cellar') as [Member, Member, Member]
  using first = leasesOf(attic)
  using _ = leasesOf(bath)
  cellar.bus.connect(false)
  const claimed = await passing(first.claim('pump', 'comfort', { ttlMs: 60_000, withinMs: 8_000 }, forever))
  const token = claimed.ok ? claimed.held.token : 0
  using late = leasesOf(cellar)
  expect(late.highest('pump')).toBe(0)
  cellar.bus.connect(true)
  clock.advance(10)
  expect(late.known()).toMatchObject([{ name: 'pump', holder: 'attic', token }])
})

test('a claim under way when its device stops ends, and claims nothing more [lease-10]', async () => {
  const [attic] = site('attic', 'bath') as [Member, Member]
  const leases = leasesOf(attic)
  const claimed = leases.claim('pump', 'comfort', { ttlMs: 40_000, withinMs: 60_000 }, forever)
  await settle()
  leases[Symbol.dispose]()
  let said = 0
  const bus = new SimulatedBus(broker)
  bus.onWord(() => {
    said += 1
  })
  clock.advance(10)
  said = 0
  for (let n = 0; n < 20; n += 1) {
    await settle()
    clock.advance(500)
  }
  expect(await Promise.race([claimed, 'still tries'])).toEqual({
    ok: false,
    reason: 'the device is stopping',
  })
  expect(said).toBeLessThanOrEqual(1)
})

/** Asks as an agent of that device does, each time by another call. */
function asking(leases: Leases) {
  const service = leaseService({ leases, nowMs: () => clock.nowMs() })
  let id = 0
  return () => {
    id += 1
    const call = { id, op: 'lease', args: { name: 'pump', ttlMs: 1_000 } } as const
    const caller = { agent: 'comfort', token: 1 }
    return service.perform({ caller, call, resumed: false, askedMs: 0, emit: () => true }, forever)
  }
}

test('a lease that an agent gave up before it heard of it is held no more; one that it had before it keeps [life-9]', async () => {
  const [attic] = site('attic') as [Member]
  const leases = leasesOf(attic)
  const asked = asking(leases)
  const first = await passing(asked())
  expect(leases.held('pump', 'comfort')).toBeDefined()
  expect(leases.holder('pump')).toBe('comfort')
  const second = await passing(asked())
  if (second.ok) second.unheard?.()
  expect(leases.held('pump', 'comfort')).toBeDefined()
  if (first.ok) first.unheard?.()
  expect(leases.held('pump', 'comfort')).toBeUndefined()
  expect(leases.holder('pump')).toBeUndefined()
})

test('of two tasks that asked at once the one that was given up takes nothing from the other [life-9]', async () => {
  const [attic] = site('attic') as [Member]
  using leases = leasesOf(attic)
  const asked = asking(leases)
  const [one, other] = await passing(Promise.all([asked(), asked()]))
  if (one.ok) one.unheard?.()
  expect(leases.held('pump', 'comfort')).toBeDefined()
  if (other.ok) other.unheard?.()
  expect(leases.held('pump', 'comfort')).toBeUndefined()
})

test('what is released while it is being prolonged is held no more, whoever grants it then [lease-1]', async () => {
  const [attic, bath, cellar] = site('attic', 'bath', 'cellar') as [Member, Member, Member]
  using own = leasesOf(attic)
  using other = leasesOf(bath)
  using _ = leasesOf(cellar)
  const ask = { ttlMs: 4_000, withinMs: 10_000 }
  const claimed = await passing(own.claim('pump', 'comfort', ask, forever))
  const token = claimed.ok ? claimed.held.token : 0
  // The claim that prolongs it is on its way.
  const again = own.claim('pump', 'comfort', ask, forever)
  expect(own.release('pump', 'comfort', token)).toBe(true)
  const [later, next] = await passing(Promise.all([again, other.claim('pump', 'comfort', ask, forever)]))
  const tokens = [later, next].map((one) => (one.ok ? one.held.token : token))
  expect(tokens.filter((one) => one > token).length).toBeGreaterThan(0)
  expect(own.held('pump', 'comfort')?.token).not.toBe(token)
  expect([own, other].filter((one) => one.holder('pump') !== undefined).length).toBe(1)
})
