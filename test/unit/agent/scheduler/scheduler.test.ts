import { expect, test } from 'vitest'
import {
  type Grant,
  type ResourceRequest,
  ScheduleError,
  Scheduler,
} from '../../../../runtime/agent/scheduler/scheduler.ts'
import { type Clock, sleep, VirtualClock } from '../../../../runtime/base/clock.ts'
import type { Priority } from '../../../../runtime/wire/infer.ts'

const forever = new AbortController().signal
const one = (agent: string, priority: Priority = 'background', more: Partial<ResourceRequest> = {}) => ({
  agent,
  priority,
  ...more,
})
const cpu = (capacity = 1, queueMax = 64) => ({ resources: [{ name: 'cpu', capacity, queueMax }] })

/** Who was served in which order: each works `ms` under a grant of the processor. */
async function work(
  { clock, scheduler, order }: { clock: Clock; scheduler: Scheduler; order: string[] },
  request: ResourceRequest,
  ms = 10,
): Promise<void> {
  const grant = await scheduler.acquire('cpu', request, forever)
  order.push(request.agent)
  await sleep(clock, ms)
  grant.release()
}

test('[sched-1] the most urgent class goes first, in it the earliest deadline, then the shorter, then the first', async () => {
  const clock = new VirtualClock()
  const scheduler = new Scheduler(clock, cpu())
  const order: string[] = []
  const at = { clock, scheduler, order }
  await clock.run(() =>
    Promise.all([
      work(at, one('first')),
      work(at, one('long', 'background', { costMs: 500 })),
      work(at, one('short', 'background', { costMs: 5 })),
      work(at, one('soon', 'background', { withinMs: 900 })),
      work(at, one('person', 'interactive')),
      work(at, one('alarm', 'control')),
      work(at, one('short too', 'background', { costMs: 5 })),
    ]),
  )
  expect(order).toEqual(['first', 'alarm', 'person', 'soon', 'short', 'short too', 'long'])
})

test('[sched-7] the classic inversion: who holds the lock that an urgent one waits for overtakes the ones between', async () => {
  const clock = new VirtualClock()
  const scheduler = new Scheduler(clock, cpu())
  const order: string[] = []
  const at = { clock, scheduler, order }
  await clock.run(async () => {
    const valve = await scheduler.lock('valve', one('low'), forever)
    const busy = work(at, one('busy', 'interactive'))
    const between = [1, 2, 3, 4].map((number) => work(at, one(`middle ${number}`, 'interactive'), 100))
    const low = work(at, one('low')).then(() => valve.release())
    const high = scheduler.lock('valve', one('high', 'control'), forever)
    const held = await high
    // 10 ms that were under way, 10 of the one who held it; the four between would have been 400 more.
    expect(clock.monotonicMs()).toBe(20)
    held.release()
    await Promise.all([busy, ...between, low])
  })
  expect(order).toEqual(['busy', 'low', 'middle 1', 'middle 2', 'middle 3', 'middle 4'])
})

test('[sched-7] urgency is inherited along a chain of locks', async () => {
  const clock = new VirtualClock()
  const scheduler = new Scheduler(clock, cpu())
  const order: string[] = []
  const at = { clock, scheduler, order }
  await clock.run(async () => {
    const pump = await scheduler.lock('pump', one('c'), forever)
    const valve = await scheduler.lock('valve', one('b'), forever)
    const chained = scheduler.lock('pump', one('b'), forever)
    const busy = work(at, one('busy', 'interactive'))
    const middle = work(at, one('middle', 'interactive'), 50)
    const c = work(at, one('c')).then(() => pump.release())
    const a = scheduler.lock('valve', one('a', 'control'), forever)
    const held = await chained
    expect(clock.monotonicMs()).toBe(20)
    held.release()
    valve.release()
    const lock = await a
    lock.release()
    await Promise.all([busy, middle, c])
  })
  expect(order).toEqual(['busy', 'c', 'middle'])
  expect(scheduler.loads().map(({ name }) => name)).toEqual(['cpu', 'locks'])
})

test('[sched-7] what was inherited is lost when the more urgent one no longer waits', async () => {
  const clock = new VirtualClock()
  const scheduler = new Scheduler(clock, cpu())
  const order: string[] = []
  const at = { clock, scheduler, order }
  await clock.run(async () => {
    const valve = await scheduler.lock('valve', one('low'), forever)
    const all = [work(at, one('busy')), work(at, one('low')), work(at, one('middle', 'interactive'))]
    const leaves = new AbortController()
    const gone = scheduler.lock('valve', one('high', 'control'), leaves.signal)
    leaves.abort(new Error('no longer'))
    await expect(gone).rejects.toThrow('no longer')
    await Promise.all(all)
    valve.release()
  })
  expect(order).toEqual(['busy', 'middle', 'low'])
})

