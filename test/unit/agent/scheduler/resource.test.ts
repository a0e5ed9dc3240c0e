import { expect, test } from 'vitest'
import {
  aging,
  isSooner,
  Resource,
  type ResourceOptions,
  type Waiting,
} from '../../../../runtime/agent/scheduler/resource.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { type Priority, priorities } from '../../../../runtime/wire/infer.ts'

interface Asked extends Waiting {
  readonly id: number
  readonly holdMs: number
}

function asked(one: Partial<Asked> & { id: number; priority?: Priority; dueMs?: number }): Asked {
  const { priority = 'background', dueMs = 0, ...rest } = one
  const own = { priority, expiresAtMs: dueMs }
  return { agent: 'a', amount: 1, askedMs: 0, begun: false, holdMs: 1, own, ...own, ...rest }
}

/** What the order is said to be, as plainly as it can be written: everything sorted anew at each look. */
class Reference {
  readonly #options: ResourceOptions
  readonly waiting: Asked[] = []
  readonly held: Asked[] = []
  #agedMs = -Infinity

  constructor(options: ResourceOptions) {
    this.#options = options
  }

  next(nowMs: number): number | undefined {
    const may = this.waiting.filter(({ agent, amount }) => {
      const held = sum(this.held.filter((one) => one.agent === agent))
      return held === 0 || held + amount <= (this.#options.perAgent?.heldMax ?? Infinity)
    })
    const inOrder = may.toSorted((left, right) =>
      isSooner(left, right) ? -1 : isSooner(right, left) ? 1 : 0,
    )
    const aged = inOrder
      .filter(({ askedMs }) => nowMs - askedMs >= aging.afterMs)
      .toSorted((left, right) => left.askedMs - right.askedMs)[0]
    const isAged = aged !== undefined && nowMs - this.#agedMs >= aging.everyMs
    const one = isAged ? aged : inOrder[0]
    if (!one || sum(this.held) + one.amount > this.#options.capacity) return undefined
    if (isAged) this.#agedMs = nowMs
    this.waiting.splice(this.waiting.indexOf(one), 1)
    this.held.push(one)
    return one.id
  }
}

const sum = (list: readonly Asked[]) => list.reduce((total, { amount }) => total + amount, 0)

test('[sched-1] grants are those of a slow reference, whatever is asked, given back and withdrawn', () => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const clock = new VirtualClock({ seed })
    const below = (max: number) => Math.floor(clock.random() * max)
    const options = { name: 'x', capacity: 1 + below(4), queueMax: 24, perAgent: { heldMax: 1 + below(3) } }
    const resource = new Resource<Asked>(options, 0)
    const reference = new Reference(options)
    let granted = 0
    for (let step = 0; step < 400; step += 1) {
      clock.advance(clock.random() * 120)
      const nowMs = clock.monotonicMs()
      const what = clock.random()
      if (what < 0.6) {
        const one = asked({
          ...{ id: step, agent: `a${below(5)}`, askedMs: nowMs, amount: 1 + below(options.capacity) },
          priority: priorities[below(3)] as Priority,
          dueMs: nowMs + clock.random() * 3_000,
        })
        const problem = resource.add(one)
        expect(problem === undefined).toBe(reference.waiting.length < options.queueMax)
        if (problem === undefined) reference.waiting.push(one)
      } else if (what < 0.9) {
        const [one] = reference.held.splice(below(reference.held.length), 1)
        if (one) resource.giveBack(one, nowMs)
      } else {
        const [one] = reference.waiting.splice(below(reference.waiting.length), 1)
        if (one) resource.remove(one)
      }
      for (;;) {
        const one = resource.next(nowMs)?.id
        expect(one).toBe(reference.next(nowMs))
        if (one === undefined) break
        granted += 1
      }
    }
    expect(granted).toBeGreaterThan(50)
  }
})

test('[sched-2] nobody waits longer than the bound, however many more urgent ones come', () => {
  const holdMsMax = 40
  let longest = 0
  for (let seed = 1; seed <= 8; seed += 1) {
    const clock = new VirtualClock({ seed })
    const queueMax = 8
    const resource = new Resource<Asked>({ name: 'x', capacity: 1, queueMax }, 0)
    const boundMs = aging.afterMs + queueMax * (aging.everyMs + holdMsMax)
    let holder: Asked | undefined
    let untilMs = 0
    for (let step = 0; step < 20_000; step += 1) {
      clock.advance(1)
      const nowMs = clock.monotonicMs()
      // As many control requests as fit, always; the others get in where they can.
      const priority: Priority = clock.random() < 0.02 ? 'background' : 'control'
      const room = priority === 'background' || resource.waiting < queueMax - 2
      const holdMs = 1 + clock.random() * (holdMsMax - 1)
      if (room) resource.add(asked({ id: step, priority, dueMs: nowMs + 5, askedMs: nowMs, holdMs }))
      if (holder && nowMs >= untilMs) {
        resource.giveBack(holder, nowMs)
        holder = undefined
      }
      const next = holder ? undefined : resource.next(nowMs)
      if (!next) continue
      holder = next
      untilMs = nowMs + next.holdMs - 1
      expect(nowMs - next.askedMs).toBeLessThanOrEqual(boundMs)
      if (next.priority === 'background') longest = Math.max(longest, nowMs - next.askedMs)
    }
    for (const one of resource.line) expect(clock.monotonicMs() - one.askedMs).toBeLessThanOrEqual(boundMs)
  }
  // They did have to wait until they were old.
  expect(longest).toBeGreaterThanOrEqual(aging.afterMs)
})

