/** Which models make room: the policy alone, whatever is loaded. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  megabytesOf,
  type Resident,
  roomFor,
  Uses,
  worth,
} from '../../../runtime/inference/engine/memory-budget.ts'

const minuteMs = 60_000

function used(...atMs: readonly number[]): Uses {
  const uses = new Uses()
  for (const ms of atMs) uses.add(ms)
  return uses
}

const resident = (name: string, more: Partial<Resident> = {}): Resident => ({
  name,
  memoryMb: 10,
  reloadMs: 100,
  pinned: false,
  inUse: false,
  uses: used(0),
  ...more,
})

const residents = fc.uniqueArray(
  fc.record({
    name: fc.string({ minLength: 1, maxLength: 3 }),
    memoryMb: fc.double({ min: 0, max: 100, noNaN: true }),
    reloadMs: fc.double({ min: 0, max: 5000, noNaN: true }),
    pinned: fc.boolean(),
    inUse: fc.boolean(),
    uses: fc
      .array(fc.integer({ min: 0, max: 60 * minuteMs }), { maxLength: 5 })
      .map((times) => used(...times.sort((a, b) => a - b))),
  }),
  { selector: ({ name }) => name, maxLength: 12 },
)
const question = fc.record({
  needed: fc.double({ min: 0, max: 200, noNaN: true }),
  residents,
  budget: fc.double({ min: 0, max: 400, noNaN: true }),
})
const nowMs = 60 * minuteMs

test('[engine-9] what is loaded and what is to load never exceed the budget, and what is pinned or in use stays', () => {
  fc.assert(
    fc.property(question, ({ needed, residents, budget }) => {
      const room = roomFor(needed, residents, budget, nowMs)
      const evicted = residents.filter(({ name }) => room.fits && room.evict.includes(name))
      const stays = residents.filter((one) => !evicted.includes(one))
      expect(evicted.every(({ pinned, inUse }) => !pinned && !inUse)).toBe(true)
      if (room.fits) expect(megabytesOf(stays) + needed).toBeLessThanOrEqual(budget + 1e-6)
      else {
        const firm = residents.filter(({ pinned, inUse }) => pinned || inUse)
        expect(megabytesOf(firm) + needed).toBeGreaterThan(budget - 1e-6)
        expect(room.reason).toMatch(/^needs [\d.]+ MB, models may take [\d.]+ MB/)
      }
    }),
  )
})

test('[engine-9] nothing goes that need not: each that stays out was needed', () => {
  fc.assert(
    fc.property(question, ({ needed, residents, budget }) => {
      const room = roomFor(needed, residents, budget, nowMs)
      if (!room.fits) return
      const used = megabytesOf(residents) + needed
      const freed = megabytesOf(residents.filter(({ name }) => room.evict.includes(name)))
      for (const name of room.evict) {
        const { memoryMb } = residents.find((one) => one.name === name) as Resident
        expect(used - (freed - memoryMb)).toBeGreaterThan(budget - 1e-6)
      }
    }),
  )
})

test('[engine-9] the same question has the same answer, in whatever order models are listed', () => {
  fc.assert(
    fc.property(question, fc.integer(), ({ needed, residents, budget }, seed) => {
      const shuffled = residents.toSorted((a, b) => hash(a.name, seed) - hash(b.name, seed))
      const room = roomFor(needed, residents, budget, nowMs)
      const again = roomFor(needed, shuffled, budget, nowMs)
      expect(again.fits && [...again.evict].sort()).toEqual(room.fits && [...room.evict].sort())
    }),
  )
})

test('[engine-9] models that fill the budget to the last bit are as much in any order', () => {
  const sizes = [99.99999999999972, 99.9999999999998, 99.99999999999984, 99.99999999999969]
  const full = sizes.map((memoryMb, at) => resident(`model-${at}`, { memoryMb }))
  const budget = megabytesOf(full)
  for (const first of full)
    expect(megabytesOf([first, ...full.filter((other) => other !== first)])).toBe(budget)
})

function hash(text: string, seed: number): number {
  return [...text].reduce((sum, letter) => Math.imul(sum ^ (letter.codePointAt(0) ?? 0), 16777619), seed)
}

test.for([
  ['was used less lately', { uses: used(0) }, { uses: used(0, 1, 2) }],
  ['was used longer ago', { uses: used(0) }, { uses: used(30 * minuteMs) }],
  ['was much used, but long ago', { uses: used(0, 1, 2, 3) }, { uses: used(30 * minuteMs) }],
  ['loads again sooner', { reloadMs: 20 }, { reloadMs: 2000 }],
  ['frees more memory', { memoryMb: 80 }, { memoryMb: 10 }],
] as const)('[engine-9] of two models the one goes that %s', ([, goes, stays]) => {
  const two = [resident('stays', stays), resident('goes', goes)]
  expect(worth(two[1] as Resident, nowMs)).toBeLessThan(worth(two[0] as Resident, nowMs))
  expect(roomFor(1, two, megabytesOf(two), nowMs)).toEqual({ fits: true, evict: ['goes'] })
})

test('[engine-9] a small model is spared where the next that goes frees enough by itself', () => {
  const two = [resident('small', { memoryMb: 1, uses: used() }), resident('large', { memoryMb: 50 })]
  expect(roomFor(40, two, 60, nowMs)).toEqual({ fits: true, evict: ['large'] })
})

test('[engine-10] a refusal says what is needed, what there is, and who has the rest', () => {
  const held = [
    resident('vad', { memoryMb: 12.34, pinned: true }),
    resident('stt', { memoryMb: 60, inUse: true }),
    resident('faces', { memoryMb: 5 }),
  ]
  expect(roomFor(50, held, 100, nowMs)).toEqual({
    fits: false,
    later: true,
    reason: 'needs 50 MB, models may take 100 MB; pinned: vad 12.3 MB, in use: stt 60 MB',
  })
  expect(roomFor(95, held, 100, nowMs)).toMatchObject({ fits: false, later: false })
})
