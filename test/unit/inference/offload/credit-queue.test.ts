/** The queue behind credits: its rules one by one, and under thousands of random steps. */
import { describe, expect, test } from 'vitest'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { CreditQueue, type QueueItem } from '../../../../runtime/inference/offload/credit-queue.ts'
import type { Priority } from '../../../../runtime/wire/infer.ts'

interface Item extends QueueItem {
  readonly name: string
  readonly able: readonly string[]
}
const item = (name: string, changes: Partial<Item> = {}): Item => ({
  name,
  priority: 'interactive',
  bytes: 10,
  dueMs: 1000,
  able: ['a'],
  ...changes,
})
const limits = { requestsMax: 10, bytesMax: 1000 }
const take = (queue: CreditQueue<Item>) => queue.take(({ able }) => able)

describe('[offload-7] CreditQueue', () => {
  test('sends by class, then by deadline, then in the order of arrival', () => {
    const queue = new CreditQueue<Item>(limits)
    queue.grant('a', { requests: 10, bytes: 1000 })
    queue.add(item('later', { dueMs: 2000 }))
    queue.add(item('background', { priority: 'background', dueMs: 1 }))
    queue.add(item('soon'))
    queue.add(item('soon too'))
    queue.add(item('control', { priority: 'control', dueMs: 9000 }))
    const order = Array.from({ length: 5 }, () => take(queue)?.item.name)
    expect(order).toEqual(['control', 'soon', 'soon too', 'later', 'background'])
  })

  test('sends nothing without credits, and goes on when an answer gives one back', () => {
    const queue = new CreditQueue<Item>(limits)
    const [one, two] = [item('one'), item('two')]
    queue.add(one)
    queue.add(two)
    expect(take(queue)).toBeUndefined()
    queue.grant('a', { requests: 1, bytes: 1000 })
    expect(take(queue)?.item).toBe(one)
    expect(take(queue)).toBeUndefined()
    queue.settle(one)
    expect(take(queue)?.item).toBe(two)
  })

  test('a large one that waits for bytes is not passed for ever by small ones', () => {
    const queue = new CreditQueue<Item>(limits)
    queue.grant('a', { requests: 10, bytes: 100 })
    const first = item('first', { bytes: 50 })
    queue.add(first)
    expect(take(queue)?.item).toBe(first)
    queue.add(item('large', { bytes: 90 }))
    queue.add(item('small', { dueMs: 2000 }))
    expect(take(queue)).toBeUndefined()
    queue.settle(first)
    expect(take(queue)?.item.name).toBe('large')
    // But one that no worker would ever take holds up nobody.
    queue.add(item('huge', { bytes: 500, priority: 'control' }))
    expect(take(queue)?.item.name).toBe('small')
  })

  test('full, it sheds the least urgent of what waits, or refuses; never what was sent', () => {
    const queue = new CreditQueue<Item>({ requestsMax: 3, bytesMax: 1000 })
    queue.grant('a', { requests: 1, bytes: 1000 })
    const sent = item('sent', { priority: 'background' })
    queue.add(sent)
    take(queue)
    queue.add(item('background', { priority: 'background' }))
    queue.add(item('interactive'))
    expect(queue.add(item('more background', { priority: 'background' }))).toEqual({ taken: false })
    expect(queue.add(item('control', { priority: 'control' }))).toMatchObject({
      taken: true,
      shed: [{ name: 'background' }],
    })
    expect(queue.add(item('another', { priority: 'interactive' }))).toEqual({ taken: false })
    expect(queue.waiting.map(({ name }) => name)).toEqual(['control', 'interactive'])
    expect(queue.unanswered('a').requests).toBe(1)
  })

  test('shedding that would not be enough sheds nobody', () => {
    const queue = new CreditQueue<Item>({ requestsMax: 10, bytesMax: 100 })
    queue.add(item('keeps', { bytes: 60 }))
    queue.add(item('small', { bytes: 20, priority: 'background' }))
    expect(queue.add(item('large', { bytes: 80, priority: 'control' }))).toMatchObject({ taken: true })
    const other = new CreditQueue<Item>({ requestsMax: 10, bytesMax: 100 })
    other.add(item('keeps', { bytes: 60, priority: 'control' }))
    other.add(item('small', { bytes: 20, priority: 'background' }))
    expect(other.add(item('large', { bytes: 80, priority: 'control' }))).toEqual({ taken: false })
    expect(other.waiting).toHaveLength(2)
  })

  test('what a lost worker had waits again, in its old order', () => {
    const queue = new CreditQueue<Item>(limits)
    queue.grant('a', { requests: 2, bytes: 1000 })
    for (const name of ['one', 'two', 'three']) queue.add(item(name, { dueMs: name.length * 100 }))
    take(queue)
    take(queue)
    expect(queue.lose('a').map(({ name }) => name)).toEqual(['one', 'two'])
    expect(queue.waiting.map(({ name }) => name)).toEqual(
      ['one', 'two', 'three'].toSorted((a, b) => a.length - b.length),
    )
    expect(take(queue)).toBeUndefined()
    expect(queue.size).toBe(3)
  })

  test('under random steps no worker ever has more than it granted, and all bounds hold', () => {
    for (let seed = 1; seed <= 40; seed += 1) randomSteps(seed)
  })
})

