/** Calls between agents of two devices, over a broker that loses, doubles and delays, and across crashes of either. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CallsAcross } from '../../../../runtime/agent/calling/across.ts'
import { Calling } from '../../../../runtime/agent/calling/calling.service.ts'
import { EndedCalls } from '../../../../runtime/agent/calling/ended-calls.ts'
import type { Json } from '../../../../runtime/agent/contract.ts'
import { MemoryStore } from '../../../../runtime/agent/memory/memory-store.ts'
import type { Outcome, Service } from '../../../../runtime/agent/service.ts'
import { seal } from '../../../../runtime/agent/together/envelope.ts'
import type { CallOp } from '../../../../runtime/agent/turn.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { Identity } from '../../../../runtime/base/identity.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import type { AuditEntry } from '../../../../runtime/observe/audit-chain.ts'
import { SimulatedBroker, SimulatedBus } from '../board/simulated-broker.ts'

interface Item {
  readonly key: string
  readonly from: string
  readonly message: Json
}

/** One device: what outlives it is its key and its store. */
class Device {
  readonly bus: SimulatedBus
  readonly across: CallsAcross
  readonly #services: readonly Service[]
  readonly #stop = new AbortController()

  constructor(broker: SimulatedBroker, identity: Identity, store: MemoryStore, agents: readonly string[]) {
    this.bus = new SimulatedBus(broker)
    const { clock } = broker
    const record = (entry: AuditEntry) => recorded(entry)
    this.across = new CallsAcross({ clock, log: silentLog, bus: this.bus, signer: identity, record })
    this.#services = new Calling({
      ...{ clock, store, across: this.across },
      runs: (agent) => agents.includes(agent),
    }).services
  }

  perform(
    agent: string,
    op: CallOp,
    args: { [name: string]: Json },
    id: number,
    askedMs: number,
    resumed = false,
  ) {
    const items: Item[] = []
    const emit = (item: Json) => {
      items.push(item as unknown as Item)
      return true
    }
    const service = this.#services.find(({ ops }) => ops.includes(op)) as Service
    const performing = { caller: { agent, token: 1 }, call: { id, op, args }, resumed, askedMs, emit }
    return { items, outcome: service.perform(performing, this.#stop.signal) }
  }

  /** As a power cut: nothing is said any more. */
  die(): void {
    this.bus.leave()
    this.across[Symbol.dispose]()
    this.#stop.abort(new Error('the power went'))
  }
}

let recorded: (entry: AuditEntry) => Promise<void> = async () => {}
let directory: string
let clock: VirtualClock
let broker: SimulatedBroker
let beganMs: number
let stores: MemoryStore[]
let identities: [Identity, Identity]
let ana: Device
let bob: Device
const startAna = () => {
  ana = new Device(broker, identities[0], stores[0] as MemoryStore, ['asker'])
}
const startBob = () => {
  bob = new Device(broker, identities[1], stores[1] as MemoryStore, ['keeper'])
}

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'across-'))
  clock = new VirtualClock()
  beganMs = clock.nowMs()
  recorded = async () => {}
  broker = new SimulatedBroker(clock, { loss: 0, twice: 0, delayMsMax: 5 })
  stores = []
  for (const name of ['ana', 'bob']) stores.push((await MemoryStore.open(join(directory, name), 1)).store)
  identities = [Identity.open('ana', join(directory, 'ana')), Identity.open('bob', join(directory, 'bob'))]
  identities[0].trust('bob', identities[1].publicKey)
  identities[1].trust('ana', identities[0].publicKey)
  startAna()
  startBob()
})
afterEach(async () => {
  ana.die()
  bob.die()
  for (const store of stores) await store[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true })
})

/** Lets words travel and promises settle, for as long as the broker needs. */
async function pass(ms: number): Promise<void> {
  for (let at = 0; at < ms; at += 10) {
    clock.advance(10)
    await new Promise((resolve) => setImmediate(resolve))
  }
}
const call = (id: number, more: { [name: string]: Json } = {}, resumed = false, askedMs = beganMs) =>
  ana.perform('asker', 'call', { agent: 'keeper@bob', message: 'milk?', ...more }, id, askedMs, resumed)
    .outcome
const taking = () => bob.perform('keeper', 'calls', {}, 1, beganMs).items
const reply = (key: string, answer: Json) =>
  bob.perform('keeper', 'reply', { key, answer }, 2, beganMs).outcome
