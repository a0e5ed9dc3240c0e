/** Calls between agents of one device: answered, bounded in number and time, and once also across a crash. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Calling, callingLimits } from '../../../../runtime/agent/calling/calling.service.ts'
import type { Json } from '../../../../runtime/agent/contract.ts'
import { MemoryStore } from '../../../../runtime/agent/memory/memory-store.ts'
import type { Outcome, Service } from '../../../../runtime/agent/service.ts'
import type { CallOp } from '../../../../runtime/agent/turn.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'

interface Item {
  readonly key: string
  readonly from: string
  readonly message: Json
}
let directory: string
let store: MemoryStore
let clock: VirtualClock
let calling: Calling
let services: readonly Service[]
const running = new Set(['ana', 'bob', 'eve'])

const home = (agent: string, message: Json): Outcome => ({ ok: true, value: [agent, message] })
const start = () => {
  calling = new Calling({ clock, store, runs: (agent) => running.has(agent), home })
  services = calling.services
}
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'calling-'))
  store = (await MemoryStore.open(directory, 1)).store
  clock = new VirtualClock()
  start()
})
afterEach(async () => {
  await store[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true })
})

let nextId = 0
function perform(
  agent: string,
  op: CallOp,
  args: { [name: string]: Json },
  asked: { id?: number; askedMs?: number } = {},
) {
  nextId += 1
  const items: Item[] = []
  const stop = new AbortController()
  const service = services.find(({ ops }) => ops.includes(op)) as Service
  const { id = nextId, askedMs = clock.nowMs() } = asked
  const emit = (item: Json) => {
    items.push(item as unknown as Item)
    return true
  }
  const caller = { agent, token: 1 }
  const performing = { caller, call: { id, op, args }, resumed: asked.id !== undefined, askedMs, emit }
  return { items, stop, outcome: service.perform(performing, stop.signal) }
}
const reply = (agent: string, key: string, answer: Json): Promise<Outcome> =>
  perform(agent, 'reply', { key, answer }).outcome
const first = (items: readonly Item[]) => items[0] as Item

describe('a call', () => {
  it('is answered by the agent it is for, also one made before that took calls [calling-2]', async () => {
    const early = perform('ana', 'call', { agent: 'bob', message: { hello: 1 } })
    const { items } = perform('bob', 'calls', {})
    const later = perform('eve', 'call', { agent: 'bob', message: 'and I' })
    expect(items).toMatchObject([
      { from: 'ana', message: { hello: 1 } },
      { from: 'eve', message: 'and I' },
    ])
    expect(await reply('bob', (items[1] as Item).key, 'you too')).toEqual({ ok: true })
    await reply('bob', first(items).key, null)
    expect(await early.outcome).toEqual({ ok: true, value: null })
    expect(await later.outcome).toEqual({ ok: true, value: 'you too' })
  })

  it('of an agent that does not run is not found, at once [calling-1]', async () => {
    const { outcome } = perform('ana', 'call', { agent: 'nobody', message: 1 })
    expect(await outcome).toMatchObject({ error: { code: 'not-found' } })
  })

  it('ends at its deadline, so that agents in a circle do not wait for ever [calling-1]', async () => {
    const taking = ['ana', 'bob'].map((agent) => perform(agent, 'calls', {}))
    const circle = [
      perform('ana', 'call', { agent: 'bob', message: 1 }),
      perform('bob', 'call', { agent: 'ana', message: 2, deadlineMs: clock.nowMs() + 5_000 }),
      perform('ana', 'call', { agent: 'ana', message: 3, deadlineMs: clock.nowMs() + 1e12 }),
    ]
    for (const { outcome } of circle)
      expect(await clock.run(() => outcome)).toMatchObject({ error: { code: 'timeout' } })
    expect(taking.map(({ items }) => items.length)).toEqual([2, 1])
    const old = perform('ana', 'call', { agent: 'bob', message: 1 }, { askedMs: clock.nowMs() - 60_000 })
    expect(await old.outcome).toMatchObject({ error: { code: 'timeout' } })
  })

  it('is refused when too many wait, by what decisions ask too, and what the device asks is not [calling-2]', async () => {
    const { waitingMax, waitingOfOneMax } = callingLimits
    const ask = (from: string) => perform(from, 'call', { agent: 'bob', message: 1 })
    const refused = { error: { code: 'limit' } }
    const waiting = Array.from({ length: waitingOfOneMax }, () => ask('ana'))
    expect(await ask('ana').outcome).toMatchObject(refused)
    // Whoever opens decisions names their subjects as it likes.
    for (let n = 0; n < waitingOfOneMax; n += 1) waiting.push(ask(`decide:${n}`))
    expect(await ask('decide:another').outcome).toMatchObject(refused)
    for (let n = waiting.length; n < waitingMax; n += 1) waiting.push(ask(`other-${n}`))
    expect(await ask('eve').outcome).toMatchObject(refused)
    const stop = new AbortController()
    const words = { to: 'bob', id: 'said', message: 'light on', takeMs: 60_000, withinMs: 60_000 }
    const said = calling.hand(words, stop.signal)
    expect(await Promise.race([said, new Promise((resolve) => setImmediate(resolve, 'it waits'))])).toBe(
      'it waits',
    )
    stop.abort()
    expect(await said).toEqual({ taken: false })
    waiting[0]?.stop.abort()
    expect(await waiting[0]?.outcome).toMatchObject({ error: { code: 'cancelled' } })
    const { items } = perform('bob', 'calls', {})
    const more = perform('eve', 'call', { agent: 'bob', message: 'in' })
    await reply('bob', items.find(({ from }) => from === 'eve')?.key ?? '', 'yes')
    expect(await more.outcome).toEqual({ ok: true, value: 'yes' })
    for (const { stop, outcome } of waiting) {
      stop.abort()
      await outcome
    }
  })

  it('has its answer kept however much others ask [calling-4]', async () => {
    const { items } = perform('bob', 'calls', {})
    const answered = async (from: string) => {
      const { outcome } = perform(from, 'call', { agent: 'bob', message: 1 })
      const { key } = items.at(-1) as Item
      await reply('bob', key, from)
      await outcome
      return key
    }
    const key = await answered('eve')
    for (let n = 0; n < 100; n += 1) await answered('ana')
    expect(store.reply('bob', key)).toBe('eve')
  })

  it('is answered by nobody else, and only once [calling-3]', async () => {
    const { items } = perform('bob', 'calls', {})
    const asked = perform('ana', 'call', { agent: 'bob', message: 1 })
    await reply('eve', first(items).key, 'forged')
    await reply('bob', first(items).key, 'true')
    await reply('bob', first(items).key, 'changed')
    expect(await asked.outcome).toEqual({ ok: true, value: 'true' })
    expect(store.reply('bob', first(items).key)).toBe('true')
  })

  it('is refused where it says nothing, and an answer that is too long', async () => {
    expect(await perform('ana', 'call', { agent: 'bob' }).outcome).toMatchObject({
      error: { code: 'bad-request' },
    })
    expect(await reply('bob', 'k', 'x'.repeat(40_000))).toMatchObject({ error: { code: 'limit' } })
  })

  it('is taken by one loop at a time; the next one is handed what waits', async () => {
    const one = perform('bob', 'calls', {})
    expect(await perform('bob', 'calls', {}).outcome).toMatchObject({ error: { code: 'conflict' } })
    const asked = perform('ana', 'call', { agent: 'bob', message: 1 })
    one.stop.abort()
    expect(await one.outcome).toMatchObject({ error: { code: 'cancelled' } })
    const two = perform('bob', 'calls', {})
    expect(two.items).toEqual(one.items)
    await reply('bob', first(two.items).key, 'yes')
    expect(await asked.outcome).toEqual({ ok: true, value: 'yes' })
  })
})

describe('after a crash [calling-4]', () => {
  it('a call is handed over under the same key', async () => {
    const before = perform('bob', 'calls', {})
    const askedMs = clock.nowMs()
    void perform('ana', 'call', { agent: 'bob', message: 1 }, { id: 700, askedMs })
    start()
    const again = perform('ana', 'call', { agent: 'bob', message: 1 }, { id: 700, askedMs })
    const { items } = perform('bob', 'calls', {})
    expect(items).toEqual(before.items)
    await reply('bob', first(items).key, 'yes')
    expect(await again.outcome).toEqual({ ok: true, value: 'yes' })
  })

  it('an answer that the caller was not told is there, and nobody is asked again', async () => {
    const askedMs = clock.nowMs()
    const { items } = perform('bob', 'calls', {})
    void perform('ana', 'call', { agent: 'bob', message: 1 }, { id: 701, askedMs })
    start()
    await reply('bob', first(items).key, 'yes')
    await store[Symbol.asyncDispose]()
    store = (await MemoryStore.open(directory, 2)).store
    start()
    const { items: none } = perform('bob', 'calls', {})
    expect(await perform('ana', 'call', { agent: 'bob', message: 1 }, { id: 701, askedMs }).outcome).toEqual({
      ok: true,
      value: 'yes',
    })
    expect(none).toEqual([])
  })
})

describe('a call of the device itself', () => {
  const hand = (message: Json = 'turn it on', stop = new AbortController()) =>
    calling.hand({ to: 'bob', id: 'run-1', message, takeMs: 1_000, withinMs: 5_000 }, stop.signal)

  it('is answered as a call of an agent, and nothing of it is kept [calling-9]', async () => {
    const { items } = perform('bob', 'calls', {})
    const handed = hand()
    expect(items).toMatchObject([{ from: 'home', message: 'turn it on' }])
    await reply('eve', first(items).key, 'forged')
    await reply('bob', first(items).key, 'done')
    expect(await handed).toEqual({ taken: true, outcome: { ok: true, value: 'done' } })
    expect(store.reply('bob', first(items).key)).toBeUndefined()
  })

  it('that nobody takes says so, and is handed to nobody later [calling-9]', async () => {
    running.delete('bob')
    expect(await hand()).toEqual({ taken: false })
    running.add('bob')
    const handed = hand()
    clock.advance(999)
    await new Promise((resolve) => setImmediate(resolve))
    clock.advance(1)
    expect(await handed).toEqual({ taken: false })
    expect(perform('bob', 'calls', {}).items).toEqual([])
  })

  it('that was taken is never said to be free: late, or of an agent that was stopped [calling-9]', async () => {
    const { stop } = perform('bob', 'calls', {})
    const late = hand()
    clock.advance(1_000)
    await new Promise((resolve) => setImmediate(resolve))
    clock.advance(4_000)
    expect(await late).toMatchObject({ taken: true, outcome: { error: { code: 'timeout' } } })
    const left = hand()
    stop.abort()
    expect(await left).toMatchObject({ taken: true, outcome: { error: { code: 'uncertain' } } })
  })

  it('of which nobody hears the end any more was taken all the same [calling-9]', async () => {
    perform('bob', 'calls', {})
    const stop = new AbortController()
    const handed = hand('x', stop)
    stop.abort()
    expect(await handed).toMatchObject({ taken: true, outcome: { error: { code: 'cancelled' } } })
    expect(await hand('x', stop)).toEqual({ taken: false })
  })
})

it('an agent that calls home asks the device itself [calling-10]', async () => {
  expect(await perform('bob', 'call', { agent: 'home', message: 1 }).outcome).toEqual({
    ...{ ok: true, value: ['bob', 1] },
  })
})
