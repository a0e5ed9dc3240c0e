/** What a board keeps on the disk. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { BoardStore } from '../../../../runtime/agent/board/board-store.ts'
import { realClock } from '../../../../runtime/base/clock.ts'
import { silentLog } from '../../../../runtime/base/log.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'board-store-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const open = () => BoardStore.open({ clock: realClock, log: silentLog }, join(directory, 'board.db'))
const ballot = { n: 3, device: 'attic', id: 'a' }

test('what was put is there after a restart, the latest of each, and nothing is made before that [board-store-1] [board-store-2]', async () => {
  const { store, kept } = await open()
  expect(kept.places).toEqual([])
  expect(readdirSync(directory)).toEqual([])
  store.place('mode', 'old')
  store.place('mode', 'new')
  store.place('gone', 'x')
  store.place('gone', undefined)
  store.register('turn', { promised: ballot })
  store.register('mode', { promised: ballot, accepted: { ballot, envelope: 'proposed' } })
  store.written('comfort 1', 'new')
  await store.durable()
  // As a power cut leaves it: nobody says goodbye.
  store.register('late', { promised: ballot })
  await store[Symbol.asyncDispose]()
  const again = await open()
  await using _ = again.store
  expect(again.kept.places).toEqual(['new'])
  expect(again.kept.registers.get('turn')).toEqual({ promised: ballot })
  expect(again.kept.registers.get('mode')).toEqual({
    promised: ballot,
    accepted: { ballot, envelope: 'proposed' },
  })
  expect([...again.kept.written]).toEqual([['comfort 1', 'new']])
})

test('calls that wrote are forgotten, the oldest first', async () => {
  const { store } = await open()
  for (let n = 0; n < 2_100; n += 1) store.written(`call ${n}`, 'x')
  await store.durable()
  await store[Symbol.asyncDispose]()
  const again = await open()
  await using _ = again.store
  expect(again.kept.written.size).toBe(2_048)
  expect(again.kept.written.has('call 2099')).toBe(true)
})

test('a file that cannot be read is put aside [board-store-3]', async () => {
  writeFileSync(join(directory, 'board.db'), 'this is no database, and long enough to be looked at')
  const { store, kept } = await open()
  await using _ = store
  expect(kept.places).toEqual([])
  expect(readdirSync(directory).some((name) => name.startsWith('board.db.corrupt-'))).toBe(true)
  store.place('mode', 'new')
  await store.durable()
})
