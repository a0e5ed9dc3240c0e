import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { schedulerOf } from '../../../../runtime/agent/scheduler/device-resources.ts'
import { openSchedule } from '../../../../runtime/agent/scheduler/device-schedule.ts'
import type { Performing, Sharing } from '../../../../runtime/agent/service.ts'
import type { CallOp } from '../../../../runtime/agent/turn.ts'
import { sleep, VirtualClock } from '../../../../runtime/base/clock.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import { budget, enough, forever, scheduled } from '../../../fixtures/agent/scheduled-device.ts'

test('[sched-13] commands to one entity go one after the other, the most urgent first; to others at once', async () => {
  const { clock, schedule, order, ask } = await scheduled(['command'], 100)
  await clock.run(() =>
    Promise.all([
      ask('a', { entity: 'light.hall' }),
      ask('b', { entity: 'light.hall' }),
      ask('alarm', { entity: 'light.hall' }),
      ask('c', { entity: 'light.attic' }),
    ]),
  )
  expect(order).toEqual([
    ...['a light.hall at 0', 'c light.attic at 0', 'alarm light.hall at 100', 'b light.hall at 200'],
  ])
  expect(schedule.scheduler.loads().every(({ used }) => used === 0)).toBe(true)
  expect(schedule.scheduler.loads().map(({ name }) => name)).toEqual([
    ...['processor', 'commands', 'engine', 'thoughts', 'tokens', 'gateway', 'radio', 'locks'],
  ])
})

test('[sched-10] of two calls of one class the one with the earlier deadline is served first; without one the class says when', async () => {
  const { clock, order, ask } = await scheduled(['command'], 100)
  const lamp = (within: number | undefined) => ({
    entity: 'light.hall',
    ...(within === undefined ? {} : { deadlineMs: clock.nowMs() + within }),
  })
  await clock.run(() =>
    Promise.all([
      ask('holder', lamp(undefined)),
      ask('some time', lamp(undefined)),
      ask('later', lamp(9_000)),
      ask('soon', lamp(5_000)),
      ask('too late', lamp(-1e300)),
      ask('never', lamp(1e300)),
      ask('alarm', lamp(undefined)),
    ]),
  )
  expect(order).toEqual([
    ...['holder light.hall at 0', 'alarm light.hall at 100', 'too late light.hall at 200'],
    ...['soon light.hall at 300', 'later light.hall at 400', 'some time light.hall at 500'],
    'never light.hall at 600',
  ])
})

test('[sched-10] the engine too is had first by the call with the earlier deadline', async () => {
  const { clock, order, ask } = await scheduled(['infer'], 100)
  const untilMs = (ms: number) => ({ deadlineMs: clock.nowMs() + ms })
  await clock.run(() =>
    Promise.all([
      ...[1, 2, 3, 4, 5, 6, 7, 8].map((number) => ask(`first ${number}`)),
      ...[ask('later', untilMs(4_000)), ask('soon', untilMs(2_000))],
    ]),
  )
  expect(order.slice(8)).toEqual(['soon infer at 100', 'later infer at 100'])
})

test('[sched-13] [sched-5] a thing of this device is one thing by both its names, and costs no radio', async () => {
  const { clock, order, ask } = await scheduled(['command'], 100)
  const big = 'x'.repeat(5_500)
  await clock.run(() =>
    Promise.all([
      ask('a', { entity: 'light.hall', big }),
      ask('b', { entity: 'light.hall@attic', big }),
      ask('c', { entity: 'light.hall@attic', big }),
      ask('d', { entity: 'light.hall@hub', big }),
    ]),
  )
  expect(order).toEqual([
    ...['a light.hall at 0', 'd light.hall@hub at 0', 'b light.hall@attic at 100'],
    'c light.hall@attic at 200',
  ])
})

