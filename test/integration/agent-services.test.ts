/**
 * The night watch at home: a real machine, a real disk, the real services, a simulated house in virtual time. It is killed by taking
 * what is on the disk at that instant, as a power cut leaves it, and going on from there; the house stays as it is.
 */
import { cpSync, readFileSync } from 'node:fs'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { firstHomeUrl } from '../../hal/index.ts'
import type { Agents } from '../../runtime/agent/agents.ts'
import type { Json } from '../../runtime/agent/contract.ts'
import type { Outcome, Performing, Service } from '../../runtime/agent/service.ts'
import { servicesOf } from '../../runtime/agent/services/index.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { InferError } from '../../runtime/inference/inference.ts'
import { Actuation } from '../../runtime/things/actuation.ts'
import { Fences } from '../../runtime/things/fences.ts'
import { AgentsWorld, until } from '../fixtures/agent/agents-world.ts'
import { openSimHome } from '../fixtures/sim-home.ts'

const minute = 60_000
const motion = 'binary_sensor.hallway_motion'
const lamp = 'light.hallway'

const nightWatch = `
  for await (const seen of ctx.on('binary_sensor.*_motion', { to: 'on' })) {
    const light = ctx.entity(\`light.\${seen.area}\`)
    await light.command({ state: 'on' })
    await ctx.sleep('5m')
    await light.command({ state: 'off' })
  }`

const opened: AsyncDisposable[] = []
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one[Symbol.asyncDispose]()
})

/** Services of a device whose power may go: from then on nothing comes of what they hear or say. */
class Power {
  on = true
  /** Calls that a service has heard of and not settled. */
  readonly open: Performing[] = []
  readonly services: readonly Service[]

  constructor(services: readonly Service[]) {
    this.services = services.map((service) => ({
      ops: service.ops,
      perform: (performing, signal) => this.#perform(service, performing, signal),
    }))
  }

  async #perform(service: Service, performing: Performing, signal: AbortSignal): Promise<Outcome> {
    this.open.push(performing)
    const emit = (item: Json) => this.on && performing.emit(item)
    const outcome = await service.perform({ ...performing, emit }, signal)
    this.open.splice(this.open.indexOf(performing), 1)
    if (!this.on && !signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve))
    return outcome
  }
}

class House {
  readonly home: Awaited<ReturnType<typeof openSimHome>>
  /** Commands that reached the lamp. */
  readonly commands: string[] = []
  #world = new AgentsWorld()
  #power: Power
  agents!: Agents

