/** What agents leave on the disk: whole, in order, bounded, and refused whole where the disk refuses. */
import { randomBytes } from 'node:crypto'
import { closeSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, describe, expect, test } from 'vitest'
import {
  AgentStore,
  agentsFile,
  type Beginning,
  type CommittedTurn,
} from '../../../../runtime/agent/store/agent-store.ts'
import { openFiles } from '../../../fixtures/open-files.ts'

const nowMs = 1_800_000_000_000
const mib = 1024 * 1024
const root = mkdtempSync(join(tmpdir(), 'agents-store-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const agentCalled = (name: string): Beginning => ({
  ...{ name, program: `program of ${name}`, grants: '[]', state: 'running', reason: undefined, turn: 0 },
  ...{ seed: 1, nowMs, startedMs: nowMs, restartsMax: 2, restarts: [nowMs - 1] },
})
const turnOf = (agent: string, turn: number, more: Partial<CommittedTurn> = {}): CommittedTurn => ({
  ...{ agent, turn, nowMs: nowMs + turn, inputs: [], digest: '', asked: [], over: [], log: [], held: false },
  ...more,
})
const opened = async (directory: string, bytesMax = 64 * mib) => {
  const { store, recoveredFrom } = await AgentStore.open(
    { directory: join(root, directory), bytesMax },
    nowMs,
  )
  return { store, recoveredFrom }
}

