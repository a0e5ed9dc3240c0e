/** Leases of one device, in virtual time: what others may make it do, and that it stops. */
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Leases } from '../../../../runtime/agent/leader/leases.ts'
import { seal } from '../../../../runtime/agent/together/envelope.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { Identity } from '../../../../runtime/base/identity.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
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
const settle = () => new Promise((resolve) => setImmediate(resolve))

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
