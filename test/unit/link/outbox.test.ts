/** The outbox on a real disk: what was acknowledged stays, what does not fit is told, what is broken is set aside. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { realClock, VirtualClock } from '../../../runtime/base/clock.ts'
import { createLog, silentLog } from '../../../runtime/base/log.ts'
import { LinkError } from '../../../runtime/link/errors.ts'
import {
  type EventPriority,
  eventPriorities,
  Outbox,
  type OutboxOptions,
} from '../../../runtime/link/outbox.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'outbox-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const clock = realClock
const open = (options: Partial<OutboxOptions> = {}, log = silentLog) =>
  Outbox.open({ clock, log }, { directory, groupMs: 0, ...options })

let made = 0
function event(priority: EventPriority = 'event', size = 10, topic = 't') {
  made += 1
  return { id: `e${made}`, topic, priority, payload: new Uint8Array(size).fill(made % 256) }
}

async function refusalOf(work: Promise<unknown>): Promise<LinkError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(LinkError)
  return error as LinkError
}

test('is for this user only: events hold what was said', async () => {
  chmodSync(directory, 0o755)
  await using _outbox = await open()
  expect(statSync(directory).mode & 0o777).toBe(0o700)
})

describe('what was appended', () => {
  test('is read back in order, also by the next process [link-1]', async () => {
    const first = await open()
    const events = [event(), event('alarm'), event('metric')]
    for (const e of events) await first.append(e)
    await first[Symbol.asyncDispose]()
    await using second = await open()
    expect(second.read(0, 10).map((e) => e.id)).toEqual(events.map((e) => e.id))
    expect(second.read(0, 10)[1]?.payload).toEqual(events[1]?.payload)
  })

  test('is read from a position on, and no more than asked for', async () => {
    await using outbox = await open()
    const seqs = await Promise.all([event(), event(), event(), event()].map((e) => outbox.append(e)))
    expect(outbox.read(seqs[0] ?? 0, 2).map((e) => e.seq)).toEqual(seqs.slice(1, 3))
  })

  test('is gone after its removal, and its position is never used again', async () => {
    const first = await open()
    const seq = await first.append(event())
    first.remove(seq)
    expect(first.read(0, 10)).toEqual([])
    expect(first.stats().events).toBe(0)
    await first[Symbol.asyncDispose]()
    await using second = await open()
    expect(second.read(0, 10)).toEqual([])
    expect(await second.append(event())).toBeGreaterThan(seq)
  })

  test('shares one commit with those of the same turn, and none is acknowledged before it', async () => {
    const time = new VirtualClock()
    await using outbox = await Outbox.open({ clock: time, log: silentLog }, { directory, groupMs: 20 })
    let acknowledged = 0
    let commits = 0
    outbox.onAppend(() => {
      commits += 1
    })
    const appends = [event(), event(), event()].map((e) => outbox.append(e).then(() => acknowledged++))
    await Promise.resolve()
    expect([acknowledged, outbox.read(0, 10).length]).toEqual([0, 0])
    time.advance(0)
    await Promise.all(appends)
    expect([acknowledged, commits, outbox.read(0, 10).length]).toEqual([3, 1, 3])
  })

  test('waits for company after a commit, three times as long as that took and groupMs at most', async () => {
    /** Every look at the clock costs a second, so that a commit takes long. */
    class SlowClock extends VirtualClock {
      #looks = 0
      override monotonicMs(): number {
        this.#looks += 1
        return super.monotonicMs() + 1000 * this.#looks
      }
    }
    const time = new SlowClock()
    await using outbox = await Outbox.open({ clock: time, log: silentLog }, { directory, groupMs: 5_000 })
    const first = outbox.append(event())
    time.advance(0)
    await first
    const second = outbox.append(event())
    time.advance(0)
    expect(outbox.read(0, 10)).toHaveLength(1)
    time.advance(5_000)
    await second
    expect(outbox.read(0, 10)).toHaveLength(2)
  })

  test('is committed without waiting once groupEventsMax events or 1 MiB are pending', async () => {
    const time = new VirtualClock()
    const deps = { clock: time, log: silentLog }
    await using outbox = await Outbox.open(deps, { directory, groupMs: 1000, groupEventsMax: 3 })
    await Promise.all([event(), event(), event()].map((e) => outbox.append(e)))
    await outbox.append(event('event', 1024 * 1024))
    expect(outbox.stats().events).toBe(4)
  })

  test('that disposal finds pending is committed by it; later appends are refused', async () => {
    const outbox = await open({ groupMs: 60_000 })
    const pending = outbox.append(event())
    await outbox[Symbol.asyncDispose]()
    await outbox[Symbol.asyncDispose]()
    expect(await pending).toBe(1)
    expect((await refusalOf(outbox.append(event()))).code).toBe('closed')
  })
})

