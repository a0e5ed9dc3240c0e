/** What a task says of its urgency: how its calls and the turns that bring their answers are ordered. In simulated time. */
import { expect, test } from 'vitest'
import type { Json } from '../../../../runtime/agent/contract.ts'
import { answerWanted, type Wanted, wantedOf } from '../../../../runtime/agent/scheduler/urgency.ts'
import type { CallOp } from '../../../../runtime/agent/turn.ts'
import { sleep, VirtualClock } from '../../../../runtime/base/clock.ts'
import { forever, scheduled } from '../../../fixtures/agent/scheduled-device.ts'

const agentsOf = (order: readonly string[]) => order.map((line) => line.split(' ')[0])

test('[sched-10] [sched-17] what a task wants by an instant is due then, where that is sooner than the call or its class says', async () => {
  const { clock, order, ask } = await scheduled(['command'], 100)
  const lamp = (dueMs?: number, deadlineMs?: number) => ({
    entity: 'light.hall',
    ...(dueMs === undefined ? {} : { urgency: { dueMs: clock.nowMs() + dueMs } }),
    ...(deadlineMs === undefined ? {} : { deadlineMs: clock.nowMs() + deadlineMs }),
  })
  await clock.run(() =>
    Promise.all([
      ask('holder', lamp()),
      ask('class', lamp()),
      ask('hour', lamp(3_600_000)),
      ask('task', lamp(4_000)),
      ask('call', lamp(9_000, 3_000)),
      ask('soonest', lamp(2_000, 60_000)),
      ask('over', lamp(-5_000)),
      ask('nonsense', { entity: 'light.hall', urgency: { dueMs: 'now', priority: 'now' } }),
      ask('none', { entity: 'light.hall', urgency: ['x'] }),
    ]),
  )
  expect(agentsOf(order)).toEqual([
    ...['holder', 'over', 'soonest', 'call', 'task', 'class', 'hour', 'nonsense', 'none'],
  ])
})

test('[sched-17] a task is less urgent than its agent where it says so, and never more', async () => {
  const { clock, order, ask } = await scheduled(['command'], 100)
  const lamp = (priority: string, within = 5_000) => ({
    entity: 'light.hall',
    urgency: { priority, dueMs: clock.nowMs() + within },
  })
  await clock.run(() =>
    Promise.all([
      ask('holder', { entity: 'light.hall' }),
      ask('low', lamp('control', 1_000)),
      ask('alarm-calm', lamp('background', 2_000)),
      ask('alarm-talks', lamp('interactive', 4_000)),
      ask('alarm', lamp('control', 90)),
    ]),
  )
  expect(agentsOf(order)).toEqual(['holder', 'alarm', 'alarm-talks', 'low', 'alarm-calm'])
})

test.each<{ what: string; op: CallOp; holders: number; draws?: number; args: { [name: string]: string } }>([
  { what: 'slots of the engine', op: 'infer', holders: 8, args: {} },
  { what: 'places of thoughts', op: 'think', holders: 4, args: {} },
  { what: 'tokens', op: 'think', holders: 1, draws: 900, args: {} },
  { what: 'the radio', op: 'command', holders: 2, args: { entity: 'light.1@hub', big: 'x'.repeat(2_400) } },
])(
  '[sched-17] $what are had first by the call whose task is wanted first',
  async ({ op, holders, draws, args }) => {
    const { clock, order, ask } = await scheduled([op], 0, async ({ draw }, signal, said, agent) => {
      const used = draws === undefined ? () => {} : await draw('tokens', draws, signal)
      await sleep(clock, 500)
      said.push(`${agent} done`)
      used(draws ?? 0)
    })
    const each = (at: string) => (op === 'command' ? { ...args, entity: `light.${at}@hub` } : args)
    const untilMs = (ms: number) => ({ urgency: { dueMs: clock.nowMs() + ms } })
    await clock.run(async () => {
      const first = Array.from({ length: holders }, (_, at) => ask(`holder${at}`, each(`h${at}`)))
      await sleep(clock, 1)
      const others = [
        ask('plain', each('a')),
        ask('later', { ...each('b'), ...untilMs(6_000) }),
        ask('soon', { ...each('c'), ...untilMs(4_000) }),
      ]
      await Promise.all([...first, ...others])
    })
    const done = agentsOf(order.filter((line) => line.endsWith('done')))
    expect(done.filter((agent) => !agent?.startsWith('holder'))).toEqual(['soon', 'later', 'plain'])
  },
)

