/** What a fleet's policy grants without a person, and what it lets nobody grant. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Want } from '../../../../runtime/agent/contract.ts'
import { grantsOfWants, parseGrants, printGrants } from '../../../../runtime/agent/permissions/grant.ts'
import { Permissions } from '../../../../runtime/agent/permissions/permissions.ts'
import {
  grantedBy,
  noPolicy,
  policyOf,
  priorityOf,
  refuseNever,
  touchesNever,
} from '../../../../runtime/agent/permissions/policy.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import { loadDeviceConfig } from '../../../../runtime/config/config.ts'
import { readPolicy } from '../../../../runtime/config/policy.ts'
import type { AuditEntry } from '../../../../runtime/observe/audit-chain.ts'

const fleet = policyOf({
  allow: [
    'light.*:read',
    { capability: 'light.hall*:command', limits: { rate: '10/h' } },
    { capability: 'lock.*:command', limits: { values: { state: ['locked'] } } },
    'memory',
  ],
  never: ['lock.vault:command', 'camera.*:read'],
})
const granted = (...wants: Want[]) => JSON.parse(printGrants(grantedBy(fleet, grantsOfWants(wants)).granted))
const left = (...wants: Want[]) => JSON.parse(printGrants(grantedBy(fleet, grantsOfWants(wants)).left))

describe('a policy', () => {
  it('[policy-1] grants what is both wanted and allowed: the narrower pattern, the tighter limits', () => {
    expect(granted('light.kitchen:read')).toEqual([{ capability: 'light.kitchen:read', from: 'policy' }])
    const hall = { capability: 'light.hall*:command', limits: { rate: '10/h' }, from: 'policy' }
    expect(granted('light.*:command')).toEqual([hall])
    expect(left('light.*:command')).toEqual([{ capability: 'light.*:command' }])
    const rarely = { want: 'light.hall:command', limits: { rate: '2/d' } }
    expect(granted(rarely)).toEqual([
      { capability: 'light.hall:command', limits: { rate: '2/d' }, from: 'policy' },
    ])
    expect(left(rarely)).toEqual([])
    expect(granted('siren.*:command', 'think')).toEqual([])
    // Neither is inside of the other: nothing is guessed.
    expect(granted({ want: 'light.hall:command', limits: { ask: true } })).toEqual([])
  })
  it('[policy-3] that holds is on record: when it begins to, and by which it was', () => {
    const lines: AuditEntry[] = []
    const audit = { append: (entry: AuditEntry) => void lines.push(entry), durable: async () => {} }
    const unused = { uses: {} as never, approvals: {} as never, timezone: 'UTC' }
    const deps = { clock: new VirtualClock(), log: silentLog, audit, ...unused }
    const permissions = new Permissions({ ...deps, policy: fleet })
    permissions.policy = policyOf({ never: ['lock.*:command'] })
    permissions.policy = fleet
    expect(lines).toMatchObject([
      { kind: 'policy', allow: fleet.allow.length, never: fleet.never.length },
      { kind: 'policy', allow: 0, never: 1, priority: 'background' },
      lines[0],
    ])
    expect(lines[1]?.['sha256']).not.toBe(lines[0]?.['sha256'])
  })
  it('[policy-2] denies what it never allows at each call, whoever granted it', async () => {
    const clock = new VirtualClock()
    const uses = { times: () => [], isApproved: () => false, add() {}, approve() {} }
    const permissions = new Permissions({
      ...{ clock, log: silentLog, uses: uses as never, approvals: { ask: () => Promise.reject() } },
      ...{ audit: { append() {}, durable: async () => {} }, timezone: 'UTC', policy: fleet },
    })
    const caller = { agent: 'a', token: 1 }
    const decide = (op: 'command' | 'read' | 'on' | 'entities', args: { [name: string]: string | object }) =>
      permissions.decide(
        caller,
        { id: 1, op, args: args as never, askedMs: 0 },
        JSON.stringify([{ capability: 'lock.*:command' }, { capability: '*.*:read' }]),
        new AbortController().signal,
      )
    const lock = (entity: string) => decide('command', { entity, command: { state: 'locked' } })
    expect(await lock('lock.door')).toMatchObject({ allow: true })
    expect(await lock('lock.vault')).toMatchObject({
      ...{ allow: false, outcome: { error: { code: 'permission' } } },
    })
    expect(await decide('on', { pattern: '*.*' })).toMatchObject({ allow: false })
    const list = await decide('entities', { pattern: '*.*' })
    expect(list.allow && list.over?.({ ok: true, value: ['light.a', 'camera.door'] })).toEqual({
      ...{ ok: true, value: ['light.a'] },
    })
    expect(() => refuseNever(fleet, parseGrants('[{"capability":"lock.vault:command"}]'))).toThrow(
      'the policy of this device lets no agent command lock.vault',
    )
    expect(() => refuseNever(fleet, parseGrants('[{"capability":"lock.*:command"}]'))).not.toThrow()
  })
  it('[policy-2] that never allows a tool server, or one of its tools, means every tool that is meant', () => {
    const never = (text: string) => policyOf({ never: [text] })
    const tool = { kind: 'mcp', pattern: 'mail/send' } as const
    expect(touchesNever(never('mcp:mail'), tool)).toBe(true)
    expect(touchesNever(never('mcp:mail/send'), tool)).toBe(true)
    expect(touchesNever(never('mcp:*'), tool)).toBe(true)
    expect(touchesNever(never('mcp:mail/read'), tool)).toBe(false)
    expect(touchesNever(never('mcp:calendar'), tool)).toBe(false)
    const granting = (capability: string) => () =>
      refuseNever(never('mcp:mail'), parseGrants(JSON.stringify([{ capability }])))
    expect(granting('mcp:mail/send')).toThrow('lets no agent use the outside tool send of mail')
    expect(granting('mcp:calendar/find')).not.toThrow()
  })

  it('[policy-3] holds for what it granted only as long as it allows it; what a person granted stays', async () => {
    const text = JSON.stringify([
      { capability: 'light.a:read', from: 'policy' },
      { capability: 'light.b:read' },
      { capability: 'light.c:read', from: 'policy' },
    ])
    const under = async (policy: typeof fleet, entity: string) => {
      const permissions = new Permissions({
        ...{ clock: new VirtualClock(), log: silentLog, uses: {} as never, approvals: {} as never },
        ...{ audit: { append() {}, durable: async () => {} }, timezone: 'UTC', policy },
      })
      const call = { id: 1, op: 'read' as const, args: { entity }, askedMs: 0 }
      return (await permissions.decide({ agent: 'a', token: 1 }, call, text, new AbortController().signal))
        .allow
    }
    const narrower = policyOf({ allow: ['light.c:read'] })
    expect(await Promise.all(['light.a', 'light.b', 'light.c'].map((id) => under(fleet, id)))).toEqual([
      ...[true, true, true],
    ])
    expect(await Promise.all(['light.a', 'light.b', 'light.c'].map((id) => under(narrower, id)))).toEqual([
      ...[false, true, true],
    ])
  })
  it('[policy-4] caps how soon an agent is served: by a person interactive, else as the policy says', () => {
    const byPerson = parseGrants('[{"capability":"memory"}]')
    const byPolicy = parseGrants('[{"capability":"memory","from":"policy"}]')
    const named = parseGrants('[{"capability":"priority:control"}]')
    expect(priorityOf('control', byPerson, noPolicy)).toBe('interactive')
    expect(priorityOf('control', byPolicy, noPolicy)).toBe('background')
    expect(priorityOf('control', byPolicy, policyOf({ priority: 'interactive' }))).toBe('interactive')
    expect(priorityOf('control', named, noPolicy)).toBe('control')
    expect(priorityOf('background', named, noPolicy)).toBe('background')
    expect(() => parseGrants('[{"capability":"priority:all"}]')).toThrow('priority:control')
  })
  it('is refused with the place where it is wrong, so that the device does not start with half of one', () => {
    expect(() => readPolicy({ allow: ['light:command'] })).toThrow('device.agents.policy: allow')
    expect(() => readPolicy({ never: ['everything'] })).toThrow('never.0: "everything" is no capability')
    expect(() => readPolicy({ deny: [] })).toThrow('deny')
    expect(() => readPolicy('/nowhere/policy.yaml')).toThrow('cannot read the policy /nowhere/policy.yaml')
    const directory = mkdtempSync(join(tmpdir(), 'policy-'))
    try {
      const file = join(directory, 'policy.yaml')
      writeFileSync(file, 'allow:\n  - light.*:read\nnever: [lock.vault:command]\npriority: interactive\n')
      const policy = loadDeviceConfig({ agents: { policy: file } }).agents.policy
      expect(readPolicy(policy)).toMatchObject({
        priority: 'interactive',
        never: [{ pattern: 'lock.vault' }],
      })
      const inline = loadDeviceConfig({ agents: { policy: { allow: ['memory'] } } }).agents.policy
      expect(readPolicy(inline).allow).toHaveLength(1)
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})