test('[sched-8] who would wait for itself is refused: two locks taken crosswise, or one twice', async () => {
  const clock = new VirtualClock()
  const scheduler = new Scheduler(clock, cpu())
  await clock.run(async () => {
    const a = await scheduler.lock('door', one('a'), forever)
    const b = await scheduler.lock('window', one('b'), forever)
    const waits = scheduler.lock('window', one('a'), forever)
    await expect(scheduler.lock('door', one('b'), forever)).rejects.toMatchObject({ code: 'deadlock' })
    await expect(scheduler.lock('door', one('a'), forever)).rejects.toMatchObject({ code: 'deadlock' })
    b.release()
    const held = await waits
    held.release()
    a.release()
  })
  expect(scheduler.loads().map(({ name }) => name)).toEqual(['cpu', 'locks'])
  expect(scheduler.loads()[1]?.fared).toMatchObject({ granted: 3, refused: 2 })
})

test('[sched-9] long work gives way at its boundaries to what is more urgent, and goes on after it', async () => {
  const clock = new VirtualClock()
  const scheduler = new Scheduler(clock, cpu())
  const order: string[] = []
  await clock.run(async () => {
    const poem = async () => {
      const grant = await scheduler.acquire('cpu', one('poem'), forever)
      for (let token = 0; token < 4; token += 1) {
        await sleep(clock, 20)
        order.push(`token ${token}`)
        await grant.pause(forever)
      }
      grant.release()
    }
    const tokens = poem()
    await sleep(clock, 25)
    const later = work({ clock, scheduler, order }, one('another poem', 'background', { costMs: 1_000 }))
    await work({ clock, scheduler, order }, one('alarm', 'control'))
    await Promise.all([tokens, later])
  })
  expect(order).toEqual(['token 0', 'token 1', 'alarm', 'token 2', 'token 3', 'another poem'])
})

test('[sched-11] who is cancelled, too late or shut out is told why, and what it waited for goes to others', async () => {
  const clock = new VirtualClock()
  const scheduler = new Scheduler(clock, cpu(1, 3))
  await clock.run(async () => {
    const held = await scheduler.acquire('cpu', one('a'), forever)
    const leaves = new AbortController()
    const cancelled = scheduler.acquire('cpu', one('b'), leaves.signal)
    const late = scheduler.acquire('cpu', one('c', 'control', { withinMs: 50 }), forever)
    const waits = scheduler.acquire('cpu', one('d'), forever)
    await expect(scheduler.acquire('cpu', one('e'), forever)).rejects.toMatchObject({
      code: 'full',
      retryable: true,
    })
    leaves.abort(new Error('never mind'))
    await expect(cancelled).rejects.toThrow('never mind')
    await expect(late).rejects.toMatchObject({ code: 'deadline' })
    expect(clock.monotonicMs()).toBe(50)
    held.release()
    held.release()
    const grant: Grant = await waits
    expect(grant.waitedMs).toBe(50)
    const closed = scheduler.acquire('cpu', one('f'), forever)
    scheduler.close()
    await expect(closed).rejects.toMatchObject({ code: 'closed' })
    grant.release()
    await expect(scheduler.acquire('cpu', one('g'), forever)).rejects.toBeInstanceOf(ScheduleError)
    await expect(scheduler.acquire('gpu', one('g'), forever)).rejects.toMatchObject({ code: 'unknown' })
  })
})

test('[sched-12] a wall clock that is set back a day changes no order and holds nobody up', async () => {
  const run = async (backMs: number) => {
    const virtual = new VirtualClock()
    let setBackMs = 0
    const clock: Clock = Object.assign(Object.create(virtual) as VirtualClock, {
      nowMs: () => virtual.nowMs() - setBackMs,
      monotonicMs: () => virtual.monotonicMs(),
      after: (ms: number, fn: () => void) => virtual.after(ms, fn),
    })
    const scheduler = new Scheduler(clock, cpu())
    const order: string[] = []
    await virtual.run(async () => {
      const all = [work({ clock, scheduler, order }, one('a'), 2_000)]
      all.push(work({ clock, scheduler, order }, one('b')))
      setBackMs = backMs
      for (let at = 0; at < 5; at += 1)
        all.push(work({ clock, scheduler, order }, one(`c${at}`, 'interactive'), 300))
      await Promise.all(all)
    })
    return { order, endMs: virtual.monotonicMs() }
  }
  expect(await run(86_400_000)).toEqual(await run(0))
})

test('[sched-1] the same requests at the same instants give the same grants', async () => {
  const run = async () => {
    const clock = new VirtualClock({ seed: 7 })
    const scheduler = new Scheduler(clock, cpu(2))
    const order: string[] = []
    await clock.run(() =>
      Promise.all(
        Array.from({ length: 60 }, async (_, at) => {
          await sleep(clock, clock.random() * 500)
          const priority = (['control', 'interactive', 'background'] as const)[at % 3] ?? 'control'
          await work({ clock, scheduler, order }, one(`a${at}`, priority), 5 + clock.random() * 40)
        }),
      ),
    )
    return { order, endMs: clock.monotonicMs() }
  }
  expect(await run()).toEqual(await run())
})