test('[sched-7] [sched-17] who holds a thing that an urgent task waits for is as urgent as that task', async () => {
  const { clock, schedule, order, ask } = await scheduled(['lease'], 100)
  const { scheduler, holders } = schedule
  await clock.run(async () => {
    holders.set('pump', 'slow')
    const busy = await scheduler.acquire('processor', { agent: 'other', priority: 'background' }, forever)
    const turn = async (agent: string) => {
      const over = await schedule.turns.turn(agent, forever)
      order.push(`${agent} turn`)
      over({ cpuMs: 1, ticks: 1, memoryBytes: 1 })
    }
    const turns = [turn('first'), turn('slow')]
    const waits = ask('hurried', { name: 'pump', urgency: { dueMs: clock.nowMs() + 500 } })
    await sleep(clock, 10)
    busy.release()
    await Promise.all([...turns, waits])
  })
  expect(order.filter((line) => line.endsWith('turn'))).toEqual(['slow turn', 'first turn'])
})

/** Turns that are taken in which order, where the processor is held until all wait. */
async function ordered(
  work: (
    turn: (agent: string, ...brings: Wanted[]) => Promise<void>,
    hasten: (agent: string, wanted: Wanted) => void,
    atMs: (ms: number) => { readonly byMs: number },
    later: () => Promise<void>,
  ) => Promise<void>[],
): Promise<string[]> {
  const { clock, schedule } = await scheduled(['command'], 0)
  const { scheduler, turns } = schedule
  const order: string[] = []
  await clock.run(async () => {
    const busy = await scheduler.acquire('processor', { agent: 'busy', priority: 'control' }, forever)
    const turn = async (agent: string, ...brings: Wanted[]) => {
      const over = await turns.turn(agent, forever, () => brings)
      order.push(agent)
      over({ cpuMs: 1, ticks: 1, memoryBytes: 1 })
    }
    const taken = work(
      turn,
      (...more) => turns.hasten(...more),
      (ms) => ({ byMs: clock.monotonicMs() + ms }),
      () => sleep(clock, 1),
    )
    await sleep(clock, 5)
    busy.release()
    await Promise.all(taken)
  })
  return order
}

test('[sched-10] [sched-17] a turn is as urgent as the most urgent of what it brings, and never due later than its class says', async () => {
  const order = await ordered((turn, _hasten, atMs) => [
    turn('plain'),
    turn('far', atMs(3_600_000)),
    turn('later', atMs(7_000)),
    turn('both', atMs(9_000), {}, atMs(3_000)),
    turn('alarm-calm', { priority: 'background', ...atMs(1_000) }),
    turn('alarm-mixed', { priority: 'background', ...atMs(1) }, { priority: 'interactive' }),
    turn('raised', { priority: 'control', ...atMs(2_000) }),
    turn('alarm', { priority: 'background', ...atMs(1) }, {}),
  ])
  expect(order).toEqual([
    ...['alarm', 'alarm-mixed', 'alarm-calm', 'raised', 'both', 'later', 'plain', 'far'],
  ])
})

test('[sched-17] a turn that is waited for already hurries when something more urgent comes for it', async () => {
  const order = await ordered((turn, hasten, atMs, later) => {
    const hurry = async () => {
      // By then they wait.
      await later()
      hasten('three', atMs(2_000))
      hasten('two', atMs(4_000))
      // What is less urgent than what it waits as already takes nothing from it.
      hasten('three', {})
      hasten('nobody', atMs(1))
    }
    return [turn('one', {}), turn('two', {}), turn('three', {}), hurry()]
  })
  expect(order).toEqual(['three', 'two', 'one'])
})