  private constructor(home: Awaited<ReturnType<typeof openSimHome>>) {
    this.home = home
    opened.push(this.#world)
    this.#power = this.#services()
  }

  static async open(): Promise<House> {
    return new House(await openSimHome(readFileSync(firstHomeUrl, 'utf8')))
  }

  async begin(name: string, body: string): Promise<void> {
    this.agents = await this.#world.open({ clock: this.home.clock, services: this.#power.services })
    await this.agents.run(this.#world.bundle(name, body), '*')
  }

  /** The power goes now; what is on the disk is all there is. */
  async killAndGoOn(): Promise<void> {
    this.#power.on = false
    const { directory } = this.#world
    this.#world = new AgentsWorld()
    opened.push(this.#world)
    cpSync(directory, this.#world.directory, { recursive: true, filter: (path) => !path.endsWith('-shm') })
    this.#power = this.#services()
    this.agents = await this.#world.open({ clock: this.home.clock, services: this.#power.services })
  }

  /** Once the services are busy with just these for the agent. */
  async waiting(...ops: string[]): Promise<void> {
    await vi.waitFor(() => expect(this.#power.open.map(({ call }) => call.op)).toEqual(ops), {
      timeout: 5_000,
      interval: 5,
    })
  }

  /** Time goes by for as long as the lamp needs. */
  async shows(state: string): Promise<void> {
    await vi.waitFor(
      () => {
        this.home.clock.advance(50)
        expect(this.home.registry.get(lamp)?.telemetry.state).toBe(state)
      },
      { timeout: 5_000, interval: 5 },
    )
  }

  /** Time goes by, in steps, so that what waits in steps comes along. */
  async passes(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 10_000) {
      this.home.clock.advance(Math.min(left, 10_000))
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  cutPower(): void {
    this.#power.on = false
  }

  /** Goes through the door of the hallway. */
  moves(): void {
    this.home.sim.set(motion, { state: 'on' })
    this.home.sim.set(motion, { state: 'off' })
  }

  #services(): Power {
    const { clock, registry, board } = this.home
    const fence = new Fences({ clock, log: silentLog }, this.#world.directory)
    opened.push({ [Symbol.asyncDispose]: async () => fence[Symbol.dispose]() })
    const actuation = new Actuation({ clock, registry, fence })
    const power = new Power(
      servicesOf({
        clock,
        registry,
        actuation,
        inference: noModels,
        timeZone: 'Europe/Berlin',
        holds: () => false,
      }),
    )
    for (const actuator of board.actuators)
      actuation.attach(
        new Proxy(actuator, {
          get: (target, key) => {
            const value = Reflect.get(target, key, target)
            if (typeof value !== 'function') return value
            if (key !== 'command') return value.bind(target)
            return (...[command, meta, signal]: Parameters<typeof actuator.command>) => {
              if (!power.on) return forever
              this.commands.push(`${command['state']} ${meta.id}`)
              return target.command(command, meta, signal)
            }
          },
        }),
      )
    return power
  }
}

const forever = new Promise<never>(() => {})
const noModels = {
  // biome-ignore lint/correctness/useYield: there is nothing to give
  async *infer() {
    throw new InferError('model-unknown', 'there is no such model')
  },
}

describe('the night watch', () => {
  it('lights the room where somebody moves, for five minutes', async () => {
    const house = await House.open()
    await house.begin('night-watch', nightWatch)
    await house.waiting('on')
    house.moves()
    await house.waiting('on', 'command')
    await house.shows('on')
    await house.waiting('on', 'sleep')
    house.home.clock.advance(5 * minute - 1_000)
    await house.waiting('on', 'sleep')
    expect(house.home.registry.get(lamp)?.telemetry.state).toBe('on')
    house.home.clock.advance(1_000)
    await house.waiting('on', 'command')
    await house.shows('off')
    await house.waiting('on')
    expect(house.commands.map((command) => command.split(' ')[0])).toEqual(['on', 'off'])
  })

  it('goes on after a kill in the middle of each wait, and does nothing twice', async () => {
    const house = await House.open()
    await house.begin('night-watch', nightWatch)
    await house.waiting('on')
    await house.killAndGoOn()
    await house.waiting('on')
    house.moves()
    await house.waiting('on', 'command')
    await house.shows('on')
    await house.waiting('on', 'sleep')
    house.home.clock.advance(2 * minute)
    await house.killAndGoOn()
    await house.waiting('on', 'sleep')
    house.home.clock.advance(3 * minute)
    await house.waiting('on', 'command')
    await house.shows('off')
    await house.waiting('on')
    expect(house.commands.map((command) => command.split(' ')[0])).toEqual(['on', 'off'])
  })

  it('finds a command that was done when the power went in telemetry, and does not send it again', async () => {
    const house = await House.open()
    await house.begin('night-watch', nightWatch)
    await house.waiting('on')
    house.moves()
    await house.waiting('on', 'command')
    await vi.waitFor(() => expect(house.commands).toHaveLength(1))
    house.cutPower()
    await house.shows('on')
    await house.killAndGoOn()
    await house.waiting('on', 'sleep')
    expect(house.commands).toHaveLength(1)
  })

  it('sends a command that was lost when the power went once more, under the same id', async () => {
    const house = await House.open()
    house.home.sim.fault(lamp, { kind: 'lost-command', count: 1 })
    await house.begin('night-watch', nightWatch)
    await house.waiting('on')
    house.moves()
    await house.waiting('on', 'command')
    await vi.waitFor(() => expect(house.commands).toHaveLength(1))
    await house.killAndGoOn()
    await house.shows('on')
    await house.waiting('on', 'sleep')
    expect(house.commands).toHaveLength(2)
    expect(house.commands[1]).toBe(house.commands[0])
  })
})

describe('an agent that goes by the clock', () => {
  const log = `for await (const { atMs } of ctx.every('*/10 * * * *')) ctx.log(new Date(atMs).toISOString().slice(11, 16))`
  const told = (house: House) => house.agents.log('hourly', 50).map(({ text }) => text)

  it('hears each instant once, and what was missed while away once, late', async () => {
    const house = await House.open()
    await house.begin('hourly', log)
    await house.waiting('cron')
    await house.passes(10 * minute)
    await vi.waitFor(() => expect(told(house)).toEqual(['12:10']))
    await house.killAndGoOn()
    // 12:10 is told again, and dropped.
    await vi.waitFor(() => expect(house.agents.list()).toMatchObject([{ turns: 3 }]))
    await house.passes(10 * minute)
    await vi.waitFor(() => expect(told(house)).toEqual(['12:10', '12:20']))
    house.cutPower()
    house.home.clock.advance(45 * minute)
    await house.killAndGoOn()
    await vi.waitFor(() => expect(told(house)).toEqual(['12:10', '12:20', '13:00']), { timeout: 5_000 })
  })
})

describe('an agent whose command cannot be known', () => {
  it('is told so: a garage door is not driven twice', async () => {
    const house = await House.open()
    const body = `try { await ctx.entity('cover.garage_door').command({ state: 'open' }) } catch (error) { return error.code }`
    house.home.sim.fault('cover.garage_door', { kind: 'lost-command' })
    await house.begin('garage', body)
    await house.waiting('command')
    await vi.waitFor(() => expect(house.commands).toHaveLength(1))
    await house.killAndGoOn()
    await house.waiting('command')
    await house.passes(2 * minute)
    expect(await until(house.agents, 'garage', 'ended')).toMatchObject({ reason: '"uncertain"' })
    expect(house.commands).toHaveLength(1)
  })
})
