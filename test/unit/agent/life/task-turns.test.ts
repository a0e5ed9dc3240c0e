/** Turns of agents in real machines, that bring answers to tasks: in which order they are taken, also after a restart. */
import { expect, test, vi } from 'vitest'
import type { Turns } from '../../../../runtime/agent/life/agent-life.ts'
import { schedulerOf } from '../../../../runtime/agent/scheduler/device-resources.ts'
import { openSchedule } from '../../../../runtime/agent/scheduler/device-schedule.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import type { Priority } from '../../../../runtime/wire/infer.ts'
import { AgentsWorld } from '../../../fixtures/agent/agents-world.ts'

const { signal } = new AbortController()
const waitFor = <T>(look: () => T) => vi.waitFor(look, { timeout: 10_000, interval: 5 })
const enough = { cpuMsPerMinute: 1e9, engineMsPerMinute: 1e9, bytesPerDay: 1e9 }
const config = {
  ...{ threads: 1, max: 8, limits: {}, byName: {} },
  quota: { ...enough, tokensPerDay: 1e9, moneyPerDay: 1e9, joulesPerDay: 1e9 },
  budget: { tokensPerMinute: 1e6, gatewayBytesPerMinute: 1e6, radioBytesPerMinute: 1e6 },
}

/** What agents have: a task that reads, and how it is bounded. */
const bounds = {
  plain: '',
  later: `within: '6s'`,
  soon: `within: '3s', priority: 'control'`,
  'guard-calm': `within: '2s', priority: 'background'`,
  guard: `within: '1h'`,
} as const
type Name = keyof typeof bounds
const names = Object.keys(bounds) as Name[]
const body = (within: string) =>
  `await ctx.tasks({ one: { ${within}${within && ','} run: (_, own) => own.memory.get('a') } }); await ctx.memory.set('done', 1)`

test.each([false, true])(
  'the turn that a task waits for is taken by its class and deadline; after a restart: %s [sched-17] [life-1]',
  async (restarted) => {
    await using world = new AgentsWorld()
    const { clock, directory, service } = world
    const scheduler = schedulerOf(clock, config)
    const priorityOf = (agent: string): Priority => (agent.startsWith('guard') ? 'control' : 'background')
    await using schedule = await openSchedule(
      { clock, log: silentLog, own: 'hub', scheduler, priorityOf, leaseHolder: () => undefined },
      { directory, ...config },
      signal,
    )
    const order: string[] = []
    const turns: Turns = {
      hasten: (...more) => schedule.turns.hasten(...more),
      turn: async (agent, ...more) => {
        const over = await schedule.turns.turn(agent, ...more)
        order.push(agent)
        return over
      },
    }
    const before = await world.open({ turns })
    for (const name of names) await before.run(world.bundle(name, body(bounds[name])), '*')
    const reads = (most: number) => {
      const all = service.asked.filter(({ call }) => call.op === 'memory.get')
      if (all.length < most) throw new Error(`${all.length} of ${most} have asked`)
      return all.slice(most - names.length)
    }
    await waitFor(() => reads(names.length))
    if (restarted) {
      await before[Symbol.asyncDispose]()
      clock.advance(1_000)
      await world.open({ turns })
    }
    const asked = await waitFor(() => reads(names.length * (restarted ? 2 : 1)))
    expect(asked.map(({ resumed }) => resumed)).toEqual(names.map(() => restarted))
    const busy = await scheduler.acquire('processor', { agent: 'busy', priority: 'control' }, signal)
    order.length = 0
    for (const name of names) asked.find(({ caller }) => caller.agent === name)?.answer()
    await waitFor(() => {
      const waiting = names.filter((name) => scheduler.waitsOf(name).includes('processor'))
      if (waiting.length < names.length) throw new Error(`only ${waiting.join()} wait`)
    })
    busy.release()
    await waitFor(() => {
      if (order.length < names.length) throw new Error(`only ${order.join()} had a turn`)
    })
    expect(order.slice(0, names.length)).toEqual(['guard', 'guard-calm', 'soon', 'later', 'plain'])
  },
)
