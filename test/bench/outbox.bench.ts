/**
 * Durable events a second: our outbox, against bare node:sqlite on the same file system with the same promise (WAL,
 * synchronous=FULL, one commit a batch). An event counts when its writer was told that it is on the disk.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { Outbox } from '../../runtime/link/outbox.ts'
import { alternate } from './alternate.ts'
import type { Benchmark, Measurement } from './benchmark.ts'
import { median } from './quantiles.ts'

const payload = new Uint8Array(300).fill(120)
const topic = 'ganglion/bench/event/measure'

export const outbox: Benchmark = {
  name: 'outbox.events-per-s',
  async run({ quick, signal }) {
    const directory = mkdtempSync(join(tmpdir(), 'ganglion-bench-outbox-'))
    try {
      const deps = { clock: realClock, log: silentLog }
      await using ours = await Outbox.open(deps, { directory: join(directory, 'ours') }, signal)
      using bare = openBare(join(directory, 'bare.db'))
      const measurements: Measurement[] = []
      for (const batch of [1, 50]) measurements.push(await measure(batch, ours, bare, quick))
      return measurements
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  },
}

async function measure(batch: number, ours: Outbox, bare: Bare, quick: boolean): Promise<Measurement> {
  const measureMs = quick ? 300 : 1_500
  const perS = await alternate(
    {
      ours: () => eventsPerS(batch, measureMs, () => appendTo(ours, batch)),
      bare: () => eventsPerS(batch, measureMs, async () => bare.append(batch)),
    },
    { rounds: quick ? 3 : 5, warmUps: 1 },
  )
  return {
    name: `outbox.events-per-s-batch-${batch}`,
    value: median(perS.ours),
    unit: 'events/s',
    baseline: median(perS.bare),
    against: `bare node:sqlite, WAL, synchronous=FULL, one commit for ${batch === 1 ? 'each event' : `${batch} events`}`,
    limit:
      'the rest after each commit, three times as long as it took and a timer tick at least, so that the disk never has the thread for itself',
    note: `${batch} ${batch === 1 ? 'writer that waits' : 'writers that wait'} for the disk before the next event; 300 B payloads`,
  }
}

/** Repeats `append`, which makes one batch durable, for `measureMs`. */
async function eventsPerS(batch: number, measureMs: number, append: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now()
  let events = 0
  while (performance.now() - startMs < measureMs) {
    await append()
    events += batch
  }
  return (events / (performance.now() - startMs)) * 1000
}

function appendTo(ours: Outbox, batch: number): Promise<unknown> {
  return Promise.all(
    Array.from({ length: batch }, () =>
      ours.append({ id: realClock.newId(), topic, priority: 'event', payload }),
    ),
  )
}

interface Bare extends Disposable {
  append(batch: number): void
}

function openBare(path: string): Bare {
  const db = new DatabaseSync(path)
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
  db.exec(
    'CREATE TABLE event (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT, topic TEXT, payload BLOB) STRICT',
  )
  const insert = db.prepare('INSERT INTO event (id, topic, payload) VALUES (?, ?, ?)')
  return {
    append(batch) {
      db.exec('BEGIN IMMEDIATE')
      for (let n = 0; n < batch; n += 1) insert.run(realClock.newId(), topic, payload)
      db.exec('COMMIT')
    },
    [Symbol.dispose]: () => db.close(),
  }
}
