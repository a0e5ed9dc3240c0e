/** What of a joint decision is lost on its way comes again, and nobody can make devices repeat themselves without end. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Decisions, type DecisionsDeps, type Opening } from '../../../../runtime/agent/decide/decisions.ts'
import type { Intent } from '../../../../runtime/agent/decide/process.ts'
import { seal } from '../../../../runtime/agent/together/envelope.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { Identity } from '../../../../runtime/base/identity.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import { SimulatedBroker, SimulatedBus } from '../board/simulated-broker.ts'
import { names } from './simulation.ts'

const forever = new AbortController().signal
let directory: string
let clock: VirtualClock
let stack: DisposableStack
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'again-'))
  clock = new VirtualClock()
  stack = new DisposableStack()
})
afterEach(() => {
  stack[Symbol.dispose]()
  rmSync(directory, { recursive: true })
})

/** A link that tells what its device says, and loses some of it. */
class LosingBus extends SimulatedBus {
  readonly said: string[] = []
  loses: (kind: string) => boolean = () => false

  override async publish(topic: string, payload: string): Promise<void> {
    const { kind } = JSON.parse((JSON.parse(payload) as { body: string }).body) as { kind: string }
    this.said.push(kind)
    if (!this.loses(kind)) await super.publish(topic, payload)
  }
}

function firstTwo(lost: string): (kind: string) => boolean {
  let left = 2
  return (kind) => {
    if (kind !== lost) return false
    left -= 1
    return left >= 0
  }
}

interface Device {
  readonly identity: Identity
  readonly bus: LosingBus
  readonly decisions: Decisions
}

/** Devices that believe each other. */
function site(
  devices: readonly string[],
  {
    loss = 0,
    more = () => ({}),
  }: { loss?: number; more?: (device: string, identity: Identity) => Partial<DecisionsDeps> } = {},
): Device[] {
  const broker = new SimulatedBroker(clock, { loss, twice: 0, delayMsMax: 5 })
  const identities = devices.map((name) => Identity.open(name, join(directory, name)))
  for (const one of identities) for (const other of identities) one.trust(other.device, other.publicKey)
  return identities.map((identity) => {
    const bus = new LosingBus(broker)
    const deps = {
      clock,
      log: silentLog,
      bus,
      signer: identity,
      record: () => {},
      ...more(identity.device, identity),
    }
    return { identity, bus, decisions: stack.use(new Decisions(deps)) }
  })
}

