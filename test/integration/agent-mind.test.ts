/** Agents in real machines that remember, call each other and think, over what a device opens for that. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import type { Agents } from '../../runtime/agent/agents.ts'
import { openMind } from '../../runtime/agent/mind.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { InferError } from '../../runtime/inference/inference.ts'
import { AgentsWorld, until } from '../fixtures/agent/agents-world.ts'

/** A device without any model. */
const noModels = {
  modelsFor: () => [],
  // biome-ignore lint/correctness/useYield: there is nothing to give
  async *infer() {
    throw new InferError('model-unknown', 'there is no such model')
  },
}

it('an agent asks another, which remembers; without a language model thinking says so [memory-1] [memory-7] [think-2]', async () => {
  await using world = new AgentsWorld()
  let agents: Agents | undefined
  await using mind = await openMind(
    {
      ...{ clock: world.clock, log: silentLog, models: noModels },
      perform: async (...asked) => (agents as Agents).performFor(...asked),
      runs: (agent) => agents?.runs(agent) ?? true,
    },
    world.directory,
  )
  agents = await world.open({ services: mind.services, removed: (agent) => mind.remove(agent) })
  const keeper = `for await (const { from, message, reply } of ctx.calls()) {
    await ctx.memory.note(from + ' said ' + message)
    const found = await ctx.memory.search('zebulon')
    await reply(found.map((one) => one.text))
  }`
  const asker = `const answer = await ctx.call('keeper', 'zebulon')
    const absent = await ctx.call('nobody', 1).catch((error) => error.code)
    const thought = await ctx.think('hello').catch((error) => [error.code, error.message])
    return [answer, absent, thought]`
  await agents.run(world.bundle('keeper', keeper), '*')
  await agents.run(world.bundle('asker', asker), '*')
  const { reason } = await until(agents, 'asker', 'ended')
  expect(JSON.parse(String(reason))).toEqual([
    ['asker said zebulon'],
    'not-found',
    ['unavailable', expect.stringContaining('there is no language model')],
  ])
  await agents.remove('keeper')
  const kept = ['memory.db', 'memory.db-wal'].map((name) =>
    readFileSync(join(world.directory, name), 'latin1'),
  )
  expect(kept.join()).not.toContain('zebulon')
})