/** A model of the queue that only counts, beside the queue itself. */
function randomSteps(seed: number): void {
  const clock = new VirtualClock({ seed })
  const below = (max: number) => Math.floor(clock.random() * max)
  const bounds = { requestsMax: 12, bytesMax: 600 }
  const queue = new CreditQueue<Item>(bounds)
  const workers = ['a', 'b', 'c']
  const granted = new Map<string, { requests: number; bytes: number }>()
  const at = new Map<Item, string>()
  const waiting = new Set<Item>()
  const usedAt = (worker: string) => {
    const items = [...at].filter(([, place]) => place === worker).map(([one]) => one)
    return { requests: items.length, bytes: items.reduce((sum, { bytes }) => sum + bytes, 0) }
  }
  const steps: (() => void)[] = [
    () => {
      const priority = (['control', 'interactive', 'background'] as const)[below(3)] as Priority
      const able = workers.filter(() => clock.random() < 0.7)
      const added = item(`${seed}`, { priority, able, bytes: 1 + below(150), dueMs: below(100) })
      const taken = queue.add(added)
      if (!taken.taken) return
      waiting.add(added)
      for (const shed of taken.shed) {
        expect(waiting.delete(shed)).toBe(true)
        expect(shed.priority).not.toBe('control')
      }
    },
    () => {
      const taken = take(queue)
      if (!taken) return
      const { item: sent, worker } = taken
      expect(waiting.delete(sent)).toBe(true)
      expect(sent.able).toContain(worker)
      at.set(sent, worker)
      // At the moment of sending the worker's grant covers all that is unanswered there.
      const used = usedAt(worker)
      expect(used.requests).toBeLessThanOrEqual(granted.get(worker)?.requests ?? 0)
      expect(used.bytes).toBeLessThanOrEqual(granted.get(worker)?.bytes ?? 0)
    },
    () => {
      const [answered] = [...at.keys()].slice(below(at.size))
      if (!answered) return
      at.delete(answered)
      queue.settle(answered)
      queue.settle(answered)
    },
    () => {
      const worker = workers[below(3)] as string
      const credits = { requests: below(5), bytes: below(300) }
      granted.set(worker, credits)
      queue.grant(worker, credits)
    },
    () => {
      const worker = workers[below(3)] as string
      if (clock.random() < 0.7) return
      granted.delete(worker)
      for (const lost of queue.lose(worker)) {
        expect(at.get(lost)).toBe(worker)
        at.delete(lost)
        waiting.add(lost)
      }
      expect(usedAt(worker).requests).toBe(0)
    },
    () => {
      const [moved] = [...at.keys()].slice(below(at.size))
      if (!moved) return
      at.delete(moved)
      waiting.add(moved)
      queue.putBack(moved)
    },
  ]
  for (let step = 0; step < 400; step += 1) {
    steps[below(steps.length)]?.()
    expect(new Set(queue.waiting)).toEqual(waiting)
    expect(queue.size).toBe(waiting.size + at.size)
    expect(queue.size).toBeLessThanOrEqual(bounds.requestsMax)
    expect(queue.bytes).toBeLessThanOrEqual(bounds.bytesMax)
    for (const worker of workers) expect(queue.unanswered(worker)).toEqual(usedAt(worker))
  }
}