test('[sched-3] a large request is not starved by small ones that would fit before it', () => {
  const resource = new Resource<Asked>({ name: 'x', capacity: 4, queueMax: 8 }, 0)
  const held = asked({ id: 1, priority: 'control' })
  resource.add(held)
  expect(resource.next(0)).toBe(held)
  const large = asked({ id: 2, amount: 4, dueMs: 10 })
  resource.add(large)
  resource.add(asked({ id: 3, dueMs: 20 }))
  expect(resource.next(0)).toBeUndefined()
  resource.giveBack(held, 5)
  expect(resource.next(5)).toBe(large)
})

test('[sched-4] of 1,000,000 requests the queue takes what it may hold and refuses the rest', () => {
  const resource = new Resource<Asked>(
    { name: 'turns', capacity: 1, queueMax: 1_024, perAgent: { waitingMax: 1_000 } },
    0,
  )
  const one = asked({ id: 0, agent: 'flood' })
  let taken = 0
  let problem: string | undefined
  for (let at = 0; at < 1_000_000; at += 1) {
    problem = resource.add(at < 2_000 ? { ...one, id: at } : one)
    if (problem === undefined) taken += 1
  }
  expect(taken).toBe(1_000)
  expect(problem).toBe('1000 requests of flood wait for turns already')
  for (let at = 0; at < 30; at += 1) resource.add(asked({ id: at, agent: `other${at}` }))
  expect(resource.waiting).toBe(1_024)
  expect(resource.add(asked({ id: 99, agent: 'late' }))).toBe('1024 requests wait for turns already')
})

test('[sched-5] a budget is used up, comes back with time, and what was used beyond it is paid first', () => {
  const resource = new Resource<Asked>({ name: 'tokens', capacity: 1_000, refillMs: 60_000, queueMax: 8 }, 0)
  const first = asked({ id: 1, amount: 600 })
  resource.add(first)
  expect(resource.next(0)).toBe(first)
  resource.giveBack(first, 0, 900)
  const second = asked({ id: 2, amount: 400 })
  resource.add(second)
  expect(resource.next(0)).toBeUndefined()
  const againMs = resource.lookAgainMs(0) ?? 0
  expect(againMs).toBeCloseTo(18_000)
  expect(resource.next(againMs - 1)).toBeUndefined()
  expect(resource.next(againMs)).toBe(second)
  expect(resource.add(asked({ id: 3, amount: 1_001 }))).toBe('tokens has 1000, never 1001')
})

test('[sched-6] an agent has no more at a time and no more often than its limits say', () => {
  const perAgent = { heldMax: 1, rate: { max: 2, perMs: 1_000 } }
  const resource = new Resource<Asked>({ name: 'x', capacity: 4, queueMax: 8, perAgent }, 0)
  const mine = [1, 2, 3].map((id) => asked({ id, agent: 'mine', priority: 'control' }))
  for (const one of mine) resource.add(one)
  const other = asked({ id: 9, agent: 'other' })
  resource.add(other)
  expect(resource.next(0)).toBe(mine[0])
  expect(resource.next(0)).toBe(other)
  expect(resource.next(0)).toBeUndefined()
  resource.giveBack(mine[0] as Asked, 10)
  expect(resource.next(10)).toBe(mine[1])
  resource.giveBack(mine[1] as Asked, 20)
  expect(resource.next(20)).toBeUndefined()
  const againMs = resource.lookAgainMs(20) ?? 0
  expect(againMs).toBeCloseTo(500)
  expect(resource.next(againMs)).toBe(mine[2])
})

test('[sched-6] an agent that is named has limits of its own, the others those of all', () => {
  const byName = new Map([['lamp', { heldMax: 2, waitingMax: 1 }]])
  const perAgent = { heldMax: 1, waitingMax: 3 }
  const resource = new Resource<Asked>({ name: 'x', capacity: 8, queueMax: 8, perAgent, byName }, 0)
  const asks = (agent: string, ids: number[]) => ids.map((id) => resource.add(asked({ id, agent })))
  expect(asks('lamp', [1, 2])).toEqual([undefined, '1 requests of lamp wait for x already'])
  expect(asks('other', [3, 4])).toEqual([undefined, undefined])
  expect([0, 0, 0].map(() => resource.next(0)?.id)).toEqual([1, 3, undefined])
  expect(asks('lamp', [5])).toEqual([undefined])
  expect(resource.next(0)?.id).toBe(5)
})

test('[sched-6] of a budget an agent has no more in a time than its limit says, and pays first what it took beyond it', () => {
  const perAgent = { rate: { max: 100, perMs: 60_000 } }
  const resource = new Resource<Asked>(
    { name: 'tokens', capacity: 10_000, refillMs: 60_000, queueMax: 8, perAgent },
    0,
  )
  const [first, second, other] = [
    asked({ id: 1, agent: 'poet', amount: 80 }),
    asked({ id: 2, agent: 'poet', amount: 10 }),
    asked({ id: 3, agent: 'other', amount: 10 }),
  ]
  resource.add(first)
  expect(resource.next(0)).toBe(first)
  resource.giveBack(first, 0, 160)
  resource.add(second)
  resource.add(other)
  expect(resource.next(0)).toBe(other)
  expect(resource.next(0)).toBeUndefined()
  // 60 are owed, and one is to be there: 61 of 100 a minute.
  const againMs = resource.lookAgainMs(0) ?? 0
  expect(againMs).toBeCloseTo(36_600)
  expect(resource.next(againMs)).toBe(second)
})
