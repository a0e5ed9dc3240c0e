/** Leases as the device holds them, against a safety kernel that keeps its promises; time is virtual. */
import { describe, expect, it } from 'vitest'
import type { Lease, LeaseRequest, Safety, SafetyStatus } from '../../../hal/contract/safety.ts'
import { VirtualClock } from '../../../runtime/base/clock.ts'
import { silentLog } from '../../../runtime/base/log.ts'
import { Leases } from '../../../runtime/things/leases.ts'

/** Stands where the thread is: expiry, take-over and the lost network as its contract says. */
class Kernel implements Safety {
  readonly components = new Set(['switch.pump', 'switch.boiler'])
  readonly live = new Map<string, { lease: Lease; untilMs: number }>()
  readonly values = new Map([
    ['pump.on', 0],
    ['boiler.on', 0],
  ])
  denial: string | undefined
  networkLosses = 0
  /** Time that passed without the loop. */
  aheadMs = 0
  readonly #clock: VirtualClock
  #next = 0

  constructor(clock: VirtualClock) {
    this.#clock = clock
  }

  async acquire({ components, principal, ttlMs }: LeaseRequest): Promise<Lease> {
    if (this.denial !== undefined) throw Object.assign(new Error(this.denial), { code: 'busy' })
    for (const [id, { lease }] of this.live)
      if (lease.components.some((component) => components.includes(component))) this.live.delete(id)
    this.#next += 1
    const lease = { id: `l${this.#next}`, components, principal, ttlMs }
    this.live.set(lease.id, { lease, untilMs: this.#nowMs() + ttlMs })
    return lease
  }

  async renew(id: string): Promise<void> {
    const held = this.live.get(id)
    if (held && /^(agent|model):/.test(held.lease.principal))
      throw Object.assign(new Error('a program may not extend a lease'), { code: 'busy' })
    if (!held || held.untilMs < this.#nowMs()) {
      this.live.delete(id)
      throw Object.assign(new Error('the lease has ended'), { code: 'permission' })
    }
    held.untilMs = this.#nowMs() + held.lease.ttlMs
  }

  async release(id: string): Promise<void> {
    this.live.delete(id)
  }

  async networkLost(): Promise<void> {
    this.networkLosses += 1
    for (const [id, { lease }] of this.live) if (lease.principal === 'mqtt') this.live.delete(id)
  }

  async endPrincipal(): Promise<void> {}

  /** Called while the answer is on its way. */
  whileAsked: () => void = () => {}

  async status(): Promise<SafetyStatus> {
    const outputs = [...this.values].map(([output, value]) => ({ output, value, safe: 0 }))
    this.whileAsked()
    await new Promise((resolve) => setImmediate(resolve))
    return { outputs } as unknown as SafetyStatus
  }

  onChange(): () => void {
    return () => {}
  }

  #nowMs(): number {
    return this.#clock.monotonicMs() + this.aheadMs
  }

  holders(): string[] {
    return [...this.live.values()].map(({ lease }) => `${lease.principal}:${lease.components}`)
  }
}

function held(keeps: readonly string[] = []) {
  const clock = new VirtualClock()
  const kernel = new Kernel(clock)
  const leases = new Leases(
    { clock, log: silentLog, safety: kernel },
    { networkGraceMs: 30_000, keeps: (component) => keeps.includes(component) },
  )
  const signal = new AbortController().signal
  const grant = (principal: string, component = 'switch.pump', viaNetwork = false) =>
    leases.grant(component, { principal, viaNetwork }, signal)
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 100) {
      clock.advance(100)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  return { kernel, leases, grant, pass }
}

describe('leases', () => {
  it('what needs none gets none', async () => {
    const { grant } = held()
    expect(await grant('user', 'light.kitchen')).toBeUndefined()
  })

  it('each command has a greater number under one lease [things-4]', async () => {
    const { grant, kernel } = held()
    const numbers = [await grant('user'), await grant('user'), await grant('user')]
    expect(new Set(numbers.map((lease) => lease?.id)).size).toBe(1)
    expect(numbers.map((lease) => lease?.sequence)).toEqual([1, 2, 3])
    expect(kernel.holders()).toEqual(['user:switch.pump'])
  })

  it('it is kept for as long as the loop runs, and lost when it does not [things-6]', async () => {
    const { grant, kernel, pass } = held()
    kernel.values.set('pump.on', 1)
    const first = await grant('user')
    await pass(60_000)
    expect(kernel.live.has(first?.id ?? '')).toBe(true)
    // The loop hangs: time passes for the kernel alone.
    kernel.aheadMs = 6_000
    await pass(2_000)
    expect(kernel.holders()).toEqual([])
    const again = await grant('user')
    expect(again?.id).not.toBe(first?.id)
  })

  it('a lease that has ended is taken again before the next command', async () => {
    const { grant, kernel } = held()
    const first = await grant('user')
    kernel.live.clear()
    const second = await grant('user')
    expect(second?.id).not.toBe(first?.id)
    expect(second?.sequence).toBe(1)
  })

  it('another principal takes over; the one before is not renewed any more', async () => {
    const { grant, kernel, pass } = held()
    kernel.values.set('pump.on', 1)
    await grant('mqtt', 'switch.pump', true)
    await grant('user')
    await pass(20_000)
    expect(kernel.holders()).toEqual(['user:switch.pump'])
  })

  it.each(['agent:gardener', 'model:small', 'somebody'])(
    'what %s commanded ends by itself after ten minutes; another command is another lease [things-7]',
    async (principal) => {
      const { grant, kernel, pass } = held()
      kernel.values.set('pump.on', 1)
      const first = await grant(principal)
      let renewals = 0
      const renew = kernel.renew.bind(kernel)
      kernel.renew = (id) => {
        renewals += 1
        return renew(id)
      }
      await pass(300_000)
      const second = await grant(principal)
      expect(second?.id).not.toBe(first?.id)
      expect(second?.sequence).toBe(1)
      expect([...kernel.live.values()]).toMatchObject([{ lease: { id: second?.id, ttlMs: 600_000 } }])
      await pass(601_500)
      expect(renewals).toBe(0)
      expect(kernel.live.get(second?.id ?? '')?.untilMs).toBe(900_000)
      expect((await grant('user'))?.sequence).toBe(1)
    },
  )

  it('it is not given back when a command comes while the kernel says that all is at rest', async () => {
    const { grant, kernel, pass } = held()
    await grant('user')
    let asked = 0
    kernel.whileAsked = () => {
      asked += 1
      void grant('user')
      kernel.values.set('pump.on', 1)
    }
    await pass(7_000)
    expect(asked).toBeGreaterThan(0)
    expect(kernel.holders()).toEqual(['user:switch.pump'])
  })

  it('it is given back when the actuator has come to rest', async () => {
    const { grant, kernel, pass } = held()
    kernel.values.set('pump.on', 1)
    await grant('user')
    await pass(10_000)
    expect(kernel.holders()).toEqual(['user:switch.pump'])
    kernel.values.set('pump.on', 0)
    await grant('user')
    await pass(10_000)
    expect(kernel.holders()).toEqual([])
  })

  it('what the network commanded ends when it has been away for the grace time [things-5]', async () => {
    const { leases, grant, kernel, pass } = held(['switch.boiler'])
    kernel.values.set('pump.on', 1)
    kernel.values.set('boiler.on', 1)
    await grant('user', 'switch.pump', true)
    await grant('user', 'switch.boiler', true)
    leases.network(false)
    await pass(29_000)
    expect(kernel.holders().length).toBe(2)
    await pass(2_000)
    expect(kernel.networkLosses).toBe(1)
    expect(kernel.holders()).toEqual(['user:switch.boiler'])
  })

  it('a network that returns in time costs nothing; what was commanded at the device stays', async () => {
    const { leases, grant, kernel, pass } = held()
    kernel.values.set('pump.on', 1)
    kernel.values.set('boiler.on', 1)
    await grant('mqtt', 'switch.pump', true)
    await grant('user', 'switch.boiler')
    leases.network(false)
    await pass(20_000)
    leases.network(true)
    await pass(60_000)
    expect(kernel.holders().sort()).toEqual(['mqtt:switch.pump', 'user:switch.boiler'])
    leases.network(false)
    await pass(31_000)
    expect(kernel.holders()).toEqual(['user:switch.boiler'])
  })

  it('a denial is the kernel’s own sentence, and a refusal', async () => {
    const { grant, kernel } = held()
    kernel.denial = 'switch.pump is held by user'
    await expect(grant('agent:gardener')).rejects.toMatchObject({
      code: 'permission',
      message: 'switch.pump is held by user',
    })
  })

  it('closing lets go of everything, and nothing is granted after', async () => {
    const { leases, grant, kernel } = held()
    await grant('user')
    await grant('mqtt', 'switch.boiler', true)
    await leases[Symbol.asyncDispose]()
    await leases[Symbol.asyncDispose]()
    expect(kernel.holders()).toEqual([])
    await expect(grant('user')).rejects.toThrow('the device is stopping')
  })
})
