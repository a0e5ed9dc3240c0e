/** An agent that is recorded can be run once more from its file alone; one that is not leaves none. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { Recordings, recordingsIn } from '../../../../runtime/agent/replay/recordings.ts'
import { replay } from '../../../../runtime/agent/replay/replay.ts'
import { readRunFile } from '../../../../runtime/agent/replay/run-file.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import { AgentsWorld, until } from '../../../fixtures/agent/agents-world.ts'

const counts = `let sum = 0; for (let n = 0; n < 5; n += 1) sum += await ctx.memory.get('n' + n); return [sum, Math.random() < 1]`
const copies: string[] = []
afterAll(() => {
  for (const copy of copies) rmSync(copy, { recursive: true, force: true })
})

const recordingsOf = (directory: string) =>
  new Recordings({ log: silentLog }, { directory: recordingsIn(directory), bytesMax: 1e7, runBytesMax: 1e6 })
const filesIn = (directory: string) => readdirSync(recordingsIn(directory))
const readOnly = (directory: string) => {
  const [file = '', ...more] = filesIn(directory)
  expect(more).toEqual([])
  return readRunFile(readFileSync(join(recordingsIn(directory), file)))
}
async function again({ header, turns }: ReturnType<typeof readOnly>) {
  const { wasm } = (await import('../../../../runtime/agent/vm/engine-files.ts')).readEngineFiles()
  return await replay(
    { ...header, turns },
    { wasm: await WebAssembly.compile(wasm), guest: header.guest, program: JSON.parse(header.content) },
  )
}

test('what an agent did is run once more from its file', async () => {
  await using world = new AgentsWorld()
  const agents = await world.open({ recordings: recordingsOf(world.directory) })
  await agents.run(world.bundle('one', counts), '*', { record: true })
  for (const n of [0, 1, 2, 3, 4]) (await world.service.nth(n)).answer(n)
  await until(agents, 'one', 'ended')
  await agents[Symbol.asyncDispose]()
  const run = readOnly(world.directory)
  expect(run).toMatchObject({ header: { agent: 'one', device: 'hub' }, turns: { length: 6 } })
  expect(run.turns.at(-1)?.output.end).toEqual({ ok: true, value: [10, true] })
  expect(await again(run)).toEqual({ turns: 6, differences: [], unanswered: [] })
})

test('what a crash took of the recording is recorded when the agent goes on [recorded-2]', async () => {
  await using world = new AgentsWorld()
  const agents = await world.open({ recordings: recordingsOf(world.directory) })
  await agents.run(world.bundle('one', counts), '*', { record: true })
  for (const n of [0, 1, 2]) (await world.service.nth(n)).answer(n)
  await world.service.nth(3)
  const copy = mkdtempSync(join(tmpdir(), 'agents-crashed-'))
  copies.push(copy)
  cpSync(world.directory, copy, { recursive: true })
  const [file = ''] = filesIn(copy)
  // Of the turns nothing had reached the disk, of the header all: that is how it began.
  const text = readFileSync(join(recordingsIn(copy), file))
  truncateSync(join(recordingsIn(copy), file), text.indexOf('\n') + 1)

  await using after = new AgentsWorld()
  const going = await after.open({ recordings: recordingsOf(copy) }, { directory: copy })
  for (const n of [3, 4]) (await after.service.nth(n - 3)).answer(n)
  await until(going, 'one', 'ended')
  await going[Symbol.asyncDispose]()
  expect(await again(readOnly(copy))).toEqual({ turns: 6, differences: [], unanswered: [] })
})

test('nothing is recorded that nobody asked for, and what was goes with its agent', async () => {
  await using world = new AgentsWorld()
  const agents = await world.open({ recordings: recordingsOf(world.directory) })
  await agents.run(world.bundle('one', 'return 1'), '*')
  await until(agents, 'one', 'ended')
  await agents.run(world.bundle('two', 'return 2'), '*', { record: true })
  await until(agents, 'two', 'ended')
  expect(filesIn(world.directory)).toEqual([expect.stringMatching(/^two\.\d+\.jsonl$/)])
  await agents.remove('two')
  expect(filesIn(world.directory)).toEqual([])
})

test('an agent that begins anew after it failed is recorded again', async () => {
  await using world = new AgentsWorld()
  const agents = await world.open({ recordings: recordingsOf(world.directory) })
  await agents.run(world.bundle('one', `throw new Error('no')`, { restartsMax: 1 }), '*', { record: true })
  await world.said('an agent that failed begins anew')
  world.clock.advance(60_000)
  await world.said('an agent has failed', 2)
  await agents[Symbol.asyncDispose]()
  expect(filesIn(world.directory)).toHaveLength(2)
})
