/** What one device makes another check, and that the others are heard meanwhile. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Board } from '../../../../runtime/agent/board/board.ts'
import { Decisions, type Opening } from '../../../../runtime/agent/decide/decisions.ts'
import { Checking } from '../../../../runtime/agent/together/checking.ts'
import { type Signer, seal, unseal } from '../../../../runtime/agent/together/envelope.ts'
import { Peers } from '../../../../runtime/agent/together/peers.ts'
import { sleep, VirtualClock } from '../../../../runtime/base/clock.ts'
import { Identity } from '../../../../runtime/base/identity.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import { decideBody } from '../../../../runtime/wire/decide.ts'
import { SimulatedBroker, SimulatedBus, SimulatedDisk } from '../board/simulated-broker.ts'

let directory: string
let clock: VirtualClock
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'checking-'))
  clock = new VirtualClock()
})
afterEach(() => rmSync(directory, { recursive: true }))

const identityOf = (name: string) => Identity.open(name, join(directory, name))

/** A device that believes the others, and those. */
function site(...names: string[]): { own: Identity; others: Identity[] } {
  const own = identityOf('attic')
  const others = names.map(identityOf)
  for (const other of others) own.trust(other.device, other.publicKey)
  return { own, others }
}

const admitted = (checking: Checking, sender: string, times: number) =>
  Array.from({ length: times }, () => checking.admits(sender)).filter((admits) => admits).length

describe('a budget for checking', () => {
  test('ends, fills again, and is one for each who speaks [checks-1]', () => {
    const checking = new Checking(site().own, clock)
    const atOnce = admitted(checking, 'on decide eve', 5_000)
    // All that a broker can keep of one author, several times.
    expect(atOnce).toBeGreaterThanOrEqual(1_000)
    expect(atOnce).toBeLessThan(1_100)
    expect(admitted(checking, 'on decide bath', 500)).toBe(500)
    clock.advance(1_000)
    const later = admitted(checking, 'on decide eve', 5_000)
    expect(later).toBeGreaterThan(100)
    expect(later).toBeLessThan(300)
  })

  test('leaves something for each, whatever others use up under however many names [checks-2]', () => {
    const checking = new Checking(site().own, clock)
    const flood = (times: number) => {
      let checked = 0
      for (let n = 0; n < 64; n += 1) checked += admitted(checking, `on decide eve-${n}`, times)
      return checked
    }
    flood(1_500)
    expect(admitted(checking, 'on decide bath', 30)).toBe(30)
    // A quiet minute fills it; then for a minute they do what they can, each tenth of a second.
    clock.advance(60_000)
    flood(1_500)
    let checked = 0
    for (let n = 0; n < 100; n += 1) {
      clock.advance(100)
      checked += flood(50)
      if (n % 10 === 9) expect(admitted(checking, 'on decide bath', 1)).toBe(1)
    }
    // In ten seconds: half of what a core of 6,000 checks a second could do.
    expect(checked).toBeLessThan(30_000)
  })
})

describe('a word', () => {
  const word = { kind: 'here', id: 'd1' } as const
  const heard = (signer: Checking, by: Identity, on: string) =>
    unseal(signer, 'decide', decideBody, Buffer.from(seal(by, 'decide', word)), 1_000, { on })

  test('that names another than its topic costs that other nothing [checks-3]', () => {
    const { own, others } = site('bath', 'eve')
    const [bath] = others as [Identity]
    const checking = new Checking(own, clock)
    const payload = Buffer.from(seal(bath, 'decide', word))
    for (let n = 0; n < 3_000; n += 1)
      expect(unseal(checking, 'decide', decideBody, payload, 1_000, { on: 'eve' })).toMatchObject({
        ok: false,
        code: 'forged',
      })
    expect(heard(checking, bath, 'bath')).toMatchObject({ ok: true, from: 'bath' })
  })

  test('of a stranger is not checked, and what is on the own disk always', () => {
    const { own, others } = site('bath')
    const [bath] = others as [Identity]
    const checking = new Checking(own, clock)
    expect(heard(checking, identityOf('eve'), 'eve')).toMatchObject({ code: 'unknown' })
    admitted(checking, 'on decide bath', 2_000)
    expect(heard(checking, bath, 'bath')).toMatchObject({ code: 'busy' })
    const payload = Buffer.from(seal(bath, 'decide', word))
    expect(unseal(checking, 'decide', decideBody, payload, 1_000)).toMatchObject({ ok: true })
  })
})

