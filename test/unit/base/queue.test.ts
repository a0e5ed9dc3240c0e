import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BoundedQueue } from '../../../runtime/base/queue.ts'

type Step = { readonly push: number } | 'shift' | 'clear'
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ push: fc.integer() }) },
  { weight: 4, arbitrary: fc.constant('shift' as const) },
  { weight: 1, arbitrary: fc.constant('clear' as const) },
)

/** What the queue must be, said with an array. */
function applyToModel(model: number[], max: number, todo: Step): unknown {
  if (todo === 'shift') return model.shift()
  if (todo === 'clear') return void model.splice(0)
  if (model.length >= max) return false
  model.push(todo.push)
  return true
}

function applyToQueue(queue: BoundedQueue<number>, todo: Step): unknown {
  if (todo === 'shift') return queue.shift()
  if (todo === 'clear') return queue.clear()
  return queue.push(todo.push)
}

describe('BoundedQueue', () => {
  test('behaves as an array that says no at its maximum [base-4]', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.array(step, { maxLength: 1000 }), (max, steps) => {
        const queue = new BoundedQueue<number>(max)
        const model: number[] = []
        for (const todo of steps) {
          expect(applyToQueue(queue, todo)).toEqual(applyToModel(model, max, todo))
          expect(queue.size).toBe(model.length)
        }
      }),
    )
  })

  test('keeps its order through many more items than its maximum', () => {
    const queue = new BoundedQueue<number>(100)
    let next = 0
    let expected = 0
    for (let round = 0; round < 1000; round += 1) {
      while (queue.push(next)) next += 1
      for (let taken = 0; taken < 70; taken += 1) {
        expect(queue.shift()).toBe(expected)
        expected += 1
      }
    }
  })

  test.each([0, -1, Number.NaN])('refuses %s as its maximum', (max) => {
    expect(() => new BoundedQueue(max)).toThrow('a queue needs a maximum above 0')
  })
})
