/** Whole devices as they are configured: one dies, another goes on with its agent when a person says so. */
import { expect, test } from 'vitest'
import { House } from '../fixtures/house.ts'

const body = `
  await ctx.memory.set('begun', await ctx.device())
  await ctx.memory.note('Ada drinks tea', { about: 'Ada' })
  for (;;) { ctx.log((await ctx.device()) + ' after ' + (await ctx.memory.get('begun'))); await ctx.sleep('1s') }`
const keeper = { name: 'keeper', wants: ['memory'], body }

async function two() {
  const house = await House.open(['hub', 'cellar'], {
    hub: { replicate: { to: ['cellar'], everyS: 5 } },
    cellar: { takeOver: { from: ['hub'], after: 'by-hand' } },
  })
  const states = async (device: string) => {
    const { agents } = (await house.call(device, 'agent', { ask: 'list' })) as {
      agents: { name: string; state: string; reason?: string }[]
    }
    return agents
  }
  await house.run('hub', keeper)
  await house.until('hub', 'keeper', (line) => line === 'hub after hub')
  await house.eventually('a copy that has taken steps', async () => {
    const [copy] = await states('cellar')
    if (copy?.state !== 'standby') return false
    return (await house.said('cellar', 'keeper')).includes('hub after hub')
  })
  const begin = () => house.call('cellar', 'agent', { ask: 'resume', name: 'keeper', here: true, by: 'Ada' })
  return { house, states, begin }
}

test('an agent goes on from its copy, with what it remembers, on the device that was configured for it; its own gives way', async () => {
  const { house, states, begin } = await two()
  await using _house = house
  // Also of what it only keeps for the hub.
  expect(await house.call('cellar', 'agent', { ask: 'forget', about: ' ADA', by: 'Ben' })).toMatchObject({
    erased: 1,
  })
  await house.stop('hub')
  await begin()
  await house.until('cellar', 'keeper', (line) => line === 'cellar after hub')

  await house.start('hub')
  await house.eventually('the hub gives way', async () => (await states('hub'))[0]?.state === 'ended')
  expect(await states('hub')).toMatchObject([
    { name: 'keeper', reason: expect.stringMatching(/^it went on on cellar/) },
  ])
  expect(await states('cellar')).toMatchObject([{ name: 'keeper', state: 'running' }])
}, 120_000)

test('an agent that was begun elsewhere while its device had no network gives way as soon as it has', async () => {
  const { house, states, begin } = await two()
  await using _house = house
  house.cut('hub')
  await begin()
  await house.until('cellar', 'keeper', (line) => line === 'cellar after hub')
  house.mend('hub')
  await house.eventually('the hub gives way', async () => (await states('hub'))[0]?.state === 'ended')
  expect(await states('cellar')).toMatchObject([{ name: 'keeper', state: 'running' }])
}, 120_000)

test('one configuration for all devices sends copies to the others, and none to the device itself', async () => {
  const shared = {
    replicate: { to: ['hub', 'cellar'], everyS: 5 },
    takeOver: { from: ['hub', 'cellar'], after: 30 },
  }
  await using house = await House.open(['hub', 'cellar'], { hub: shared, cellar: shared })
  await house.run('hub', keeper)
  await house.eventually('a copy', async () => {
    const list = (await house.call('cellar', 'agent', { ask: 'list' })) as { agents: { state: string }[] }
    return list.agents[0]?.state === 'standby'
  })
  const moves = house.peer.heard.map(({ topic }) => topic).filter((topic) => topic.includes('/site/move/'))
  expect(moves).toContain('ganglion/site/move/cellar/hub')
  expect(moves).not.toContain('ganglion/site/move/hub/hub')
}, 120_000)