test('[sched-17] after a restart a task is due when it was due before, by the clock of its agent', () => {
  const clock = new VirtualClock({ startMs: 1_000_000 })
  const call = {
    askedMs: 1_000_000,
    args: { deadlineMs: 1_009_000, urgency: { dueMs: 1_006_000, priority: 'interactive' } },
  }
  expect(wantedOf(clock, call)).toEqual({ byMs: clock.monotonicMs() + 6_000, priority: 'interactive' })
  const later = new VirtualClock({ startMs: 1_004_000 })
  expect(wantedOf(later, call)).toEqual({ byMs: later.monotonicMs() + 2_000, priority: 'interactive' })
  const over = new VirtualClock({ startMs: 1_900_000 })
  expect(wantedOf(over, call)).toEqual({ byMs: over.monotonicMs(), priority: 'interactive' })
  expect(answerWanted(later, { ...call, args: { ...call.args, deadlineMs: 1_005_000 } }).byMs).toBe(
    later.monotonicMs() + 1_000,
  )
})

test('[sched-17] who performs a call hears of which class it is: so do the engine and other devices', async () => {
  const { schedule } = await scheduled(['command'], 0)
  const heard: unknown[] = []
  const [service] = schedule.scheduled([
    {
      ops: ['infer'],
      perform: async ({ caller }) => {
        heard.push(caller.priority)
        return { ok: true }
      },
    },
  ])
  const ask = (agent: string, priority: string) =>
    service?.perform(
      {
        caller: { agent, token: 1 },
        call: { id: 1, op: 'infer', args: { urgency: { priority } } },
        ...{ resumed: false, askedMs: 0, emit: () => true },
      },
      forever,
    )
  for (const agent of ['alarm', 'calm'])
    for (const priority of ['control', 'interactive', 'background']) await ask(agent, priority)
  expect(heard).toEqual([
    ...['control', 'interactive', 'background'],
    ...['background', 'background', 'background'],
  ])
})

test.each<[string, Json]>([
  ['long ago', { priority: 'control', dueMs: -Number.MAX_VALUE }],
  ['never', { priority: 'control', dueMs: Number.MAX_VALUE }],
  ['no number', { priority: { control: true }, dueMs: null }],
  ['a list', [[[[]]], 'control']],
  ['a text', 'control'],
  ['of other names', { agent: 'alarm', task: 'alarm', withinMs: 0, amount: -1, costMs: -1e9 }],
])('[sched-17] an agent rises by nothing that it says of its urgency: %s', async (_, urgency) => {
  const { clock, order, ask } = await scheduled(['command'], 100)
  await clock.run(() =>
    Promise.all([
      ask('holder', { entity: 'light.hall' }),
      ask('hostile', { entity: 'light.hall', urgency }),
      ask('alarm', { entity: 'light.hall' }),
    ]),
  )
  expect(agentsOf(order)).toEqual(['holder', 'alarm', 'hostile'])
  const wanted = answerWanted(clock, { args: { urgency, deadlineMs: urgency }, askedMs: 0 })
  const { byMs = clock.monotonicMs() } = wanted
  expect(byMs - clock.monotonicMs()).toBeGreaterThanOrEqual(0)
  expect(byMs - clock.monotonicMs()).toBeLessThanOrEqual(86_400_000)
})

test('[sched-17] who says of all that it is long due keeps no neighbour out for longer than its class waits', async () => {
  const { clock, order, ask } = await scheduled(['command'], 100)
  const hostile = async () => {
    for (let nth = 0; nth < 100; nth += 1)
      await ask('hostile', { entity: 'light.hall', urgency: { dueMs: -1e300 } })
  }
  await clock.run(() =>
    Promise.all([hostile(), hostile(), hostile(), ask('neighbour', { entity: 'light.hall' })]),
  )
  const at = agentsOf(order).indexOf('neighbour')
  // Of the background a call is due after 10 s.
  expect(at).toBeLessThanOrEqual(103)
})
