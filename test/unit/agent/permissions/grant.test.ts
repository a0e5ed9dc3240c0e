/** Grants: read, refused where they are wrong, held to what the manifest wants. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Limits } from '../../../../runtime/agent/contract.ts'
import {
  grantsOfWants,
  parseGrants,
  printGrants,
  refuseWider,
} from '../../../../runtime/agent/permissions/grant.ts'
import { judge } from '../../../../runtime/agent/permissions/judge.ts'

const text = (...list: object[]) => JSON.stringify(list)
const of = (limits: object) => parseGrants(text({ capability: 'light.*:command', limits }))

describe('grants', () => {
  it('are none where nothing is written', () => expect(parseGrants('')).toEqual([]))
  it('are printed as they are read', () => {
    const plain = text(
      { capability: 'light.*:command', limits: { values: { brightness: { max: 128 } }, rate: '10/h' } },
      { capability: 'think' },
    )
    expect(printGrants(parseGrants(plain))).toBe(plain)
  })
  it.each([
    ['{', 'not JSON'],
    ['{}', 'grant'],
    [text({ capability: 'root' }), 'is no capability'],
    [text({ capability: 'think', limit: {} }), 'limit'],
    [text({ capability: 'a.b:read', limits: { values: { state: ['on'] } } }), 'values limit commands'],
    [text({ capability: 'a.b:read', limits: { rate: '0/h' } }), '10/h'],
    [text({ capability: 'a.b:read', limits: { rate: '10/w' } }), '10/h'],
    [text({ capability: 'a.b:read', limits: { times: ['6-7'] } }), '22:00-06:00'],
    [text({ capability: 'a.b:read', limits: { times: ['06:00-06:00'] } }), '22:00-06:00'],
    [text({ capability: 'a.b:read', limits: { times: ['25:00-06:00'] } }), '22:00-06:00'],
    [text({ capability: 'a.b:command', limits: { values: { b: { min: 2, max: 1 } } } }), 'grant'],
    [text({ capability: 'a.b:command', limits: { values: { b: {} } } }), 'grant'],
    [`[{"capability":"a.b:command","limits":{"values":{"__proto__":["on"]}}}]`, 'grant'],
    // What a person reads before they say yes must not be able to erase a line of it.
    [
      text({ capability: 'a.b:command', limits: { values: { b: ['\u001b[1A\u001b[2K'] } } }),
      'cannot be shown',
    ],
    [text({ capability: 'a.b:command', limits: { values: { b: [['\u202e']] } } }), 'cannot be shown'],
    [text(...Array.from({ length: 65 }, () => ({ capability: 'think' }))), '64'],
  ])('%s is refused in one line', (wrong, says) => {
    let message = ''
    try {
      parseGrants(wrong)
    } catch (error) {
      message = (error as Error).message
    }
    expect(message).toContain(says)
    expect(message).not.toContain('\n')
  })

  it('[permit-4] are no wider than what the manifest wants', () => {
    const wants = ['light.*:command', { want: 'lock.*:command', limits: { values: { state: ['locked'] } } }]
    const fits =
      (...list: object[]) =>
      () =>
        refuseWider(parseGrants(text(...list)), wants)
    expect(fits({ capability: 'light.kitchen:command' })).not.toThrow()
    expect(fits({ capability: 'light.kitchen:command', limits: { ask: true } })).not.toThrow()
    expect(fits({ capability: '*.kitchen:command' })).toThrow('does not ask for')
    expect(fits({ capability: 'light.*:read' })).toThrow('does not ask for')
    expect(fits({ capability: 'lock.door:command' })).toThrow('does not ask for')
    expect(fits({ capability: 'lock.door:command', limits: { values: { state: ['locked'] } } })).not.toThrow()
    expect(fits({ capability: 'lock.door:command', limits: { values: { state: ['unlocked'] } } })).toThrow()
  })

  const limits: fc.Arbitrary<Limits> = fc
    .record(
      {
        values: fc.record(
          {
            brightness: fc.oneof(
              fc.constantFrom({ max: 128 }, { min: 10 }, { min: 10, max: 128 }, { max: 20 }),
              fc.constantFrom([5], [5, 15], [200]),
            ),
          },
          { requiredKeys: [] },
        ),
        times: fc.array(fc.constantFrom('22:00-06:00', '23:00-05:00', '06:00-22:00', '11:00-12:00'), {
          minLength: 1,
          maxLength: 2,
        }),
        rate: fc.constantFrom('1/h', '2/h', '1/m', '2/d'),
        others: fc.boolean(),
        ask: fc.boolean(),
      },
      { requiredKeys: [] },
    )
    .map(({ others, ...rest }) => (rest.values && others !== undefined ? { ...rest, others } : rest)) as never

  it('[permit-4] that pass never allow what all that is wanted would not', () => {
    let passed = 0
    fc.assert(
      fc.property(
        limits,
        limits,
        fc.constantFrom<{ [field: string]: number }[]>(
          ...[5, 15, 100, 200].map((brightness) => ({ brightness })),
          ...[{}, { effect: 1 }, { brightness: 15, effect: 1 }, { brightness: 200, effect: 1 }],
        ),
        fc.integer({ min: 0, max: 1_439 }),
        fc.array(fc.integer({ min: -90_000_000, max: 0 }), { maxLength: 3 }),
        (narrow, wide, command, minute, used) => {
          const wants = [{ want: 'light.*:command', limits: wide }]
          const granted = of(narrow)
          try {
            refuseWider(granted, wants)
          } catch {
            return
          }
          passed += 1
          const nowMs = Date.UTC(2026, 0, 15, 0, minute)
          const call = { op: 'command', args: { entity: 'light.a', command } } as const
          const now = { nowMs, timezone: 'UTC', used: () => used.map((ms) => nowMs + ms) }
          const rank = { deny: 0, ask: 1, allow: 2 }
          expect(rank[judge(call, granted, now).verdict]).toBeLessThanOrEqual(
            rank[judge(call, grantsOfWants(wants), now).verdict],
          )
        },
      ),
      { numRuns: 3_000 },
    )
    expect(passed).toBeGreaterThan(100)
  })
})