describe('what agents leave on the disk', () => {
  test('is there again, as it was', async () => {
    const first = (await opened('again')).store
    const begun = first.begin(agentCalled('a'), Buffer.from('bytes'), 'guest')
    const call = { id: 1, op: 'on', args: { pattern: 'light.*' }, stream: true } as const
    const inputs = [{ kind: 'start', device: 'hub' }] as const
    first.commit(
      turnOf('a', 1, { inputs, digest: 'd', asked: [call], log: [{ level: 'info', text: 'hello' }] }),
    )
    await first.keepImage('a', 0, Buffer.from('image'))
    await first[Symbol.asyncDispose]()
    await using second = (await opened('again')).store
    expect(second.agent('a')).toEqual({
      ...begun,
      ...{ turn: 1, nowMs: nowMs + 1, device: 'hub', lastCall: 1 },
    })
    expect(second.turns('a')).toEqual([{ turn: 1, nowMs: nowMs + 1, inputs, digest: 'd' }])
    expect(second.calls('a')).toEqual([{ call: { ...call, askedMs: nowMs + 1 }, begun: true }])
    expect(second.log('a', 9)).toEqual([{ atMs: nowMs + 1, level: 'info', text: 'hello' }])
    expect(Buffer.from(second.program('program of a') ?? []).toString()).toBe('bytes')
    expect(Buffer.from(second.image('a') ?? []).toString()).toBe('image')
  })

  test('is a turn with all it asked for and settled, or nothing of it [agent-store-1]', async () => {
    await using store = (await opened('whole')).store
    store.begin(agentCalled('a'), Buffer.from(''), 'guest')
    const call = (id: number) => ({ id, op: 'sleep', args: { atMs: 1 } }) as const
    store.commit(turnOf('a', 1, { asked: [call(1), call(2)] }))
    const before = [store.agent('a'), store.turns('a'), store.calls('a'), store.log('a', 9)]
    const twice = turnOf('a', 2, {
      over: [1],
      asked: [call(3), call(3)],
      log: [{ level: 'info', text: 'x' }],
    })
    expect(() => store.commit(twice)).toThrow(/UNIQUE/)
    expect([store.agent('a'), store.turns('a'), store.calls('a'), store.log('a', 9)]).toEqual(before)
    const end = { state: 'ended', reason: '1' } as const
    store.commit(turnOf('a', 2, { over: [1], asked: [call(3)], end }))
    expect(store.agent('a')).toMatchObject({ turn: 2, state: 'ended', reason: '1' })
    expect(store.calls('a')).toEqual([])
  })

  test('is replaced by an image up to its turn, no further [agent-store-3]', async () => {
    await using store = (await opened('image')).store
    store.begin(agentCalled('a'), Buffer.from(''), 'guest')
    for (const turn of [1, 2, 3]) store.commit(turnOf('a', turn))
    await store.keepImage('a', 2, Buffer.from('after 2'))
    expect([store.imageTurn('a'), store.turns('a').map(({ turn }) => turn)]).toEqual([2, [3]])
    store.begin(agentCalled('a'), Buffer.from(''), 'guest')
    expect([store.imageTurn('a'), store.turns('a'), store.image('a')]).toEqual([0, [], undefined])
  })

  test('gives the loop back after each piece of an image, and has one image whole meanwhile [agent-store-9] [agent-store-3]', async () => {
    await using store = (await opened('pieces')).store
    store.begin(agentCalled('a'), Buffer.from(''), 'guest')
    const large = (turn: number) => randomBytes(1_000_000 + turn)
    const images = [large(1), large(2)] as const
    let turns = 0
    const count = () => {
      turns += 1
      // Whoever reads it in between has the one before, whole.
      expect([0, ...images.map(({ byteLength }) => byteLength)]).toContain(store.image('a')?.byteLength ?? 0)
      running = setImmediate(count)
    }
    let running = setImmediate(count)
    for (const [at, image] of images.entries()) {
      store.commit(turnOf('a', at + 1))
      turns = 0
      await store.keepImage('a', at + 1, image)
      expect(turns).toBeGreaterThanOrEqual(3)
      expect(Buffer.compare(store.image('a') ?? Buffer.of(), image)).toBe(0)
      expect([store.imageTurn('a'), store.turns('a')]).toEqual([at + 1, []])
      turns = 0
      expect(Buffer.compare((await store.readImage('a')) ?? Buffer.of(), image)).toBe(0)
      expect(turns).toBeGreaterThanOrEqual(3)
      expect(store.imageBytes('a')).toBe(image.byteLength)
    }
    clearImmediate(running)
    await store.keepImage('a', 3, Buffer.from('small again'))
    expect(Buffer.from(store.image('a') ?? []).toString()).toBe('small again')
  })

  test('has the image of before where the disk has no room for the next, and no piece of that [agent-store-4] [agent-store-9]', async () => {
    const first = (await opened('no-room', mib)).store
    first.begin(agentCalled('a'), Buffer.from(''), 'guest')
    await first.keepImage('a', 1, Buffer.from('image'))
    await expect(first.keepImage('a', 2, randomBytes(2 * mib))).rejects.toMatchObject({ code: 'full' })
    expect([first.imageTurn('a'), Buffer.from(first.image('a') ?? []).toString()]).toEqual([1, 'image'])
    await first.keepImage('a', 2, randomBytes(600_000))
    await first[Symbol.asyncDispose]()
    // As a power cut leaves it: a piece of one that never was.
    const db = new DatabaseSync(join(root, 'no-room', agentsFile))
    db.exec(`INSERT INTO piece VALUES ('a', 3, 262144, x'01')`)
    db.close()
    await using second = (await opened('no-room', mib)).store
    expect(second.image('a')?.byteLength).toBe(600_000)
    await second.keepImage('a', 3, randomBytes(270_000))
    expect(second.image('a')?.byteLength).toBe(270_000)
  })

  test('is in no byte of the file and its log once the agent was removed [agent-store-10]', async () => {
    const { store } = await opened('removed')
    const secret = 'what was said in the bedroom'
    const said = (count: number) => Array.from({ length: count }, () => `${secret} `).join('')
    for (const name of ['a', 'b'])
      store.begin(
        { ...agentCalled(name), grants: name === 'a' ? said(9) : '' },
        Buffer.from(name === 'a' ? said(300) : name),
        'guest',
      )
    for (let turn = 1; turn <= 200; turn += 1) {
      for (const name of ['a', 'b']) {
        const text = name === 'a' ? said(1 + ((turn * 7) % 40)) : 'of another'.repeat((turn * 11) % 50)
        const inputs = [{ kind: 'item', id: 1, value: text }] as const
        const asked = [{ id: turn, op: 'sleep', args: { text } }] as const
        const log = [{ level: 'info', text }] as const
        store.commit(turnOf(name, turn, { inputs, asked, log, over: turn % 3 === 0 ? [turn - 1] : [] }))
      }
      if (turn % 60 === 0) await store.keepImage('a', turn, Buffer.from(said(turn * 100)))
    }
    const path = join(root, 'removed', agentsFile)
    const has = () => [path, `${path}-wal`].filter((file) => readFileSync(file).includes(secret.slice(0, 12)))
    expect(has()).not.toEqual([])
    await store.remove('a')
    expect(has()).toEqual([])
    expect(store.turns('b')).toHaveLength(200)
    await store[Symbol.asyncDispose]()
    expect(readFileSync(path).includes(secret.slice(0, 12))).toBe(false)
  })

  test('holds so many lines of each agent’s log, the newest', async () => {
    await using store = (await opened('log')).store
    for (const name of ['a', 'b']) store.begin(agentCalled(name), Buffer.from(''), 'guest')
    store.commit(turnOf('b', 1, { log: [{ level: 'info', text: 'of b' }] }))
    for (let turn = 1; turn <= 40; turn += 1) {
      const log = Array.from(
        { length: 30 },
        (_, line) => ({ level: 'info', text: `${turn}.${line}` }) as const,
      )
      store.commit(turnOf('a', turn, { log }))
    }
    const lines = store.log('a', 10_000)
    expect([lines.length, lines[0]?.text, lines.at(-1)?.text]).toEqual([1_000, '7.20', '40.29'])
    expect(store.log('b', 9)).toHaveLength(1)
  })

  test('holds no program that no agent has', async () => {
    await using store = (await opened('programs')).store
    for (const name of ['a', 'b']) store.begin(agentCalled(name), Buffer.from(name), 'guest')
    await store.remove('a')
    expect([store.program('program of a'), store.program('program of b') !== undefined]).toEqual([
      undefined,
      true,
    ])
  })

  test('gives no token twice, whoever was removed [agent-store-6]', async () => {
    const first = (await opened('tokens')).store
    const tokens = [first.begin(agentCalled('a'), Buffer.from(''), 'guest').token]
    await first.remove('a')
    await first[Symbol.asyncDispose]()
    await using second = (await opened('tokens')).store
    for (const name of ['a', 'b', 'a'])
      tokens.push(second.begin(agentCalled(name), Buffer.from(''), 'guest').token)
    expect(tokens).toEqual([nowMs, nowMs + 1, nowMs + 2, nowMs + 3])
  })

  test('is put aside where it cannot be read, and the device goes on with nothing', async () => {
    const directory = join(root, 'broken')
    await (await opened('broken')).store[Symbol.asyncDispose]()
    writeFileSync(join(directory, agentsFile), 'this is no database, whatever its name says'.repeat(200))
    const { store, recoveredFrom } = await opened('broken')
    await using _ = store
    expect(recoveredFrom).toBe(join(directory, `${agentsFile}.corrupt-${nowMs}`))
    expect(store.agents()).toEqual([])
  })

  test('begins at no token of one that was put aside [agent-store-6]', async () => {
    const tokens = []
    for (const round of [1, 2]) {
      const { store } = await opened('aside')
      tokens.push(
        store.begin({ ...agentCalled('a'), startedMs: nowMs + round }, Buffer.from(''), 'guest').token,
      )
      await store[Symbol.asyncDispose]()
      writeFileSync(join(root, 'aside', agentsFile), 'no database any more'.repeat(400))
    }
    expect(tokens).toEqual([nowMs + 1, nowMs + 2])
  })

  test('is one device’s at a time', async () => {
    await using _ = (await opened('one')).store
    await expect(opened('one')).rejects.toThrow(/another process is using it/)
  })
})

