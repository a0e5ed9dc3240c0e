/** Models within a budget: measured, evicted, refused, waited for. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Shelf, shelved } from './model-shelf.ts'

test('[engine-9] a model that needs room takes that of the least worth, and that one loads again when it is asked', async () => {
  const shelf = new Shelf([shelved('a', 40), shelved('b', 40), shelved('c', 40)])
  shelf.table.setBudget(100)
  for (const [id, model] of [
    ['1', 'a'],
    ['2', 'b'],
    ['3', 'b'],
    ['4', 'c'],
    ['5', 'a'],
  ] as const) {
    shelf.ask(id, model)
    await shelf.until(id)
  }
  expect(shelf.said).toEqual([
    'loaded a 40',
    '1',
    'loaded b 40',
    '2',
    '3',
    'evicted a 40',
    'released a',
    'loaded c 40',
    '4',
    'evicted c 40',
    'released c',
    'loaded a 40',
    '5',
  ])
  expect(shelf.nativePeakMb).toBe(180)
  expect(shelf.figures('a')).toMatchObject({
    loads: 2,
    evictions: 1,
    answered: 2,
    memoryMb: 40,
    measured: true,
  })
  expect(shelf.table.memory()).toEqual({ budgetMb: 100, usedMb: 80, pinnedMb: 0 })
})

test('[engine-9] whatever is asked in whatever order, the process holds no more than the budget, and pins stay', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 2, maxLength: 6 }),
      fc.array(fc.nat(5), { maxLength: 25 }),
      async (sizes, asked) => {
        const models = sizes.map((mb, at) => shelved(`m${at}`, mb, { pin: at === 0 }))
        const shelf = new Shelf(models)
        shelf.table.setBudget(100)
        for (const [at, pick] of asked.entries()) {
          shelf.ask(`${at}`, `m${pick % sizes.length}`)
          await shelf.until(`${at}`)
        }
        expect(shelf.nativePeakMb - 100).toBeLessThanOrEqual(100)
        expect(shelf.said.filter((line) => line.startsWith('evicted m0'))).toEqual([])
      },
    ),
    { numRuns: 30 },
  )
})

test('[engine-10] a model that cannot fit is refused with one line, and evicts nothing', async () => {
  const shelf = new Shelf([shelved('small', 30, { pin: true }), shelved('other', 20), shelved('large', 80)])
  shelf.table.setBudget(100)
  shelf.ask('1', 'small')
  shelf.ask('2', 'other')
  await shelf.until('1', '2')
  shelf.ask('3', 'large')
  await shelf.until('3 memory')
  expect(shelf.message('3')).toBe('model large needs 80 MB, models may take 100 MB; pinned: small 30 MB')
  await shelf.table.load('large')
  expect(shelf.said.at(-1)).toBe(`failed large memory: ${shelf.message('3')}`)
  expect(shelf.said.some((line) => line.startsWith('evicted'))).toBe(false)
  expect(shelf.figures('large')).toMatchObject({ loads: 0, refused: 1 })
  expect(shelf.table.states()[2]?.state).toBe('present')
})

test('[engine-10] a request whose model fits once another is let go waits for it, and that one goes on first', async () => {
  const shelf = new Shelf([shelved('long', 60), shelved('urgent', 60), shelved('tiny', 1)])
  shelf.table.setBudget(100)
  shelf.ask('tiny first', 'tiny')
  await shelf.until('tiny first')
  const { letOn } = shelf.hold('long')
  shelf.ask('long', 'long', { priority: 'background' })
  await shelf.until('begun long')
  shelf.ask('urgent', 'urgent', { priority: 'control' })
  shelf.ask('tiny', 'tiny')
  letOn()
  await shelf.until('tiny')
  const order = shelf.said.filter((line) => ['long', 'urgent', 'tiny', 'evicted long 60'].includes(line))
  expect(order).toEqual(['long', 'evicted long 60', 'urgent', 'tiny'])
})

test('[engine-10] one that waits for memory is dropped at its deadline', async () => {
  const shelf = new Shelf([shelved('long', 60), shelved('urgent', 60)])
  shelf.table.setBudget(100)
  const { letOn } = shelf.hold('long')
  shelf.ask('long', 'long')
  await shelf.until('begun long')
  shelf.ask('urgent', 'urgent', { deadlineMs: 50 })
  shelf.clock.advance(60)
  letOn()
  await shelf.until('long')
  expect(shelf.said).toContain('urgent deadline')
  expect(shelf.figures('urgent')).toMatchObject({ loads: 0, expired: 1, queued: 0 })
})

test('[engine-11] a model counts with what it was measured to take, over its load and its first run', async () => {
  const shelf = new Shelf([shelved('modest', 10, { options: { mb: 30, runMb: 25 } }), shelved('other', 50)])
  shelf.table.setBudget(100)
  shelf.ask('1', 'other')
  await shelf.until('1')
  shelf.ask('2', 'modest')
  await shelf.until('2')
  // 105 MB after its first run: the other went as soon as that was known.
  expect(shelf.said).toEqual([
    'loaded other 50',
    '1',
    'loaded modest 30',
    'evicted other 50',
    'released other',
    '2',
  ])
  expect(shelf.figures('modest')).toMatchObject({ memoryMb: 55, measured: true })
})

test('[engine-11] a model that turns out larger than the budget answers who asked, goes, and is then refused', async () => {
  const shelf = new Shelf([shelved('liar', 10, { options: { mb: 150, runMb: 0 } })])
  shelf.table.setBudget(100)
  shelf.ask('1', 'liar')
  await shelf.until('1', 'released liar')
  shelf.ask('2', 'liar')
  await shelf.until('2 memory')
  expect(shelf.message('2')).toBe('model liar needs 150 MB, models may take 100 MB')
})

test('[engine-9] a smaller budget makes room at once, but for what is pinned or in use', async () => {
  const shelf = new Shelf([shelved('pinned', 30, { pin: true }), shelved('busy', 30), shelved('idle', 30)])
  for (const model of ['pinned', 'idle']) {
    shelf.ask(model, model)
    await shelf.until(model)
  }
  const { letOn } = shelf.hold('busy')
  shelf.ask('busy', 'busy')
  await shelf.until('begun busy')
  shelf.table.setBudget(20)
  expect(shelf.said.filter((line) => line.startsWith('evicted'))).toEqual(['evicted idle 30'])
  letOn()
  await shelf.until('busy', 'released busy')
  expect(shelf.table.memory()).toEqual({ budgetMb: 20, usedMb: 30, pinnedMb: 30 })
  shelf.table.setBudget(undefined)
  shelf.ask('again', 'idle')
  await shelf.until('again')
})

test('[engine-10] a load that waits for memory is answered once there is some', async () => {
  const shelf = new Shelf([shelved('long', 60), shelved('wanted', 60)])
  shelf.table.setBudget(100)
  const { letOn } = shelf.hold('long')
  shelf.ask('long', 'long')
  await shelf.until('begun long')
  const loaded = shelf.table.load('wanted')
  letOn()
  await loaded
  expect(shelf.said).toEqual([
    'loaded long 60',
    'begun long',
    'long',
    'evicted long 60',
    'released long',
    'loaded wanted 60',
  ])
})

test.for(['unloaded', 'removed'] as const)(
  '[engine-10] a load that waits for memory goes on at once when a pinned model is %s',
  async (way) => {
    const others = [shelved('long', 30), shelved('wanted', 60)]
    const shelf = new Shelf([shelved('pinned', 30, { pin: true }), ...others])
    shelf.table.setBudget(100)
    await shelf.table.load('pinned')
    const { letOn } = shelf.hold('long')
    shelf.ask('long', 'long')
    await shelf.until('begun long')
    const loaded = shelf.table.load('wanted')
    if (way === 'unloaded') shelf.table.unload('pinned')
    else shelf.table.set(others)
    await loaded
    expect(shelf.said).toEqual([
      'loaded pinned 30',
      'loaded long 30',
      'begun long',
      'released pinned',
      'loaded wanted 60',
    ])
    letOn()
    await shelf.until('long')
  },
)
