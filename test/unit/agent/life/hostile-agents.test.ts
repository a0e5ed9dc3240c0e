/** Agents that would take all there is, or wait for ever: they fail with a reason or idle, and their neighbours in the same thread go on. */
import { expect, test, vi } from 'vitest'
import type { Agents } from '../../../../runtime/agent/agents.ts'
import { turnLimits } from '../../../../runtime/agent/turn.ts'
import { AgentsWorld, until } from '../../../fixtures/agent/agents-world.ts'

/** Waits for one answer among those that others ask for. */
const neighbour = `return await ctx.memory.get('neighbour')`
const asked = (world: AgentsWorld, agent: string) =>
  world.service.asked.filter(({ caller }) => caller.agent === agent)

async function answered(world: AgentsWorld, agents: Agents): Promise<void> {
  asked(world, 'neighbour')[0]?.answer('well')
  expect(await until(agents, 'neighbour', 'ended')).toMatchObject({ reason: '"well"' })
}

const hostile: [string, string, RegExp][] = [
  ['an endless loop', 'for (;;);', /^cpu: /],
  ['a regular expression without end', `/^(a+)+$/.test('a'.repeat(40) + 'b')`, /^cpu: /],
  ['recursion without end', '(function deep() { return 1 + deep() })()', /call stack/],
  ['memory without end', 'const all = []; for (;;) all.push(new Array(1e4).fill(1))', /out of memory/],
  ['a million timers', 'for (let n = 0; n < 1e6; n += 1) ctx.sleep(n)', /too many calls|^cpu: /],
  [
    'polluted prototypes',
    'Object.prototype.toJSON = Array.prototype.toJSON = () => ({ calls: [{}] }); await ctx.sleep(1)',
    /^output: /,
  ],
]

test('an agent that would take all there is fails with a reason, and its neighbour goes on [vm-1] [life-5]', async () => {
  await using world = new AgentsWorld()
  const agents = await world.open({}, { agentsMax: 16 })
  await agents.run(world.bundle('neighbour', neighbour), '*')
  await world.service.nth(0)
  for (const [at, [, body, reason]] of hostile.entries()) {
    await agents.run(world.bundle(`hostile-${at}`, body), '*')
    expect((await until(agents, `hostile-${at}`, 'failed')).reason).toMatch(reason)
  }
  await answered(world, agents)
}, 60_000)

test('an agent whose memory fills turn by turn fails when it is full, and what was kept before is as it was', async () => {
  await using world = new AgentsWorld()
  world.service.atOnce.add('memory.set')
  const agents = await world.open()
  await agents.run(world.bundle('neighbour', neighbour), '*')
  const filling = `const all = []
    for (let full = false; !full; ) {
      await ctx.memory.set('turns', all.length)
      try { for (let n = 0; n < 20; n += 1) all.push(Array.from({ length: 2_000 }, () => Math.random())) } catch { full = true }
    }
    const rest = []
    try { for (;;) rest.push({}) } catch {}
    const got = await ctx.memory.get('large')
    rest.length = 0
    return [got.length, all.length > 100, all.every((one) => one.length === 2_000)]`
  await agents.run(world.bundle('grows', filling), '*')
  const last = await vi.waitFor(
    () => {
      const found = asked(world, 'grows').find(({ call }) => call.op === 'memory.get')
      if (!found) throw new Error('it is not full yet')
      return found
    },
    { timeout: 40_000, interval: 20 },
  )
  // There is no room to hear of it: the turn never was.
  last.answer('x'.repeat(100_000))
  expect((await until(agents, 'grows', 'failed')).reason).toMatch(/^memory: /)
  await world.said('an agent has failed')
  await answered(world, agents)
  await agents.resume('grows')
  const again = await vi.waitFor(
    () => {
      const found = asked(world, 'grows').at(-1)
      if (found === last || !found?.resumed) throw new Error('it has not asked again')
      return found
    },
    { timeout: 40_000, interval: 20 },
  )
  expect(again.call).toEqual(last.call)
  again.answer('y')
  expect(await until(agents, 'grows', 'ended')).toMatchObject({ reason: '[1,true,true]' })
}, 90_000)

test('an agent that waits for what never comes costs nothing, and can be stopped, go on and be removed', async () => {
  await using world = new AgentsWorld()
  const agents = await world.open()
  await agents.run(world.bundle('one', `await ctx.memory.get('a'); await new Promise(() => {})`), '*')
  ;(await world.service.nth(0)).answer()
  await vi.waitFor(() => expect(agents.list()).toMatchObject([{ turns: 2 }]), { timeout: 20_000 })
  await vi.waitFor(
    () => {
      world.clock.advance(120_000)
      expect(agents.list()).toMatchObject([{ state: 'running', turns: 2, waiting: [], inMemory: false }])
    },
    { timeout: 20_000 },
  )
  await agents.stop('one')
  await agents.resume('one')
  expect(agents.list()).toMatchObject([{ state: 'running', turns: 2, inMemory: false }])
  await agents.remove('one')
  expect(agents.list()).toEqual([])
})

test('a task that is tried again without end takes a turn a try, lets its neighbour work, and can be stopped', async () => {
  await using world = new AgentsWorld()
  world.service.atOnce.add('sleep')
  const agents = await world.open()
  await agents.run(world.bundle('neighbour', neighbour), '*')
  const body = `await ctx.tasks({ never: { retry: { times: Number.MAX_SAFE_INTEGER, wait: 0 }, run() { throw new Error('no') } } })`
  await agents.run(world.bundle('one', body), '*')
  await vi.waitFor(() => expect(asked(world, 'one').length).toBeGreaterThan(20), { timeout: 20_000 })
  await answered(world, agents)
  await agents.stop('one')
  const { turns } = agents.list().find(({ name }) => name === 'one') ?? {}
  expect(turns).toBeGreaterThan(20)
  await agents.stop('one')
  expect(agents.list().find(({ name }) => name === 'one')).toMatchObject({ state: 'stopped', turns })
})

test('as many timers as there may be wait on after the power was cut, and one more is an error', async () => {
  await using world = new AgentsWorld()
  const before = await world.open()
  const most = turnLimits.openCallsMax
  const body = `const all = []
    for (let n = 0; n < ${most}; n += 1) {
      if (n % 200 === 199) await ctx.memory.get('turn')
      all.push(ctx.sleep(60_000))
    }
    await ctx.sleep(1).catch(({ code }) => ctx.log(code))
    await Promise.all(all)`
  world.service.atOnce.add('memory.get')
  await before.run(world.bundle('one', body), '*')
  await vi.waitFor(() => expect(before.log('one', 9)).toMatchObject([{ text: 'limit' }]), { timeout: 20_000 })
  await before[Symbol.asyncDispose]()
  world.service.atOnce.add('sleep')
  const after = await world.open()
  await until(after, 'one', 'ended')
  expect(world.service.asked.filter(({ resumed }) => resumed)).toHaveLength(most)
})