describe('a full outbox', () => {
  const size = 1000
  const room = (events: number) => ({ bytesMax: events * (size + 100) })

  test('drops the oldest of the lowest priority for a newcomer, and counts it [link-2]', async () => {
    await using outbox = await open(room(3))
    const kept = event('event', size)
    const metrics = [event('metric', size), event('metric', size)]
    for (const e of [kept, ...metrics]) await outbox.append(e)
    const newcomer = event('event', size)
    await outbox.append(newcomer)
    expect(outbox.read(0, 10).map((e) => e.id)).toEqual([kept.id, metrics[1]?.id, newcomer.id])
    expect(outbox.stats()).toMatchObject({ dropped: 1, refused: 0 })
  })

  test('never drops a higher priority for a lower: the newcomer is refused [link-2]', async () => {
    await using outbox = await open(room(2))
    for (const e of [event('event', size), event('alarm', size)]) await outbox.append(e)
    const before = outbox.read(0, 10)
    const error = await refusalOf(outbox.append(event('metric', size)))
    expect(error).toMatchObject({ code: 'outbox-full', retryable: true })
    expect(error.message).toMatch(/no room for a metric .* of 2200 bytes/)
    expect(outbox.read(0, 10)).toEqual(before)
    expect(outbox.stats()).toMatchObject({ dropped: 0, refused: 1 })
  })

  test('never drops an alarm: when only alarms are left, a new one is refused [link-2]', async () => {
    await using outbox = await open(room(2))
    for (const e of [event('alarm', size), event('alarm', size)]) await outbox.append(e)
    expect((await refusalOf(outbox.append(event('alarm', size)))).code).toBe('outbox-full')
    expect(outbox.stats()).toMatchObject({ events: 2, dropped: 0 })
  })

  test('drops nothing for an event that would not fit all the same', async () => {
    await using outbox = await open(room(3))
    for (const e of [event('metric', size), event('alarm', size), event('alarm', size)])
      await outbox.append(e)
    await refusalOf(outbox.append(event('alarm', 2 * size)))
    expect(outbox.stats()).toMatchObject({ events: 3, dropped: 0 })
  })

  test('stays within its bytes and keeps its rules, whatever comes', async () => {
    const command = fc.oneof(
      fc.record({
        kind: fc.constant('append' as const),
        priority: fc.constantFrom(...eventPriorities),
        size: fc.integer({ min: 0, max: 2500 }),
      }),
      fc.record({ kind: fc.constant('remove' as const), pick: fc.nat(20) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 40 }), async (commands) => {
        const own = mkdtempSync(join(tmpdir(), 'outbox-'))
        const bytesMax = 6000
        try {
          await using outbox = await Outbox.open(
            { clock, log: silentLog },
            { directory: own, groupMs: 0, bytesMax },
          )
          const alarms = new Set<number>()
          for (const c of commands) {
            if (c.kind === 'append') {
              const seq = await outbox.append(event(c.priority, c.size)).catch(() => undefined)
              if (seq !== undefined && c.priority === 'alarm') alarms.add(seq)
            } else {
              const stored = outbox.read(0, 100)
              const victim = stored[c.pick % Math.max(1, stored.length)]
              if (!victim) continue
              outbox.remove(victim.seq)
              alarms.delete(victim.seq)
            }
            const seqs = outbox.read(0, 100).map((e) => e.seq)
            expect(outbox.stats().bytes).toBeLessThanOrEqual(bytesMax)
            expect(seqs).toEqual([...seqs].sort((a, b) => a - b))
            expect(seqs).toEqual(expect.arrayContaining([...alarms]))
          }
        } finally {
          rmSync(own, { recursive: true, force: true })
        }
      }),
      { numRuns: 25 },
    )
  })
})

