import { describe, expect, test } from 'vitest'
import type { Standby } from '../../../../runtime/agent/move/agent-copies.ts'
import { Replicator } from '../../../../runtime/agent/move/replicate.ts'
import { TakeOver } from '../../../../runtime/agent/move/take-over.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { silentLog } from '../../../../runtime/base/log.ts'

const settled = async () => {
  for (let at = 0; at < 50; at += 1) await Promise.resolve()
}

/** What the rules see of the site, and what they begin. */
function watching(was: Standby['was'] = 'running') {
  const clock = new VirtualClock({ startMs: 0 })
  const site = { connected: true, away: new Set<string>(), answers: false, granted: true, elsewhere: false }
  const begun: string[] = []
  const claims: string[] = []
  const standbys = (): Standby[] =>
    begun.length > 0 ? [] : [{ name: 'comfort', peer: 'hub', was, startedMs: 1 }]
  const takeOver = new TakeOver(
    {
      ...{ clock, log: silentLog, bus: site },
      away: () => site.away,
      mover: {
        isThere: async () => site.answers,
        begin: async (name) => {
          if (site.elsewhere) throw new Error(`${name} went from hub to cellar, and runs there`)
          begun.push(name)
        },
      },
      leases: {
        shown: () => ({ token: 1, claim: 1, grants: [] }),
        claim: async (name) => {
          claims.push(name)
          return site.granted
            ? { ok: true, held: { name, token: 1, untilMs: 1 } }
            : { ok: false, reason: '1 of 3 devices granted it, more than half must' }
        },
      },
      known: async () => ({ standbys }),
    },
    { from: ['hub'], afterMs: 80_000 },
  )
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 10_000) {
      clock.advance(10_000)
      await settled()
    }
  }
  return { site, begun, claims, takeOver, pass }
}

describe('a copy of an agent', () => {
  test('is begun when its device was away for the whole time, and not before [replica-5]', async () => {
    const { site, begun, claims, pass } = watching()
    await pass(200_000)
    site.away.add('hub')
    await pass(80_000)
    expect(begun).toEqual([])
    await pass(10_000)
    expect(begun).toEqual(['comfort'])
    expect(claims).toEqual(['agent.hub.comfort'])
  })

  test.each([
    ['its device was seen', (site: { away: Set<string> }) => site.away.delete('hub')],
    [
      'this device had no broker',
      (site: { connected: boolean }) => Object.assign(site, { connected: false }),
    ],
  ])('waits anew after %s [replica-5]', async (_what, interrupt) => {
    const { site, begun, pass } = watching()
    site.away.add('hub')
    await pass(70_000)
    interrupt(site)
    await pass(10_000)
    Object.assign(site, { connected: true })
    site.away.add('hub')
    await pass(80_000)
    expect(begun).toEqual([])
    await pass(10_000)
    expect(begun).toEqual(['comfort'])
  })

  test.each([
    ['its device answers, whatever the broker says [replica-5]', { answers: true }],
    ['no majority grants it [replica-4]', { granted: false }],
    ['it runs on a third device [move-15]', { elsewhere: true }],
  ])('is not begun where %s', async (_what, more) => {
    const { site, begun, pass } = watching()
    Object.assign(site, more)
    site.away.add('hub')
    await pass(400_000)
    expect(begun).toEqual([])
  })

  test('of what a person stopped is not begun [replica-6]', async () => {
    const { site, begun, claims, pass } = watching('stopped')
    site.away.add('hub')
    await pass(400_000)
    expect([begun, claims]).toEqual([[], []])
  })
})

test('an agent is copied again when it has taken turns since, and again where the copy was not kept [replica-1] [replica-2]', async () => {
  const clock = new VirtualClock({ startMs: 0 })
  const agents = { mark: 'running 1 1', there: true, full: false }
  const said: string[] = []
  const moves = {
    copyable: () => (agents.there ? [{ name: 'comfort', urgent: 'running', mark: agents.mark }] : []),
    all: () => [
      {
        id: 'a',
        agent: 'comfort',
        peer: 'cellar',
        phase: 'copied',
        was: 'running',
        token: 1,
        atMs: 0,
      } as const,
    ],
    has: () => agents.there,
  }
  const mover = {
    copy: async (agent: string, device: string) => {
      said.push(`${agent} to ${device}`)
      if (agents.full) throw new Error('the disk takes no more')
    },
    drop: (copies: readonly { readonly id: string }[]) => {
      for (const { id } of copies) said.push(`drop ${id}`)
    },
  }
  const deps = { clock, log: silentLog, mover, known: async () => moves }
  await using replicator = new Replicator(deps, { to: ['cellar'], everyMs: 60_000 })
  const round = async () => {
    said.length = 0
    clock.advance(60_000)
    await settled()
    return [...said]
  }
  expect(await round()).toEqual(['comfort to cellar'])
  expect(await round()).toEqual([])
  Object.assign(agents, { mark: 'running 1 2', full: true })
  expect(await round()).toEqual(['comfort to cellar'])
  agents.full = false
  expect(await round()).toEqual(['comfort to cellar'])
  expect(await round()).toEqual([])
  agents.there = false
  expect(await round()).toEqual(['drop a'])
  expect(replicator).toBeDefined()
})

test('of an agent that ends while copies are made none is due, and nobody is warned; of one that runs on the reason is told', async () => {
  const clock = new VirtualClock({ startMs: 0 })
  const there = new Set(['umbrella', 'comfort'])
  const warned: unknown[] = []
  const moves = {
    copyable: () => [...there].map((name) => ({ name, urgent: 'running', mark: 'running 1 1' })),
    all: () => [],
    has: (name: string) => there.has(name),
  }
  const mover = {
    copy: async (agent: string) => {
      there.delete('umbrella')
      throw new Error(agent === 'umbrella' ? 'umbrella cannot move: it is ended' : 'cellar does not answer')
    },
    drop: () => {},
  }
  const log = { ...silentLog, warn: (_: string, fields?: object) => void warned.push(fields) }
  const deps = { clock, log: { ...log, named: () => log }, mover, known: async () => moves }
  await using _replicator = new Replicator(deps, { to: ['cellar'], everyMs: 60_000 })
  clock.advance(60_000)
  await settled()
  expect(warned).toEqual([{ agent: 'comfort', device: 'cellar', reason: 'cellar does not answer' }])
})
