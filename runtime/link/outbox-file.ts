/** The outbox's database file. */
import { join } from 'node:path'
import { type DatabaseFile, type OpenedFile, openDatabaseFile } from '../base/database-file.ts'
import { messageOf } from '../base/errors.ts'
import { LinkError } from './errors.ts'

export const outboxFileName = 'outbox.db'

const file: Omit<DatabaseFile, 'path'> = {
  what: 'the outbox',
  schema: `
  CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    topic TEXT NOT NULL,
    priority INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    payload BLOB NOT NULL
  ) STRICT;
  CREATE INDEX event_by_priority ON event (priority, seq);
`,
  version: 1,
  synchronous: 'full',
  /** About 1 MB. */
  walPagesMax: 256,
}

/** Opens `outbox.db` in `directory`. Throws LinkError `storage` when the disk, not the file's content, is at fault. */
export function openOutboxFile(directory: string, nowMs: number): OpenedFile {
  try {
    return openDatabaseFile({ path: join(directory, outboxFileName), ...file }, nowMs)
  } catch (error) {
    throw new LinkError('storage', messageOf(error), { cause: error })
  }
}
