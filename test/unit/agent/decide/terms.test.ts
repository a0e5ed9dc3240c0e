/** Devices that decide together with one that opens decisions on terms of its own. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Decisions, type Opening } from '../../../../runtime/agent/decide/decisions.ts'
import type { Intent } from '../../../../runtime/agent/decide/process.ts'
import { seal } from '../../../../runtime/agent/together/envelope.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { Identity } from '../../../../runtime/base/identity.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import { SimulatedBroker, SimulatedBus } from '../board/simulated-broker.ts'

const honest = ['bath', 'cellar', 'den']
/** Its name is first: of equals its decision would go on. */
const liar = 'attic'
const forever = new AbortController().signal

let directory: string
let clock: VirtualClock
let broker: SimulatedBroker
let stack: DisposableStack
let devices: Decisions[]
let say: (id: string, body: object) => Promise<void>
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'decide-'))
  clock = new VirtualClock()
  broker = new SimulatedBroker(clock, { loss: 0, twice: 0, delayMsMax: 5 })
  stack = new DisposableStack()
  const identities = [liar, ...honest].map((name) => Identity.open(name, join(directory, name)))
  for (const one of identities)
    for (const other of identities) if (one !== other) one.trust(other.device, other.publicKey)
  const [lying, ...others] = identities as [Identity, ...Identity[]]
  devices = others.map((signer) =>
    stack.use(
      new Decisions({
        ...{ clock, log: silentLog, bus: new SimulatedBus(broker), signer, record: () => {} },
        weights: { den: 5 },
      }),
    ),
  )
  const bus = new SimulatedBus(broker)
  say = (id, body) => bus.publish(bus.topics.decide(id, liar), seal(lying, 'decide', { id, ...body }))
})
afterEach(() => {
  stack[Symbol.dispose]()
  rmSync(directory, { recursive: true })
})

async function pass(ms: number): Promise<void> {
  for (let at = 0; at < ms; at += 5) {
    clock.advance(5)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const agree: Opening = { what: 'agree', subject: 'mode', value: 'night', faulty: 1, lastsMs: 2_000 }
const vote: Opening = {
  ...{ what: 'vote', subject: 'mode', rule: 'majority', choices: ['night', 'away'], lastsMs: 2_000 },
}
const opened = () => ({ kind: 'open', subject: 'mode', atMs: clock.nowMs(), lastsMs: 2_000 })

async function decideAll(opening: Opening, intent: Intent) {
  const outcomes = Promise.all(devices.map((device) => device.decide(opening, intent, forever)))
  await pass(3_000)
  return await outcomes
}
/** Of each device alone with the one that lies, as that one has it. */
async function openAlone(more: object, ...words: object[]): Promise<void> {
  for (const member of honest) {
    const id = `alone-${member}`
    await say(id, { ...opened(), members: [liar, member], ...more })
    await pass(20)
    for (const word of words) await say(id, word)
  }
  await pass(20)
}

/** As the one that lies would have it. */
const heavy = { what: 'vote', rule: 'weighted', weights: [100, 1, 1, 1], choices: ['away', 'night'] }
const weighted: Opening = { ...vote, rule: 'weighted' }

test('[decide-16] what the votes of devices weigh decides, and one that is not named weighs 1', async () => {
  const [bath, cellar, den] = devices as [Decisions, Decisions, Decisions]
  const outcomes = Promise.all([
    bath.decide(weighted, { choices: ['night'] }, forever),
    cellar.decide(weighted, { choices: ['night'] }, forever),
    den.decide(weighted, { choices: ['away'] }, forever),
  ])
  await pass(3_000)
  const away = { decided: true, value: 'away', reason: '5 of 7 votes are for away' }
  for (const outcome of await outcomes) expect(outcome).toMatchObject(away)
})

describe('one that lies cannot make a decision [decide-13]', () => {
  const alone = { what: 'agree', value: 'away', faulty: 0, quorum: 1 }
  const agreed = { decided: true, value: 'night' }

  test('by opening one that bears no lies before the others open theirs', async () => {
    await openAlone(alone)
    const outcomes = decideAll(agree, { value: 'night' })
    await pass(20)
    for (const member of honest) await say(`alone-${member}`, { kind: 'ready', value: 'away' })
    for (const outcome of await outcomes) expect(outcome).toMatchObject(agreed)
  })

  test('by opening it while theirs is open', async () => {
    const [first] = devices as [Decisions]
    const early = first.decide(agree, { value: 'night' }, forever)
    await pass(20)
    await openAlone(alone, { kind: 'ready', value: 'away' })
    for (const outcome of await decideAll(agree, { value: 'night' })) expect(outcome).toMatchObject(agreed)
    expect(await early).toMatchObject(agreed)
  })

  test('by opening a vote that needs itself only', async () => {
    await openAlone({ what: 'vote', rule: 'majority', choices: ['away', 'night'], quorum: 1 })
    const outcomes = await decideAll(vote, { choices: ['night'] })
    for (const outcome of outcomes) expect(outcome).toMatchObject(agreed)
    for (const { reason } of outcomes) expect(reason).toMatch(/^3 of 3 votes/)
  })

  test('by opening a vote that is counted otherwise', async () => {
    await say('heavy', { ...opened(), ...heavy, members: [liar, ...honest], quorum: 3 })
    await pass(20)
    for (const outcome of await decideAll(vote, { choices: ['night'] }))
      expect(outcome).toMatchObject({ decided: false, reason: expect.stringContaining('counted otherwise') })
  })

  test('by opening a vote in which nobody else can name their choice [decide-16]', async () => {
    const only = { what: 'vote', rule: 'majority', choices: ['away'] }
    await say('only', { ...opened(), ...only, members: [liar, ...honest], quorum: 3 })
    await pass(20)
    await say('only', { kind: 'ballot', choices: ['away'] })
    const reason = 'attic has opened a vote on mode that is counted otherwise: with other choices than here'
    for (const outcome of await decideAll(vote, { choices: ['night'] }))
      expect(outcome).toMatchObject({ decided: false, reason })
  })

  test('by opening a vote that gives it weight [decide-16]', async () => {
    await say('heavy', { ...opened(), ...heavy, members: [liar, ...honest], quorum: 3 })
    await pass(20)
    await say('heavy', { kind: 'ballot', choices: ['away'] })
    const reason = 'attic has opened a vote on mode that is counted otherwise: by other weights than here'
    for (const outcome of await decideAll(weighted, { choices: ['night'] }))
      expect(outcome).toMatchObject({ decided: false, reason })
  })

  test.each([
    ['majority', '3 of 3 votes are for night'],
    ['weighted', '7 of 7 votes are for night'],
  ] as const)('by opening it while a vote of theirs is open: %s [decide-16]', async (rule, reason) => {
    const outcomes = Promise.all(
      devices.map((device) => device.decide({ ...vote, rule }, { choices: ['night'] }, forever)),
    )
    await pass(1)
    await say('heavy', { ...opened(), ...heavy, members: [liar, ...honest], quorum: 4 })
    await pass(20)
    await say('heavy', { kind: 'ballot', choices: ['away'] })
    await pass(3_000)
    for (const outcome of await outcomes) expect(outcome).toMatchObject({ ...agreed, reason })
  })
})
