/** What a device that says too much about moves can make another do. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { AgentMoves } from '../../../../runtime/agent/move/agent-moves.ts'
import { Mover } from '../../../../runtime/agent/move/mover.ts'
import { seal } from '../../../../runtime/agent/together/envelope.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { Identity } from '../../../../runtime/base/identity.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import { SimulatedBroker, SimulatedBus } from '../board/simulated-broker.ts'

test('words that wait for a slow disk are bounded: what is left out is said again [move-5]', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'mover-'))
  const clock = new VirtualClock()
  const broker = new SimulatedBroker(clock, { loss: 0, twice: 0, delayMsMax: 1 })
  const [own, eve] = ['attic', 'eve'].map((name) => Identity.open(name, join(directory, name))) as [
    Identity,
    Identity,
  ]
  own.trust('eve', eve.publicKey)
  const [bus, evesBus] = [new SimulatedBus(broker), new SimulatedBus(broker)]
  let answers = 0
  evesBus.subscribe(evesBus.topics.move('eve', 'attic'), () => {
    answers += 1
    return undefined
  })
  const disk = Promise.withResolvers<AgentMoves>()
  const mover = await Mover.open(
    {
      ...{ clock, log: silentLog, bus, signer: own, lacks: () => undefined },
      ...{ open: () => disk.promise, known: async () => undefined, record: async () => {} },
      accepts: { acceptFrom: ['eve'], keepsFor: [], proven: false },
    },
    new AbortController().signal,
  )
  const ask = { kind: 'ask', to: 'attic', agent: 'a', engine: '0'.repeat(64), bytes: 1, grants: '[]' }
  for (let n = 0; n < 600; n += 1)
    await evesBus.publish(evesBus.topics.move('attic', 'eve'), seal(eve, 'move', { ...ask, n: `n${n}` }))
  clock.advance(10)
  disk.reject(new Error('the disk is gone'))
  for (let turn = 0; turn < 20; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve))
    clock.advance(10)
  }
  expect(answers).toBeGreaterThan(200)
  expect(answers).toBeLessThan(300)
  await mover[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true })
})

test('so are those that the broker keeps [move-5]', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'mover-'))
  const clock = new VirtualClock()
  const broker = new SimulatedBroker(clock, { loss: 0, twice: 0, delayMsMax: 1 })
  const [own, eve] = ['attic', 'eve'].map((name) => Identity.open(name, join(directory, name))) as [
    Identity,
    Identity,
  ]
  own.trust('eve', eve.publicKey)
  const [bus, evesBus] = [new SimulatedBus(broker), new SimulatedBus(broker)]
  const disk = Promise.withResolvers<undefined>()
  let looks = 0
  const known = () => {
    looks += 1
    return disk.promise
  }
  const mover = await Mover.open(
    {
      ...{ clock, log: silentLog, bus, signer: own, lacks: () => undefined },
      ...{ open: () => Promise.reject(new Error('not asked for')), known, record: async () => {} },
      accepts: { acceptFrom: ['eve'], keepsFor: [], proven: false },
    },
    new AbortController().signal,
  )
  for (let n = 0; n < 600; n += 1) {
    const word = { kind: 'seized', to: 'hub', id: `i${n}`, token: 1, lineage: 'a' }
    await evesBus.publish(evesBus.topics.move('hub', 'eve', `i${n}`), seal(eve, 'move', word))
  }
  clock.advance(10)
  disk.resolve(undefined)
  for (let turn = 0; turn < 20; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve))
    clock.advance(10)
  }
  expect(looks).toBeGreaterThan(200)
  expect(looks).toBeLessThan(300)
  await mover[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true })
})

test('a device whose agents cannot be read lets go of nothing, and says of nothing that it is gone [move-13]', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'mover-'))
  const clock = new VirtualClock()
  const broker = new SimulatedBroker(clock, { loss: 0, twice: 0, delayMsMax: 1 })
  const [own, eve] = ['attic', 'eve'].map((name) => Identity.open(name, join(directory, name))) as [
    Identity,
    Identity,
  ]
  own.trust('eve', eve.publicKey)
  const [bus, evesBus] = [new SimulatedBus(broker), new SimulatedBus(broker)]
  const heard: string[] = []
  evesBus.subscribe(evesBus.topics.move('eve', 'attic'), ({ payload }) => {
    heard.push(JSON.parse(JSON.parse(Buffer.from(payload).toString()).body).kind)
    return undefined
  })
  const open = () => Promise.reject(new Error('the disk cannot be read'))
  const mover = await Mover.open(
    {
      ...{ clock, log: silentLog, bus, signer: own, lacks: () => undefined },
      ...{ open, known: async () => undefined, record: async () => {} },
      accepts: { acceptFrom: ['eve'], keepsFor: ['eve'], proven: false },
    },
    new AbortController().signal,
  )
  for (const word of [
    { kind: 'drop', id: 'x' },
    { kind: 'seized', id: 'y', token: 5 },
    { kind: 'begin', id: 'z', n: 'n', token: 5 },
    { kind: 'there', n: 'last' },
  ])
    await evesBus.publish(evesBus.topics.move('attic', 'eve'), seal(eve, 'move', { ...word, to: 'attic' }))
  for (let turn = 0; turn < 50 && !heard.includes('here'); turn += 1) {
    await new Promise((resolve) => setImmediate(resolve))
    clock.advance(10)
  }
  expect(heard).toEqual(['here'])
  await mover[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true })
})
