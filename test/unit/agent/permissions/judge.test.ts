/** The decision as a pure function, held against a slow reference that is obviously right. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Json } from '../../../../runtime/agent/contract.ts'
import {
  describeCapability,
  needsOf,
  parseCapability,
  printCapability,
} from '../../../../runtime/agent/permissions/capability.ts'
import { type Grant, parseGrants } from '../../../../runtime/agent/permissions/grant.ts'
import { type Circumstances, isStillGranted, judge } from '../../../../runtime/agent/permissions/judge.ts'
import { covers } from '../../../../runtime/agent/permissions/pattern.ts'
import { type Call, callOps } from '../../../../runtime/agent/turn.ts'

const noon = Date.UTC(2026, 0, 15, 12)
const now = (over: Partial<Circumstances> = {}): Circumstances => ({
  nowMs: noon,
  timezone: 'UTC',
  used: () => [],
  ...over,
})
const command = (entity: Json, fields: Json = { state: 'on' }): Pick<Call, 'op' | 'args'> => ({
  op: 'command',
  args: { entity, command: fields },
})
const grants = (...list: object[]) => parseGrants(JSON.stringify(list))

describe('a command that expires', () => {
  it('is allowed only where what it goes back to is', () => {
    const expiring = (to: Json) => ({
      op: 'command' as const,
      args: { entity: 'light.hall', command: { state: 'on' }, expires: { afterMs: 60_000, to } },
    })
    const onlyOn = grants({ capability: 'light.hall:command', limits: { values: { state: ['on'] } } })
    expect(judge(expiring({ state: 'on' }), onlyOn, now()).verdict).toBe('allow')
    expect(judge(expiring({ state: 'off' }), onlyOn, now()).verdict).toBe('deny')
    expect(
      judge(expiring({ state: 'off' }), grants({ capability: 'light.hall:command' }), now()).verdict,
    ).toBe('allow')
  })
})

describe('patterns', () => {
  /** Every text of at most three characters over a small alphabet. */
  const texts = [''].concat(
    ...[1, 2, 3, 4].map((length) => {
      let made = ['']
      for (let at = 0; at < length; at += 1)
        made = made.flatMap((text) => ['a', 'b', '.', 'x'].map((c) => text + c))
      return made
    }),
  )
  const matches = (pattern: string, text: string): boolean => {
    const [symbol] = pattern
    if (symbol === undefined) return text === ''
    if (symbol !== '*') return text[0] === symbol && matches(pattern.slice(1), text.slice(1))
    return (
      matches(pattern.slice(1), text) || (text !== '' && text[0] !== '.' && matches(pattern, text.slice(1)))
    )
  }
  const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*'), maxLength: 4 })

  it('cover a name exactly where it is one of theirs', () => {
    fc.assert(
      fc.property(
        pattern,
        fc.string({ unit: fc.constantFrom('a', 'b', '.', 'x'), maxLength: 6 }),
        (granted, text) => {
          expect(covers(granted, text)).toBe(matches(granted, text))
        },
      ),
      { numRuns: 2_000 },
    )
  })
  it('cover a pattern only where they cover every name it can stand for', () => {
    fc.assert(
      fc.property(pattern, pattern, (granted, asked) => {
        const stray = texts.some((text) => matches(asked, text) && !matches(granted, text))
        expect(covers(granted, asked)).toBe(!stray)
      }),
      { numRuns: 1_500 },
    )
  })
  it('that were made to be slow are refused quickly', () => {
    const granted = `${'*a'.repeat(8)}.x`
    expect(covers(granted, `${'*ab'.repeat(8)}.x`)).toBe(false)
    expect(covers(`*${'a'.repeat(100)}*`, `*${'a'.repeat(99)}*`)).toBe(false)
    expect(covers('*'.repeat(9), 'a')).toBe(false)
    expect(covers('*', 'a'.repeat(129))).toBe(false)
  })
})

