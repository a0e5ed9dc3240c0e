/** Agents of one name on two devices, as each device hears of the other's. */
import { beforeEach, expect, test } from 'vitest'
import type { AgentStatus } from '../../../../runtime/agent/agents.ts'
import { Namesakes } from '../../../../runtime/agent/together/namesakes.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { SimulatedBroker, SimulatedBus } from '../board/simulated-broker.ts'

let clock: VirtualClock
let broker: SimulatedBroker
let away: Set<string>
let known: string[]
beforeEach(() => {
  clock = new VirtualClock()
  broker = new SimulatedBroker(clock, { loss: 0, twice: 0, delayMsMax: 1 })
  away = new Set()
  known = ['hub', 'attic']
})

const device = (own: string) => {
  const peers = {
    get known() {
      return known
    },
    away,
  }
  const bus = new SimulatedBus(broker)
  const names = new Namesakes({ bus, peers, own })
  const tell = (agents: unknown) => {
    bus.setRetained(bus.topics.agents(own), JSON.stringify({ v: 1, ts: 1, agents, more: 0, approvals: [] }))
    clock.advance(10)
  }
  return { bus, names, tell }
}
const comfort = { name: 'comfort', state: 'running', startedMs: 5 }
const status = (changes: Partial<AgentStatus> = {}): AgentStatus => ({
  ...{
    name: 'comfort',
    state: 'running',
    reason: undefined,
    token: 1,
    startedMs: 7,
    program: 'a'.repeat(64),
  },
  ...{ grants: '[]', turns: 0, waiting: [], inMemory: true, problem: undefined, ...changes },
})

test('one that runs elsewhere is in the way, one that ended, was carried here or is of a device that is away is not [names-1] [names-3]', () => {
  const [hub, attic] = [device('hub'), device('attic')]
  attic.tell([comfort])
  expect(hub.names.where({ name: 'comfort' })).toBe('attic')
  expect(attic.names.where({ name: 'comfort' })).toBeUndefined()
  expect(hub.names.where({ name: 'comfort', startedMs: 5 })).toBeUndefined()
  expect(hub.names.where({ name: 'night-watch' })).toBeUndefined()
  away.add('attic')
  expect(hub.names.where({ name: 'comfort' })).toBeUndefined()
  away.clear()
  for (const state of ['stopped', 'ended', 'failed', 'moved', 'standby']) {
    attic.tell([{ ...comfort, state }])
    expect(hub.names.where({ name: 'comfort' })).toBeUndefined()
  }
  attic.tell([{ ...comfort, state: 'moving' }])
  expect(hub.names.where({ name: 'comfort' })).toBe('attic')
  attic.bus.clearRetained(attic.bus.topics.agents('attic'))
  clock.advance(10)
  expect(hub.names.where({ name: 'comfort' })).toBeUndefined()
})

test('where an agent went that a copy is of is known while it runs there, and where its own device has it does not count [names-5]', () => {
  const [hub, attic] = [device('hub'), device('attic')]
  attic.tell([comfort])
  const copy = { name: 'comfort', startedMs: 5, peer: 'cellar' }
  expect(hub.names.runsOn(copy)).toBe('attic')
  expect(hub.names.runsOn({ ...copy, startedMs: 6 })).toBeUndefined()
  expect(hub.names.runsOn({ ...copy, peer: 'attic' })).toBeUndefined()
  away.add('attic')
  expect(hub.names.runsOn(copy)).toBeUndefined()
  away.clear()
  attic.tell([{ ...comfort, state: 'ended' }])
  expect(hub.names.runsOn(copy)).toBeUndefined()
})

test('each device has its own assistant', () => {
  const [hub, attic] = [device('hub'), device('attic')]
  attic.tell([{ ...comfort, name: 'assistant' }])
  expect(hub.names.where({ name: 'assistant' })).toBeUndefined()
})

test('two that were begun out of sight are told on both devices as soon as these meet, and no longer than both run [names-2]', () => {
  const [hub, attic] = [device('hub'), device('attic')]
  hub.bus.connect(false)
  attic.tell([comfort])
  hub.tell([{ ...comfort, startedMs: 7 }])
  expect(hub.names.marked([status()])).toEqual([status()])
  hub.bus.connect(true)
  clock.advance(10)
  const about = { problem: expect.stringContaining('another agent called comfort runs on attic') }
  expect(hub.names.marked([status(), status({ name: 'other' })])).toMatchObject([
    about,
    { problem: undefined },
  ])
  expect(attic.names.marked([status({ startedMs: 5 })])).toMatchObject([
    { problem: expect.stringContaining('runs on hub') },
  ])
  expect(hub.names.marked([status({ state: 'stopped' })])).toEqual([status({ state: 'stopped' })])
  attic.tell([])
  expect(hub.names.marked([status()])).toEqual([status()])
})

test('strangers, and what cannot be read, are in nobody’s way, however many there are', () => {
  const [hub, attic] = [device('hub'), device('attic')]
  const stranger = new SimulatedBus(broker)
  for (let n = 0; n < 300; n += 1)
    stranger.setRetained(stranger.topics.agents(`s${n}`), JSON.stringify({ agents: [comfort] }))
  clock.advance(10)
  expect(hub.names.where({ name: 'comfort' })).toBeUndefined()
  attic.tell([comfort])
  expect(hub.names.where({ name: 'comfort' })).toBe('attic')
  attic.tell('nonsense')
  expect(hub.names.where({ name: 'comfort' })).toBeUndefined()
  attic.tell([{ ...comfort, name: 'x'.repeat(70_000) }])
  expect(hub.names.where({ name: 'comfort' })).toBeUndefined()
})
