import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Audit, readAudit } from '../../../../hal/safety/audit.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { commandOf, on, openBench, part, removeDir } from './host-bench.ts'

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ganglion-audit-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

function openAudit(troubles: string[] = []) {
  const clock = new VirtualClock()
  const audit = new Audit(dir, { clock, onTrouble: (message) => troubles.push(message) })
  return { audit, clock }
}

const denial = {
  what: 'denied',
  who: 'model:small',
  rule: 'mutex',
  component: 'pump',
  message: 'no',
} as const

describe('the audit [safety-7]', () => {
  test('keeps every denial of the kernel with who, what and which rule', async () => {
    const config = {
      constraints: [{ rule: 'mutex', outputs: ['pump.on', 'fan.on'], because: 'one fuse' }],
    } as const
    const bench = await openBench({
      actuators: [part('pump', 'relay', 11), part('fan', 'relay', 13)],
      config,
      safetyDir: dir,
    })
    const host = await bench.open()
    commandOf(host, 'switch.pump').do(on, 0)
    const model = commandOf(host, 'switch.fan', 'model:small')
    expect(() => model.do(on, 0)).toThrow(/^mutex: .*one fuse/)
    await host[Symbol.asyncDispose]()
    const lines = await readAudit(dir, 100)
    expect(lines.map(({ what }) => what)).toEqual(['armed', 'started', 'denied', 'stopped'])
    expect(lines[2]).toMatchObject({ who: 'model:small', rule: 'mutex', component: 'fan' })
    expect(lines[2]?.message).toMatch(/^command: /)
  })

  test('keeps what is refused before the kernel: no lease, what a driver cannot do, no such actuator', async () => {
    const bench = await openBench({ actuators: [part('pump', 'relay', 11)], safetyDir: dir })
    const host = await bench.open()
    const agent = commandOf(host, 'switch.pump', 'agent:a')
    const without = { id: '1', principal: 'model:b', ttlMs: 5_000 }
    expect(() => host.command('switch.pump', on, without, 0)).toThrow(/^lease: /)
    expect(() => agent.do({ state: 'half' }, 0)).toThrow(/state/)
    for (let n = 0; n < 1_000; n += 1)
      expect(() => host.command('switch.x'.repeat(50), on, without, 0)).toThrow(/no attached actuator/)
    const request = { components: ['switch.y'], principal: 'agent:c', ttlMs: 1_000 }
    expect(() => host.acquire(request)).toThrow(/no attached actuator/)
    await expect(host.clearFault('s-fault-9')).rejects.toThrow(/there is no fault/)
    await host[Symbol.asyncDispose]()
    const denied = (await readAudit(dir, 2_000)).filter(({ what }) => what === 'denied')
    expect(denied).toMatchObject([
      { who: 'model:b', rule: 'lease', component: 'pump' },
      { who: 'agent:a', rule: 'out-of-range', component: 'pump' },
      { who: 'model:b', rule: 'not-present' },
      { who: 'agent:c', rule: 'not-present', component: 'switch.y' },
      { who: 'user', rule: 'not-present', message: expect.stringMatching(/^clear-fault: .*s-fault-9/) },
      { who: 'model:b', rule: 'not-present', count: 999 },
    ])
    for (const line of denied) expect(JSON.stringify(line).length).toBeLessThan(800)
  })

  test('a flood by one is one line, then one a second with a count', async () => {
    const { audit, clock } = openAudit()
    for (let second = 0; second < 3; second += 1) {
      for (let n = 0; n < 1_000; n += 1) audit.record(denial)
      clock.advance(1_000)
    }
    await audit.flush()
    const lines = await readAudit(dir, 100)
    expect(lines.length).toBeLessThanOrEqual(6)
    expect(lines.reduce((sum, { count = 1 }) => sum + count, 0)).toBe(3_000)
  })

  test('a flood by many names is bounded too, and counted', async () => {
    const { audit, clock } = openAudit()
    for (let n = 0; n < 10_000; n += 1) audit.record({ ...denial, who: `agent:${n}` })
    clock.advance(1_000)
    await audit.flush()
    const lines = await readAudit(dir, 1_000)
    expect(lines.length).toBe(21)
    expect(lines.at(-1)).toMatchObject({ who: 'many', count: 9_980 })
  })

  test('what somebody writes about themselves is cut off, on one line', async () => {
    const { audit } = openAudit()
    audit.record({ ...denial, who: `agent:${'x'.repeat(5_000)}`, message: `a\nb${'y'.repeat(5_000)}` })
    await audit.flush()
    const text = readFileSync(join(dir, 'audit.jsonl'), 'utf8').trim()
    expect(text.length).toBeLessThan(600)
    expect(text).not.toContain('\n')
  })

  test('its files are bounded: the oldest goes', async () => {
    const filler = `${JSON.stringify({ ...denial, atMs: 0, message: 'z'.repeat(1_000) })}\n`.repeat(900)
    const { audit, clock } = openAudit()
    for (let round = 0; round < 8; round += 1) {
      appendFileSync(join(dir, 'audit.jsonl'), filler)
      for (let n = 0; n < 12; n += 1) {
        audit.record({ ...denial, who: `agent:${n}`, message: 'w'.repeat(299) })
        clock.advance(1_000)
      }
      appendFileSync(join(dir, 'audit.jsonl'), filler)
      audit.record({ ...denial, message: `round ${round}` })
      await audit.flush()
    }
    const files = readdirSync(dir).filter((name) => name.startsWith('audit'))
    expect(files.sort()).toEqual(['audit.1.jsonl', 'audit.2.jsonl', 'audit.3.jsonl', 'audit.jsonl'])
    expect((await readAudit(dir, 1)).at(-1)?.message).toBe('round 7')
    expect(statSync(join(dir, 'audit.jsonl')).mode & 0o777).toBe(0o600)
  })

  test('a line that a power loss cut in half costs itself alone', async () => {
    appendFileSync(join(dir, 'audit.jsonl'), '{"what":"den')
    const { audit } = openAudit()
    audit.record(denial)
    await audit.flush()
    expect(await readAudit(dir, 10)).toMatchObject([denial])
  })

  test('a disk that refuses is told once, and nothing is thrown', async () => {
    rmSync(dir, { recursive: true })
    const troubles: string[] = []
    const { audit, clock } = openAudit(troubles)
    for (let n = 0; n < 3; n += 1) {
      audit.record({ ...denial, who: `agent:${n}` })
      clock.advance(1_000)
      await audit.flush()
    }
    expect(troubles).toHaveLength(1)
  })
})

test('an audit of a device that never ran is empty', async () => {
  expect(await readAudit(join(dir, 'none'), 10)).toEqual([])
  removeDir(dir)
})
