/** Whose turn it is: classes, deadlines, expired work, full queues, starvation. */
import { expect, test } from 'vitest'
import type { Priority } from '../../../runtime/wire/infer.ts'
import { Shelf, shelved } from './model-shelf.ts'

const models = [shelved('a', 1), shelved('b', 1), shelved('busy', 1)]

/** A shelf that is busy with one request until it is let on. */
async function busy(options: ConstructorParameters<typeof Shelf>[1] = {}) {
  const shelf = new Shelf(models, options)
  for (const model of ['a', 'b']) {
    shelf.ask(`warm ${model}`, model)
    await shelf.until(`warm ${model}`)
  }
  const { letOn } = shelf.hold('busy')
  shelf.ask('busy', 'busy', { priority: 'control', deadlineMs: 1e6 })
  await shelf.until('begun busy')
  shelf.said.length = 0
  return { shelf, letOn }
}

test('[engine-4] within a class the earliest deadline goes first, whatever came first and whatever model it asks for', async () => {
  const { shelf, letOn } = await busy()
  shelf.ask('late', 'a', { deadlineMs: 3000 })
  shelf.ask('soon', 'b', { deadlineMs: 1000 })
  shelf.ask('also soon', 'a', { deadlineMs: 1000 })
  shelf.ask('control', 'a', { deadlineMs: 9000, priority: 'control' })
  shelf.ask('background', 'a', { deadlineMs: 500, priority: 'background' })
  letOn()
  await shelf.until('background')
  expect(shelf.said.filter((line) => line !== 'busy')).toEqual([
    'control',
    'soon',
    'also soon',
    'late',
    'background',
  ])
})

test('[engine-12] expired work is counted and never run', async () => {
  const { shelf, letOn } = await busy()
  shelf.ask('late', 'a', { deadlineMs: 20 })
  shelf.ask('in time', 'a', { deadlineMs: 2000 })
  shelf.clock.advance(20)
  letOn()
  await shelf.until('in time', 'late deadline')
  expect(shelf.message('late')).toBe('not finished within its 20 ms')
  expect(shelf.figures('a')).toMatchObject({ expired: 1, answered: 2, queued: 0, running: 0 })
})

test('[engine-12] what no run was ever quick enough for is dropped before it runs, but for one in eight', async () => {
  const shelf = new Shelf(models)
  for (let at = 0; at < 40; at += 1) {
    shelf.ask(`${at}`, 'a')
    await shelf.until(`${at}`)
  }
  expect(shelf.figures('a')?.runMs).toMatchObject({ samples: 40 })
  for (let at = 0; at < 16; at += 1)
    shelf.ask(`hopeless ${at}`, 'a', { deadlineMs: 5, priority: 'background' })
  shelf.ask('last', 'a', { deadlineMs: 100, priority: 'background' })
  await shelf.until('last')
  const ran = shelf.said.filter((line) => /^hopeless \d+$/.test(line))
  expect(ran).toEqual(['hopeless 7'])
  expect(shelf.message('hopeless 0')).toBe(
    'not run: of its 5 ms 5.0 ms are left, and the quickest of the last runs took 10.0',
  )
})

test('[engine-13] one background request a second runs, however much urgent work there is', async () => {
  const shelf = new Shelf(models)
  shelf.ask('warm', 'a')
  await shelf.until('warm')
  shelf.runMs = 100
  const ask = (id: number) => shelf.ask(`urgent ${id}`, 'a', { priority: 'control', deadlineMs: 1e6 })
  for (let id = 0; id < 60; id += 1) ask(id)
  for (const id of [1, 2, 3]) shelf.ask(`patient ${id}`, 'b', { priority: 'background', deadlineMs: 1e6 })
  await shelf.until('patient 3')
  const turns = shelf.said
    .map((line) => line.split(' ')[0])
    .filter((word) => word === 'urgent' || word === 'patient')
  const gaps = turns
    .join(' ')
    .split('patient')
    .slice(0, 3)
    .map((gap) => gap.trim().split(' ').length)
  // Ten runs of 100 ms; the first background request also has a load, a turn of its own.
  for (const gap of gaps) expect(gap).toBeGreaterThan(8)
  for (const gap of gaps) expect(gap).toBeLessThan(22)
})

test('[engine-13] a model that is flooded leaves places for the others', async () => {
  const { shelf, letOn } = await busy({ queueMax: 6, modelQueueMax: 3 })
  for (const id of ['1', '2', '3', '4']) shelf.ask(id, 'a')
  expect(shelf.said).toEqual(['4 overloaded'])
  expect(shelf.message('4')).toBe('3 requests for a wait already')
  shelf.ask('other', 'b')
  letOn()
  await shelf.until('other', '3')
  expect(shelf.figures('a')).toMatchObject({ refused: 1, answered: 4 })
})

test('[engine-13] when the queue is full the least urgent makes way for what is more urgent, and for nothing else', async () => {
  const { shelf, letOn } = await busy({ queueMax: 3 })
  shelf.ask('background', 'a', { priority: 'background' })
  shelf.ask('interactive', 'a')
  shelf.ask('one more', 'a', { priority: 'background' })
  expect(shelf.said).toEqual(['one more overloaded'])
  shelf.ask('control', 'b', { priority: 'control' })
  expect(shelf.said.at(-1)).toBe('background overloaded')
  expect(shelf.message('background')).toBe('made way for more urgent work')
  shelf.ask('more control', 'b', { priority: 'control' })
  expect(shelf.said.at(-1)).toBe('interactive overloaded')
  shelf.ask('too much', 'b', { priority: 'control' })
  expect(shelf.message('too much')).toBe('3 requests wait already')
  letOn()
  await shelf.until('control', 'more control')
})

test.for(['control', 'interactive', 'background'] as const)(
  '[engine-5] figures of queued and running return to none, cancelled or answered: %s',
  async (priority: Priority) => {
    const { shelf, letOn } = await busy()
    shelf.ask('stays', 'a', { priority })
    shelf.ask('goes', 'a', { priority })
    expect(shelf.figures('a')).toMatchObject({ queued: 2, running: 0 })
    expect(shelf.figures('busy')).toMatchObject({ queued: 0, running: 1 })
    shelf.scheduler.cancel('goes')
    letOn()
    await shelf.until('stays')
    expect(shelf.figures('a')).toMatchObject({ queued: 0, running: 0 })
  },
)
