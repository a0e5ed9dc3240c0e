/** What a device remembers of moves that are over. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { AgentStore } from '../../../../runtime/agent/store/agent-store.ts'
import type { Arrival, StoredMove } from '../../../../runtime/agent/store/move-store.ts'

const nowMs = 1_800_000_000_000
const root = mkdtempSync(join(tmpdir(), 'moves-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const opened = async (name: string) => {
  const options = { directory: join(root, name), bytesMax: 64 * 1024 * 1024 }
  return (await AgentStore.open(options, nowMs)).store
}
const arrivalOf = (name: string): Arrival => ({
  agent: {
    ...{
      name,
      program: '0'.repeat(64),
      grants: '[]',
      state: 'running',
      reason: undefined,
      token: 1,
      seed: 1,
    },
    ...{ turn: 0, nowMs, startedMs: nowMs, restartsMax: 0, restarts: [], device: '', lastCall: 0 },
  },
  ...{ was: 'running', bundle: Buffer.from('bundle'), guest: '{}', image: undefined },
  ...{ turns: [], calls: [], log: [], luggage: Buffer.alloc(0) },
})
const moveOf = (id: string, agent: string, atMs = nowMs): Omit<StoredMove, 'phase'> => ({
  ...{ id, agent, atMs, peer: 'attic', was: 'running', token: 1 },
})

test('an agent that came is known to have come however many copies are kept since [agent-store-8]', async () => {
  await using store = await opened('begun')
  store.moves.arriving(moveOf('it-came', 'traveller'), arrivalOf('traveller'))
  store.moves.begun({ ...moveOf('it-came', 'traveller'), phase: 'arriving' }, 2, 'begun')
  for (let at = 0; at < 300; at += 1)
    store.moves.keeping(moveOf(`copy-${at}`, 'watcher', nowMs + at), arrivalOf('watcher'))
  expect(store.moves.move('it-came')?.phase).toBe('begun')
  // Of what is over not all is kept.
  expect(store.moves.move('copy-0')).toBeUndefined()
})

test('the last move of an agent is the last one also where the clock was set back [agent-store-8]', async () => {
  await using store = await opened('clock')
  store.moves.arriving(moveOf('first', 'traveller'), arrivalOf('traveller'))
  store.moves.over({ ...moveOf('first', 'traveller'), phase: 'arriving' }, 'dropped')
  store.moves.arriving(moveOf('second', 'traveller', nowMs - 3_600_000), arrivalOf('traveller'))
  expect(store.moves.of('traveller')?.id).toBe('second')
})

test('nothing of a move is forgotten before the other device knows how it ended [agent-store-8]', async () => {
  await using store = await opened('closed')
  const { moves } = store
  const ids = Array.from({ length: 300 }, (_, at) => `move-${at}`)
  for (const id of ids) {
    const move = moveOf(id, 'traveller')
    moves.leaving(move)
    moves.stayed({ ...move, phase: 'leaving' }, 1, { atMs: nowMs, reason: 'it stayed here' })
  }
  expect(moves.move('move-0')?.phase).toBe('stayed')
  expect(moves.unclosed).toBe(300)
  for (const id of ids) moves.closed({ ...moveOf(id, 'traveller'), phase: 'stayed' })
  moves.leaving(moveOf('next', 'traveller'))
  expect([moves.unclosed, moves.move('move-0'), moves.all().length]).toEqual([0, undefined, 257])
})
