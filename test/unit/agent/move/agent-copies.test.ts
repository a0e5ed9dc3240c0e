/** What a device keeps in memory of copies that others have. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { AgentCopies } from '../../../../runtime/agent/move/agent-copies.ts'
import type { MovesDeps } from '../../../../runtime/agent/move/leaving.ts'
import { AgentStore } from '../../../../runtime/agent/store/agent-store.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { silentLog } from '../../../../runtime/base/log.ts'

test('is nothing of those that came and went: only an agent that waits for its copies knows which have answered', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'agent-copies-'))
  const clock = new VirtualClock()
  const { store } = await AgentStore.open({ directory, bytesMax: 16 * 1024 * 1024 }, clock.nowMs())
  const lived: string[] = []
  const deps: Partial<MovesDeps> = {
    ...{ store, clock, log: silentLog, next: (_name, work) => work(), live: ({ name }) => lived.push(name) },
  }
  const copies = new AgentCopies(deps as MovesDeps)
  const sizes: number[] = []
  const adds = vi.spyOn(Set.prototype, 'add')
  const copied = (id: string, peer: string) =>
    store.moves.copied({ id, agent: 'a', peer, was: 'running', token: 1, atMs: clock.nowMs() }, undefined)
  for (let at = 0; at < 300; at += 1) {
    copied(`copy-${at}`, 'cellar')
    await copies.notBegun(`copy-${at}`)
    await copies.uncopied(`copy-${at}`)
  }
  for (const [at, [id]] of adds.mock.calls.entries())
    if (String(id).startsWith('copy-')) sizes.push((adds.mock.contexts[at] as Set<unknown>).size)
  adds.mockRestore()
  expect(Math.max(0, ...sizes)).toBeLessThan(10)

  // Of two that may have been begun both are waited for.
  const what = {
    name: 'a',
    program: '0'.repeat(64),
    grants: '[]',
    state: 'running',
    reason: undefined,
  } as const
  const when = { seed: 1, turn: 0, nowMs: 1, startedMs: 1, restartsMax: 0, restarts: [] }
  store.begin({ ...what, ...when }, Buffer.from('bundle'), '{}')
  copied('one', 'cellar')
  copied('two', 'attic')
  expect(copies.waits('a')).toBe(true)
  await copies.notBegun('one')
  expect([copies.isHeld('a'), lived]).toEqual([true, []])
  await copies.notBegun('two')
  expect([copies.isHeld('a'), lived]).toEqual([false, ['a']])
  await store[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true })
})
