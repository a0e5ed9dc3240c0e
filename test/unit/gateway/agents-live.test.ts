/** What a gateway keeps of what devices tell, when some of them tell far too much. */
import { expect, test } from 'vitest'
import { AgentsLive } from '../../../gateway/api/agents-live.ts'

const bad: string[] = []
const live = () => new AgentsLive((_device, reason) => bad.push(reason))
const decisionOf = (decision: string, change: object = {}) => ({
  ...{ decision, kind: 'vote', subject: 'warmth', opener: 'hub', members: 3, quorum: 2, decided: true },
  ...{ reason: 'because', notes: [], atMs: 1, ...change },
})
const tell = (to: AgentsLive, device: string, event: string, body: object) =>
  to.apply({ kind: 'event', device, event }, Buffer.from(JSON.stringify(body)))

test('[api-2] accounts of decisions are bounded in bytes, however many devices tell as much as they may', () => {
  const agents = live()
  // Three bytes a character on the wire.
  const long = { reason: '☃'.repeat(500), notes: Array.from({ length: 8 }, () => '☃'.repeat(200)) }
  let told = 0
  for (let decision = 0; decision < 60; decision += 1)
    for (let device = 0; device < 64; device += 1)
      told += tell(agents, `d${device}`, 'decision', decisionOf(`x${decision}`, long)).length
  expect(told).toBe(60 * 64)
  const accounts = agents.decisions().flatMap(({ toldBy }) => toldBy).length
  expect(accounts * (500 + 8 * 200) * 3).toBeLessThan(4 * 1024 * 1024)
  expect(agents.decisions()[0]?.decision).toBe('x59')
  // What is longer than any device tells is not kept.
  expect(tell(agents, 'd0', 'decision', decisionOf('y', { reason: 'x'.repeat(501) }))).toEqual([])
  expect(bad.at(-1)).toContain('event/decision: reason')
})

test('[api-2] a device that tells without end pushes out its own, not what others told', () => {
  const agents = live()
  tell(agents, 'hub', 'decision', decisionOf('real'))
  const answered = { ts: 1, approval: 'real', agent: 'comfort', words: 'warm it', state: 'yes' }
  tell(agents, 'hub', 'approval', answered)
  for (let n = 0; n < 500; n += 1) {
    tell(agents, 'eve', 'decision', decisionOf(`junk-${n}`, { opener: 'eve' }))
    tell(agents, 'eve', 'approval', { ...answered, approval: `junk-${n}` })
  }
  expect(agents.decisions()).toHaveLength(100)
  expect(agents.decisions().at(-1)?.decision).toBe('real')
  expect(agents.decisions()[0]?.decision).toBe('junk-499')
  expect(agents.over()).toHaveLength(64)
  expect(agents.over().at(-1)).toMatchObject({ device: 'hub', approval: 'real' })
})