describe('a capability', () => {
  it.each([
    ...['light.*:command', 'binary_sensor.*_motion:read', 'infer:person-detector', 'think', 'memory', 'ask'],
    ...['board:heat.*', 'decide:heat-pump', 'agent:comfort', 'mcp:calendar', 'mcp:calendar/find'],
  ])('%s is read and printed as it was', (text) => {
    const parsed = parseCapability(text)
    expect(typeof parsed === 'string' ? parsed : printCapability(parsed)).toBe(text)
  })
  it.each([
    '',
    'light:command',
    'light.*',
    'infer:',
    'root',
    'light.*:write',
    '.:read',
    `${'a'.repeat(200)}.b:read`,
  ])('%s is refused with what is wrong', (text) => expect(typeof parseCapability(text)).toBe('string'))
  it.each([
    ['mcp:mail', 'use every outside tool of mail'],
    ['mcp:mail/send', 'use the outside tool send of mail'],
    ['mcp:*', 'use every outside tool of servers called *'],
  ])('%s is said to a person as "%s"', (text, words) => {
    const parsed = parseCapability(text)
    expect(typeof parsed === 'string' ? parsed : describeCapability(parsed)).toBe(words)
  })
  it('is needed for every op but those that touch nothing', () => {
    const args = {
      ...{ pattern: 'a.b', entity: 'a.b', model: 'm', agent: 'a', key: 'k', subject: 's', name: 'n' },
    }
    const free = callOps.filter((op) => needsOf({ op, args })?.length === 0)
    expect(free).toEqual(['sleep', 'cron', 'calls', 'reply', 'release'])
  })
})