test('a device that floods a decision’s topics is counted, and others decide meanwhile [checks-1] [checks-2]', async () => {
  const broker = new SimulatedBroker(clock, { loss: 0, twice: 0, delayMsMax: 1 })
  const all = ['attic', 'bath', 'eve'].map(identityOf)
  for (const one of all) for (const other of all) one.trust(other.device, other.publicKey)
  const [attic, bath, eve] = all as [Identity, Identity, Identity]
  const decisionsOf = (identity: Identity) =>
    new Decisions({
      ...{ clock, log: silentLog, bus: new SimulatedBus(broker), record: () => {} },
      signer: new Checking(identity, clock),
    })
  using first = decisionsOf(attic)
  using second = decisionsOf(bath)
  const evesBus = new SimulatedBus(broker)
  const says = (body: object) =>
    evesBus.publish(evesBus.topics.decide('d1', 'eve'), seal(eve, 'decide', { ...body, id: 'd1' }))
  const opened = { what: 'vote', subject: 'junk', rule: 'majority', choices: ['eco'], lastsMs: 600_000 }
  const members = all.map(({ device }) => device)
  await says({ kind: 'open', ...opened, members, quorum: 2, atMs: clock.nowMs() })
  clock.advance(10)
  // Of a decision that is open; words of others cost no check.
  for (let n = 0; n < 1_500; n += 1) await says({ kind: 'abstain', reason: `${n}` })
  clock.advance(10)
  expect(first.refused).toBeGreaterThan(400)
  const vote: Opening = {
    what: 'vote',
    subject: 'warmth',
    rule: 'majority',
    choices: ['eco'],
    lastsMs: 5_000,
  }
  const ends = [first, second].map((one) =>
    one.decide(vote, { choices: ['eco'] }, new AbortController().signal),
  )
  for (let n = 0; n < 600; n += 1) {
    clock.advance(10)
    await Promise.resolve()
  }
  for (const end of await Promise.all(ends)) expect(end).toMatchObject({ decided: true, value: 'eco' })
})

test('keys of strangers are checked so many at a time, others’ never [peers-6]', () => {
  const { own, others } = site('bath')
  const [bath] = others as [Identity]
  let take: (topic: string, payload: string) => string | undefined = () => undefined
  const bus = {
    topics: new SimulatedBus(new SimulatedBroker(clock, { loss: 0, twice: 0, delayMsMax: 0 })).topics,
    setRetained: () => {},
    subscribe: (filter: string, taker: (message: object) => string | undefined) => {
      if (filter.endsWith('identity'))
        take = (topic, payload) => taker({ topic, payload: Buffer.from(payload) })
      return () => {}
    },
  }
  const deps = { clock, log: silentLog, bus: bus as never, identity: own }
  using peers = new Peers(deps, { path: join(directory, 'peers.json') })
  const eve = identityOf('eve')
  const shown = (by: Identity, name: string, key: string) =>
    take(`ganglion/${name}/identity`, seal(by, 'identity', { device: name, key }))
  const forged = new Set<string | undefined>()
  for (let n = 0; n < 300; n += 1) forged.add(shown(eve, `eve-${n}`, bath.publicKey))
  expect([...forged]).toEqual([
    'it is not signed by the key that it names',
    'more strangers show their keys than are checked',
  ])
  // Who is known is known, and another key under its name needs no check to be refused.
  expect(shown(bath, 'bath', bath.publicKey)).toBeUndefined()
  expect(shown(eve, 'bath', eve.publicKey)).toContain('it has another key than before')
  expect(peers.known).not.toContain('eve')
  clock.advance(1_000)
  expect(shown(eve, 'eve', eve.publicKey)).toBeUndefined()
  expect(peers.known).toContain('eve')
})

test('a fact that there was no time to check is looked at again [checks-3]', async () => {
  const broker = new SimulatedBroker(clock, { loss: 0, twice: 0, delayMsMax: 10 })
  const { own, others } = site('bath')
  const [bath] = others as [Identity]
  bath.trust('attic', own.publicKey)
  const time = { left: false }
  const busy = {
    ...{ device: 'attic', trusted: own.trusted, admits: () => time.left },
    sign: (bytes: Uint8Array) => own.sign(bytes),
    verify: (...word: Parameters<Identity['verify']>) => own.verify(...word),
  }
  const boardOf = (signer: Signer) => {
    const disk = new SimulatedDisk()
    const deps = { clock, log: silentLog, bus: new SimulatedBus(broker), signer, onPeer: () => () => {} }
    return new Board(deps, disk, disk.kept())
  }
  await using board = boardOf(busy)
  await using writer = boardOf(bath)
  await clock.run(async () => {
    await writer.set('mode', 'eco')
    await sleep(clock, 10_000)
    expect(board.get('mode')).toBeUndefined()
    expect(board.refused).toBeGreaterThan(0)
    time.left = true
    await sleep(clock, 10_000)
    expect(board.get('mode')).toMatchObject({ value: 'eco' })
  })
})
