import { closeSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { openDatabaseFile } from '../../../runtime/base/database-file.ts'
import { WalSync } from '../../../runtime/base/wal-sync.ts'
import { openFiles } from '../../fixtures/open-files.ts'

const dir = mkdtempSync(join(tmpdir(), 'ganglion-wal-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

async function opened(name: string) {
  const path = join(dir, name)
  const schema = 'CREATE TABLE line (text TEXT) STRICT;'
  const options = { what: 'lines', path, schema, version: 1, walPagesMax: 64, synchronous: 'normal' } as const
  const { db } = openDatabaseFile(options, 0)
  const write = () => db.prepare('INSERT INTO line VALUES (?)').run('a line')
  write()
  return { db, write, wal: `${path}-wal`, sync: await WalSync.open(path) }
}

describe('the log of a database', () => {
  test('is synced for all who ask, also while a sync is under way', async () => {
    const { db, write, sync } = await opened('many')
    const asked = [sync.durable(), sync.durable()]
    write()
    asked.push(sync.durable())
    await Promise.all(asked)
    await sync.durable()
    await sync.close()
    db.close()
  })

  test('is never called durable again after the disk has refused once [base-8]', async () => {
    const { db, write, wal, sync } = await opened('refused')
    closeSync(openFiles(wal)[0] ?? -1)
    const asked = await Promise.allSettled([sync.durable(), sync.durable(), sync.durable()])
    for (const outcome of asked)
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'EBADF' } })
    write()
    await expect(sync.durable()).rejects.toMatchObject({ code: 'EBADF' })
    await sync.close().catch(() => {})
    db.close()
  })
})
