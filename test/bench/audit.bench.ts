/**
 * What the audit log costs: until an appended decision is on the disk, against the same line appended to a bare file and to bare
 * node:sqlite, each on the same file system with the same promise; and how long 10,000 records take to be verified, against reading
 * and hashing the same bytes.
 */
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { type FileHandle, open, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { realClock } from '../../runtime/base/clock.ts'
import { Identity } from '../../runtime/base/identity.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { Audit } from '../../runtime/observe/audit.ts'
import { type AuditEntry, fileOf, filesIn, verifyAudit } from '../../runtime/observe/audit-chain.ts'
import { alternate } from './alternate.ts'
import type { Benchmark, Measurement } from './benchmark.ts'
import { median, quantile } from './quantiles.ts'

/** A decision as the device records it. */
const entryOf = (call: number): AuditEntry => ({
  ...{ kind: 'decision', agent: 'night-watch', program: 'a'.repeat(64), call, op: 'command' },
  ...{ what: 'light.hall:command', verdict: 'allow', by: 'local:ada' },
})
const records = 10_000

export const audit: Benchmark = {
  name: 'audit',
  async run({ quick, signal }) {
    const directory = mkdtempSync(join(tmpdir(), 'ganglion-bench-audit-'))
    try {
      const identity = Identity.open('bench', directory)
      const deps = { clock: realClock, log: silentLog, identity }
      const at = (name: string) => ({
        ...{ directory: join(directory, name), fileBytesMax: 4 * 1024 * 1024, filesMax: 16 },
      })
      await using ours = await Audit.open(deps, at('ours'), signal)
      await using file = await bareFile(join(directory, 'bare.log'))
      using sqlite = bareSqlite(join(directory, 'bare.db'))
      const durable = await durableMs({ ours, file, sqlite }, quick)
      {
        await using full = await Audit.open(deps, at('full'), signal)
        for (let call = 0; call < records; call += 1) {
          full.append(entryOf(call))
          if (call % 1_000 === 999) await full.durable()
        }
      }
      return [...durable, await verifyMs(join(directory, 'full'), identity, quick)]
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  },
}

interface Logs {
  readonly ours: Audit
  readonly file: BareFile
  readonly sqlite: BareSqlite
}

async function durableMs({ ours, file, sqlite }: Logs, quick: boolean): Promise<Measurement[]> {
  let call = 0
  const timed = (append: (line: AuditEntry) => Promise<void> | void) => async () => {
    call += 1
    const startMs = performance.now()
    await append(entryOf(call))
    return performance.now() - startMs
  }
  const ms = await alternate(
    {
      ours: timed((entry) => {
        ours.append(entry)
        return ours.durable()
      }),
      file: timed((entry) => file.append(entry)),
      sqlite: timed((entry) => sqlite.append(entry)),
    },
    { rounds: quick ? 100 : 1_000, warmUps: 20 },
  )
  return ([0.5, 0.95] as const).map((share) => ({
    name: `audit.durable-p${share * 100}`,
    value: quantile(ms.ours, share),
    unit: 'ms',
    baseline: quantile(ms.file, share),
    against: 'the same JSON appended to a bare file, and fdatasync',
    limit:
      'the disk: one sync for all that are appended meanwhile; a hash of each line; a signed head each minute',
    note: `one record that is waited for at a time, ${ms.ours.length} of them; bare node:sqlite, WAL, synchronous=FULL: ${quantile(ms.sqlite, share).toFixed(3)} ms`,
  }))
}

async function verifyMs(directory: string, identity: Identity, quick: boolean): Promise<Measurement> {
  const files = (await filesIn(directory)).map((number) => join(directory, fileOf(number)))
  const ms = await alternate(
    {
      ours: async () => {
        const startMs = performance.now()
        const { ok, lines, problems } = await verifyAudit(directory, (...asked) => identity.verify(...asked))
        if (!ok || lines < records) throw new Error(`the log does not verify: ${problems.join('; ')}`)
        return performance.now() - startMs
      },
      bare: async () => {
        const startMs = performance.now()
        for (const path of files) {
          for (const line of (await readFile(path, 'utf8')).split('\n'))
            createHash('sha256').update(line).digest('hex')
        }
        return performance.now() - startMs
      },
    },
    { rounds: quick ? 3 : 11, warmUps: 1 },
  )
  return {
    name: 'audit.verify-10000-records',
    value: median(ms.ours),
    unit: 'ms',
    baseline: median(ms.bare),
    against: 'reading the same files, and SHA-256 of each line',
    limit: 'a hash and a parsed and checked JSON for each line, and one signature',
  }
}

interface BareFile extends AsyncDisposable {
  append(entry: AuditEntry): Promise<void>
}

async function bareFile(path: string): Promise<BareFile> {
  const file: FileHandle = await open(path, 'a')
  return {
    async append(entry) {
      await file.write(`${JSON.stringify(entry)}\n`)
      await file.datasync()
    },
    [Symbol.asyncDispose]: () => file.close(),
  }
}

interface BareSqlite extends Disposable {
  append(entry: AuditEntry): void
}

function bareSqlite(path: string): BareSqlite {
  const db = new DatabaseSync(path)
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
  db.exec('CREATE TABLE line (seq INTEGER PRIMARY KEY AUTOINCREMENT, entry TEXT NOT NULL) STRICT')
  const insert = db.prepare('INSERT INTO line (entry) VALUES (?)')
  return {
    append: (entry) => void insert.run(JSON.stringify(entry)),
    [Symbol.dispose]: () => db.close(),
  }
}