describe('the decision', () => {
  it('[permit-1] is no where nothing is granted', () => {
    for (const op of callOps) {
      const { verdict } = judge({ op, args: {} }, [], now())
      expect(verdict).toBe(['sleep', 'cron', 'calls', 'reply', 'release'].includes(op) ? 'allow' : 'deny')
    }
  })
  it('[permit-1] is no for a call that names nothing, or something that is no text', () => {
    const all = grants({ capability: '*.*:command' })
    for (const entity of [null, 7, {}, ['light.kitchen'], '', 'x'.repeat(500)])
      expect(judge(command(entity as Json), all, now())).toMatchObject({
        verdict: 'deny',
        code: 'bad-request',
      })
    expect(judge({ op: 'toString' as never, args: {} }, all, now())).toMatchObject({ verdict: 'deny' })
  })
  it('[permit-2] does not put one grant’s values together with another’s pattern', () => {
    const two = grants(
      { capability: 'light.*:command', limits: { values: { brightness: { max: 128 } } } },
      { capability: 'light.hall:command' },
    )
    expect(judge(command('light.kitchen', { brightness: 200 }), two, now())).toMatchObject({
      verdict: 'deny',
      reason: 'brightness 200 is above 128',
    })
    expect(judge(command('light.hall', { brightness: 200 }), two, now()).verdict).toBe('allow')
  })
  it('[permit-2] lets a lock be locked and asks before it is unlocked', () => {
    const lock = grants(
      { capability: 'lock.*:command', limits: { values: { state: ['locked'] } } },
      { capability: 'lock.*:command', limits: { values: { state: ['unlocked'] }, ask: true } },
    )
    expect(judge(command('lock.door', { state: 'locked' }), lock, now()).verdict).toBe('allow')
    expect(judge(command('lock.door', { state: 'unlocked' }), lock, now()).verdict).toBe('ask')
    expect(judge(command('lock.door', { state: ['locked'] }), lock, now()).verdict).toBe('deny')
    expect(judge(command('lock.door', 'unlocked'), lock, now()).verdict).toBe('deny')
  })
  it('[permit-14] lets a command say nothing that a limit on values does not name, unless the limit says so', () => {
    const dim = { capability: 'light.*:command', limits: { values: { brightness: { max: 128 } } } }
    const say = (fields: Json, limits: object = dim.limits) =>
      judge(command('light.a', fields), grants({ ...dim, limits } as PlainGrant), now())
    expect(say({ brightness: 100 }).verdict).toBe('allow')
    expect(say({ brightness: 100, state: 'on' })).toMatchObject({
      verdict: 'deny',
      reason: '"state" is not allowed: of a command only brightness',
    })
    expect(say({ brightness: 100, state: 'on' }, { ...dim.limits, others: true }).verdict).toBe('allow')
    expect(say({ brightness: 200, state: 'on' }, { ...dim.limits, others: true }).verdict).toBe('deny')
  })
  it('keeps local times of day, across midnight and both changes of summer time', () => {
    const night = grants({ capability: 'light.*:command', limits: { times: ['22:00-06:00'] } })
    const small = grants({ capability: 'light.*:command', limits: { times: ['02:15-02:45'] } })
    const at = (list: readonly Grant[], iso: string) =>
      judge(command('light.a'), list, now({ nowMs: Date.parse(iso), timezone: 'Europe/Berlin' })).verdict
    // Winter: an hour ahead of UTC; summer: two.
    expect(at(night, '2026-01-15T20:59:59Z')).toBe('deny')
    expect(at(night, '2026-01-15T21:00:00Z')).toBe('allow')
    expect(at(night, '2026-01-16T04:59:59Z')).toBe('allow')
    expect(at(night, '2026-01-16T05:00:00Z')).toBe('deny')
    expect(at(night, '2026-07-15T20:00:00Z')).toBe('allow')
    expect(at(night, '2026-07-16T04:00:00Z')).toBe('deny')
    // 29 March 2026: no clock shows 02:15 that night. 25 October: it is shown twice.
    for (let minute = 0; minute < 180; minute += 5)
      expect(at(small, new Date(Date.UTC(2026, 2, 29, 0, minute)).toISOString())).toBe('deny')
    expect(at(small, '2026-10-25T00:20:00Z')).toBe('allow')
    expect(at(small, '2026-10-25T01:20:00Z')).toBe('allow')
    expect(at(small, '2026-10-25T02:20:00Z')).toBe('deny')
  })
  it('[permit-3] takes a grant without a rate or a question where there is one', () => {
    const list = grants(
      { capability: 'light.*:command', limits: { ask: true } },
      { capability: '*.kitchen:command', limits: { rate: '1/h' } },
      { capability: 'light.kitchen:command' },
    )
    expect(judge(command('light.kitchen'), list, now())).toMatchObject({ verdict: 'allow', grant: list[2] })
    expect(judge(command('light.kitchen'), list.slice(0, 2), now())).toMatchObject({ grant: list[1] })
  })
  it('allows a model no tool that the agent itself has not', () => {
    const list = grants({ capability: 'think' }, { capability: 'light.kitchen:command' })
    const think = (tools: Json) => judge({ op: 'think', args: { goal: 'x', tools } }, list, now()).verdict
    expect(think(['light.kitchen:command'])).toBe('allow')
    expect(think(['light.*:command'])).toBe('deny')
    expect(think(['mcp:calendar'])).toBe('deny')
    expect(think('light.kitchen:command')).toBe('deny')
  })
  it.each([
    ['mcp:calendar', 'calendar', 'find', 'allow'],
    ['mcp:calendar/find', 'calendar', 'find', 'allow'],
    ['mcp:*', 'calendar', 'v1.find', 'allow'],
    ['mcp:calendar/*', 'calendar', 'find', 'allow'],
    ['mcp:calendar/find', 'calendar', 'forget', 'deny'],
    ['mcp:calendar', 'calendar2', 'find', 'deny'],
    ['mcp:cal', 'calendar', 'find', 'deny'],
    ['mcp:calendar', 'calendar', '*', 'deny'],
    ['mcp:calendar', '*', 'find', 'deny'],
    ['mcp:calendar', 'calendar', '', 'deny'],
    ['mcp:calendar', 'calendar', { find: 1 }, 'deny'],
    ['mcp:find', 'calendar/find', 'find', 'deny'],
    ['agent:calendar', 'calendar', 'find', 'deny'],
  ] as const)('with %s for the tool of %s called %s is %s', (capability, server, tool, verdict) =>
    expect(judge({ op: 'tool', args: { server, tool } }, grants({ capability }), now()).verdict).toBe(
      verdict,
    ),
  )
  it('keeps what is under way only while it is granted', () => {
    const call = command('light.kitchen', { brightness: 100 })
    expect(isStillGranted(call, grants({ capability: 'light.*:command', limits: { ask: true } }))).toBe(true)
    expect(isStillGranted(call, grants({ capability: 'lock.*:command' }))).toBe(false)
    const low = grants({ capability: 'light.*:command', limits: { values: { brightness: { max: 50 } } } })
    expect(isStillGranted(call, low)).toBe(false)
  })

  it('[permit-2] says what the slow reference says', () => {
    const limits = fc
      .record(
        {
          values: fc.record(
            {
              state: fc.constantFrom<Json[]>(['on'], ['off'], ['on', 'off']),
              brightness: fc.constantFrom<object>({ max: 128 }, { min: 10 }, { min: 10, max: 20 }),
            },
            { requiredKeys: [] },
          ),
          times: fc.array(fc.constantFrom('22:00-06:00', '06:00-22:00', '11:00-12:01', '13:00-24:00'), {
            minLength: 1,
            maxLength: 2,
          }),
          rate: fc.constantFrom('1/h', '2/h', '3/m', '1/d'),
          others: fc.boolean(),
          ask: fc.boolean(),
        },
        { requiredKeys: [] },
      )
      .map(({ others, ...rest }) => (rest.values && others !== undefined ? { ...rest, others } : rest))
    const grant: fc.Arbitrary<PlainGrant> = fc.oneof(
      {
        weight: 9,
        arbitrary: fc.record({
          capability: fc.constantFrom('light.*:command', 'light.a:command', '*.b:command', '*.*:command'),
          limits,
        }),
      },
      fc.constant({ capability: 'light.*:read', limits: {} }),
    )
    const fields = fc.record(
      {
        state: fc.constantFrom('on', 'off'),
        brightness: fc.integer({ min: 0, max: 255 }),
        other: fc.integer(),
      },
      { requiredKeys: [] },
    )
    const uses = fc.array(fc.integer({ min: -90_000_000, max: 1_000 }), { maxLength: 3 })
    let allowed = 0
    fc.assert(
      fc.property(
        fc.array(grant, { maxLength: 4 }),
        fc.constantFrom('light.a', 'light.b', 'lock.b', 'lock.a'),
        fields,
        fc.integer({ min: 0, max: 1_439 }),
        uses,
        (list, entity, asked, minute, used) => {
          const nowMs = Date.UTC(2026, 0, 15, 0, minute)
          const circumstances = now({ nowMs, used: () => used.map((ms) => nowMs + ms) })
          const { verdict } = judge(command(entity, asked as Json), grants(...list), circumstances)
          if (verdict !== 'deny') allowed += 1
          expect(verdict).toBe(reference(list, entity, asked, minute, used))
        },
      ),
      { numRuns: 2_000 },
    )
    expect(allowed).toBeGreaterThan(100)
  })
})

