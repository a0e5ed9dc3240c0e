/** The agents of a device: begun, stopped, resumed, removed, granted, begun anew. */
import { describe, expect, test, vi } from 'vitest'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { AgentsWorld, until } from '../../../fixtures/agent/agents-world.ts'

const counting = `let n = 0; while (true) { n += 1; await ctx.memory.set('k', n) }`
/** Of the first agent of a world; each later beginning has one more, or the instant at which it began. */
const firstToken = new VirtualClock().nowMs()
const waiting = `await ctx.memory.get('a'); return 'done'`

describe('agents of a device', () => {
  test('run to their end, and what they return is kept', async () => {
    await using world = new AgentsWorld()
    const agents = await world.open()
    await agents.run(world.bundle('one', waiting), '*')
    const asked = await world.service.nth(0)
    expect(asked).toMatchObject({
      resumed: false,
      caller: { agent: 'one', token: firstToken },
      call: { op: 'memory.get' },
    })
    expect(agents.list()).toMatchObject([
      { name: 'one', state: 'running', turns: 1, waiting: ['memory.get'] },
    ])
    asked.answer('v')
    expect(await until(agents, 'one', 'ended')).toMatchObject({ reason: '"done"', waiting: [], turns: 2 })
  })

  test('of one name there is one [agents-1]', async () => {
    await using world = new AgentsWorld()
    const agents = await world.open()
    const results = await Promise.allSettled([
      agents.run(world.bundle('one', counting), '*'),
      agents.run(world.bundle('one', waiting), '*'),
    ])
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
    expect(results[1]).toMatchObject({ reason: { code: 'duplicate' } })
    expect(agents.list()).toHaveLength(1)
  })

  test('are as many as may be', async () => {
    await using world = new AgentsWorld()
    const agents = await world.open({}, { agentsMax: 1 })
    await agents.run(world.bundle('one', waiting), '*')
    await expect(agents.run(world.bundle('two', waiting), '*')).rejects.toMatchObject({ code: 'limit' })
  })

  test('that were running go on when the device is back, others do not [agents-2]', async () => {
    await using world = new AgentsWorld()
    const before = await world.open()
    for (const name of ['runs', 'stopped']) await before.run(world.bundle(name, waiting), '*')
    await world.service.nth(1)
    await before.stop('stopped')
    await before[Symbol.asyncDispose]()
    const after = await world.open()
    const again = await world.service.nth(2)
    expect(again).toMatchObject({ caller: { agent: 'runs', token: firstToken }, resumed: true })
    again.answer()
    await until(after, 'runs', 'ended')
    expect(after.list()).toMatchObject([{ name: 'runs' }, { name: 'stopped', state: 'stopped' }])
    expect(world.service.asked).toHaveLength(3)
  })

  test('are heard by no service without a grant [agents-3]', async () => {
    await using world = new AgentsWorld()
    const agents = await world.open()
    const body = `try { await ctx.memory.get('a') } catch (error) { return error.code }`
    await agents.run(world.bundle('one', body), 'memory.set')
    expect(await until(agents, 'one', 'ended')).toMatchObject({ reason: '"permission"' })
    expect(world.service.asked).toEqual([])
  })

  test('lose at once what is no longer granted, also in calls that wait [agents-4]', async () => {
    await using world = new AgentsWorld()
    const agents = await world.open()
    const body = `
      const got = ctx.memory.get('a').catch((error) => error.code)
      const stream = (async () => { try { for await (const _ of ctx.on('light.*')); } catch (error) { return error.code } })()
      const kept = ctx.memory.set('k', 1)
      return [await got, await stream, await kept ?? 'kept']`
    await agents.run(world.bundle('one', body), '*')
    const [, , kept] = await Promise.all([0, 1, 2].map((index) => world.service.nth(index)))
    await agents.grant('one', 'memory.set')
    expect(world.service.asked.map(({ signal }) => signal.aborted)).toEqual([true, true, false])
    kept?.answer()
    expect(await until(agents, 'one', 'ended')).toMatchObject({
      reason: '["permission","permission","kept"]',
    })
  })

  test('lose at once what is no longer granted, also what a thought waits for a person for [agents-4]', async () => {
    await using world = new AgentsWorld()
    const decided = Promise.withResolvers<{ readonly allow: true }>()
    const agents = await world.open({ decide: () => decided.promise })
    await agents.run(world.bundle('one', waiting), '*')
    const call = { id: 1.5, op: 'memory.get' as const, args: { key: 'a' }, askedMs: 0 }
    const caller = { agent: 'one', token: firstToken }
    const outcome = agents.performFor(caller, call, false, new AbortController().signal)
    await agents.grant('one', 'memory.set')
    decided.resolve({ allow: true })
    expect(await outcome).toMatchObject({ error: { code: 'permission' } })
    expect(world.service.asked.filter((one) => one.call.id === call.id)).toEqual([])
  })

  test('are stopped while a person is being asked, and the question is gone', async () => {
    await using world = new AgentsWorld()
    const asking: AbortSignal[] = []
    const decide = (_caller: unknown, _call: unknown, _grants: string, signal: AbortSignal) => {
      asking.push(signal)
      return new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    }
    const agents = await world.open({ decide })
    await agents.run(world.bundle('one', waiting), '*')
    await vi.waitFor(() => expect(asking).toHaveLength(1), { timeout: 20_000 })
    await agents.stop('one')
    expect(asking[0]?.aborted).toBe(true)
    expect(world.service.asked).toEqual([])
    expect(agents.list()).toMatchObject([{ state: 'stopped', reason: 'a person stopped it' }])
  })

  test('go on where they were stopped; a call that was under way is resumed [life-2]', async () => {
    await using world = new AgentsWorld()
    const agents = await world.open()
    await agents.run(
      world.bundle('one', `const at = Math.random(); await ctx.memory.get('a'); return at`),
      '*',
    )
    await world.service.nth(0)
    await agents.stop('one')
    expect(agents.list()).toMatchObject([{ state: 'stopped', inMemory: false }])
    await expect(agents.stop('one')).resolves.toBeUndefined()
    await agents.resume('one')
    await expect(agents.resume('one')).rejects.toMatchObject({ code: 'state' })
    const again = await world.service.nth(1)
    expect(again).toMatchObject({ resumed: true, call: { id: 1 } })
    again.answer()
    await until(agents, 'one', 'ended')
    await expect(agents.resume('one')).rejects.toMatchObject({ code: 'state' })
  })

  test('that are removed leave nothing, and come back with a higher token [agent-store-6]', async () => {
    await using world = new AgentsWorld()
    const agents = await world.open()
    await agents.run(world.bundle('one', counting), '*')
    await world.service.nth(0)
    await agents.remove('one')
    expect(agents.list()).toEqual([])
    for (const asked of [
      agents.stop('one'),
      agents.remove('one'),
      agents.resume('one'),
      agents.grant('one', ''),
    ])
      await expect(asked).rejects.toMatchObject({ code: 'not-found' })
    await agents.run(world.bundle('one', counting), '*')
    expect((await world.service.nth(1)).caller.token).toBe(firstToken + 1)
  })

  test('do what is asked of one of them in order, whoever asks at once [agents-6]', async () => {
    await using world = new AgentsWorld()
    world.service.atOnce.add('memory.set')
    const agents = await world.open()
    const asked = []
    for (let round = 0; round < 8; round += 1)
      asked.push(
        agents.run(world.bundle('one', counting), '*'),
        agents.stop('one'),
        agents.resume('one'),
        agents.stop('one'),
      )
    expect((await Promise.allSettled(asked)).filter(({ status }) => status === 'rejected')).toEqual([])
    expect(agents.list()).toMatchObject([{ state: 'stopped', token: firstToken + 7, inMemory: false }])
    const { length } = world.service.asked
    await agents.run(world.bundle('two', waiting), '*')
    await vi.waitFor(() => expect(world.service.asked.at(-1)?.caller.agent).toBe('two'), { timeout: 20_000 })
    expect(world.service.asked).toHaveLength(length + 1)
  })

  test('refuse what is asked while the device stops, and end without a trace of it', async () => {
    await using world = new AgentsWorld()
    const agents = await world.open()
    await agents.run(world.bundle('one', waiting), '*')
    const late = agents.run(world.bundle('two', waiting), '*')
    const closed = agents[Symbol.asyncDispose]()
    await expect(late).rejects.toMatchObject({ code: 'closing' })
    await closed
    expect(() => agents.list()).toThrow(/stopping/)
    await expect(agents.stop('one')).rejects.toMatchObject({ code: 'closing' })
  })
})

