/** What one device that is believed, and means ill, can make another open, keep and wait for. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Vote } from '../../../../runtime/agent/decide/counted.ts'
import { Decisions, type DecisionsDeps, type Opening } from '../../../../runtime/agent/decide/decisions.ts'
import { Openers } from '../../../../runtime/agent/decide/room.ts'
import { Words } from '../../../../runtime/agent/decide/words.ts'
import { seal } from '../../../../runtime/agent/together/envelope.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { Identity } from '../../../../runtime/base/identity.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import type { WordBody } from '../../../../runtime/wire/decide.ts'
import { SimulatedBroker, SimulatedBus } from '../board/simulated-broker.ts'

const forever = new AbortController().signal
let directory: string
let clock: VirtualClock
let broker: SimulatedBroker
let stack: DisposableStack
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'room-'))
  clock = new VirtualClock()
  broker = new SimulatedBroker(clock, { loss: 0, twice: 0, delayMsMax: 5 })
  stack = new DisposableStack()
})
afterEach(() => {
  stack[Symbol.dispose]()
  rmSync(directory, { recursive: true })
})

/** Devices that believe each other. */
function site(...names: string[]): Identity[] {
  const identities = names.map((name) => Identity.open(name, join(directory, name)))
  for (const one of identities) for (const other of identities) one.trust(other.device, other.publicKey)
  return identities
}

const decisionsOf = (signer: Identity, more: Partial<DecisionsDeps> = {}) =>
  stack.use(
    new Decisions({
      ...{ clock, log: silentLog, bus: new SimulatedBus(broker), signer, record: () => {} },
      ...more,
    }),
  )