interface PlainGrant {
  readonly capability: string
  readonly limits: { values?: object; others?: boolean; times?: string[]; rate?: string; ask?: boolean }
}

/** One grant after the other, one limit after the other, each in the most literal way. */
function reference(
  list: readonly PlainGrant[],
  entity: string,
  asked: { readonly [field: string]: Json },
  minute: number,
  used: readonly number[],
): 'allow' | 'ask' | 'deny' {
  const units: Record<string, number> = { m: 60, h: 3_600, d: 86_400 }
  const fits = ({ capability, limits }: PlainGrant) => {
    const [pattern = '', kind] = capability.split(':')
    if (kind !== 'command') return false
    const [domain, name] = entity.split('.')
    const [wantedDomain, wantedName] = pattern.split('.')
    if (wantedDomain !== '*' && wantedDomain !== domain) return false
    if (wantedName !== '*' && wantedName !== name) return false
    for (const [field, value] of Object.entries(limits.values ? asked : {})) {
      const limit = (limits.values as Record<string, { min?: number; max?: number } | Json[]>)[field]
      if (limit === undefined) {
        if (limits.others !== true) return false
        continue
      }
      if (Array.isArray(limit)) {
        if (!limit.includes(value)) return false
      } else if (Number(value) < (limit.min ?? 0) || Number(value) > (limit.max ?? 1e9)) return false
    }
    if (limits.times) {
      const minutes = new Set<number>()
      for (const text of limits.times) {
        const [from = 0, to = 0] = text
          .split('-')
          .map((time) => Number(time.slice(0, 2)) * 60 + Number(time.slice(3)))
        for (let at = from; at !== to; at += 1) {
          if (at === 1_440) at = 0
          if (at === to) break
          minutes.add(at)
        }
      }
      if (!minutes.has(minute)) return false
    }
    if (limits.rate !== undefined) {
      const [most = '', unit = ''] = limits.rate.split('/')
      const within = used.filter((ms) => ms / 1_000 > -(units[unit] ?? 0))
      if (within.length >= Number(most)) return false
    }
    return true
  }
  const fitting = list.filter(fits)
  if (fitting.length === 0) return 'deny'
  return fitting.some(({ limits }) => limits.ask !== true) ? 'allow' : 'ask'
}