test('[sched-15] how those fared who asked is counted: given, refused, how long they waited, also who waits still', async () => {
  const clock = new VirtualClock()
  const scheduler = new Scheduler(clock, { resources: [{ name: 'cpu', capacity: 1, queueMax: 2 }] })
  const fared = (name: string) => scheduler.loads().find((load) => load.name === name)?.fared
  await clock.run(async () => {
    const first = await scheduler.acquire('cpu', one('first'), forever)
    const second = scheduler.acquire('cpu', one('second'), forever)
    const late = scheduler.acquire('cpu', { ...one('late'), withinMs: 100 }, forever)
    await expect(scheduler.acquire('cpu', one('beyond'), forever)).rejects.toMatchObject({ code: 'full' })
    await expect(late).rejects.toMatchObject({ code: 'deadline' })
    const leaves = new AbortController()
    const gone = scheduler.acquire('cpu', one('gone'), leaves.signal)
    leaves.abort(new Error('no longer'))
    await expect(gone).rejects.toThrow('no longer')
    await sleep(clock, 200)
    expect(fared('cpu')).toEqual({ granted: 1, refused: 2, waitedMs: 0, longestMs: 300 })
    first.release()
    const held = await second
    held.release()
    expect(fared('cpu')).toEqual({ granted: 2, refused: 2, waitedMs: 300, longestMs: 300 })
    const lock = await scheduler.lock('valve', one('a'), forever)
    const next = scheduler.lock('valve', one('b'), forever)
    await sleep(clock, 50)
    expect(scheduler.loads().slice(1)).toMatchObject([
      { name: 'locks', used: 1, waiting: 1, fared: { granted: 1, longestMs: 50 } },
      { name: 'valve', used: 1, waiting: 1 },
    ])
    lock.release()
    const after = await next
    after.release()
  })
  expect(fared('locks')).toEqual({ granted: 2, refused: 0, waitedMs: 50, longestMs: 50 })
})

test('[sched-16] urgency that is lent goes along chains, to locks too, and in a circle it ends', async () => {
  const clock = new VirtualClock()
  const scheduler = new Scheduler(clock, cpu())
  const order: string[] = []
  const at = { clock, scheduler, order }
  await clock.run(async () => {
    const valve = await scheduler.lock('valve', one('holder'), forever)
    const busy = work(at, one('busy'))
    const all = [work(at, one('other', 'interactive')), work(at, one('holder')), work(at, one('middle'))]
    const waits = scheduler.lock('valve', one('middle'), forever).then((lock) => lock.release())
    // The alarm waits for what `last` has, which waits for what `middle` has, which waits for the valve.
    const first = scheduler.lend(one('last'), 'middle')
    const second = scheduler.lend(one('alarm', 'control'), 'last')
    const round = scheduler.lend(one('middle'), 'last')
    expect(scheduler.priorityOf('middle', 'background')).toBe('control')
    expect(scheduler.priorityOf('other', 'interactive')).toBe('interactive')
    await busy
    await Promise.all(all)
    for (const takeBack of [second, second, round, first]) takeBack()
    expect(scheduler.priorityOf('middle', 'background')).toBe('background')
    valve.release()
    await waits
  })
  expect(order[0]).toBe('busy')
  expect(order.slice(1, 3).toSorted()).toEqual(['holder', 'middle'])
  expect(order.slice(3)).toEqual(['other'])
})

test('[sched-16] who is lent urgency has at once what is left of a budget, where one that it overtakes waits for more', async () => {
  const clock = new VirtualClock()
  const scheduler = new Scheduler(clock, {
    resources: [{ name: 'tokens', capacity: 100, refillMs: 60_000, queueMax: 8 }],
  })
  await clock.run(async () => {
    await scheduler.acquire('tokens', one('first', 'background', { amount: 60 }), forever)
    const large = scheduler.acquire('tokens', one('large', 'interactive', { amount: 100 }), forever)
    const small = scheduler.acquire('tokens', one('sweeper', 'background', { amount: 10 }), forever)
    const takeBack = scheduler.lend(one('alarm', 'control'), 'sweeper')
    expect(await small).toMatchObject({ waitedMs: 0 })
    takeBack()
    await large
  })
})

test('[sched-5] what is owed for longer than a timer of Node lasts is waited for all the same', async () => {
  const delays: number[] = []
  const clock = new (class extends VirtualClock {
    override after(delayMs: number, fn: () => void) {
      delays.push(delayMs)
      return super.after(delayMs, fn)
    }
  })()
  const perAgent = { rate: { max: 1, perMs: 60_000 } }
  const tokens = { name: 'tokens', capacity: 200_000, refillMs: 60_000, queueMax: 8, perAgent }
  const scheduler = new Scheduler(clock, { resources: [tokens] })
  await clock.run(async () => {
    const first = await scheduler.acquire('tokens', one('poet'), forever)
    first.release(50_000)
    const second = await scheduler.acquire('tokens', one('poet'), forever)
    expect(second.waitedMs).toBeCloseTo(50_000 * 60_000, -2)
  })
  expect(Math.max(...delays)).toBeLessThan(2 ** 31)
})
