/** Decisions with their time: people who answer or do not, rates that outlive a restart, and what is recorded of it all. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Json } from '../../../../runtime/agent/contract.ts'
import { Approvals } from '../../../../runtime/agent/permissions/approvals.ts'
import {
  type AskedCall,
  Permissions,
  type PermissionsDeps,
} from '../../../../runtime/agent/permissions/permissions.ts'
import { noPolicy } from '../../../../runtime/agent/permissions/policy.ts'
import { Uses } from '../../../../runtime/agent/permissions/uses.ts'
import type { CallOp } from '../../../../runtime/agent/turn.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import type { AuditEntry } from '../../../../runtime/observe/audit-chain.ts'
import { type ApprovalEvent, approvalsMax } from '../../../../runtime/wire/approvals.ts'

let directory: string
let clock: VirtualClock
let uses: Uses
let approvals: Approvals
let events: ApprovalEvent[]
let lines: AuditEntry[]
let durable: () => Promise<void>
let permissions: Permissions
const signal = new AbortController().signal
const caller = { agent: 'night-watch', token: 1 }

const openUses = () => Uses.open(join(directory, 'used.db'), clock.nowMs()).uses
const start = (refuses?: PermissionsDeps['refuses']) => {
  const audit = { append: (entry: AuditEntry) => void lines.push(entry), durable: () => durable() }
  permissions = new Permissions({
    clock,
    log: silentLog,
    audit,
    uses,
    approvals,
    timezone: 'UTC',
    policy: noPolicy,
    ...(refuses && { refuses }),
  })
}
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'permit-'))
  clock = new VirtualClock()
  events = []
  lines = []
  durable = async () => {}
  uses = openUses()
  approvals = new Approvals({ clock, answers: uses, publish: (event) => events.push(event) })
  start()
})
afterEach(() => {
  uses[Symbol.dispose]()
  rmSync(directory, { recursive: true })
})

const grants = (...list: object[]) => JSON.stringify(list)
const ids = Array.from({ length: 1_000 }, (_, index) => index + 1).values()
const nextId = () => ids.next().value ?? 0
const asked = (op: CallOp, args: { [name: string]: Json }, id = nextId()): AskedCall => ({
  ...{ id, op, args, askedMs: clock.nowMs() },
})
const unlock = (id?: number, more: { [name: string]: Json } = {}) =>
  asked('command', { entity: 'lock.door', command: { state: 'unlocked', code: '4711' }, ...more }, id)
const asking = grants({
  capability: 'lock.*:command',
  limits: { values: { state: ['unlocked'] }, others: true, ask: true },
})
const code = async (verdict: Promise<unknown>) => {
  const { allow, outcome } = (await verdict) as { allow: boolean; outcome?: { error: { code: string } } }
  return allow ? 'allow' : outcome?.error.code
}
const waitingId = async () => {
  await expect.poll(() => approvals.waiting().length).toBe(1)
  return approvals.waiting()[0]?.id ?? ''
}

describe('a decision', () => {
  it('[permit-1] is no without a grant, and yes with one, as the grants are at that moment', async () => {
    const light = () => asked('command', { entity: 'light.a', command: { state: 'on' } })
    const decide = (text: string) => code(permissions.decide(caller, light(), text, signal))
    expect(await decide('')).toBe('permission')
    expect(await decide(grants({ capability: 'light.*:command' }))).toBe('allow')
    expect(await decide(grants({ capability: 'lock.*:command' }))).toBe('permission')
    expect(await decide('{ not JSON')).toBe('permission')
  })
  it('[permit-5] is no where it cannot be recorded', async () => {
    durable = async () => {
      throw new Error('no space left')
    }
    const call = asked('read', { entity: 'light.a' })
    expect(await code(permissions.decide(caller, call, grants({ capability: 'light.*:read' }), signal))).toBe(
      'unavailable',
    )
  })
  it('[permit-5] is given when it is on the disk, not before', async () => {
    const disk = Promise.withResolvers<void>()
    durable = () => disk.promise
    let given = false
    const call = asked('read', { entity: 'light.a' })
    const verdict = permissions.decide(caller, call, grants({ capability: 'light.*:read' }), signal)
    void verdict.then(() => {
      given = true
    })
    await new Promise((resolve) => setImmediate(resolve))
    expect([given, lines.length]).toEqual([false, 1])
    disk.resolve()
    expect(await code(verdict)).toBe('allow')
  })
  it.each([
    ['site', 'use the outside tool send of mail: to "Bo", token …'],
    ['device', 'use the outside tool send of mail'],
  ])(
    'asks a person about an outside tool, with what may be told of a thought that is labelled %s',
    async (privacy, words) => {
      const args = { server: 'mail', tool: 'send', arguments: { to: 'Bo', token: '4711' }, privacy }
      const text = grants({ capability: 'mcp:mail', limits: { ask: true } })
      const verdict = permissions.decide(caller, asked('tool', args), text, signal)
      const id = await waitingId()
      expect(approvals.waiting()[0]?.words).toBe(words)
      approvals.answer(id, 'no', 'Ada')
      expect(await code(verdict)).toBe('permission')
      expect(JSON.stringify(lines)).toContain('mcp:mail/send')
      expect(JSON.stringify(lines)).not.toContain('Bo')
    },
  )
  it.each<[string, Json]>([
    ['a class', { priority: 'control', dueMs: 0 }],
    ['a command', { entity: 'light.a', command: { state: 'locked' }, state: 'locked', deadlineMs: 1e15 }],
    ['no object', 'x'.repeat(1_000)],
    ['nothing', null],
  ])('sees nothing of what a call says of its urgency, be it %s', async (_, urgency) => {
    const seen = []
    for (const more of [{}, { urgency }]) {
      const values = { state: ['unlocked'], code: ['4711'] }
      const text = grants({ capability: 'lock.*:command', limits: { values, ask: true } })
      const verdict = permissions.decide(caller, unlock(7, more), text, signal)
      const id = await waitingId()
      const [approval] = approvals.waiting()
      approvals.answer(id, 'no', 'Ada')
      seen.push([approval, await verdict, lines.splice(0)])
      uses[Symbol.dispose]()
      rmSync(join(directory, 'used.db'))
      uses = openUses()
      approvals = new Approvals({ clock, answers: uses, publish: (event) => events.push(event) })
      start()
    }
    expect(seen[1]).toEqual(seen[0])
  })
  it('[permit-15] asks nobody about what is not there, which counts as no question', async () => {
    const gone = { ok: false, error: { code: 'not-found', message: 'there is no lock.door' } } as const
    start(async () => gone)
    for (const id of Array.from({ length: 20 }, nextId))
      expect(await permissions.decide(caller, unlock(id), asking, signal)).toEqual({
        ...{ allow: false, outcome: gone },
      })
    expect(events).toEqual([])
    expect(lines.at(-1)).toMatchObject({ kind: 'decision', verdict: 'deny', reason: 'not-found' })
    start(async () => undefined)
    const call = unlock()
    const left = new AbortController()
    const before = permissions.decide(caller, call, asking, left.signal)
    const id = await waitingId()
    left.abort()
    await before
    // Over a restart it stays asked, also where the thing has not yet said that it is there.
    start(async () => gone)
    const verdict = permissions.decide(caller, call, asking, signal)
    expect(await waitingId()).toBe(id)
    approvals.answer(id, 'yes', 'Ada')
    expect(await code(verdict)).toBe('allow')
  })
  it('[permit-6] counts towards a rate that a restart does not make new, once a call', async () => {
    const twice = grants({ capability: 'light.*:command', limits: { rate: '2/h' } })
    const light = (id: number) => asked('command', { entity: 'light.a', command: {} }, id)
    const decide = (id: number) => code(permissions.decide(caller, light(id), twice, signal))
    expect(await decide(1)).toBe('allow')
    // Performed again after a crash.
    expect(await decide(1)).toBe('allow')
    expect(await decide(2)).toBe('allow')
    uses[Symbol.dispose]()
    uses = openUses()
    start()
    expect(await decide(3)).toBe('permission')
    expect(await decide(2)).toBe('allow')
    clock.advance(3_600_000)
    expect(await decide(4)).toBe('allow')
  })
  it('[permit-9] is not freed by a clock that is set back a day, nor kept for a day', async () => {
    const once = grants({ capability: 'light.*:command', limits: { rate: '1/h' } })
    const decide = (id: number) =>
      code(permissions.decide(caller, asked('command', { entity: 'light.a', command: {} }, id), once, signal))
    expect(await decide(1)).toBe('allow')
    clock = new VirtualClock({ startMs: clock.nowMs() - 86_400_000 })
    start()
    expect(await decide(2)).toBe('permission')
    clock.advance(3_600_001)
    expect(await decide(3)).toBe('allow')
  })
  it('takes a capability back from a call that is under way, and a stream’s items when its hours are over', async () => {
    const night = grants({ capability: '*.*:read', limits: { times: ['11:00-12:30'] } })
    const call = asked('on', { pattern: 'light.*' })
    const verdict = await permissions.decide(caller, call, night, signal)
    if (!verdict.allow) throw new Error('was allowed')
    expect(verdict.passes?.()).toBe(true)
    clock.advance(1_800_000)
    expect(verdict.passes?.()).toBe(false)
    expect(permissions.revoked(caller, call, night)).toBeUndefined()
    expect(permissions.revoked(caller, call, '')).toMatchObject({ ok: false, error: { code: 'permission' } })
    expect(lines.at(-1)).toMatchObject({ kind: 'revoked', op: 'on' })
  })
  it('lets an agent list only what it may read', async () => {
    const call = asked('entities', { pattern: '*.*' })
    const verdict = await permissions.decide(caller, call, grants({ capability: 'light.*:read' }), signal)
    if (!verdict.allow) throw new Error('was allowed')
    expect(verdict.over?.({ ok: true, value: ['light.a', 'lock.door', 'light.b'] })).toEqual({
      ...{ ok: true, value: ['light.a', 'light.b'] },
    })
    expect(
      await code(permissions.decide(caller, call, grants({ capability: 'light.*:command' }), signal)),
    ).toBe('permission')
  })
  it('[permit-10] leaves no more in the record than what it is about and the limited values', async () => {
    const all = grants(
      { capability: 'memory' },
      { capability: 'think' },
      { capability: 'ask' },
      { capability: 'agent:*' },
    )
    const secret = 'my password is hunter2'
    const calls = [
      asked('memory.set', { key: secret, value: secret }),
      asked('think', { goal: secret }),
      asked('ask', { question: secret }),
      asked('call', { agent: 'comfort', message: secret }),
    ]
    for (const call of calls) {
      const verdict = await permissions.decide(caller, call, all, signal)
      if (verdict.allow) verdict.over?.({ ok: false, error: { code: 'failed', message: secret } })
      await permissions.decide(caller, call, '', signal)
    }
    const verdict = permissions.decide(caller, unlock(), asking, signal)
    approvals.answer(await waitingId(), 'yes', 'Ada')
    await verdict
    const text = JSON.stringify(lines)
    expect(text).not.toContain('hunter2')
    expect(text).not.toContain('4711')
    expect(text).toContain('"values":{"state":"unlocked"}')
    expect(lines.map(({ kind }) => kind).slice(0, 3)).toEqual(['decision', 'effect', 'decision'])
  })
})

describe('an approval', () => {
  it('[permit-5] is asked for when that is on the disk, and not where it cannot be', async () => {
    const disk = Promise.withResolvers<void>()
    durable = () => disk.promise
    const verdict = permissions.decide(caller, unlock(), asking, signal)
    await expect.poll(() => lines.map(({ kind }) => kind)).toEqual(['asked'])
    expect(events).toEqual([])
    disk.resolve()
    approvals.answer(await waitingId(), 'yes', 'Ada')
    expect(await code(verdict)).toBe('allow')
    durable = () => Promise.reject(new Error('the disk is full'))
    expect(await code(permissions.decide(caller, unlock(), asking, signal))).toBe('unavailable')
    expect(approvals.waiting()).toEqual([])
  })
  it('[permit-7] is asked for, answered by somebody, and good for one call', async () => {
    const verdict = permissions.decide(caller, unlock(101), asking, signal)
    const id = await waitingId()
    expect(approvals.waiting()[0]?.words).toBe('command lock.door: state "unlocked", code …')
    approvals.answer(id, 'yes', 'Ada')
    expect(await code(verdict)).toBe('allow')
    expect(events.map(({ state, by }) => [state, by])).toEqual([
      ['asked', undefined],
      ['yes', 'Ada'],
    ])
    expect(lines.at(-1)).toMatchObject({ kind: 'decision', verdict: 'allow', by: 'Ada', call: 101 })
    // The same call after a crash is not asked about again; the next is.
    expect(await code(permissions.decide(caller, unlock(101), asking, signal))).toBe('allow')
    const next = permissions.decide(caller, unlock(102), asking, signal)
    approvals.answer(await waitingId(), 'no', 'Grace')
    expect(await code(next)).toBe('permission')
    expect(lines.at(-1)).toMatchObject({ verdict: 'deny', reason: 'no', by: 'Grace' })
  })
  it('[permit-7] says what the command goes back to, and so does the record', async () => {
    const text = grants({
      capability: 'lock.*:command',
      limits: { values: { state: ['locked', 'unlocked'] }, others: true, ask: true },
    })
    const args = {
      ...{ entity: 'lock.door', command: { state: 'locked', note: 'x'.repeat(38), more: 'y'.repeat(38) } },
      expires: { afterMs: 1_000, to: { state: 'unlocked', code: '4711' } },
    }
    const verdict = permissions.decide(caller, asked('command', args), text, signal)
    const id = await waitingId()
    const words = approvals.waiting()[0]?.words
    expect(words).toMatch(
      /^command lock\.door: state "locked", note .*, after 1 s: state "unlocked", code …$/,
    )
    approvals.answer(id, 'yes', 'Ada')
    expect(await code(verdict)).toBe('allow')
    const values = { state: 'locked', expires: { afterMs: 1_000, to: { state: 'unlocked' } } }
    expect(lines.at(-1)).toMatchObject({ kind: 'decision', verdict: 'allow', values })
    expect(JSON.stringify(lines)).not.toContain('4711')
  })
  it('[permit-7] is refused a second time, without a name, and of an id that nobody knows', async () => {
    const verdict = permissions.decide(caller, unlock(), asking, signal)
    const id = await waitingId()
    expect(() => approvals.answer(id, 'yes', '  ')).toThrow('needs the name')
    approvals.answer(id, 'no', 'Ada')
    expect(() => approvals.answer(id, 'yes', 'Ada')).toThrow('answered already')
    expect(() => approvals.answer('else', 'yes', 'Ada')).toThrow('nothing of this id')
    expect(await code(verdict)).toBe('permission')
  })
  it('[permit-7] expires at the call’s own deadline, and an answer after that is refused', async () => {
    const verdict = permissions.decide(
      caller,
      unlock(undefined, { deadlineMs: clock.nowMs() + 30_000 }),
      asking,
      signal,
    )
    const id = await waitingId()
    clock.advance(30_000)
    expect(await code(verdict)).toBe('timeout')
    expect(() => approvals.answer(id, 'yes', 'Ada')).toThrow('expired')
    expect(approvals.waiting()).toEqual([])
    expect(events.map(({ state }) => state)).toEqual(['asked', 'expired'])
  })
  it('[permit-7] expires after ten minutes where the call has no deadline, counted from when it was asked for', async () => {
    const call = unlock()
    clock.advance(599_000)
    const verdict = permissions.decide(caller, call, asking, signal)
    await waitingId()
    clock.advance(1_000)
    expect(await code(verdict)).toBe('timeout')
  })
  it('is withdrawn when the call is', async () => {
    const stop = new AbortController()
    const verdict = permissions.decide(caller, unlock(), asking, stop.signal)
    const id = await waitingId()
    stop.abort()
    expect(await code(verdict)).toBe('cancelled')
    expect(() => approvals.answer(id, 'yes', 'Ada')).toThrow('withdrawn')
  })
  it('[permit-8] is one of a few of its agent, and of not many at all', async () => {
    const all = Array.from({ length: 9 }, () => permissions.decide(caller, unlock(), asking, signal))
    expect(await code(all[8] as Promise<unknown>)).toBe('limit')
    for (let agent = 0; agent < 4; agent += 1)
      for (let call = 0; call < 8; call += 1)
        all.push(permissions.decide({ agent: `a${agent}`, token: 1 }, unlock(), asking, signal))
    await expect.poll(() => approvals.waiting().length).toBe(approvalsMax)
    clock.advance(600_000)
    await Promise.all(all)
    expect(approvals.waiting()).toEqual([])
  })
  it('[permit-8] always has a place, however many others ask: the newest of who has most makes room', async () => {
    const ask = (agent: string, id?: number) =>
      permissions.decide({ agent, token: 1 }, unlock(id), asking, signal)
    const hostile = ['h1', 'h2', 'h3', 'h4'].flatMap((agent) => Array.from({ length: 8 }, () => ask(agent)))
    await expect.poll(() => approvals.waiting().length).toBe(approvalsMax)
    const numberOf = (name: string) => approvals.waiting().filter(({ agent }) => agent === name).length
    const good = ask('doorman')
    await expect.poll(() => numberOf('doorman')).toBe(1)
    expect(approvals.waiting()).toHaveLength(approvalsMax)
    // The newest of the first that has most; what was asked before stays.
    expect(await code(hostile[7] as Promise<unknown>)).toBe('limit')
    expect(events.filter(({ state }) => state === 'withdrawn')).toMatchObject([{ agent: 'h1' }])
    expect(numberOf('h1')).toBe(7)
    // Whoever has as many as the others gets no more of their places.
    const more = Array.from({ length: 8 }, () => ask('doorman'))
    await expect.poll(() => numberOf('doorman')).toBe(6)
    expect(['h1', 'h2', 'h3', 'h4'].map(numberOf)).toEqual([6, 6, 7, 7])
    const mine = approvals.waiting().find(({ agent }) => agent === 'doorman')
    approvals.answer(mine?.id ?? '', 'yes', 'Ada')
    expect(await code(good)).toBe('allow')
    clock.advance(600_000)
    await Promise.all([...hostile, ...more])
  })
  it('[permit-2] is good only for what is still allowed when it comes: at the same time of day', async () => {
    // The clock shows 12:00.
    const limits = { times: ['11:00-12:05'], ask: true }
    const text = grants({ capability: 'lock.*:command', limits })
    const [early, late] = [unlock(), unlock()].map((call) => permissions.decide(caller, call, text, signal))
    await expect.poll(() => approvals.waiting().length).toBe(2)
    clock.advance(240_000)
    approvals.answer(approvals.waiting()[0]?.id ?? '', 'yes', 'Ada')
    expect(await code(early as Promise<unknown>)).toBe('allow')
    clock.advance(120_000)
    approvals.answer(approvals.waiting()[0]?.id ?? '', 'yes', 'Ada')
    const verdict = (await late) as { outcome: { error: { code: string; message: string } } }
    expect(verdict.outcome.error).toMatchObject({
      code: 'permission',
      message: expect.stringContaining('only 11:00-12:05'),
    })
    expect(lines.at(-1)).toMatchObject({ verdict: 'deny', by: 'Ada' })
  })
  it('[permit-6] counts where it was given, not where it was asked for', async () => {
    const text = grants({ capability: 'lock.*:command', limits: { rate: '1/h', ask: true } })
    const ask = () => permissions.decide(caller, unlock(), text, signal)
    const refused = ask()
    approvals.answer(await waitingId(), 'no', 'Ada')
    expect(await code(refused)).toBe('permission')
    // Nothing was done yet: it may ask again, and of two that a person allows one is.
    const both = [ask(), ask()]
    await expect.poll(() => approvals.waiting().length).toBe(2)
    for (const { id } of approvals.waiting()) approvals.answer(id, 'yes', 'Ada')
    expect(await Promise.all(both.map(code))).toEqual(['allow', 'permission'])
    expect(await code(ask())).toBe('permission')
    expect(approvals.waiting()).toEqual([])
  })
  it('[permit-13] is not asked for more than twelve times an hour, where the answer is always no', async () => {
    const ask = () => permissions.decide(caller, unlock(), asking, signal)
    for (let at = 0; at < 12; at += 1) {
      const refused = ask()
      approvals.answer(await waitingId(), 'no', 'Ada')
      await refused
    }
    const verdict = await ask()
    expect(verdict).toMatchObject({ outcome: { error: { code: 'permission' } } })
    expect(approvals.waiting()).toEqual([])
    clock.advance(3_600_000)
    const again = ask()
    approvals.answer(await waitingId(), 'yes', 'Ada')
    expect(await code(again)).toBe('allow')
  })
})
