import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { Accounts } from '../../../../runtime/agent/accounts/accounts.ts'
import { energyOfBoard, joulesOf, type Quota } from '../../../../runtime/agent/accounts/usage.ts'
import { AgentTurns } from '../../../../runtime/agent/scheduler/agent-turns.ts'
import { processor } from '../../../../runtime/agent/scheduler/device-resources.ts'
import { Scheduler } from '../../../../runtime/agent/scheduler/scheduler.ts'
import { sleep, VirtualClock } from '../../../../runtime/base/clock.ts'
import { createLog, silentLog } from '../../../../runtime/base/log.ts'

const forever = new AbortController().signal
const quotas: readonly Quota[] = [
  { what: 'cpuMs', max: 1_000, perMs: 60_000, over: 'wait' },
  { what: 'tokens', max: 500, perMs: 86_400_000, over: 'refuse' },
]
const bytesADay = { what: 'bytes', perMs: 86_400_000, over: 'refuse' } as const
const folders: string[] = []
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true })
})

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'accounts-'))
  folders.push(path)
  return path
}

async function opened(directory: string, clock = new VirtualClock(), lines: string[] = []) {
  const log = createLog({
    level: 'warn',
    json: false,
    write: (line) => lines.push(line),
    nowMs: () => clock.nowMs(),
  })
  return Accounts.open({ clock, log }, { directory, quotas }, forever)
}

test('[account-1] [account-2] an agent that computes all the time gets its quota a minute; its neighbour notices nothing', async () => {
  const clock = new VirtualClock()
  await using accounts = await opened(await folder(), clock)
  const scheduler = new Scheduler(clock, { resources: [{ name: processor, capacity: 1, queueMax: 64 }] })
  const turns = new AgentTurns({ scheduler, accounts, priorityOf: () => 'background' })
  const stop = new AbortController()
  const lateMs: number[] = []
  const takeTurn = async (agent: string, cpuMs: number) => {
    const release = await turns.turn(agent, stop.signal)
    await sleep(clock, cpuMs)
    release({ ticks: cpuMs * 20, cpuMs, memoryBytes: 600_000 })
  }
  await clock.run(async () => {
    const hog = (async () => {
      while (!stop.signal.aborted) await takeTurn('hog', 50).catch(() => {})
    })()
    for (let second = 0; second < 300; second += 1) {
      await sleep(clock, 1_000)
      const askedMs = clock.monotonicMs()
      await takeTurn('calm', 2)
      lateMs.push(clock.monotonicMs() - askedMs)
    }
    stop.abort(new Error('over'))
    await hog
  })
  const [hog, calm] = ['hog', 'calm'].map((name) => accounts.report().find(({ agent }) => agent === name))
  // Five minutes: a full bucket, five more, and at most one turn beyond.
  expect(hog?.used.cpuMs).toBeGreaterThan(4_900)
  expect(hog?.used.cpuMs).toBeLessThanOrEqual(6_050)
  expect(calm?.used.cpuMs).toBe(600)
  expect(calm?.turns).toBe(300)
  expect(Math.max(...lateMs)).toBeLessThanOrEqual(52)
  expect(calm?.turnsPerS).toBeCloseTo(1, 0)
  expect(calm?.cpuShare).toBeCloseTo(0.002, 3)
})

test('[account-2] what a quota refuses is refused by name, until it has come back', async () => {
  const clock = new VirtualClock()
  await using accounts = await opened(await folder(), clock)
  expect(await accounts.admit('poet', ['tokens'], forever)).toBeUndefined()
  accounts.add('poet', { tokens: 700 })
  expect(await accounts.admit('poet', ['tokens'], forever)).toBe('poet has used its 500 tokens in 24 h')
  expect(await accounts.admit('poet', ['cpuMs'], forever)).toBeUndefined()
  expect(await accounts.admit('other', ['tokens'], forever)).toBeUndefined()
  expect(accounts.report().map(({ agent, over }) => [agent, over])).toEqual([['poet', ['tokens']]])
  clock.advance(12 * 3_600_000)
  expect(await accounts.admit('poet', ['tokens'], forever)).toBeUndefined()
})

test('[account-2] who waits for its quota can be cancelled', async () => {
  const clock = new VirtualClock()
  await using accounts = await opened(await folder(), clock)
  accounts.add('hog', { cpuMs: 5_000 })
  const stop = new AbortController()
  const waits = accounts.admit('hog', ['cpuMs'], stop.signal)
  stop.abort(new Error('stopped'))
  await expect(waits).rejects.toThrow('stopped')
})

