/** Adverts: how long they are believed, and who is chosen by them. */
import { describe, expect, test } from 'vitest'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { WorkerTable } from '../../../../runtime/inference/offload/worker-table.ts'
import {
  type Advert,
  type AdvertModel,
  advertLifeMs,
  advertRetainedLifeMs,
} from '../../../../runtime/wire/offload.ts'

const advert = (worker: string, changes: Partial<AdvertModel> = {}): Advert => ({
  v: 1,
  worker,
  credits: { requests: 4, bytes: 1000 },
  models: [
    {
      name: 'm',
      version: '1',
      reach: 'site',
      queueMs: 0,
      queued: 0,
      loaded: true,
      idempotent: true,
      price: 0,
      ...changes,
    },
  ],
})
const waits = (table: WorkerTable, model = 'm') =>
  table.candidates(model, () => 0).map(({ worker, waitMs }) => [worker, waitMs])

describe('[offload-2] WorkerTable', () => {
  test('an advert is believed for its life, a retained one only until a living one would have come', () => {
    const clock = new VirtualClock()
    const table = new WorkerTable(clock)
    table.put(advert('heard'), false)
    table.put(advert('left behind'), true)
    clock.advance(advertRetainedLifeMs)
    expect(waits(table)).toEqual([['heard', 0]])
    expect(table.expired()).toEqual(['left behind'])
    clock.advance(advertLifeMs - advertRetainedLifeMs)
    expect(waits(table)).toEqual([])
  })

  test('the expected wait counts the queue, loading, and what this device sent since', () => {
    const table = new WorkerTable(new VirtualClock())
    table.put(advert('w', { queueMs: 30, loaded: false, loadMs: 200, p50Ms: 5 }), false)
    expect(table.candidates('m', () => 2)[0]?.waitMs).toBe(30 + 200 + 10)
    expect(table.candidates('other', () => 0)).toEqual([])
    // Nobody has timed it there yet: that is not free.
    table.put(advert('w', { loaded: false }), false)
    expect(table.candidates('m', () => 0)[0]?.waitMs).toBe(500)
  })

  test('the less loaded leads more often, and nobody is left out for ever', () => {
    const table = new WorkerTable(new VirtualClock({ seed: 7 }))
    for (const [at, queueMs] of [0, 20, 100].entries())
      table.put(advert(`w${at}`, { queueMs, p50Ms: 10 }), false)
    const leads = new Map([...'012'].map((at) => [`w${at}`, 0]))
    for (let turn = 0; turn < 600; turn += 1) {
      const ranked = table.ranked(table.candidates('m', () => 0))
      expect(ranked.toSorted()).toEqual(['w0', 'w1', 'w2'])
      const [first = ''] = ranked
      leads.set(first, (leads.get(first) ?? 0) + 1)
    }
    const [idle, busy, worst] = [...leads.values()] as [number, number, number]
    expect(idle).toBeGreaterThan(busy)
    expect(busy).toBeGreaterThan(worst)
    expect(worst).toBeGreaterThan(0)
  })

  test('what an answer says of the wait counts until the next advert', () => {
    const table = new WorkerTable(new VirtualClock())
    table.put(advert('w', { queueMs: 500 }), false)
    table.told('w', 'm', 20)
    table.told('w', 'never offered', 20)
    expect(waits(table)).toEqual([['w', 20]])
    table.put(advert('w', { queueMs: 300 }), false)
    expect(waits(table)).toEqual([['w', 300]])
  })

  test('more workers than a site has are not kept', () => {
    const table = new WorkerTable(new VirtualClock())
    const taken = Array.from({ length: 40 }, (_, n) => table.put(advert(`w${n}`), false))
    expect(taken.filter(Boolean)).toHaveLength(32)
    expect(table.put(advert('w0'), false)).toBe(true)
  })

  test('one that is busy says for how long', () => {
    const clock = new VirtualClock()
    const table = new WorkerTable(clock)
    table.put(advert('w'), false)
    table.busy('w', 500)
    clock.advance(200)
    expect(table.busyMs('w')).toBe(300)
    clock.advance(300)
    expect(table.busyMs('w')).toBe(0)
  })
})