async function pass(ms: number): Promise<void> {
  for (let at = 0; at < ms; at += 5) {
    clock.advance(5)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const speaker = (who: Identity) => {
  const bus = new SimulatedBus(broker)
  return (id: string, body: object) =>
    bus.publish(bus.topics.decide(id, who.device), seal(who, 'decide', { id, ...body }))
}
const members = ['attic', 'bath', 'eve']
const openedVote = (subject: string) => ({
  ...{ kind: 'open', what: 'vote', subject, rule: 'majority', choices: ['eco'], members, quorum: 2 },
  ...{ atMs: clock.nowMs(), lastsMs: 600_000 },
})
const vote = (subject: string): Opening => ({
  ...{ what: 'vote', subject, rule: 'majority', choices: ['eco'], lastsMs: 2_000 },
})

describe('one device that opens decisions without end', () => {
  test('leaves room for those of others, and says why its own are not heard of [decide-15]', async () => {
    const [attic, bath, eve] = site(...members) as [Identity, Identity, Identity]
    const records: string[] = []
    const record: DecisionsDeps['record'] = ({ opener }) => records.push(opener)
    const [first, second] = [decisionsOf(attic, { record }), decisionsOf(bath)]
    const says = speaker(eve)
    for (let n = 0; n < 100; n += 1) await says(`d${n}`, openedVote(`junk-${n}`))
    await pass(10)
    expect(first.refused).toBe(100 - 8)
    const ends = [first, second].map((one) => one.decide(vote('warmth'), { choices: ['eco'] }, forever))
    await pass(2_100)
    for (const end of await Promise.all(ends)) expect(end).toMatchObject({ decided: true, value: 'eco' })
  })

  test('makes the others say no more than so much about them [decide-15]', async () => {
    const [attic, _, eve] = site(...members) as [Identity, Identity, Identity]
    let said = 0
    const bus = new SimulatedBus(broker)
    bus.subscribe(bus.topics.decide('+', 'attic'), () => {
      said += 1
      return undefined
    })
    decisionsOf(attic, { interested: () => false })
    const says = speaker(eve)
    for (let n = 0; n < 60; n += 1) {
      for (let k = 0; k < 3; k += 1)
        await says(`d${n}-${k}`, { ...openedVote(`junk-${n}-${k}`), lastsMs: 200 })
      await pass(250)
    }
    // Of 180 openings in 15 seconds; it takes part in each that it hears of with two words.
    expect(said).toBeGreaterThan(100)
    expect(said).toBeLessThanOrEqual(2 * (64 + 15 * 4 + 1))
  })
})

test('a decision that names a device twice, so that it would count more, is not heard of [decide-1]', async () => {
  const [attic, eve] = site('attic', 'eve') as [Identity, Identity]
  const decisions = decisionsOf(attic)
  const eves = speaker(eve)
  await eves('twice', { ...openedVote('warmth'), members: ['attic', 'eve', 'eve'] })
  await pass(50)
  expect(decisions.refused).toBe(1)
  await eves('once', { ...openedVote('warmth'), members: ['attic', 'eve'] })
  await pass(50)
  expect(decisions.refused).toBe(1)
})

test('devices that lie together leave room for one that has none open [decide-15]', () => {
  const openers = new Openers(clock, { self: 'attic', openMax: 32 })
  const open = ['eve', 'mallory', 'trudy', 'oscar'].flatMap((liar) => Array.from({ length: 8 }, () => liar))
  expect(openers.full('eve', open)).toContain('are open already')
  expect(openers.full('bath', open)).toBeUndefined()
  expect(openers.full('bath', [...open, 'bath'])).toBe('32 decisions are open already')
  expect(openers.full('attic', open)).toBeUndefined()
})

test('of each device no more is kept than an honest one says [decide-14]', () => {
  const words = new Words({ members, opener: 'attic' })
  const add = (from: string, body: WordBody) => words.add({ from, body, envelope: JSON.stringify(body) })
  for (let round = 0; round < 1_000; round += 1) {
    add('eve', { kind: 'report', id: 'd', round, done: true })
    add('eve', { kind: 'award', id: 'd', round, to: 'eve' })
    add('attic', { kind: 'award', id: 'd', round, to: 'bath' })
    add('eve', { kind: 'close', id: 'd', commits: [] })
  }
  // A report, and the other one that shows that she lies; of the opener an award for each who could have had it.
  expect(words.envelopes).toHaveLength(2 + members.length)
  expect(words.liars).toEqual(['eve'])
})

test('what is too much to be told to the others is decided nowhere, and they hear why', () => {
  const open = { ...openedVote('warmth'), id: 'd' } as never
  const opens = new Vote({
    ...{ self: 'attic', opener: 'attic', open, startMs: 0, nonce: () => '', read: () => undefined },
  })
  const long = 'x'.repeat(23_000)
  for (const from of members)
    for (const body of [
      { kind: 'here', id: 'd' },
      { kind: 'ballot', id: 'd', choices: ['eco'] },
    ] satisfies WordBody[])
      opens.hear(from, body, long, 1)
  expect(opens.outcome).toEqual({
    decided: false,
    reason: 'what was said is too much to be told as a result',
  })
  expect(opens.statements.at(-1)).toMatchObject({ kind: 'result', decided: false, words: [] })
})

describe('who waits', () => {
  test('for a decision that the own device’s safety stops as it begins is told at once [decide-11]', async () => {
    const [attic] = site('attic') as [Identity]
    const said: string[] = []
    new SimulatedBus(broker).onWord((word) => said.push(JSON.parse(JSON.parse(word).body).kind))
    const stopped = decisionsOf(attic, { veto: () => 'the flue is blocked' })
    const end = stopped.decide(vote('boiler'), { choices: ['eco'] }, forever)
    await pass(10)
    expect(await Promise.race([end, 'still waits'])).toMatchObject({
      decided: false,
      reason: 'attic vetoed it: the flue is blocked',
    })
    await pass(10)
    expect(said.toSorted()).toEqual(['open', 'result', 'veto'])
  })

  test('works on a task no longer once its decision is over', async () => {
    const [, bath, eve] = site(...members) as [Identity, Identity, Identity]
    const worked = Promise.withResolvers<AbortSignal>()
    const work = (signal: AbortSignal) => {
      worked.resolve(signal)
      return new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    }
    decisionsOf(bath, { contractor: { offer: async () => ({ cost: 1, work }) } })
    const says = speaker(eve)
    const { rule: _, choices: __, ...opened } = openedVote('water')
    await says('d1', { ...opened, what: 'contract-net', task: null })
    await pass(20)
    await says('d1', { kind: 'award', round: 0, to: 'bath' })
    await pass(20)
    const signal = await worked.promise
    expect(signal.aborted).toBe(false)
    await says('d1', { kind: 'result', decided: false, reason: 'it is over', words: [] })
    await pass(20)
    expect(signal.aborted).toBe(true)
  })
})
