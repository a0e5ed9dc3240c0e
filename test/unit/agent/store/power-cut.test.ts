/** Power cuts, as the disk sees them: whatever of the log was on it, what is opened is a state that was written whole. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AgentStore, agentsFile, type Beginning } from '../../../../runtime/agent/store/agent-store.ts'

const nowMs = 1_800_000_000_000
const bytesMax = 64 * 1024 * 1024
const directory = mkdtempSync(join(tmpdir(), 'agents-cut-'))
const live = join(directory, 'live')
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** Bytes of the log's header and of a frame: https://www.sqlite.org/fileformat2.html#walformat */
const headerBytes = 32
const frameBytes = 24 + 4_096

interface State {
  readonly turn: number
  readonly calls: readonly number[]
  readonly turns: readonly number[]
  readonly imageTurn: number
  readonly state: string
  readonly log: number
}

function stateOf(store: AgentStore): State {
  const agent = store.agent('a')
  return {
    turn: agent?.turn ?? -1,
    calls: store.calls('a').map(({ call }) => call.id),
    turns: store.turns('a').map(({ turn }) => turn),
    imageTurn: store.imageTurn('a'),
    state: agent?.state ?? 'absent',
    log: store.log('a', 1_000).length,
  }
}

const agent: Beginning = {
  ...{ name: 'a', program: 'p', grants: '', state: 'running', reason: undefined, turn: 0, seed: 1 },
  ...{ nowMs, startedMs: nowMs, restartsMax: 0, restarts: [] },
}

/** A copy of the disk as it stood, and every state that had been promised by then. */
const promised: { readonly logBytes: number; readonly index: number }[] = []
const states: State[] = []
let images: { database: Buffer; log: Buffer }

beforeAll(async () => {
  const { store } = await AgentStore.open({ directory: live, bytesMax }, nowMs)
  await using _ = store
  const log = join(live, `${agentsFile}-wal`)
  const written = async (durable: boolean) => {
    states.push(stateOf(store))
    if (!durable) return
    await store.durable()
    promised.push({ logBytes: statSync(log).size, index: states.length - 1 })
  }
  await written(true)
  store.begin(agent, Buffer.from('program'), 'guest')
  await written(true)
  for (let turn = 1; turn <= 8; turn += 1) {
    const asked = [1, 2].map((nth) => ({
      id: turn * 2 + nth,
      op: 'sleep' as const,
      args: { text: 'x'.repeat(turn * 200) },
    }))
    store.commit({
      ...{ agent: 'a', turn, nowMs: nowMs + turn, inputs: [], digest: `d${turn}`, asked, held: false },
      ...{ over: [turn * 2 - 1], log: [{ level: 'info', text: `turn ${turn}` }] },
    })
    await written(turn % 3 !== 0)
    if (turn !== 6) continue
    await store.keepImage('a', turn, Buffer.alloc(9_000, 7))
    await written(true)
  }
  const end = { state: 'ended', reason: '"done"' } as const
  store.commit({
    agent: 'a',
    turn: 9,
    nowMs,
    inputs: [],
    digest: '',
    asked: [],
    over: [],
    log: [],
    held: false,
    end,
  })
  await written(true)
  images = { database: readFileSync(join(live, agentsFile)), log: readFileSync(log) }
})

async function cutOff(database: Buffer, log: Buffer) {
  const cut = join(directory, 'cut')
  rmSync(cut, { recursive: true, force: true })
  mkdirSync(cut, { mode: 0o700 })
  writeFileSync(join(cut, agentsFile), database)
  writeFileSync(join(cut, `${agentsFile}-wal`), log)
  return await AgentStore.open({ directory: cut, bytesMax }, nowMs)
}

async function opened(log: Buffer): Promise<{ state: State; recoveredFrom: string | undefined }> {
  const { store, recoveredFrom } = await cutOff(images.database, log)
  await using _ = store
  return { state: stateOf(store), recoveredFrom }
}

/** The log is cut at each end of a frame, some bytes before and after, and within the next. */
function cuts(logBytes: number): number[] {
  const found = [headerBytes - 1]
  for (let end = headerBytes; end <= logBytes; end += frameBytes)
    found.push(...[-1, 0, 25].map((by) => end + by))
  return [...new Set(found)].filter((at) => at >= 0 && at <= logBytes)
}

/** What must be there at least where so much of the log is on the disk. */
function leastAt(logBytes: number): number {
  return Math.max(0, ...promised.filter((at) => at.logBytes <= logBytes).map(({ index }) => index))
}

describe('a disk that lost its power', () => {
  test('holds every turn that was promised and none by half, wherever the log ends [agent-store-1] [agent-store-2] [agent-store-3]', async () => {
    const ends = cuts(images.log.length)
    expect(ends.length).toBeGreaterThan(100)
    const seen = new Set<number>()
    for (const end of ends) {
      const { state, recoveredFrom } = await opened(images.log.subarray(0, end))
      expect(recoveredFrom).toBeUndefined()
      const known = states.map((one) => JSON.stringify(one)).lastIndexOf(JSON.stringify(state))
      expect(known, `log cut at ${end}`).toBeGreaterThanOrEqual(leastAt(end))
      seen.add(known)
    }
    expect([...seen].sort((a, b) => a - b)).toEqual(
      expect.arrayContaining(states.map((_, index) => index).slice(1)),
    )
  }, 120_000)

  test('holds no half of a turn where sectors of the last one were never written [agent-store-1]', async () => {
    const last = promised.at(-2)?.logBytes ?? 0
    for (let sector = Math.ceil(last / 512) * 512; sector + 512 <= images.log.length; sector += 512) {
      const log = Buffer.from(images.log)
      log.fill(0, sector, sector + 512)
      const { state } = await opened(log)
      const known = states.map((one) => JSON.stringify(one)).lastIndexOf(JSON.stringify(state))
      expect(known).toBeGreaterThanOrEqual(leastAt(last))
    }
  })

  test('holds an image of several pieces whole or not at all, and the turns where not [agent-store-3] [agent-store-9]', async () => {
    const two = join(directory, 'pieces')
    const { store } = await AgentStore.open({ directory: two, bytesMax }, nowMs)
    await using _ = store
    store.begin(agent, Buffer.from('program'), 'guest')
    const turn = { agent: 'a', turn: 1, nowMs, inputs: [], digest: 'd', asked: [], over: [], log: [] }
    store.commit({ ...turn, held: false })
    await store.durable()
    const path = join(two, `${agentsFile}-wal`)
    const before = statSync(path).size
    const image = Buffer.alloc(600_000, 'image of several pieces ')
    await store.keepImage('a', 1, image)
    await store.durable()
    const database = readFileSync(join(two, agentsFile))
    const log = readFileSync(path)
    const seen = new Set<string>()
    const last = [4, 3, 2, 1, 0].map((frames) => log.length - frames * frameBytes)
    const some = [0, 1, 2, 3, 4, 5].map((nth) => before + nth * 20 * frameBytes)
    for (const end of [...some, ...last]) {
      const { store: found } = await cutOff(database, log.subarray(0, end))
      await using _found = found
      const kept = found.image('a')
      expect(found.turns('a').length).toBe(kept ? 0 : 1)
      if (kept) expect(Buffer.compare(kept, image)).toBe(0)
      seen.add(kept ? 'image' : 'turn')
    }
    expect([...seen]).toEqual(['turn', 'image'])
  })
})
