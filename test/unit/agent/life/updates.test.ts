/** An agent lives through an update of the device: it goes on with the guest that it began with, from its image or its turns. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import type { Agents } from '../../../../runtime/agent/agents.ts'
import { agentsFile } from '../../../../runtime/agent/store/agent-store.ts'
import { AgentsWorld, until } from '../../../fixtures/agent/agents-world.ts'
import { TurnQueue } from '../../../fixtures/agent/turn-queue.ts'

/** It says which guest it has: each has its own words for what is no duration. */
const telling = `for (const key of ['a', 'b', 'c']) {
  await ctx.sleep('soon').catch((error) => ctx.log(error.message.split(':')[0]))
  Promise.reject(new Error('that nobody waits for'))
  await ctx.memory.get(key)
}`
const now = 'not a duration'
const older = 'no time that we know'
/** Guests of before [vm-10] took no notice of promises that nothing waits for. */
const [heard, unheard] = ['heard.length > 0', 'false']

const said = (agents: Agents) => agents.log('one', 99).map(({ text }) => text)

/** An agent that an older version of the device has installed, and that has not had a turn. */
async function begunBefore(world: AgentsWorld): Promise<void> {
  const turns = new TurnQueue(1)
  await turns.turn('nobody else', new AbortController().signal)
  const agents = await world.open({ turns })
  await agents.run(world.bundle('one', telling), '*')
  await agents[Symbol.asyncDispose]()
  const db = new DatabaseSync(join(world.directory, agentsFile))
  db.prepare(`INSERT INTO guest SELECT 'older', replace(replace(text, ?, ?), ?, ?) FROM guest`).run(
    ...[now, older, heard, unheard],
  )
  db.exec(`UPDATE agent SET guest = 'older'; DELETE FROM guest WHERE hash <> 'older'`)
  db.close()
}

test('an agent goes on from its image with the guest that it began with [life-7] [agent-store-7]', async () => {
  await using world = new AgentsWorld()
  await begunBefore(world)
  const before = await world.open()
  ;(await world.service.nth(0)).answer()
  await world.service.nth(1)
  await before[Symbol.asyncDispose]()
  const after = await world.open()
  ;(await world.service.nth(2)).answer()
  ;(await world.service.nth(3)).answer()
  await until(after, 'one', 'ended')
  expect(said(after)).toEqual([older, older, older])
})

test('an agent without an image goes on by its turns under that guest, and a new one has the new [life-7]', async () => {
  await using world = new AgentsWorld()
  await begunBefore(world)
  const before = await world.open()
  ;(await world.service.nth(0)).answer()
  await world.service.nth(1)
  const cut = mkdtempSync(join(tmpdir(), 'agents-cut-'))
  try {
    // As a power cut leaves it: without the image of a stop.
    cpSync(world.directory, cut, { recursive: true })
    await before[Symbol.asyncDispose]()
    rmSync(world.directory, { recursive: true })
    cpSync(cut, world.directory, { recursive: true })
  } finally {
    rmSync(cut, { recursive: true })
  }
  const after = await world.open()
  ;(await world.service.nth(2)).answer()
  ;(await world.service.nth(3)).answer()
  await until(after, 'one', 'ended')
  expect(said(after)).toEqual([older, older, older])
  await after.run(world.bundle('one', telling), '*')
  const { reason } = await until(after, 'one', 'failed')
  expect(reason).toMatch(/^nothing awaits or catches what failed: Error: that nobody waits for\n.*a\.js:/s)
  expect(said(after)).toEqual([now, reason])
})
