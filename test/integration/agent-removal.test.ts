/** Agents that are removed while the disk is full, and while the power goes: no byte of one is left in the end, and nothing of others is touched. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { MemoryStore } from '../../runtime/agent/memory/memory-store.ts'
import { carryOffAll } from '../../runtime/agent/removing.ts'
import { AgentStore, StoreError } from '../../runtime/agent/store/agent-store.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { AgentsWorld } from '../fixtures/agent/agents-world.ts'

const root = mkdtempSync(join(tmpdir(), 'agent-removal-'))
const whole = join(root, 'whole')
afterAll(() => rmSync(root, { recursive: true, force: true }))

const secret = 'zebulon in the bedroom '
const opened = async (directory: string) => ({
  store: (await AgentStore.open({ directory, bytesMax: 64 * 1024 * 1024 }, 1)).store,
  memory: (await MemoryStore.open(directory, 1)).store,
})
const closed = async ({ store, memory }: Awaited<ReturnType<typeof opened>>) => {
  await store[Symbol.asyncDispose]()
  await memory[Symbol.asyncDispose]()
}
const hasSecret = (directory: string) =>
  readdirSync(directory).filter((name) => readFileSync(join(directory, name)).includes('zebulo'))

/** One agent whose every word is a secret, and another. */
beforeAll(async () => {
  const there = await opened(whole)
  const { store, memory } = there
  for (const name of ['a', 'b']) {
    const told = (count: number) => (name === 'a' ? secret : 'the weather ').repeat(count)
    store.begin(
      {
        ...{ name, program: `program of ${name}`, grants: told(3), state: 'stopped', reason: told(1) },
        ...{ turn: 0, seed: 1, nowMs: 1, startedMs: 1, restartsMax: 0, restarts: [] },
      },
      Buffer.from(told(500)),
      'guest',
    )
    for (let turn = 1; turn <= 60; turn += 1) {
      const asked = [{ id: turn, op: 'sleep', args: { text: told((turn * 7) % 40) } }] as const
      const log = [{ level: 'info', text: told((turn * 11) % 60) }] as const
      store.commit({
        ...{ agent: name, turn, nowMs: turn, inputs: [], digest: '', held: false },
        ...{ asked, log, over: turn % 3 === 0 ? [turn - 1] : [] },
      })
      memory.note({ agent: name, call: `${turn}` }, told((turn * 5) % 30 || 1), { privacy: 'device' }, turn)
      memory.set({ agent: name, call: `k${turn}` }, `k${turn % 20}`, told(turn), { privacy: 'device' })
    }
    await store.keepImage(name, 10, Buffer.from(told(40_000)))
  }
  await closed(there)
  expect(hasSecret(whole)).toEqual(['agents.db', 'memory.db'])
})

const copied = (name: string) => {
  const directory = join(root, name)
  cpSync(whole, directory, { recursive: true })
  return directory
}

/** In a process of its own, for which no file grows beyond so many KB, and which ends by SIGKILL after so many rounds. */
async function removed(directory: string, { kilobytesMax = 1_000_000, killedAfter = -1 } = {}) {
  const script = join(import.meta.dirname, '../fixtures/agent/agent-remover.ts')
  const limited = `trap '' XFSZ; ulimit -f ${kilobytesMax * 2}; exec "$0" "$@"`
  const child = spawn('/bin/sh', ['-c', limited, process.execPath, script, directory, String(killedAfter)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [lines, [, signal]] = await Promise.all([text(child.stdout), once(child, 'close')])
  return signal ?? JSON.parse(lines)
}

/** Nothing of the one, all of the other. */
async function expectGone(directory: string) {
  expect(hasSecret(directory)).toEqual([])
  const there = await opened(directory)
  const { store, memory } = there
  expect([store.agents().map(({ name }) => name), store.removals.all()]).toEqual([['b'], []])
  expect([store.turns('b').length, store.image('b')?.byteLength]).toEqual([50, 40_000 * 12])
  expect([memory.keys('a', ''), memory.keys('b', '').length]).toEqual([[], 20])
  await closed(there)
  expect(hasSecret(directory)).toEqual([])
}

describe('an agent that is removed', () => {
  test('while the disk takes no more goes whole as soon as there is room, and until then says what to do [agent-store-10] [agent-store-11] [memory-7]', async () => {
    const directory = copied('full')
    const refused = []
    for (const kilobytesMax of [24, 80, 300]) refused.push(await removed(directory, { kilobytesMax }))
    for (const one of refused)
      expect(one).toEqual({ code: 'full', message: expect.stringMatching(/free some space on it/) })
    expect(refused.at(-1)?.message).toMatch(/^a is removed, and not yet all .* agent remove a" again/)
    expect(hasSecret(directory)).not.toEqual([])
    expect(await removed(directory)).toEqual({ gone: true })
    await expectGone(directory)
  }, 60_000)

  test('as the power goes, wherever it is, is carried through when the device starts again [agent-store-10] [agent-store-11] [memory-7]', async () => {
    for (const killedAfter of [0, 3, 17, 20]) {
      const directory = copied(`killed-${killedAfter}`)
      expect(await removed(directory, { killedAfter })).toBe('SIGKILL')
      const there = await opened(directory)
      const { store, memory } = there
      // Before anything is gone it is on the disk that all of it is to go.
      const had = store.agent('a') !== undefined
      if (had) expect([store.turns('a').length, memory.keys('a', '').length]).toEqual([50, 20])
      if (had) store.removals.begin({ agent: 'a', runs: true })
      expect(store.agents().map(({ name }) => name)).toEqual(['b'])
      await carryOffAll({ store, removed: (agent) => memory.remove(agent) }, silentLog)
      await closed(there)
      await expectGone(directory)
    }
  }, 60_000)

  test('is seen by nobody any more, is not run, and goes at the next try or start [agent-store-11]', async () => {
    await using world = new AgentsWorld()
    const disk = { isFull: true, asked: 0 }
    const erased = async () => {
      disk.asked += 1
      if (disk.isFull) throw new StoreError('full', 'the disk takes no more', { retryable: true })
    }
    const bundle = world.bundle('a', `ctx.log('hello'); await ctx.sleep('1h')`)
    const agents = await world.open({ removed: erased })
    await agents.run(bundle, '*')
    const again = {
      code: 'full',
      message: expect.stringMatching(/^a is removed, and not yet .*remove a" again/),
    }
    await expect(agents.remove('a')).rejects.toMatchObject(again)
    expect(agents.list()).toEqual([])
    for (const refused of [agents.remove('a'), agents.run(bundle, '*')])
      await expect(refused).rejects.toMatchObject(again)
    await expect(agents.resume('a')).rejects.toMatchObject({ code: 'not-found' })
    disk.isFull = false
    await agents.remove('a')
    await expect(agents.remove('a')).rejects.toMatchObject({ code: 'not-found' })
    await agents.run(bundle, '*')

    disk.isFull = true
    await expect(agents.remove('a')).rejects.toMatchObject(again)
    await agents[Symbol.asyncDispose]()
    const full = await world.open({ removed: erased })
    expect(full.list()).toEqual([])
    await full[Symbol.asyncDispose]()
    disk.isFull = false
    const asked = disk.asked
    const started = await world.open({ removed: erased })
    expect([started.list(), disk.asked]).toEqual([[], asked + 1])
    await expect(started.remove('a')).rejects.toMatchObject({ code: 'not-found' })
  })
})
