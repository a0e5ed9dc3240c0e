import { expect, test } from 'vitest'
import { unshared } from '../../../../runtime/agent/service.ts'
import { sleep } from '../../../../runtime/base/clock.ts'
import { forever, scheduled } from '../../../fixtures/agent/scheduled-device.ts'

test('[sched-16] an agent that holds a lease which a more urgent one of its device waits for has its turns sooner, as long as that one waits', async () => {
  const turned: string[] = []
  const { clock, schedule, ask } = await scheduled(['lease'], 500)
  const { holders, turns } = schedule
  const turn = async (agent: string) => {
    const over = await turns.turn(agent, forever)
    turned.push(agent)
    await sleep(clock, 10)
    over({ cpuMs: 10, ticks: 1, memoryBytes: 1 })
  }
  const round = async () => {
    // One thread: the first holds it, the others come in the order of their urgency.
    await Promise.all(['first', 'other', 'sweeper', 'heir', 'alarm-2'].map(turn))
    return turned.splice(0)
  }
  await clock.run(async () => {
    holders.set('pump', 'sweeper')
    expect(await round()).toEqual(['first', 'alarm-2', 'other', 'sweeper', 'heir'])
    const waits = ask('alarm', { name: 'pump' })
    await sleep(clock, 1)
    expect((await round()).slice(0, 3).toSorted()).toEqual(['alarm-2', 'first', 'sweeper'])
    // Another agent here has it in the end, and the alarm waits for that one.
    const heir = ask('heir', { name: 'pump' })
    holders.set('pump', 'heir')
    await sleep(clock, 500)
    await Promise.all([waits, heir])
    expect(await round()).toEqual(['first', 'alarm-2', 'other', 'sweeper', 'heir'])
  })
})

test('[sched-16] what hurries because of a lease hurries in its calls too, and who takes the lease over does then', async () => {
  const { clock, schedule, order, ask } = await scheduled(['lease'], 400)
  const classes: unknown[] = []
  const [infers] = schedule.scheduled([
    {
      ops: ['infer'],
      async perform({ caller }) {
        classes.push([caller.agent, caller.priority])
        return { ok: true }
      },
    },
  ])
  const infer = (agent: string) =>
    infers?.perform(
      {
        caller: { agent, token: 1 },
        call: { id: 1, op: 'infer', args: {} },
        ...{ resumed: false, askedMs: 0, emit: () => true },
      },
      forever,
    )
  await clock.run(async () => {
    schedule.holders.set('pump', 'sweeper')
    const first = ask('heir', { name: 'pump' })
    await sleep(clock, 200)
    const alarm = ask('alarm', { name: 'pump' })
    await sleep(clock, 100)
    for (const agent of ['sweeper', 'heir']) await infer(agent)
    schedule.holders.set('pump', 'heir')
    await first
    for (const agent of ['sweeper', 'heir']) await infer(agent)
    await alarm
    for (const agent of ['sweeper', 'heir']) await infer(agent)
  })
  expect(order).toHaveLength(2)
  expect(classes).toEqual([
    ...[
      ['sweeper', 'control'],
      ['heir', 'background'],
    ],
    ...[
      ['sweeper', 'background'],
      ['heir', 'control'],
    ],
    ...[
      ['sweeper', 'background'],
      ['heir', 'background'],
    ],
  ])
})

test('[sched-16] a call that began while urgency was lent to its agent waits as its own when that is over', async () => {
  const { clock, schedule, ask } = await scheduled(['lease'], 400)
  const drawn: string[] = []
  const [thinks] = schedule.scheduled([
    {
      ops: ['think'],
      async perform({ caller, call: { args }, sharing = unshared }) {
        await sleep(clock, Number(args['afterMs']))
        const used = await sharing.draw('tokens', Number(args['tokens']), forever)
        drawn.push(caller.agent)
        used(Number(args['tokens']))
        return { ok: true }
      },
    },
  ])
  const think = (agent: string, afterMs: number, tokens: number) =>
    thinks?.perform(
      {
        caller: { agent, token: 1 },
        call: { id: 1, op: 'think', args: { afterMs, tokens } },
        ...{ resumed: false, askedMs: 0, emit: () => true },
      },
      forever,
    )
  await clock.run(async () => {
    schedule.holders.set('pump', 'sweeper')
    const lease = ask('alarm', { name: 'pump' })
    await sleep(clock, 1)
    // The lease is had at 400; the first leaves nothing in the budget, so that the other two wait for it together.
    await Promise.all([
      think('first', 990, 1_000),
      think('sweeper', 999, 8),
      think('alarm-2', 1_001, 8),
      lease,
    ])
  })
  expect(drawn).toEqual(['first', 'alarm-2', 'sweeper'])
})
