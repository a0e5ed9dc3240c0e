/** The audit log: a chain that shows every change, on the disk before what it says is done, and bounded. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { VirtualClock } from '../../../runtime/base/clock.ts'
import { Identity } from '../../../runtime/base/identity.ts'
import { silentLog } from '../../../runtime/base/log.ts'
import { Audit } from '../../../runtime/observe/audit.ts'
import {
  canonical,
  chained,
  genesis,
  newestLines,
  verifyAudit,
} from '../../../runtime/observe/audit-chain.ts'

let root: string
let directory: string
let identity: Identity
const clock = new VirtualClock()
const signal = new AbortController().signal
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'audit-'))
  directory = join(root, 'audit')
  identity = Identity.open('kitchen', root)
})
afterEach(() => rmSync(root, { recursive: true }))

const open = (options: { fileBytesMax?: number; filesMax?: number } = {}) =>
  Audit.open(
    { clock, log: silentLog, identity },
    { directory, fileBytesMax: 1_000_000, filesMax: 4, ...options },
    signal,
  )
const verify = (who: Identity = identity) => verifyAudit(directory, (...args) => who.verify(...args))
const path = (name: string) => join(directory, name)
const files = () =>
  readdirSync(directory)
    .filter((name) => name.endsWith('.log'))
    .sort()
const change = (name: string, how: (text: string) => string) =>
  writeFileSync(path(name), how(readFileSync(path(name), 'utf8')))
const rows = (how: (rows: string[]) => string[]) => (text: string) =>
  `${how(text.trimEnd().split('\n')).join('\n')}\n`

/** A log of several files with 30 entries. */
async function written(options = { fileBytesMax: 1_200, filesMax: 100 }): Promise<void> {
  await using audit = await open(options)
  for (let call = 1; call <= 30; call += 1)
    audit.append({ kind: 'decision', agent: 'a', call, verdict: 'allow' })
  await audit.durable()
}

