/** What a device tells of its agents: when, how much, and what not. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { AgentStatus } from '../../../runtime/agent/agents.ts'
import { AgentsTold } from '../../../runtime/agent/agents-told.ts'
import type { Turns } from '../../../runtime/agent/life/agent-life.ts'
import { noPolicy, type Policy, policyOf } from '../../../runtime/agent/permissions/policy.ts'
import { VirtualClock } from '../../../runtime/base/clock.ts'
import { silentLog } from '../../../runtime/base/log.ts'
import { type AgentsNow, agentsNow, agentsNowLimits } from '../../../runtime/wire/agents-now.ts'
import type { Approval } from '../../../runtime/wire/approvals.ts'
import { check } from '../../../runtime/wire/messages.ts'

const status = (name: string, changes: Partial<AgentStatus> = {}): AgentStatus => ({
  ...{ name, state: 'running', reason: undefined, token: 1, startedMs: 1, program: 'a'.repeat(64) },
  ...{ grants: '[{"capability":"light.*:command"}]', turns: 0, waiting: [], inMemory: true },
  ...{ problem: undefined, ...changes },
})
const asked = (id: string): Approval => ({
  ...{ id, agent: 'a', kind: 'permission', words: 'x'.repeat(512), choices: ['yes', 'no'] },
  ...{ askedMs: 1, expiresMs: 2 },
})

let clock: VirtualClock
let agents: AgentStatus[]
let approvals: Approval[]
let messages: AgentsNow[]
let told: AgentsTold
let policy: Policy
beforeEach(() => {
  clock = new VirtualClock()
  agents = [status('b'), status('a')]
  approvals = []
  policy = noPolicy
  messages = []
  told = new AgentsTold({
    ...{ clock, log: silentLog, read: () => ({ agents, approvals, policy }) },
    publish: (message) => messages.push(message),
  })
})
afterEach(() => told[Symbol.dispose]())

const names = () => messages.at(-1)?.agents.map(({ name }) => name)

test('what changes together is told once, by name, in plain words [agents-told-1]', () => {
  told.changed()
  told.changed()
  expect(messages).toEqual([])
  clock.advance(1_000)
  expect(messages).toHaveLength(1)
  expect(names()).toEqual(['a', 'b'])
  expect(messages[0]?.agents[0]?.grants).toEqual([
    'turn all lights on and off, and set how bright and which colour',
  ])
  expect(check(agentsNow, messages[0]).ok).toBe(true)
})

test('what is the same as before is not told again, also where it is only looked at [agents-told-1]', () => {
  told.changed()
  clock.advance(1_000)
  told.changed()
  clock.advance(120_000)
  expect(messages).toHaveLength(1)
  // Nobody said that this changed: it is seen all the same.
  agents = [status('a', { problem: 'the disk is full' })]
  clock.advance(20_000)
  expect(messages.at(-1)?.agents[0]?.problem).toBe('the disk is full')
})

test('agents that take turn after turn are told at 10 KB a second at most [agents-told-1]', async () => {
  const turns: Turns = { turn: async () => () => {}, hasten: () => {} }
  const telling = told.after(turns)
  const { signal } = new AbortController()
  const grants = JSON.stringify(Array.from({ length: 20 }, (_, n) => ({ capability: `light.l${n}:command` })))
  let bytes = 0
  for (let n = 0; n < 600; n += 1) {
    agents = Array.from({ length: 50 }, (_, at) => status(`a${at}`, { turns: n, grants }))
    const over = await telling.turn('a1', signal, () => [])
    over({ cpuMs: 1, memoryBytes: 1 } as Parameters<typeof over>[0])
    clock.advance(100)
  }
  for (const message of messages) bytes += JSON.stringify(message).length
  expect(messages.length).toBeGreaterThan(2)
  // A minute, and the one that was paid for by nobody yet.
  expect(bytes).toBeLessThan(60 * 10_000 + 2 * agentsNowLimits.bytesMax)
})

test('it is bounded, and says how much it left out [agents-told-2]', () => {
  const many = JSON.stringify(
    Array.from({ length: 60 }, (_, n) => ({ capability: `light.lamp_${n}:command` })),
  )
  agents = Array.from({ length: 300 }, (_, n) =>
    status(`agent-${n}`, { grants: many, reason: 'ü'.repeat(900) }),
  )
  approvals = Array.from({ length: 32 }, (_, n) => asked(`q${n}`))
  told.changed()
  clock.advance(1_000)
  const [message] = messages
  expect(check(agentsNow, message)).toMatchObject({ ok: true })
  expect(Buffer.byteLength(JSON.stringify(message))).toBeLessThanOrEqual(agentsNowLimits.bytesMax)
  expect(message?.approvals).toHaveLength(32)
  expect((message?.agents.length ?? 0) + (message?.more ?? 0)).toBe(300)
  for (const { grants, moreGrants } of message?.agents ?? []) expect(grants.length + moreGrants).toBe(60)
})

test('how an agent failed is told, and neither what it threw nor what one gave back [agents-told-3]', () => {
  const threw = 'call mum at 1234'
  agents = [
    status('a', { state: 'ended', reason: `"${threw}"` }),
    status('b', { state: 'failed', reason: `TypeError: ${threw} is not a function\nat x` }),
    status('c', { state: 'failed', reason: threw }),
    status('d', { state: 'failed', reason: `memory: ${threw}` }),
    status('e', { state: 'stopped', reason: `a person stopped it; before, it had failed: ${threw}\n` }),
    status('f', { state: 'moved', reason: 'it went to cellar' }),
  ]
  told.changed()
  clock.advance(1_000)
  expect(JSON.stringify(messages)).not.toContain('1234')
  expect(messages[0]?.agents.map(({ reason }) => reason)).toEqual([
    ...[undefined, 'it failed with TypeError', 'it failed', 'it failed: it took too much memory'],
    ...['a person stopped it; before, it had failed', 'it went to cellar'],
  ])
})

test('grants that nobody can read allow nothing, and are told as nothing', () => {
  agents = [status('a', { grants: '{"what' })]
  told.changed()
  clock.advance(1_000)
  expect(messages[0]?.agents[0]).toMatchObject({ grants: [], moreGrants: 0 })
})

test('what the policy granted and no longer allows is not told as allowed, nor what it never allows', () => {
  const given = [
    { capability: 'light.*:command', from: 'policy' },
    { capability: 'lock.*:command' },
    { capability: 'think', from: 'policy' },
  ]
  agents = [status('a', { grants: JSON.stringify(given) })]
  policy = policyOf({ allow: ['think'], never: ['lock.*:command'] })
  told.changed()
  clock.advance(1_000)
  expect(messages[0]?.agents[0]?.grants).toEqual(['have a language model think'])
})

test('a link that is closing, and one that is being opened, hurt nobody', () => {
  const failing = new AgentsTold({
    ...{ clock, log: silentLog, read: () => ({ agents, approvals, policy }) },
    publish: () => {
      throw new Error('closed')
    },
  })
  failing.changed()
  clock.advance(60_000)
  failing[Symbol.dispose]()
  const opening = new AgentsTold({
    ...{ clock, log: silentLog, read: () => undefined },
    publish: (message) => messages.push(message),
  })
  opening.changed()
  clock.advance(60_000)
  opening[Symbol.dispose]()
  expect(messages).toEqual([])
  told[Symbol.dispose]()
  told.changed()
  clock.advance(60_000)
  expect(messages).toEqual([])
})
