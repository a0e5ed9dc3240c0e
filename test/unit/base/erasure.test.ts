/** What was deleted from a database is in no byte of its file and log. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { VirtualClock } from '../../../runtime/base/clock.ts'
import { openDatabaseFile } from '../../../runtime/base/database-file.ts'
import { Erasure } from '../../../runtime/base/erasure.ts'

const root = mkdtempSync(join(tmpdir(), 'erasure-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const schema = `
  CREATE TABLE pair (owner TEXT, n INTEGER, text TEXT, PRIMARY KEY (owner, n)) WITHOUT ROWID;
  CREATE TABLE line (n INTEGER PRIMARY KEY, owner TEXT, text TEXT);
  CREATE INDEX line_by_text ON line (owner, text);
`
const secret = 'zebulon'
/** What an index keeps of it at least. */
const isSecret = 'zebulo'

let path: string
let clock: VirtualClock
let nth = 0
beforeEach(() => {
  nth += 1
  path = join(root, `${nth}.db`)
  clock = new VirtualClock({ seed: nth })
})

class Opened implements Disposable {
  readonly db: DatabaseSync
  readonly erasure: Erasure

  constructor() {
    const file = { what: 'rows', path, schema, version: 1, walPagesMax: 1_024 }
    this.db = openDatabaseFile({ ...file, synchronous: 'normal' }, 1).db
    this.erasure = Erasure.open(this.db)
  }

  /** Rows come and go, of all sizes; each is one owner's. */
  write(times: number, owners: readonly string[]) {
    const any = (below: number) => Math.floor(clock.random() * below)
    for (let time = 0; time < times; time += 1) {
      const owner = owners[any(owners.length)] as string
      const word = owner === 'one' ? secret : 'another'
      const text = word.repeat(1 + any(any(10) === 0 ? 900 : 40))
      this.db.prepare('INSERT OR REPLACE INTO pair VALUES (?, ?, ?)').run(owner, any(1_000), text)
      this.db.prepare('INSERT INTO line (owner, text) VALUES (?, ?)').run(owner, text)
      if (any(3) > 0) continue
      this.db.prepare('DELETE FROM pair WHERE owner = ? AND n = ?').run(owner, any(1_000))
      this.db.prepare('DELETE FROM line WHERE owner = ? AND n = ?').run(owner, any(2_000))
    }
  }

  erase() {
    this.db.exec(`BEGIN; DELETE FROM pair WHERE owner = 'one'; DELETE FROM line WHERE owner = 'one'`)
    this.erasure.mark()
    this.db.exec('COMMIT')
  }

  fold() {
    this.db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  }

  get rows() {
    return [
      this.db.prepare('SELECT * FROM pair').all(),
      this.db.prepare('SELECT * FROM line').all(),
      this.db.prepare('PRAGMA integrity_check').all(),
    ]
  }

  [Symbol.dispose]() {
    if (this.db.isOpen) this.db.close()
  }
}

const found = () =>
  [path, `${path}-wal`].map((name) => readFileSync(name, 'latin1').split(isSecret).length - 1)

describe('what was deleted', () => {
  test('is in no byte once it was cleared away, and every other row is as it was [base-9]', () => {
    using opened = new Opened()
    opened.write(2_500, ['one', 'two'])
    opened.erase()
    opened.fold()
    // SQLite writes over rows, not over copies of them that it left when it moved them about.
    expect(found()).not.toEqual([0, 0])
    const { rows } = opened
    opened.erasure.clear()
    expect(found()).toEqual([0, 0])
    expect(opened.rows).toEqual(rows)
    expect(rows.at(-1)).toMatchObject([{ integrity_check: 'ok' }])
  })

  test('is in no byte that others write afterwards [base-9]', () => {
    using opened = new Opened()
    opened.write(2_500, ['one', 'two'])
    opened.erase()
    opened.erasure.clear()
    opened.write(500, ['two', 'three'])
    opened.fold()
    expect(found()).toEqual([0, 0])
    expect(opened.rows.at(-1)).toMatchObject([{ integrity_check: 'ok' }])
  })

  test('is marked until it was cleared away, also when the file was closed meanwhile or is too large [base-10]', () => {
    {
      using opened = new Opened()
      expect(opened.erasure.isMarked).toBe(false)
      opened.write(1_000, ['one', 'two'])
      opened.erase()
      opened.erasure.clear(4_096)
      expect(opened.erasure.isMarked).toBe(true)
    }
    using again = new Opened()
    expect(again.erasure.isMarked).toBe(true)
    again.erasure.clear()
    expect([...found(), again.erasure.isMarked]).toEqual([0, 0, false])
  })

  test('gives its room back when the file is next opened, where it is most of it', () => {
    let before: number
    {
      using opened = new Opened()
      opened.write(1_500, ['one'])
      opened.write(50, ['two'])
      opened.db.exec(`DELETE FROM pair WHERE owner = 'one'; DELETE FROM line WHERE owner = 'one'`)
      opened.fold()
      before = readFileSync(path).length
    }
    using again = new Opened()
    again.fold()
    expect(readFileSync(path).length).toBeLessThan(before / 2)
    expect(again.rows.at(-1)).toMatchObject([{ integrity_check: 'ok' }])
    expect(again.rows.flat().length).toBeGreaterThan(50)
  })
})
