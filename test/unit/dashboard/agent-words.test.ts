import { describe, expect, it } from 'vitest'
import {
  decisionTitle,
  leftWords,
  outcomeWords,
  overWords,
  plainAsk,
  valueWords,
  waitWords,
  whoWords,
} from '../../../gateway/dashboard/src/agents/agent-words.ts'
import { plain } from '../../../gateway/dashboard/src/plain-text.ts'
import {
  agentsOf,
  asked,
  type DecisionView,
  decisions,
  replaceAgents,
  takeAgents,
  takeDecisions,
} from '../../../gateway/dashboard/src/state/agents.ts'
import { replaceHome } from '../../../gateway/dashboard/src/state/home.ts'

const lock = { device: 'hub', id: 'lock.front_door', kind: 'lock', name: 'Front Door' }

describe('words about agents', () => {
  it('[dashboard-18] are text that hides nothing and turns no direction, and keep what languages need', () => {
    const told = {
      reason: 'a\u202Eb\u0007',
      lines: ['x\ny\tz', '\u2066'],
      'k\u0000': 1,
      none: null,
      more: true,
    }
    expect(plain(told)).toEqual({
      ...{ reason: 'a\uFFFDb\uFFFD', lines: ['x\ny\tz', '\uFFFD'], 'k\uFFFD': 1, none: null, more: true },
    })
    const right = '\u{1F469}\u200D\u{1F467} \u05D0\u200F'
    expect(plain(right)).toBe(right)
  })

  it('say what an agent wants with the names of the home', () => {
    const entity = { ...lock, simulated: true, state: 'locked', attributes: {}, available: true }
    replaceHome({ devices: [], entities: [entity] })
    expect(plainAsk('command lock.front_door: state "unlocked"', 'hub')).toBe('set Front Door to unlocked')
    expect(plainAsk('command lock.front_door@hub: state "unlocked"', 'other')).toBe(
      'set Front Door to unlocked',
    )
    expect(plainAsk('command light.x: brightness 20, state "on"', 'hub')).toBe(
      'set light.x: brightness 20, state on',
    )
    expect(plainAsk('use a language model', 'hub')).toBe('use a language model')
  })

  it('never say more of who answered than is known', () => {
    expect(whoWords('gateway:Ada')).toBe('Ada, logged in here')
    expect(whoWords('local:root')).toBe('root, at the device')
    expect(whoWords('claimed:Ada')).toBe('somebody who gave the name Ada')
    expect(whoWords('claimed:nobody')).toBe('somebody')
    expect(whoWords('Ada')).toBe('Ada, by PIN')
    expect(overWords({ state: 'no', by: 'Ada' })).toBe('No, by Ada, by PIN')
    expect(overWords({ state: 'expired' })).toMatch(/^Expired/)
    expect(overWords({ state: 'withdrawn' })).toMatch(/^Withdrawn/)
    expect(overWords({ state: 'answered', by: 'gateway:Ada' })).toBe('Answered, by Ada, logged in here')
  })

  it('say what is waited for, how long is left, how it ended', () => {
    expect(waitWords([])).toBeUndefined()
    const waiting = [
      { op: 'on', count: 2 },
      { op: 'decide.vote', count: 1 },
      { op: 'somersault', count: 1 },
    ]
    expect(waitWords(waiting)).toBe(
      '2 × something to happen in the home, a decision of the devices, somersault',
    )
    expect([0, 59_001, 61_000, 3_660_000].map(leftWords)).toEqual(['0 s', '1:00 min', '1:01 min', '1:01 h'])
    expect(valueWords({ wishC: 20.5, from: 'me' })).toBe('wishC 20.5, from me')
    expect(valueWords('x')).toBe('x')
    expect(valueWords(Array.from({ length: 500 }, () => 1))).toHaveLength(160)
  })

  it('name a decision, its winner and its price', () => {
    const decision: DecisionView = {
      decision: 'd',
      kind: 'auction',
      subject: 'heat-pump',
      opener: 'a',
      members: 3,
      quorum: 2,
      decided: true,
      winner: 'b',
      price: 0.125,
      reason: '',
      notes: [],
      atMs: 5,
      toldBy: ['a'],
      differing: [],
    }
    expect(decisionTitle(decision)).toBe('Auction: heat pump')
    expect(outcomeWords(decision)).toBe('b won, for 0.13')
    expect(outcomeWords({ ...decision, decided: false })).toBe('Nothing decided')
    for (let n = 0; n < 40; n += 1) takeDecisions({ ...decision, decision: `d${n}`, atMs: n })
    takeDecisions({ ...decision, decision: 'd39', atMs: 39, reason: 'told anew' })
    expect(decisions.value).toHaveLength(30)
    expect(decisions.value[0]).toMatchObject({ decision: 'd39', reason: 'told anew' })
  })
})

describe('what a page knows of agents', () => {
  const told = (ts: number, ids: readonly string[] = []) => ({
    ...{ device: 'hub', ts, agents: [], more: 0 },
    approvals: ids.map((id) => ({
      ...{ id, agent: 'a', kind: 'permission' as const, words: 'w', choices: ['yes', 'no'], askedMs: 1 },
      expiresMs: Number(id),
    })),
  })

  it('of two messages of a device the later holds, whichever arrives first [dashboard-10]', () => {
    takeAgents(told(20, ['9', '7']))
    replaceAgents([told(10)])
    expect(asked.value.map(({ id }) => id)).toEqual(['7', '9'])
    takeAgents(told(15))
    expect(agentsOf.value.get('hub')?.ts).toBe(20)
    takeAgents({ device: 'hub' })
    expect(agentsOf.value.size).toBe(0)
  })
})