describe('a promise of the disk', () => {
  test('is given to all who asked while another was under way, each after its own write [agent-store-2]', async () => {
    const { store } = await opened('promise')
    await using _ = store
    store.begin(agentCalled('a'), Buffer.from(''), 'guest')
    const settled: number[] = []
    const waits = Array.from({ length: 200 }, async (_unused, index) => {
      store.commit(turnOf('a', index + 1))
      await store.durable()
      settled.push(index)
    })
    await Promise.all(waits)
    expect(settled).toEqual(Array.from({ length: 200 }, (_unused, index) => index))
  })

  test('blocks nothing while it is kept [agent-store-2]', async () => {
    await using store = (await opened('beside')).store
    store.begin(agentCalled('a'), Buffer.alloc(4 * mib), 'guest')
    let kept = false
    const durable = store.durable().then(() => {
      kept = true
    })
    store.commit(turnOf('a', 1))
    expect(kept).toBe(false)
    await durable
  })

  test('is refused for good after a sync that failed, and so is every write [agent-store-5]', async () => {
    await using store = (await opened('sync')).store
    store.begin(agentCalled('a'), Buffer.from(''), 'guest')
    // The disk goes: the file that is synced is taken from under it.
    const [last] = openFiles(join(root, 'sync', `${agentsFile}-wal`))
    closeSync(last ?? -1)
    const waits = await Promise.allSettled([store.durable(), store.durable(), store.durable()])
    for (const wait of waits) expect(wait).toMatchObject({ reason: { code: 'broken', retryable: false } })
    expect(() => store.commit(turnOf('a', 1))).toThrow(/cannot be kept/)
    await expect(store.durable()).rejects.toMatchObject({ code: 'broken' })
    expect(store.agent('a')).toMatchObject({ turn: 0 })
  })

  test('cannot be had of a disk that is closed', async () => {
    const { store } = await opened('closed')
    await Promise.all([store[Symbol.asyncDispose](), store[Symbol.asyncDispose]()])
    await expect(store.durable()).rejects.toMatchObject({ code: 'closed' })
    expect(() => store.setGrants('a', '')).toThrow(/stopping/)
  })
})