describe('a broken disk or file', () => {
  const file = () => join(directory, 'outbox.db')

  async function filled(): Promise<void> {
    const outbox = await open()
    await Promise.all(Array.from({ length: 200 }, () => outbox.append(event('event', 500))))
    await outbox[Symbol.asyncDispose]()
  }

  test.each<[string, () => void]>([
    ['whose header is garbage', () => writeFileSync(file(), Buffer.alloc(8192, 0x5a))],
    ['that was cut short', () => truncateSync(file(), statSync(file()).size / 2)],
    [
      'with a page overwritten',
      () => {
        const bytes = readFileSync(file())
        bytes.fill(0xee, 3 * 4096, 9 * 4096)
        writeFileSync(file(), bytes)
      },
    ],
  ])('a database %s is set aside, logged, and a fresh one is started [link-3]', async (_, damage) => {
    await filled()
    damage()
    const lines: string[] = []
    const log = createLog({ level: 'warn', json: true, write: (line) => lines.push(line), nowMs: () => 0 })
    await using outbox = await open({}, log)
    expect(outbox.recoveredFrom).toMatch(/outbox\.db\.corrupt-\d+$/)
    expect(statSync(outbox.recoveredFrom ?? '').size).toBeGreaterThan(0)
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { level: 'error', file: outbox.recoveredFrom },
    ])
    expect(await outbox.append(event())).toBe(1)
  })

  test('a database that a newer version wrote is set aside, not misread', async () => {
    await filled()
    const db = new DatabaseSync(file())
    db.exec('PRAGMA user_version = 7')
    db.close()
    await using outbox = await open()
    expect(outbox.recoveredFrom).toMatch(/outbox\.db\.version-7-\d+$/)
    expect(outbox.read(0, 1)).toEqual([])
  })

  test('only the last three files set aside are kept', async () => {
    for (let startMs = 1; startMs <= 5; startMs++) {
      writeFileSync(file(), Buffer.alloc(8192, 0x5a))
      const deps = { clock: new VirtualClock({ startMs }), log: silentLog }
      await (await Outbox.open(deps, { directory }))[Symbol.asyncDispose]()
    }
    const aside = readdirSync(directory).filter((name) => name.includes('corrupt'))
    expect(aside.sort()).toEqual([3, 4, 5].map((n) => `outbox.db.corrupt-${n}`))
  })

  test('a directory that is a file is told in one line', async () => {
    writeFileSync(join(directory, 'taken'), '')
    const error = await refusalOf(open({ directory: join(directory, 'taken') }))
    expect(error.code).toBe('storage')
    expect(error.message).toMatch(/^cannot use the outbox .*taken.*: the directory cannot be written/)
    expect(error.message).not.toContain('\n')
  })

  test('a directory without write permission is told in one line', async ({ skip }) => {
    skip(process.getuid?.() === 0, 'the superuser may write anywhere')
    mkdirSync(join(directory, 'locked'))
    chmodSync(join(directory, 'locked'), 0o500)
    const error = await refusalOf(open({ directory: join(directory, 'locked') }))
    expect(error).toMatchObject({ code: 'storage' })
    expect(error.message).toMatch(/cannot be written/)
  })

  test('an outbox that another process holds is refused: everything would be sent twice', async () => {
    await using _held = await open()
    const error = await refusalOf(open())
    expect(error.code).toBe('storage')
    expect(error.message).toMatch(/another process is using it$/)
  })

  test('a disk that refuses to write rejects the append; what was acknowledged before stays [link-1]', async () => {
    const child = spawn(
      '/bin/sh',
      // No file may grow beyond 400 blocks of 512 bytes; the signal that would kill is ignored.
      [
        '-c',
        `trap '' XFSZ; ulimit -f 400; exec "$0" "$@"`,
        process.execPath,
        script('outbox-until-error.ts'),
        directory,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += chunk
    })
    await once(child, 'close')
    const { acknowledged, code, message } = JSON.parse(output)
    expect(code).toBe('storage')
    expect(message).toMatch(/^the outbox cannot write: /)
    expect(acknowledged.length).toBeGreaterThan(0)
    await using outbox = await open()
    expect(outbox.recoveredFrom).toBeUndefined()
    expect(outbox.read(0, 10_000).map((e) => e.id)).toEqual(acknowledged)
  })
})

function script(name: string): string {
  return join(import.meta.dirname, '../../fixtures/link', name)
}