test('[sched-13] a command that is given up while it waits lets the next one have the entity', async () => {
  const { clock, order, ask } = await scheduled(['command'], 100)
  const leaves = new AbortController()
  await clock.run(async () => {
    const first = ask('a', { entity: 'lock.door' })
    const gone = ask('b', { entity: 'lock.door' }, leaves.signal)
    const last = ask('c', { entity: 'lock.door' })
    leaves.abort(new Error('no longer'))
    await expect(gone).rejects.toThrow('no longer')
    await Promise.all([first, last])
  })
  expect(order).toEqual(['a lock.door at 0', 'c lock.door at 100'])
})

test('[sched-14] [account-2] what a thought cost is counted, and one beyond the quota is answered with why', async () => {
  const { clock, schedule, ask } = await scheduled(['think'], 50, async ({ spend }) => {
    spend({ tokens: 70 })
    spend({ tokens: 50, money: 0.5 })
  })
  await clock.run(async () => {
    expect(await ask('poet')).toMatchObject({ ok: true })
    expect(await ask('poet')).toEqual({
      ok: false,
      error: { code: 'limit', message: 'poet has used its 100 tokens in 24 h' },
    })
    expect(await ask('other')).toMatchObject({ ok: true })
  })
  expect(schedule.accounts.report().find(({ agent }) => agent === 'poet')?.used).toMatchObject({
    ...{ tokens: 120, money: 0.5 },
  })
})

test('[account-1] [account-2] a thought that has used up its quota takes no further step, nor does one that waited meanwhile', async () => {
  const { clock, schedule, order, ask } = await scheduled(
    ['think'],
    50,
    async (sharing, signal, _, agent) => {
      for (const step of [1, 2, 3]) {
        await sharing.boundary(signal)
        order.push(`${agent} step ${step}`)
        sharing.spend({ tokens: 60 })
        await sleep(clock, 10)
      }
    },
  )
  const spent = { ok: false, error: { code: 'limit', message: 'poet has used its 100 tokens in 24 h' } }
  await clock.run(async () => {
    expect(await Promise.all([ask('poet'), ask('poet'), ask('poet')])).toEqual([spent, spent, spent])
  })
  expect(order.filter((line) => line.includes('step'))).toEqual(['poet step 1', 'poet step 1'])
  expect(schedule.scheduler.loads().every(({ used }) => used === 0)).toBe(true)
})

test('[sched-14] [account-2] who holds the engine too long waits for its quota, and the others do not', async () => {
  const spent = async ({ spend }: Sharing) => spend({ engineMs: 1_500 })
  const { clock, schedule, order, ask } = await scheduled(['infer'], 1_500, spent)
  await clock.run(async () => {
    await ask('eager')
    await Promise.all([ask('eager'), ask('calm')])
  })
  // 500 ms beyond its second a minute: paid off after 30 s, and something to spend a little later.
  expect(order.slice(0, 2)).toEqual(['eager infer at 0', 'calm infer at 1500'])
  expect(order[2]).toMatch(/^eager infer at 321/)
  const [eager] = schedule.accounts.report().filter(({ agent }) => agent === 'eager')
  expect(eager?.used.engineMs).toBe(3_000)
})

test('[sched-6] [sched-4] an agent has four calls of the engine under way, the rest waits, and what is too much is refused', async () => {
  const { clock, order, ask } = await scheduled(['infer'], 10)
  await clock.run(async () => {
    const outcomes = await Promise.all(Array.from({ length: 270 }, () => ask('flood')))
    const refused = outcomes.filter(({ ok }) => !ok)
    expect(refused).toHaveLength(270 - 256 - 4)
    expect(refused[0]).toMatchObject({ error: { code: 'limit' } })
  })
  expect(order.filter((line) => line.endsWith(' at 0'))).toHaveLength(4)
})

test('[sched-14] when the device stops, who waits is told', async () => {
  const { clock, schedule, ask } = await scheduled(['command'], 100)
  await clock.run(async () => {
    const first = ask('a', { entity: 'light.hall' })
    const second = ask('b', { entity: 'light.hall' })
    await sleep(clock, 10)
    schedule.scheduler.close()
    expect(await second).toMatchObject({ ok: false, error: { code: 'unavailable' } })
    expect(await first).toMatchObject({ ok: true })
  })
})