test('[account-3] what was used and what is left outlive a restart, a clock that was set back gives nothing back', async () => {
  const directory = await folder()
  const evening = Date.UTC(2026, 5, 1, 20)
  const first = await opened(directory, new VirtualClock({ startMs: evening }))
  first.add('poet', { tokens: 600, money: 0.25, cpuMs: 100, memoryBytes: 700_000 }, 3)
  await first[Symbol.asyncDispose]()

  const dayBefore = await opened(directory, new VirtualClock({ startMs: evening - 86_400_000 }))
  const [kept] = dayBefore.report()
  expect(kept).toMatchObject({ agent: 'poet', turns: 3, memoryBytes: 700_000, over: ['tokens'] })
  expect(kept?.used).toMatchObject({ tokens: 600, money: 0.25, cpuMs: 100 })
  expect(await dayBefore.admit('poet', ['tokens'], forever)).toContain('has used its 500 tokens')
  await dayBefore[Symbol.asyncDispose]()

  const dayAfter = await opened(directory, new VirtualClock({ startMs: evening + 86_400_000 }))
  expect(await dayAfter.admit('poet', ['tokens'], forever)).toBeUndefined()
  await dayAfter[Symbol.asyncDispose]()
})

test('[account-3] it is written a minute after the first change, not with each', async () => {
  const directory = await folder()
  const clock = new VirtualClock()
  await using accounts = await opened(directory, clock)
  for (let turn = 0; turn < 100; turn += 1) accounts.add('a', { cpuMs: 1 }, 1)
  clock.advance(59_000)
  expect(await readdir(directory)).toEqual([])
  clock.advance(1_000)
  await accounts[Symbol.asyncDispose]()
  expect(JSON.parse(await readFile(join(directory, 'accounts.json'), 'utf8')).agents.a.turns).toBe(100)
})

test('[account-4] a file that is no account is put aside and said; agents go on', async () => {
  const directory = await folder()
  await writeFile(join(directory, 'accounts.json'), '{"version":1,"agents":{"a":{"used":"all of it"')
  const lines: string[] = []
  await using accounts = await opened(directory, new VirtualClock(), lines)
  expect(accounts.report()).toEqual([])
  expect(lines.join()).toContain('could not be read')
  expect(await readdir(directory)).toEqual(['accounts.json.unreadable'])
})

test('accounts are bounded: the one charged longest ago goes', async () => {
  const clock = new VirtualClock()
  const options = { directory: await folder(), quotas, accountsMax: 2 }
  await using accounts = await Accounts.open({ clock, log: silentLog }, options, forever)
  for (const agent of ['a', 'b', 'a', 'c']) accounts.add(agent, { cpuMs: 1 })
  expect(
    accounts
      .report()
      .map(({ agent }) => agent)
      .sort(),
  ).toEqual(['a', 'c'])
})

test('joules are estimated from the model that is stated, unless somebody measured them', async () => {
  await using accounts = await opened(await folder())
  accounts.add('a', { cpuMs: 2_000, engineMs: 1_000, bytes: 1_000_000 })
  expect(accounts.report()[0]?.used.joules).toBeCloseTo(2 * 0.9 + 3.7 + 0.04)
  expect(joulesOf({ cpuMs: 1_000 }, energyOfBoard)).toBe(0.9)
  accounts.add('b', { cpuMs: 2_000, joules: 5 })
  expect(accounts.report().find(({ agent }) => agent === 'b')?.used.joules).toBe(5)
})

test('[account-5] what is done with an agent is counted, and is off no quota of its own', async () => {
  const clock = new VirtualClock()
  const options = { directory: await folder(), quotas: [{ ...bytesADay, max: 1_000 }] }
  await using accounts = await Accounts.open({ clock, log: silentLog }, options, forever)
  accounts.note('traveller', { bytes: 500_000 })
  expect(accounts.refusal('traveller', ['bytes'])).toBeUndefined()
  accounts.add('traveller', { bytes: 1_001 })
  expect(accounts.refusal('traveller', ['bytes'])).toBe('traveller has used its 1000 bytes in 24 h')
  expect(accounts.report()).toMatchObject([{ agent: 'traveller', used: { bytes: 501_001 } }])
})