describe('a disk that is full', () => {
  test('while the file of an older version is opened lets it be opened when there is room again', async () => {
    await (await opened('older')).store[Symbol.asyncDispose]()
    const db = new DatabaseSync(join(root, 'older', agentsFile))
    db.exec('DROP TABLE piece; VACUUM')
    db.close()
    await expect(opened('older', 1)).rejects.toThrow('full')
    await using store = (await opened('older')).store
    expect(store.agents()).toEqual([])
  })

  test('refuses a turn whole, and takes it when there is room again [agent-store-4]', async () => {
    await using store = (await opened('full', mib)).store
    for (const name of ['a', 'b']) store.begin(agentCalled(name), Buffer.from(name), 'guest')
    await store.keepImage('b', 0, Buffer.alloc(600_000, 1))
    const large = turnOf('a', 1, {
      asked: [{ id: 1, op: 'sleep', args: { text: 'x'.repeat(600_000) } }],
      log: [{ level: 'info', text: 'x' }],
    })
    expect(() => store.commit(large)).toThrow(expect.objectContaining({ code: 'full', retryable: true }))
    expect([store.agent('a')?.turn, store.calls('a'), store.log('a', 9)]).toEqual([0, [], []])
    await store.durable()
    await store.remove('b')
    store.commit(large)
    await store.durable()
    expect([store.agent('a')?.turn, store.calls('a').length]).toEqual([1, 1])
  })
})