async function pass(ms: number): Promise<void> {
  for (let at = 0; at < ms; at += 5) {
    clock.advance(5)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const vote: Opening = {
  ...{ what: 'vote', subject: 'warmth', rule: 'majority', choices: ['eco'], lastsMs: 600_000 },
}
const together = (devices: readonly Device[], opening: Opening, intentOf: (n: number) => Intent) =>
  Promise.all(devices.map(({ decisions }, n) => decisions.decide(opening, intentOf(n), forever)))
/** What came within so long. */
const within = async <T>(ms: number, ended: Promise<T>) => {
  await pass(ms)
  return await Promise.race([ended, Promise.resolve('it is not over')])
}

describe('what is lost', () => {
  test('is asked for and said again, by whoever said it and nobody else [decide-17]', async () => {
    const [attic, bath, cellar] = site(['attic', 'bath', 'cellar']) as [Device, Device, Device]
    bath.bus.loses = firstTwo('ballot')
    // The attic opens it, the others join when they have heard of that.
    const first = attic.decisions.decide(vote, { choices: ['eco'] }, forever)
    await pass(50)
    const ends = Promise.all([first, together([bath, cellar], vote, () => ({ choices: ['eco'] }))])
    expect(await within(2_500, ends)).toMatchObject([
      { decided: true },
      [{ decided: true }, { decided: true }],
    ])
    expect(bath.bus.said).toEqual(['ballot', 'ballot', 'ballot'])
    expect(cellar.bus.said).toEqual(['ballot'])
  })

  test('is a tenth of all, and a decision of sixteen takes seconds of its minutes', async () => {
    const offer: DecisionsDeps['contractor'] = { offer: async () => ({ cost: 1, work: async () => 'done' }) }
    const devices = site(names(16), { loss: 0.1, more: () => ({ contractor: offer }) })
    const { subject, lastsMs } = { subject: 'water', lastsMs: 600_000 }
    const kinds: readonly Opening[] = [
      { what: 'auction', subject, price: 'second', lastsMs },
      { ...vote, subject },
      { what: 'agree', subject, value: 21, faulty: 5, lastsMs },
    ]
    for (const opening of kinds) {
      const first = devices[0]?.decisions.decide(opening, { bid: 9, choices: ['eco'], value: 21 }, forever)
      await pass(10)
      const rest = together(devices.slice(1), opening, (n) => ({ bid: n / 2, choices: ['eco'], value: 21 }))
      const ends: unknown = await within(8_000, Promise.all([first, rest]))
      expect(ends, opening.what).toMatchObject([{ decided: true }, {}])
    }
  }, 30_000)

  test('is a veto: nobody goes on without it [decide-5]', async () => {
    const [attic, bath] = site(['attic', 'bath', 'cellar'], {
      more: (device) => ({
        interested: () => false,
        ...(device === 'bath' && { veto: () => 'the flue is blocked' }),
      }),
    }) as [Device, Device]
    bath.bus.loses = firstTwo('veto')
    const end = attic.decisions.decide(vote, { choices: ['eco'] }, forever)
    expect(await within(2_500, end)).toMatchObject({ reason: 'bath vetoed it: the flue is blocked' })
  })
})

test('who asks without end is answered so often, and no more [decide-17]', async () => {
  const [attic, bath, eve] = site(['attic', 'bath', 'eve']) as [Device, Device, Device]
  void attic.decisions.decide(vote, { choices: ['eco'] }, forever)
  void bath.decisions.decide(vote, { choices: ['eco'] }, forever).catch(() => {})
  eve.decisions[Symbol.dispose]()
  const heard = Promise.withResolvers<string>()
  eve.bus.subscribe(eve.bus.topics.decide('+', 'attic'), ({ topic }) => {
    heard.resolve(topic.split('/')[3] ?? '')
    return undefined
  })
  await pass(600)
  const id = await heard.promise
  const before = bath.bus.said.length
  for (let n = 0; n < 100; n += 1) {
    const asks = seal(eve.identity, 'decide', { kind: 'again', id, of: ['attic', 'bath'] })
    await eve.bus.publish(eve.bus.topics.decide(id, 'eve'), asks)
    await pass(20)
  }
  // Two seconds: one answer in each half, of one word.
  expect(bath.bus.said.length - before).toBeLessThanOrEqual(5)
  expect(bath.bus.said.length - before).toBeGreaterThan(0)
})

test('what could change nothing is not checked: of what is over, or was never opened [decide-18]', async () => {
  const short: Opening = { ...vote, lastsMs: 10_000 }
  let checked = 0
  const counted = (identity: Identity): Partial<DecisionsDeps> => {
    const verify: Identity['verify'] = (...word) => {
      checked += 1
      return identity.verify(...word)
    }
    const { device, trusted } = identity
    return { signer: { device, trusted, verify, sign: (bytes) => identity.sign(bytes) } }
  }
  const [attic, bath, eve] = site(['attic', 'bath', 'eve'], {
    more: (device, identity) => (device === 'attic' ? counted(identity) : {}),
  }) as [Device, Device, Device]
  eve.decisions[Symbol.dispose]()
  let id = ''
  eve.bus.subscribe(eve.bus.topics.decide('+', 'attic'), ({ topic }) => {
    id = topic.split('/')[3] ?? ''
    return undefined
  })
  const says = (of: string, body: object) =>
    eve.bus.publish(eve.bus.topics.decide(of, 'eve'), seal(eve.identity, 'decide', { id: of, ...body }))
  const first = attic.decisions.decide(short, { choices: ['eco'] }, forever)
  await pass(50)
  await says(id, { kind: 'ballot', choices: ['eco'] })
  const both = Promise.all([first, bath.decisions.decide(short, { choices: ['eco'] }, forever)])
  expect(await within(2_500, both)).toMatchObject([{ decided: true }, { decided: true }])
  expect(checked).toBe(2)

  const before = attic.bus.said.length
  for (const of of [id, 'never-opened']) {
    await says(of, { kind: 'ballot', choices: ['eco', 'eco'] })
    await says(of, { kind: 'veto', reason: 'too late' })
    await says(of, { kind: 'result', decided: false, reason: 'no', words: [] })
  }
  await pass(50)
  expect(checked).toBe(2)
  // Who lacks something is told all the same.
  await says(id, { kind: 'again', of: ['attic'] })
  await pass(50)
  expect(checked).toBe(3)
  expect(attic.bus.said.slice(before)).toContain('result')
  // When its time is over it is not opened again either.
  await pass(10_000)
  await says(id, {
    ...short,
    kind: 'open',
    members: ['attic', 'bath', 'eve'],
    quorum: 2,
    atMs: clock.nowMs(),
  })
  await pass(50)
  expect(checked).toBe(3)
})