describe('the audit log', () => {
  it('[audit-1] verifies as it was written, over several files and openings', async () => {
    await written()
    await written()
    const report = await verify()
    expect(report.problems).toEqual([])
    expect(report.files).toBeGreaterThan(4)
    expect(report.signedTo).toBe(report.lines)
  })
  it('[audit-2] is on the disk when `durable` says so, the head aside', async () => {
    const audit = await open()
    for (let call = 0; call < 100; call += 1) audit.append({ kind: 'decision', call })
    await Promise.all([audit.durable(), audit.durable()])
    audit.append({ kind: 'late' })
    await audit.durable()
    expect(readFileSync(path('00000001.log'), 'utf8').trimEnd().split('\n')).toHaveLength(102)
    await audit[Symbol.asyncDispose]()
    expect((await verify()).problems).toEqual([])
  })
  it('[audit-3] loses the line that a power cut tore, and goes on', async () => {
    await written()
    const last = files().at(-1) ?? ''
    change(last, (text) => `${text}${'0'.repeat(64)} {"seq"`)
    expect((await verify()).problems).toEqual([])
    await written()
    expect((await verify()).problems).toEqual([])
  })
  it('[audit-3] loses the file whose first line a power cut tore or never brought to the disk, and goes on', async () => {
    for (const first of ['', `${'0'.repeat(64)} {"at`]) {
      await written()
      const next = Number(files().at(-1)?.slice(0, 8)) + 1
      writeFileSync(path(`${String(next).padStart(8, '0')}.log`), first)
      expect((await verify()).problems).toEqual([])
      await written()
      expect((await verify()).problems).toEqual([])
    }
  })
  it('[audit-4] keeps the newest files, and verifies from the oldest of them', async () => {
    await written({ fileBytesMax: 700, filesMax: 3 })
    expect(files()).toHaveLength(3)
    expect((await verify()).problems).toEqual([])
    rmSync(path(files()[0] ?? ''))
    expect((await verify()).ok).toBe(false)
  })
  it('has its head signed a minute after a line, and after a thousand', async () => {
    const audit = await open()
    audit.append({ kind: 'decision' })
    await audit.durable()
    expect((await verify()).signedTo).toBe(1)
    clock.advance(60_000)
    await expect.poll(async () => (await verify()).signedTo).toBe(2)
    for (let at = 0; at < 1_000; at += 1) audit.append({ kind: 'decision' })
    await expect.poll(async () => (await verify()).signedTo).toBe(1_002)
    await audit[Symbol.asyncDispose]()
  })

  it('[audit-7] goes on by itself when a full disk has room again, with every line that it was told', async () => {
    // For it no file grows beyond 4 KB: the line that comes to it is written by half.
    const script = join(import.meta.dirname, '../../fixtures/audit-writer.ts')
    const limited = `trap '' XFSZ; ulimit -S -f 8; exec "$0" "$@"`
    const child = spawn('/bin/sh', ['-c', limited, process.execPath, script, root, directory], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const ended = once(child, 'close')
    const answers = createInterface(child.stdout)[Symbol.asyncIterator]()
    const answer = async () => (await answers.next()).value as string
    expect(await answer()).toBe('open')
    const told: string[] = []
    const tell = async () => {
      told.push(`${told.length} `.padEnd(700, 'x'))
      child.stdin.write(`${told.at(-1)}\n`)
      return await answer()
    }
    while ((await tell()) === 'kept') expect(told.length).toBeLessThan(20)
    expect(await tell()).toMatch(/EFBIG/)
    expect(readFileSync(path('00000001.log')).length).toBeLessThanOrEqual(4_096)
    spawnSync('prlimit', ['--pid', `${child.pid}`, '--fsize=unlimited'])
    expect(await tell()).toBe('kept')
    child.stdin.end()
    await ended
    const report = await verify()
    expect([report.problems, report.signedTo]).toEqual([[], told.length + 1])
    const lines = await newestLines(directory, told.length)
    expect(lines.map(({ entry }) => entry['text'])).toEqual(told)
  }, 60_000)
  it('[audit-7] is tried again each minute while lines wait, and takes no more than it can keep', async () => {
    const virtual = new VirtualClock()
    await using audit = await Audit.open(
      { clock: virtual, log: silentLog, identity },
      { directory, fileBytesMax: 5_000_000, filesMax: 4 },
      signal,
    )
    // The next file cannot be written: there is a directory in its place.
    mkdirSync(path('00000002.log'))
    audit.append({ kind: 'decision', text: 'x'.repeat(6_000_000) })
    await audit.durable()
    audit.append({ kind: 'decision' })
    await expect(audit.durable()).rejects.toThrow('EISDIR')
    expect(() => {
      for (let at = 0; at < 20_001; at += 1) audit.append({ kind: 'decision', at })
    }).toThrow('the audit log cannot be written')
    await expect(audit.durable()).rejects.toThrow('EISDIR')
    rmSync(path('00000002.log'), { recursive: true })
    await expect
      .poll(
        async () => {
          virtual.advance(60_000)
          return (await verify()).problems
        },
        { timeout: 20_000 },
      )
      .toEqual([])
  }, 60_000)
  it('opened on a disk that takes nothing is closed again, and can be opened when there is room', async () => {
    mkdirSync(path('head'), { recursive: true })
    const before = readdirSync('/proc/self/fd').length
    await expect(open()).rejects.toThrow()
    expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before)
    rmSync(directory, { recursive: true })
    await using audit = await open()
    await audit.durable()
  })

  const tampered: [string, () => void, RegExp][] = [
    [
      'a changed byte',
      () => change('00000002.log', (text) => text.replace('allow', 'allom')),
      /not as it was written/,
    ],
    [
      'a removed line',
      () =>
        change(
          '00000002.log',
          rows((all) => all.toSpliced(2, 1)),
        ),
      /not as it was written/,
    ],
    [
      'an added line',
      () =>
        change(
          '00000002.log',
          rows((all) => all.toSpliced(2, 0, all[1] ?? '')),
        ),
      /not as it was/,
    ],
    [
      'lines in another order',
      () =>
        change(
          '00000002.log',
          rows(([a, b, c, ...d]) => [a, c, b, ...d] as string[]),
        ),
      /not as it was/,
    ],
    [
      'an end that was cut off',
      () =>
        change(
          files().at(-1) ?? '',
          rows((all) => all.slice(0, -1)),
        ),
      /which the device has signed/,
    ],
    ['a last file that is gone', () => rmSync(path(files().at(-1) ?? '')), /which the device has signed/],
    ['a first file that is gone', () => rmSync(path('00000001.log')), /oldest file/],
    ['a file in the middle that is gone', () => rmSync(path('00000002.log')), /00000002.log is missing/],
    [
      'two files swapped',
      () => {
        renameSync(path('00000002.log'), path('x'))
        renameSync(path('00000003.log'), path('00000002.log'))
        renameSync(path('x'), path('00000003.log'))
      },
      /not the first line of this file/,
    ],
    ['a head that is gone', () => rmSync(path('head')), /no signed head/],
    [
      'a forged head',
      () => change('head', (text) => text.replace(/"seq":\d+/, '"seq":3')),
      /not signed by this device/,
    ],
    [
      'a head that another device signed',
      () => {
        const other = Identity.open('kitchen', join(root, 'other'))
        const [json = ''] = readFileSync(path('head'), 'utf8').split('\n')
        writeFileSync(path('head'), `${json}\n${other.sign(Buffer.from(json)).toString('base64')}\n`)
      },
      /not signed by this device \(forged\)/,
    ],
    [
      'an older copy of a file in its place',
      () =>
        change(
          '00000003.log',
          rows((all) => all.slice(0, -1)),
        ),
      /00000004.log, line 1: is not as it was/,
    ],
    [
      'an older copy of the last file',
      () =>
        change(
          files().at(-1) ?? '',
          rows((all) => all.slice(0, 1)),
        ),
      /which the device has signed/,
    ],
    [
      'a line that was cut out, and every hash after it made anew',
      () => {
        const [first = '', ...others] = files()
        const all = [first, ...others].flatMap((name) =>
          readFileSync(path(name), 'utf8').trimEnd().split('\n'),
        )
        let before = genesis
        const forged = all.toSpliced(3, 1).map((row, at) => {
          const entry = { ...JSON.parse(row.slice(65)), seq: at + 1 }
          if (entry.kind === 'file') entry.before = before
          const { seq, atMs, ...rest } = entry
          const text = canonical({ seq, atMs, entry: rest })
          before = chained(before, text)
          return `${before} ${text}`
        })
        for (const name of others) rmSync(path(name))
        const starts = forged
          .map((row, at) => (row.includes('"kind":"file"') ? at : -1))
          .filter((at) => at >= 0)
        for (const [at, from] of starts.entries())
          writeFileSync(
            path(`${String(at + 1).padStart(8, '0')}.log`),
            `${forged.slice(from, starts[at + 1]).join('\n')}\n`,
          )
      },
      /which the device has signed, is not there as it signed it/,
    ],
    [
      'no files at all',
      () => {
        for (const name of files()) rmSync(path(name))
      },
      /oldest file/,
    ],
  ]
  it.each(tampered)('[audit-1] shows %s', async (_what, tamper, says) => {
    await written()
    expect((await verify()).ok).toBe(true)
    tamper()
    const { ok, problems } = await verify()
    expect(ok).toBe(false)
    expect(problems.join('; ')).toMatch(says)
  })
  it.each(tampered)('[audit-3] still shows %s after the device has gone on', async (_what, tamper) => {
    await written()
    tamper()
    await written()
    expect((await verify()).ok).toBe(false)
  })
  it('is of the device that wrote it', async () => {
    await written()
    expect((await verify(Identity.open('hall', join(root, 'hall')))).problems.join()).toContain('unknown')
    expect(existsSync(path('head.part'))).toBe(false)
  })
})
