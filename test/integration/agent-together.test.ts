/** Agents of whole devices that work for each other and hold leases, while lines are cut and devices vanish. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { auditIn } from '../../runtime/observe/audit.ts'
import { newestLines } from '../../runtime/observe/audit-chain.ts'
import type { DecisionEvent } from '../../runtime/wire/decide.ts'
import type { TogetherResult } from '../../runtime/wire/together.ts'
import { House } from '../fixtures/house.ts'

const names = ['attic', 'bath', 'cellar']
let house: House
beforeAll(async () => {
  house = await House.open(names)
}, 120_000)
afterAll(() => house[Symbol.asyncDispose]())

const together = async (device: string) => (await house.call(device, 'together', {})) as TogetherResult

/** Of a name there is one agent in a house. */
const runOn = (device: string, agent: Parameters<House['run']>[1]) =>
  house.run(device, { ...agent, name: `${agent.name}-${device}` })

/** Offers at its cost, and says what it was asked. */
const worker = (cost: number, work: string) => ({
  name: 'worker',
  wants: ['decide:fetch-*'],
  body: `for await (const { from, message, reply } of ctx.calls()) {
    ctx.log(from, message.ask)
    if (message.ask === 'offer') await reply(message.subject === 'fetch-wood' ? ${cost} : null)
    else { ${work} }
  }`,
})

test('a task goes to the agent that does it cheapest, and to the next when its device vanishes [decide-8] [contractor-1]', async () => {
  await runOn('bath', worker(1, 'await ctx.sleep("1h")'))
  await runOn('cellar', worker(2, 'await reply({ did: message.task })'))
  for (const device of ['bath', 'cellar']) await house.waits(device, `worker-${device}`, 'calls')
  await house.run('attic', {
    name: 'asker',
    wants: ['decide:fetch-*'],
    body: `const done = await ctx.decide.contractNet('fetch-wood', { logs: 3 }, { within: '8s' })
      ctx.log(JSON.stringify(done))
      ctx.log(JSON.stringify(await ctx.decide.contractNet('fetch-gold', null, { within: '2s' })))`,
  })
  await house.until('bath', 'worker-bath', (line) => line === 'decide:fetch-wood work')
  house.cut('bath')
  const done = await house.until('attic', 'asker', (line) => line.includes('logs'))
  expect(JSON.parse(done)).toMatchObject({
    decided: true,
    winner: 'cellar',
    price: 2,
    value: { did: { logs: 3 } },
  })
  house.mend('bath')
  const gold = await house.until('attic', 'asker', (line) => line.includes('offered'))
  expect(JSON.parse(gold)).toMatchObject({ decided: false, reason: 'nobody offered' })

  const [wood] = (await together('attic')).decisions
  expect(wood).toMatchObject({ kind: 'contract-net', notes: ['bath was awarded it and vanished'] })
  const told = await house.peer.hear('the event', ({ topic }) => topic === 'ganglion/attic/event/decision')
  const event = JSON.parse(told.payload.toString()) as DecisionEvent
  expect(event).toMatchObject({ decision: wood?.decision, winner: 'cellar', members: 3 })
  expect(event).not.toHaveProperty('value')
  await house.eventually('it is on record', async () => {
    const lines = await newestLines(auditIn(house.stateDir('cellar')), 100)
    return lines.some(({ entry }) => entry.kind === 'joint-decision' && entry['id'] === wood?.decision)
  })
}, 120_000)

test('who holds a lease loses it with its line, another goes on, and what the first still wants is refused [lease-4] [lease-7]', async () => {
  const boss = {
    name: 'boss',
    wants: ['decide:boiler', 'switch.pump:command'],
    body: `for (let n = 0; ; ) {
      const lease = await ctx.lease('boiler', { ttl: '4s', within: '1h' })
      ctx.log('holds', lease.token)
      try {
        for (;; n += 1) {
          await ctx.entity('switch.pump').command({ state: n % 2 ? 'on' : 'off' }, { lease })
          if (n < 2) ctx.log('did', n)
          await ctx.sleep('200ms')
        }
      } catch (error) {
        ctx.log('lost', error.message)
      }
    }`,
  }
  const tokensOf = async (device: string) =>
    (await house.said(device, `boss-${device}`)).flatMap(
      (line) =>
        line
          .match(/^holds (\d+)$/)
          ?.slice(1)
          .map(Number) ?? [],
    )
  await runOn('attic', boss)
  await house.until('attic', 'boss-attic', (line) => line === 'did 1')
  await runOn('bath', boss)
  await house.waits('bath', 'boss-bath', 'lease')
  expect((await together('cellar')).leases).toMatchObject([{ name: 'boiler', holder: 'attic' }])
  const [first = 0] = await tokensOf('attic')

  house.cut('attic')
  await house.until('bath', 'boss-bath', (line) => line.startsWith('did'))
  const [second = 0] = await tokensOf('bath')
  expect(second).toBeGreaterThan(first)
  house.mend('attic')
  expect(await house.until('attic', 'boss-attic', (line) => line.startsWith('lost'))).toContain(
    'boss-attic does not hold boiler any more',
  )

  // Stopped, it lets go, and the next token is higher again.
  await house.call('bath', 'agent', { ask: 'stop', name: 'boss-bath', by: 'Ada' })
  await house.eventually('the attic holds it again', async () =>
    (await tokensOf('attic')).some((token) => token > second),
  )
  await house.call('attic', 'agent', { ask: 'stop', name: 'boss-attic', by: 'Ada' })
}, 120_000)

test('the side of a cut that has no quorum decides nothing and says so; the other goes on [decide-4]', async () => {
  const voter = {
    name: 'voter',
    wants: ['decide:mode'],
    body: `for (;;) {
      const ended = await ctx.decide.vote('mode', ['eco', 'warm'], { mine: ['eco'], within: '2s' })
      ctx.log(ended.decided ? 'decided ' + ended.value : ended.reason)
      await ctx.sleep('500ms')
    }`,
  }
  await runOn('attic', voter)
  await runOn('bath', voter)
  for (const device of ['attic', 'bath'])
    await house.until(device, `voter-${device}`, (line) => line === 'decided eco')
  house.cut('attic')
  const decided = () =>
    house.peer
      .json<DecisionEvent>('ganglion/bath/event/decision')
      .filter(({ subject, opener, decided: done }) => subject === 'mode' && opener === 'bath' && done).length
  // One may have been under way when the line was cut.
  const enough = decided() + 2
  await house.eventually('two of three go on', async () => decided() >= enough)
  // Its line is cut: what it says is on its disk.
  await house.eventually('the one alone decides nothing', async () => {
    const lines = await newestLines(auditIn(house.stateDir('attic')), 1_000)
    const reasons = lines.map(({ entry }) => entry['reason'])
    return reasons.includes('no quorum: 1 of 3 devices took part, 2 are needed')
  })
  house.mend('attic')
  const told = await house.until('attic', 'voter-attic', (line) => line.startsWith('no quorum'))
  expect(told).toBe('no quorum: 1 of 3 devices took part, 2 are needed')
}, 120_000)