test('[sched-9] a thought gives way between two steps to one that is more urgent', async () => {
  const { clock, order, ask } = await scheduled(['think'], 100, async ({ boundary }, signal, said, agent) => {
    await boundary(signal)
    said.push(`${agent} goes on at ${clock.monotonicMs()}`)
    await sleep(clock, 100)
  })
  await clock.run(async () => {
    const slots = ['a', 'b', 'c', 'd'].map((agent) => ask(agent))
    const urgent = ask('alarm')
    await Promise.all([...slots, urgent])
  })
  // Four places: it has the first that comes to a boundary, whose holder waits for the next.
  expect(order.slice(4)).toEqual([
    ...['alarm think at 100', 'b goes on at 100', 'c goes on at 100', 'd goes on at 100'],
    ...['alarm goes on at 200', 'a goes on at 200'],
  ])
})

test('[sched-5] what all agents spend together is bounded, and comes back', async () => {
  const { clock, schedule, order, ask } = await scheduled(
    ['think'],
    0,
    async ({ draw }, signal, said, agent) => {
      const used = await draw('tokens', 800, signal)
      said.push(`${agent} has tokens at ${Math.round(clock.monotonicMs() / 1_000)} s`)
      used(400)
    },
  )
  await clock.run(async () => {
    await Promise.all([ask('a'), ask('b')])
    expect(await ask('c')).toMatchObject({ ok: true })
  })
  // 600 of 1,000 are left after the first: 200 more come in 12 s. Then 400 are left: the third waits for as many that 24 s bring.
  expect(order.filter((line) => line.includes('tokens'))).toEqual([
    ...['a has tokens at 0 s', 'b has tokens at 12 s', 'c has tokens at 36 s'],
  ])
  expect(schedule.scheduler.loads().find(({ name }) => name === 'tokens')?.used).toBeGreaterThan(0)
})

test('[sched-5] what goes to other devices waits when the radio has had enough, what stays here does not', async () => {
  const { clock, order, ask } = await scheduled(['command'], 0)
  const big = 'x'.repeat(2_500)
  await clock.run(async () => {
    await Promise.all([
      ...['one', 'two', 'three'].map((name) => ask('a', { entity: `light.${name}@hub`, big })),
      ask('a', { entity: 'light.here', big }),
    ])
  })
  expect(order.slice(0, 3).toSorted()).toEqual([
    ...['a light.here at 0', 'a light.one@hub at 0', 'a light.two@hub at 0'],
  ])
  expect(order[3]).toMatch(/^a light.three@hub at \d{4,5}\.?\d*$/)
})

test('[sched-14] [sched-5] more than there ever is of a budget is not waited for for ever', async () => {
  const { clock, ask } = await scheduled(['think'], 0, async ({ draw }, signal) => {
    const used = await draw('tokens', 1e9, signal)
    used(1)
  })
  await clock.run(async () => {
    expect(await ask('a')).toMatchObject({ ok: true })
  })
})

test('[sched-6] an agent gives as many commands at once, and in a minute, as the device says, one by its name more', async () => {
  const { clock, order, ask } = await scheduled(['command'], 100, undefined, {
    limits: { commands: { atOnce: 2, perMinute: 3 } },
    byName: { b: { limits: { commands: { atOnce: 4 } }, quota: {} } },
  })
  const lamps = ['light.1', 'light.2', 'light.3', 'light.4']
  await clock.run(() =>
    Promise.all(
      ['a', 'b'].flatMap((agent) => lamps.map((lamp) => ask(agent, { entity: `${lamp}${agent}` }))),
    ),
  )
  const of = (agent: string) =>
    order.filter((line) => line.startsWith(agent)).map((line) => line.split(' at ')[1])
  expect(of('a').map(Number)).toEqual([0, 0, 100, expect.closeTo(20_000, -1)])
  expect(of('b').map(Number)).toEqual([0, 0, 0, expect.closeTo(20_000, -1)])
})

