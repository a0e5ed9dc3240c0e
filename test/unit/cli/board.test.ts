/** What `ganglion board` shows. */
import { expect, test } from 'vitest'
import { changes, lines } from '../../../runtime/cli/commands/board.ts'
import type { BoardFact } from '../../../runtime/wire/board.ts'

const plain = { style: (_name: string, text: string) => text } as never
const fact = (key: string, version: number, value: unknown): BoardFact => {
  const tsMs = Date.UTC(2026, 0, 2, 12) + version
  return { key, version, value, author: 'attic', tsMs, untilMs: tsMs + 60_000 }
}
const board = (...facts: BoardFact[]) => new Map(facts.map((one) => [one.key, one]))

test('a line a fact, and why there is none', () => {
  const { length, 0: first } = lines(
    { facts: [fact('heat.attic', 3, { demand: 1 })], more: false, count: 1, refused: 0 },
    undefined,
    plain,
  )
  expect(length).toBe(1)
  expect(first).toContain('heat.attic  {"demand":1}  version 3, by attic')
  expect(lines({ facts: [], more: false, count: 0, refused: 2 }, undefined, plain)).toEqual([
    'nothing is shared',
    '2 messages to the board were refused',
  ])
  expect(lines({ facts: [], more: false, count: 7, refused: 0 }, 'heat.*', plain)).toEqual([
    'nothing fits heat.*; 7 facts are shared',
  ])
})

test('what changed between two looks: written, written again, gone', () => {
  const before = board(fact('a', 1, 1), fact('b', 1, 1), fact('c', 1, 1))
  const now = board(fact('a', 1, 1), fact('b', 2, 2), fact('d', 1, 1))
  expect(changes(before, now).map(({ key, value, gone }) => [key, value, gone])).toEqual([
    ['b', 2, undefined],
    ['d', 1, undefined],
    ['c', null, true],
  ])
  expect(changes(now, now)).toEqual([])
})
