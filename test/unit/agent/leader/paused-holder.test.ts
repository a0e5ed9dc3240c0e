/**
 * A device that stands still while it holds a lease, as after SIGSTOP or a long swap, and goes on when another has it: what it still
 * sends is refused where it arrives, and its agent is told with the first command that it gives.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Leases } from '../../../../runtime/agent/leader/leases.ts'
import { servicesOf } from '../../../../runtime/agent/services/index.ts'
import type { Clock } from '../../../../runtime/base/clock.ts'
import { Identity } from '../../../../runtime/base/identity.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import type { Bus } from '../../../../runtime/link/bus.ts'
import { Actuation } from '../../../../runtime/things/actuation.ts'
import { Fences } from '../../../../runtime/things/fences.ts'
import { openSimHome } from '../../../fixtures/sim-home.ts'
import { SimulatedBroker, SimulatedBus } from '../board/simulated-broker.ts'
import { noModels } from '../services/home-services.ts'
import { perform } from '../services/performed.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'paused-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

/** Stands still between `stop` and `go`: time passes, no timer fires and nothing is heard. */
class Standstill {
  #stands = false
  readonly #left: (() => void)[] = []

  stop(): void {
    this.#stands = true
  }

  go(): void {
    this.#stands = false
    for (const work of this.#left.splice(0)) work()
  }

  clock(clock: Clock): Clock {
    return {
      nowMs: () => clock.nowMs(),
      monotonicMs: () => clock.monotonicMs(),
      random: () => clock.random(),
      newId: () => clock.newId(),
      after: (delayMs, work) => {
        let isOver = false
        const cancel = clock.after(delayMs, () => this.#do(() => isOver || work()))
        return () => {
          isOver = true
          cancel()
        }
      },
    }
  }

  hears(bus: Bus): Bus {
    const subscribe: Bus['subscribe'] = (filter, taker) =>
      bus.subscribe(filter, (message) => {
        this.#do(() => taker(message))
        return undefined
      })
    return new Proxy(bus, {
      get(target, key) {
        if (key === 'subscribe') return subscribe
        const value = Reflect.get(target, key, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  }

  #do(work: () => void): void {
    if (this.#stands) this.#left.push(work)
    else work()
  }
}

const forever = new AbortController().signal
const entity = 'switch.pump'

async function openSite() {
  const home = await openSimHome()
  const { clock } = home
  const broker = new SimulatedBroker(clock, { loss: 0, twice: 0, delayMsMax: 1 })
  const identities = ['attic', 'bath', 'hub'].map((name) => Identity.open(name, join(directory, name)))
  for (const one of identities) for (const other of identities) one.trust(other.device, other.publicKey)
  const attic = new Standstill()
  const [held, next, hub] = identities.map((signer) => {
    const isAttic = signer.device === 'attic'
    const bus = new SimulatedBus(broker)
    const own = isAttic ? { clock: attic.clock(clock), bus: attic.hears(bus) } : { clock, bus }
    const path = join(directory, `${signer.device}.json`)
    return Leases.open({ ...own, log: silentLog, signer, lives: () => true }, { path })
  }) as [Leases, Leases, Leases]
  // The pump is the hub's.
  const fence = new Fences({ clock, log: silentLog }, directory)
  const leaseToken = (name: string) => hub.highest(name)
  const actuation = new Actuation({ clock, registry: home.registry, fence, leaseToken })
  for (const actuator of home.board.actuators) actuation.attach(actuator)
  /** In whole milliseconds, as a clock of a device counts. */
  const passing = async <T>(promise: Promise<T>): Promise<T> => {
    let isOver = false
    const end = promise.finally(() => {
      isOver = true
    })
    while (!isOver) {
      clock.advance(10)
      await new Promise((resolve) => setImmediate(resolve))
    }
    return await end
  }
  const commanded = (from: string, state: string, token: number) => {
    const lease = { name: 'pump', token }
    const request = { entity, command: { state }, principal: `agent:comfort@${from}`, lease }
    return passing(actuation.run(request, forever))
  }
  const close = () => {
    for (const leases of [held, next, hub]) leases[Symbol.dispose]()
    fence[Symbol.dispose]()
  }
  return { ...home, actuation, passing, attic, held, next, commanded, [Symbol.dispose]: close }
}

test('what a holder that stood still sends under its lease is refused where it arrives, and by its own device [lease-4] [lease-13]', async () => {
  using site = await openSite()
  const { clock, passing, attic, held, next, commanded, registry } = site
  const claims = async (leases: Leases) => {
    const ask = { ttlMs: 4_000, withinMs: 60_000 }
    const claimed = await passing(leases.claim('pump', 'night-watch', ask, forever))
    if (!claimed.ok) throw new Error(claimed.reason)
    return claimed.held.token
  }
  const first = await claims(held)
  expect(await commanded('attic', 'on', first)).toMatchObject({ outcome: 'done' })

  attic.stop()
  const second = await claims(next)
  expect(second).toBeGreaterThan(first)
  expect(await commanded('bath', 'off', second)).toMatchObject({ outcome: 'done' })

  // What it had sent, or was about to send, when it was stopped.
  expect(await commanded('attic', 'on', first)).toMatchObject({
    outcome: 'refused',
    evidence: {
      attempts: 0,
      reason: `pump has another holder by now: its token is ${second}, not ${first}`,
    },
  })
  expect(registry.get(entity)?.telemetry.state).toBe('off')

  // Its first command when it goes on, before it has heard a word.
  const own = servicesOf({
    ...{ clock, registry, actuation: site.actuation, inference: noModels, timeZone: 'UTC' },
    holds: (agent, { name, token }) => held.held(name, agent)?.token === token,
  })
  const asked = () => {
    const args = { entity, command: { state: 'on' }, lease: { name: 'pump', token: first } }
    return passing(perform(own, 'command', { args, askedMs: clock.nowMs() }).outcome)
  }
  const isTold = { error: { code: 'refused', message: 'night-watch does not hold pump any more' } }
  expect(await asked()).toMatchObject(isTold)
  attic.go()
  expect(await asked()).toMatchObject(isTold)
  expect(registry.get(entity)?.telemetry.state).toBe('off')

  next.release('pump', 'night-watch', second)
  const third = await claims(held)
  expect(third).toBeGreaterThan(second)
  expect(await commanded('attic', 'on', third)).toMatchObject({ outcome: 'done' })
})
