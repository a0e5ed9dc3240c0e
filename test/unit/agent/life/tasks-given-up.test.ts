/** What tasks have given up, the services let go of: at once, after a restart, and in a replay. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { Recordings, recordingsIn } from '../../../../runtime/agent/replay/recordings.ts'
import { replay } from '../../../../runtime/agent/replay/replay.ts'
import { readRunFile } from '../../../../runtime/agent/replay/run-file.ts'
import { readEngineFiles } from '../../../../runtime/agent/vm/engine-files.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import { AgentsWorld, until } from '../../../fixtures/agent/agents-world.ts'

/** Two tasks: one reads, one commands and listens. When the first fails, the agent writes down what was thrown. */
const failing = `
  const thrown = await ctx.tasks({
    reads: { run: (_, ctx) => ctx.memory.get('a') },
    acts: { run: async (_, ctx) => {
      const seen = (async () => { for await (const _ of ctx.on('light.*')); })()
      await Promise.all([seen, ctx.entity('light.hall').command({ state: 'on' })])
    } },
  }).catch(({ code }) => code)
  await ctx.memory.set('thrown', thrown)
  return thrown`

const unavailable = { ok: false, error: { code: 'unavailable', message: 'not now' } } as const
const opsOf = (world: AgentsWorld) => world.service.asked.map(({ call }) => call.op)

test('a task that fails ends the calls of the others in their services, and they are on no disk any more [life-9]', async () => {
  await using world = new AgentsWorld()
  const agents = await world.open()
  await agents.run(world.bundle('one', failing), '*')
  const last = await world.service.nth(2)
  expect(opsOf(world)).toEqual(['memory.get', 'on', 'command'])
  world.service.asked[0]?.settle(unavailable)
  const kept = await world.service.nth(3)
  expect(world.service.asked.map(({ signal }) => signal.aborted)).toEqual([false, true, true, false])
  // It came too late: nobody is told.
  last.answer('too late')
  expect(agents.list()).toMatchObject([{ waiting: ['memory.set'], turns: 2 }])
  kept.answer()
  expect(await until(agents, 'one', 'ended')).toMatchObject({ reason: '"unavailable"', turns: 3 })
})

test('tasks are given up as well after the power was cut, and what was given up is not asked for again [life-1]', async () => {
  await using world = new AgentsWorld()
  const before = await world.open()
  await before.run(world.bundle('one', failing), '*')
  await world.service.nth(2)
  await cut(world, () => before[Symbol.asyncDispose]())
  const after = await world.open()
  await world.service.nth(5)
  expect(world.service.asked.slice(3).map(({ resumed }) => resumed)).toEqual([true, true, true])
  world.service.asked[3]?.settle(unavailable)
  await world.service.nth(6)
  expect(world.service.asked.slice(3).map(({ signal }) => signal.aborted)).toEqual([false, true, true, false])
  await cut(world, () => after[Symbol.asyncDispose]())
  const last = await world.open()
  const again = await world.service.nth(7)
  expect(again).toMatchObject({ resumed: true, call: { op: 'memory.set' } })
  again.answer()
  await until(last, 'one', 'ended')
  expect(world.service.asked).toHaveLength(8)
})

test('a try that is late is given up, and the next one asks anew', async () => {
  await using world = new AgentsWorld()
  const agents = await world.open()
  const body = `const { slow } = await ctx.tasks({
    slow: { within: '5s', retry: { times: 1, wait: 1 }, run: (_, ctx) => ctx.memory.get('a') },
  }); await ctx.memory.set('k', slow); return slow`
  await agents.run(world.bundle('one', body), '*')
  ;(await world.service.nth(1)).answer()
  ;(await world.service.nth(2)).answer()
  await world.service.nth(4)
  expect(opsOf(world)).toEqual(['memory.get', 'sleep', 'sleep', 'memory.get', 'sleep'])
  expect(world.service.asked.map(({ signal }) => signal.aborted)).toEqual([true, false, false, false, false])
  world.service.asked[3]?.answer('in time')
  const last = await world.service.nth(5)
  // The timer of the try that ended in time went with it.
  expect(world.service.asked[4]?.signal.aborted).toBe(true)
  last.answer()
  expect(await until(agents, 'one', 'ended')).toMatchObject({ reason: '"in time"' })
})

test('a run in which tasks were given up is run once more and says the same [replay-2]', async () => {
  await using world = new AgentsWorld()
  const directory = recordingsIn(world.directory)
  const recordings = new Recordings({ log: silentLog }, { directory, bytesMax: 1e7, runBytesMax: 1e6 })
  const agents = await world.open({ recordings })
  await agents.run(world.bundle('one', failing), '*', { record: true })
  await world.service.nth(2)
  world.service.asked[0]?.settle(unavailable)
  ;(await world.service.nth(3)).answer()
  await until(agents, 'one', 'ended')
  await agents[Symbol.asyncDispose]()
  const [file = ''] = readdirSync(directory)
  const { header, turns } = readRunFile(readFileSync(join(directory, file)))
  expect(turns.map(({ output }) => output.cancels)).toEqual([[], [2, 3], []])
  const wasm = await WebAssembly.compile(readEngineFiles().wasm)
  const program = JSON.parse(header.content)
  const again = await replay({ ...header, turns }, { wasm, guest: header.guest, program })
  expect(again).toEqual({ turns: 3, differences: [], unanswered: [] })
})

/** As a power cut leaves it: without the image of a stop. */
async function cut(world: AgentsWorld, stop: () => PromiseLike<void>): Promise<void> {
  const copy = mkdtempSync(join(tmpdir(), 'agents-cut-'))
  onTestFinished(() => rmSync(copy, { recursive: true }))
  cpSync(world.directory, copy, { recursive: true })
  await stop()
  rmSync(world.directory, { recursive: true })
  cpSync(copy, world.directory, { recursive: true })
}
