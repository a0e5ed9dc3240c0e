/** What `ganglion top` and the gateway's `/metrics` are told of agents. */
import { expect, test } from 'vitest'
import type { AgentStatus } from '../../../runtime/agent/agents.ts'
import { topOf } from '../../../runtime/agent/top.ts'

const statusOf = (name: string, state: AgentStatus['state'], turns: number): AgentStatus => ({
  ...{ name, state, turns, reason: undefined, problem: undefined, token: 1, startedMs: 0 },
  ...{ program: 'add058', grants: '[]', waiting: [], inMemory: state === 'running' },
})

test('turns are counted where they were taken: a copy and what moved here bring none along', () => {
  const none = { ticks: 0, cpuMs: 0, engineMs: 0, tokens: 0, bytes: 0, joules: 0, money: 0 }
  const usage = { used: none, memoryBytes: 1, cpuShare: 0, turnsPerS: 0, over: [] }
  const { agents } = topOf({
    agents: [
      statusOf('copied', 'standby', 43),
      statusOf('moved-here', 'running', 60),
      statusOf('own', 'ended', 30),
    ],
    usage: [
      { agent: 'moved-here', turns: 17, ...usage },
      { agent: 'own', turns: 30, ...usage },
    ],
    loads: [],
    priorityOf: () => 'background',
    waitsOf: () => [],
  })
  expect(agents.map(({ name, turns }) => [name, turns])).toEqual([
    ['moved-here', 17],
    ['copied', 0],
    ['own', 30],
  ])
})