describe('an agent that fails', () => {
  const failing = `ctx.log('began'); throw new TypeError('no such lamp')`

  test('stays so, and says why', async () => {
    await using world = new AgentsWorld()
    const agents = await world.open()
    await agents.run(world.bundle('one', failing), '*')
    await world.said('an agent has failed')
    expect(agents.list()[0]?.reason).toMatch(/no such lamp/)
    world.clock.advance(3_600_000)
    expect(agents.list()).toMatchObject([{ state: 'failed', token: firstToken }])
  })

  test('tells its own log why, and the log of the device no word of what it said', async () => {
    await using world = new AgentsWorld()
    const agents = await world.open()
    const bodies = {
      one: failing,
      two: `class Anna extends Error { name = 'Anna is in the bath' } throw new Anna('at home')`,
      three: `Promise.reject(new RangeError('Anna left')); await ctx.memory.get('a')`,
    }
    for (const [name, body] of Object.entries(bodies)) await agents.run(world.bundle(name, body), '*')
    await world.said('an agent has failed', 3)
    const tokens = agents.list().map(({ name, token }) => `${name}.${token}`)
    const said = world.lines.filter((line) => line.includes('an agent has failed')).toSorted()
    for (const [at, code] of [
      [0, 'TypeError'],
      [1, 'failed'],
      [2, 'failed'],
    ] as const)
      expect(said[at]).toMatch(new RegExp(`run=${tokens.toSorted()[at]} code=${code}$`))
    expect(world.lines.join()).not.toMatch(/Anna|lamp/)
    expect(agents.log('one', 9).map(({ level, text }) => `${level} ${text.split('\n')[0]}`)).toEqual([
      ...['info began', 'error TypeError: no such lamp'],
    ])
    expect(agents.log('two', 9)).toMatchObject([{ level: 'error', text: expect.stringMatching('at home') }])
    // What nothing has caught is said once.
    expect(agents.log('three', 9)).toMatchObject([{ text: expect.stringMatching('RangeError: Anna left') }])
  })

  test('begins anew as often as it may in an hour, later each time [agents-7]', async () => {
    await using world = new AgentsWorld()
    const agents = await world.open()
    await agents.run(world.bundle('one', failing, { restartsMax: 2 }), '*')
    const tokens: (number | undefined)[] = []
    for (const [time, delayMs] of [
      [1, 2_000],
      [2, 4_000],
    ] as const) {
      await world.said('begins anew', time)
      const token = agents.list()[0]?.token
      tokens.push(token)
      world.clock.advance(delayMs / 2 - 1)
      expect(agents.list()).toMatchObject([{ state: 'failed', token }])
      world.clock.advance(delayMs / 2 + 1)
      await vi.waitFor(() => expect(agents.list()[0]?.token).toBeGreaterThan(token ?? 0), { timeout: 20_000 })
    }
    await world.said('an agent has failed', 3)
    const last = await until(agents, 'one', 'failed')
    expect(last.reason).toMatch(
      /^it began anew 2 times within an hour, and may not more often: .*no such lamp/,
    )
    world.clock.advance(3_600_000)
    expect(agents.list()).toMatchObject([{ state: 'failed', token: last.token }])
    expect(new Set([...tokens, last.token]).size).toBe(3)
  })

  test('begins anew also when the device ended before it could [agents-7]', async () => {
    await using world = new AgentsWorld()
    const before = await world.open()
    await before.run(world.bundle('one', failing, { restartsMax: 1 }), '*')
    await until(before, 'one', 'failed')
    await before[Symbol.asyncDispose]()
    const after = await world.open()
    world.clock.advance(2_000)
    await vi.waitFor(() => expect(after.list()[0]?.token).toBeGreaterThan(firstToken), { timeout: 20_000 })
  })

  test('does not begin anew once a person has stopped it', async () => {
    await using world = new AgentsWorld()
    const agents = await world.open()
    await agents.run(world.bundle('one', failing, { restartsMax: 9 }), '*')
    await world.said('begins anew')
    await agents.stop('one')
    world.clock.advance(3_600_000)
    expect(agents.list()).toMatchObject([{ state: 'stopped', token: firstToken }])
    expect(agents.list()[0]?.reason).toMatch(/no such lamp/)
  })

  test('by what its program has thrown is begun anew when it is resumed: nothing is left to go on [agents-8]', async () => {
    await using world = new AgentsWorld()
    const agents = await world.open()
    const body = `if (await ctx.memory.get('a') === 'well') return 'done'; throw new TypeError('no such lamp')`
    await agents.run(world.bundle('one', body, { restartsMax: 9 }), '*')
    ;(await world.service.nth(0)).answer()
    await world.said('begins anew')
    await agents.resume('one')
    expect(agents.list()).toMatchObject([{ state: 'running', token: firstToken + 1 }])
    ;(await world.service.nth(1)).answer()
    await world.said('begins anew', 2)
    await agents.stop('one')
    await agents.resume('one')
    const last = await world.service.nth(2)
    expect(last).toMatchObject({ resumed: false, caller: { token: firstToken + 2 } })
    last.answer('well')
    expect(await until(agents, 'one', 'ended')).toMatchObject({ reason: '"done"' })
  })

  test('because its program is not as it was does not keep others from going on', async () => {
    await using world = new AgentsWorld()
    const before = await world.open()
    for (const name of ['good', 'bad']) await before.run(world.bundle(name, waiting), '*')
    await world.service.nth(1)
    await before[Symbol.asyncDispose]()
    const after = await world.open({
      programOf: (bytes) => {
        const text = Buffer.from(bytes).toString()
        if (text.includes("'bad'")) throw new Error('the bundle is not as it was signed')
        return JSON.parse(text)
      },
    })
    expect(after.list()).toMatchObject([
      { name: 'bad', state: 'failed', reason: 'the bundle is not as it was signed' },
      { name: 'good', state: 'running' },
    ])
  })
})