test('[account-2] an agent that has used its joules has no model, and waits for its next turn; one by its name has more', async () => {
  const { clock, schedule, ask } = await scheduled(['infer'], 0, undefined, {
    byName: { rich: { limits: {}, quota: { joulesPerDay: 1_000 } } },
  })
  const turned: string[] = []
  await clock.run(async () => {
    for (const agent of ['poor', 'rich']) schedule.accounts.add(agent, { joules: 60 })
    expect(await ask('rich')).toEqual({ ok: true })
    expect(await ask('poor')).toMatchObject({
      error: { code: 'limit', message: 'poor has used its 50 joules in 24 h' },
    })
    const turn = async (agent: string) => {
      const over = await schedule.turns.turn(agent, forever)
      turned.push(`${agent} at ${Math.round(clock.monotonicMs() / 60_000)} min`)
      over({ cpuMs: 1, ticks: 1, memoryBytes: 1 })
    }
    await Promise.all(['poor', 'rich'].map(turn))
  })
  // 10 are owed of 50 a day, which is paid after 288 minutes; it looks each hour.
  expect(turned).toEqual(['rich at 0 min', 'poor at 300 min'])
})

test('[account-1] [sched-5] bytes count that leave the device or come for an agent: answers too, and not what stays here', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'schedule-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const clock = new VirtualClock()
  const config = {
    threads: 1,
    max: 8,
    limits: {},
    byName: {},
    budget: { ...budget, radioBytesPerMinute: 1e6 },
  }
  const scheduler = schedulerOf(clock, config)
  const quota = { ...enough, bytesPerDay: 1e6 }
  await using schedule = await openSchedule(
    {
      clock,
      log: silentLog,
      own: 'attic',
      scheduler,
      priorityOf: () => 'background',
      leaseHolder: () => undefined,
    },
    { directory, quota, ...config },
    forever,
  )
  const answer = 'x'.repeat(10_000)
  const [service] = schedule.scheduled([
    { ops: ['tool', 'call', 'command'], perform: async () => ({ ok: true, value: answer }) },
  ])
  let id = 0
  const bytesAfter = async (op: CallOp, args: Performing['call']['args']) => {
    id += 1
    const agent = `agent-${id}`
    const call = { id, op, args }
    await service?.perform(
      { caller: { agent, token: 1 }, call, resumed: false, askedMs: 0, emit: () => true },
      forever,
    )
    return schedule.accounts.report().find((one) => one.agent === agent)?.used.bytes ?? 0
  }
  await clock.run(async () => {
    expect(await bytesAfter('tool', { tool: 'weather' })).toBe(10_002 + 18)
    expect(await bytesAfter('call', { agent: 'cook@hub', message: 1 })).toBe(10_002 + 32 + 400)
    expect(await bytesAfter('call', { agent: 'cook@attic', message: 1 })).toBe(0)
    expect(await bytesAfter('call', { agent: 'cook', message: 1 })).toBe(0)
    expect(await bytesAfter('command', { entity: 'light.hall@hub' })).toBeGreaterThan(10_400)
    expect(await bytesAfter('command', { entity: 'light.hall@attic' })).toBe(0)
  })
  // The radio has had what went to the hub, and nothing else.
  const radio = scheduler.loads().find(({ name }) => name === 'radio')
  expect(radio?.used).toBe(32 + 400 + 27 + 400)
})

test('[account-1] a call that is given up has used what it used', async () => {
  const stop = new AbortController()
  const { clock, schedule, ask } = await scheduled(['infer'], 700, async ({ spend }, signal) => {
    spend({ engineMs: 700 })
    signal.throwIfAborted()
  })
  await clock.run(async () => {
    const asked = ask('eager', {}, stop.signal)
    await sleep(clock, 10)
    stop.abort(new Error('no longer'))
    await expect(asked).rejects.toThrow('no longer')
  })
  expect(schedule.accounts.report()).toMatchObject([{ agent: 'eager', used: { engineMs: 700 } }])
})