const settled = async (outcome: Promise<Outcome>, ms: number) => {
  let is: Outcome | undefined
  void outcome.then((value) => {
    is = value
  })
  for (let at = 0; at < ms && !is; at += 100) await pass(100)
  return is
}
const code = (outcome: Outcome | undefined) => (outcome?.ok === false ? outcome.error.code : outcome)

describe('a call to an agent of another device', () => {
  it('reaches it, with who asks, and is answered', async () => {
    const items = taking()
    const outcome = call(1)
    await pass(50)
    expect(items).toMatchObject([{ from: 'asker@ana', message: 'milk?' }])
    await reply(items[0]?.key ?? '', 'two bottles')
    expect(await settled(outcome, 2_000)).toEqual({ ok: true, value: 'two bottles' })
  })
  it('[calling-11] is on record before it is handed over, and is not where it cannot be', async () => {
    const disk = Promise.withResolvers<void>()
    const entries: AuditEntry[] = []
    recorded = (entry) => {
      entries.push(entry)
      return disk.promise
    }
    const items = taking()
    const outcome = call(1)
    await pass(50)
    expect(entries).toEqual([{ kind: 'called', agent: 'keeper', from: 'asker@ana' }])
    expect(items).toEqual([])
    disk.resolve()
    await pass(50)
    await reply(items[0]?.key ?? '', 'two bottles')
    expect(await settled(outcome, 2_000)).toEqual({ ok: true, value: 'two bottles' })
    recorded = () => Promise.reject(new Error('the disk is full'))
    expect(code(await settled(call(2), 2_000))).toBe('failed')
    expect(items).toHaveLength(1)
  })
  it('[calling-11] is on record once, however often its words are said again after its end', async () => {
    const entries: AuditEntry[] = []
    recorded = async (entry) => {
      entries.push(entry)
    }
    const items = taking()
    const ask = { kind: 'ask', to: 'bob', key: 'k/1', caller: 'asker', callee: 'keeper', message: 1 }
    const words = { ...ask, askedMs: beganMs, leftMs: 60_000, resumed: false }
    const say = () => ana.bus.publish(ana.bus.topics.call('bob', 'ana'), seal(identities[0], 'call', words))
    await say()
    await pass(50)
    await reply(items[0]?.key ?? '', 'two bottles')
    await pass(50)
    for (let n = 0; n < 10; n += 1) {
      await say()
      await pass(50)
    }
    expect(entries).toHaveLength(1)
    expect(items).toHaveLength(1)
  })
  it('[calling-1] is handed to nobody where the disk took longer than it has time', async () => {
    const disk = Promise.withResolvers<void>()
    recorded = () => disk.promise
    const items = taking()
    expect(code(await settled(call(1, { deadlineMs: beganMs + 2_000 }), 3_000))).toBe('timeout')
    disk.resolve()
    await pass(100)
    expect(items).toEqual([])
  })
  it('[calling-5] is named at once where there is no such device, no such agent, or it is away', async () => {
    const elsewhere = (agent: string) =>
      ana.perform('asker', 'call', { agent, message: 1 }, 9, beganMs).outcome
    expect(await settled(elsewhere('keeper@nowhere'), 100)).toMatchObject({ error: { code: 'not-found' } })
    expect(await settled(elsewhere('nobody@bob'), 200)).toMatchObject({
      ...{ error: { code: 'not-found', message: 'no agent called nobody runs on bob' } },
    })
    expect(code(await settled(elsewhere('keeper@bob@ana'), 100))).toBe('bad-request')
    bob.die()
    ana.bus.setRetained(ana.bus.topics.availability('bob'), 'offline')
    await pass(50)
    expect(await settled(elsewhere('keeper@bob'), 200)).toMatchObject({
      ...{ error: { code: 'unavailable', message: 'bob is offline' } },
    })
  })
  it('[calling-5] is told nothing until it is known who runs there, and none of it is kept', async () => {
    bob.die()
    const bus = new SimulatedBus(broker)
    using across = new CallsAcross({ clock, log: silentLog, bus, signer: identities[1] })
    const ask = () => call(1, { deadlineMs: beganMs + 60_000 })
    const outcome = ask()
    expect(await settled(outcome, 6_000)).toBeUndefined()
    across.opened()
    expect(code(await settled(outcome, 6_000))).toBe('not-found')
    // The same words once more, when somebody serves.
    across.attach(async () => ({ ok: true, value: 'here' }))
    expect(await settled(ask(), 6_000)).toEqual({ ok: true, value: 'here' })
  })
  it('[calling-6] is handed over once and answered once however much is lost, doubled and late', async () => {
    Object.assign(broker.weather, { loss: 0.3, twice: 0.3, delayMsMax: 400 })
    const items = taking()
    const outcomes = Array.from({ length: 20 }, (_, at) =>
      call(at + 1, { message: at, deadlineMs: beganMs + 600_000 }),
    )
    const answered = new Set<string>()
    for (let round = 0; round < 600 && answered.size < 20; round += 1) {
      await pass(100)
      for (const { key, message } of items) {
        if (answered.has(key)) continue
        answered.add(key)
        await reply(key, Number(message) * 2)
      }
    }
    const values = await Promise.all(outcomes.map((outcome) => settled(outcome, 120_000)))
    expect(values).toEqual(Array.from({ length: 20 }, (_, at) => ({ ok: true, value: at * 2 })))
    // The callee's machine takes a key once; none but these came.
    expect(new Set(items.map(({ key }) => key)).size).toBe(20)
  })
  it('[calling-7] of a device that crashed is not begun again: the kept answer, or nobody can tell', async () => {
    const items = taking()
    void call(1, { deadlineMs: beganMs + 60_000 })
    await pass(50)
    ana.die()
    await reply(items[0]?.key ?? '', 'kept')
    startAna()
    expect(await settled(call(1, { deadlineMs: beganMs + 60_000 }, true), 5_000)).toEqual({
      ok: true,
      value: 'kept',
    })
    // Never arrived, or it did and the callee's device crashed too: it is not begun now.
    expect(code(await settled(call(2, { deadlineMs: beganMs + 60_000 }, true), 5_000))).toBe('uncertain')
    expect(items).toHaveLength(1)
    bob.die()
    expect(code(await settled(call(3, { deadlineMs: beganMs + 20_000 }, true), 30_000))).toBe('uncertain')
  })
  it('[calling-6] is handed over again with the same key to a callee whose device crashed', async () => {
    const before = taking()
    const outcome = call(1, { deadlineMs: beganMs + 60_000 })
    await pass(50)
    bob.die()
    startBob()
    const after = taking()
    await pass(6_000)
    expect(after[0]?.key).toBe(before[0]?.key)
    await reply(after[0]?.key ?? '', 'late but here')
    expect(await settled(outcome, 10_000)).toEqual({ ok: true, value: 'late but here' })
  })
  it('[calling-8] is heard from believed devices alone, in their own words, and none that was said long ago', async () => {
    const items = taking()
    const ask = { kind: 'ask', to: 'bob', key: 'k/1', caller: 'asker', callee: 'keeper', message: 1 }
    const more = { askedMs: clock.nowMs(), leftMs: 1_000, resumed: false }
    const stranger = Identity.open('eve', join(directory, 'eve'))
    const topic = ana.bus.topics.call('bob', 'ana')
    const [own] = identities
    const claims = { device: 'ana', trusted: ['ana'], sign: stranger.sign.bind(stranger), verify: own.verify }
    for (const said of [
      seal(stranger, 'call', { ...ask, ...more }),
      seal(claims, 'call', { ...ask, ...more }),
      seal(own, 'command', { ...ask, ...more }),
      seal(own, 'call', { ...ask, ...more, to: 'carol' }),
      seal(own, 'call', { ...ask, ...more, askedMs: clock.nowMs() - 7_200_001 }),
      'no JSON',
    ])
      await ana.bus.publish(topic, said)
    await pass(50)
    expect(items).toEqual([])
    // An answer from another device than the one that was asked is none.
    const outcome = call(1, { deadlineMs: clock.nowMs() + 2_000 }, false, clock.nowMs())
    await pass(50)
    const forged = {
      kind: 'over',
      to: 'ana',
      key: items[0]?.key.slice('@ana/'.length),
      outcome: { ok: true, value: 'lie' },
    }
    identities[0].trust('eve', stranger.publicKey)
    await bob.bus.publish(bob.bus.topics.call('ana', 'eve'), seal(stranger, 'call', forged))
    expect(code(await settled(outcome, 5_000))).toBe('timeout')
  })
  it('[calling-8] has no key of an agent here, whatever the other device is called and says', async () => {
    const items = taking()
    const local = bob.perform('ana', 'call', { agent: 'keeper', message: 'our secret?' }, 7, beganMs)
    await pass(50)
    await reply(items[0]?.key ?? '', 'the secret')
    expect(await settled(local.outcome, 1_000)).toEqual({ ok: true, value: 'the secret' })
    const ask = { kind: 'ask', to: 'bob', key: `7@${beganMs}`, caller: 'asker', callee: 'keeper', message: 1 }
    const more = { askedMs: beganMs, leftMs: 1_000, resumed: false }
    const [own] = identities
    await ana.bus.publish(ana.bus.topics.call('bob', 'ana'), seal(own, 'call', { ...ask, ...more }))
    await pass(50)
    // It is a call of its own, and not answered with what another was told.
    expect(items.map(({ from }) => from)).toEqual(['ana', 'asker@ana'])
  })
  it('[calling-8] is not handed over again once it has ended, by whoever kept its words', async () => {
    const items = taking()
    const topic = ana.bus.topics.call('bob', 'ana')
    const ask = { kind: 'ask', to: 'bob', key: 'k/1', caller: 'asker', callee: 'keeper', message: 1 }
    const words = seal(identities[0], 'call', { ...ask, askedMs: beganMs, leftMs: 1_000, resumed: false })
    const left = seal(identities[0], 'call', { kind: 'leave', to: 'bob', key: 'k/2' })
    const other = { ...ask, key: 'k/2', askedMs: beganMs, leftMs: 60_000, resumed: false }
    const [own] = identities
    for (const said of [words, seal(own, 'call', other)]) await ana.bus.publish(topic, said)
    await pass(500)
    await ana.bus.publish(topic, left)
    // One runs out, the other is left.
    await pass(2_000)
    expect(items).toHaveLength(2)
    for (const said of [words, seal(own, 'call', other)]) await ana.bus.publish(topic, said)
    await pass(500)
    expect(items).toHaveLength(2)
  })
  it('[calling-8] neither one device nor some together take the places of all others', async () => {
    const liars = ['eve', 'mallory', 'trudy', 'oscar', 'sybil'].map((name) =>
      Identity.open(name, join(directory, name)),
    )
    for (const { device, publicKey } of liars) identities[1].trust(device, publicKey)
    taking()
    const ask = { kind: 'ask', to: 'bob', caller: 'asker', message: 1, leftMs: 3_600_000, resumed: false }
    const { services } = new Calling({
      ...{ clock, store: stores[1] as MemoryStore, across: bob.across },
      // To many agents: each has no more than 64 calls to answer.
      runs: () => true,
    })
    expect(services).toHaveLength(3)
    for (const liar of liars)
      for (let at = 0; at < 100; at += 1) {
        const said = { ...ask, key: `asker/${at}@1`, callee: `agent-${at % 30}`, askedMs: clock.nowMs() }
        await ana.bus.publish(ana.bus.topics.call('bob', liar.device), seal(liar, 'call', said))
      }
    await pass(50)
    const outcome = call(1, { agent: 'agent-1@bob', deadlineMs: clock.nowMs() + 2_000 })
    // It waits for its answer: there was a place for it.
    expect(code(await settled(outcome, 5_000))).toBe('timeout')
  })

  it('[calling-2] takes no places of an agent here that is called like the other device', async () => {
    const outcomes = Array.from({ length: 16 }, (_, n) => call(n + 1))
    await pass(50)
    const last = call(17)
    const own = bob.perform(
      'ana',
      'call',
      { agent: 'keeper', message: 1, deadlineMs: beganMs + 5_000 },
      1,
      beganMs,
    )
    expect(code(await settled(last, 2_000))).toBe('limit')
    expect(code(await settled(own.outcome, 6_000))).toBe('timeout')
    expect(outcomes).toHaveLength(16)
  })

  it('[calling-8] calls of two hours of some devices leave room for those of others', () => {
    const ended = new EndedCalls(clock)
    const untilMs = clock.nowMs() + 7_200_000
    for (const device of ['eve', 'mallory', 'trudy', 'oscar'])
      for (let n = 0; ended.hasRoom(device) && n < 20_000; n += 1)
        ended.keep(device, `${n}`, { untilMs, failure: undefined })
    expect(ended.hasRoom('eve')).toBe(false)
    expect(ended.hasRoom('ana')).toBe(true)
  })
})
