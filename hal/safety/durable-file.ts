/**
 * Replaces a small file so that after a power loss either the old or the new content is there, whole (rename(2) is
 * atomic, fsync(2) of the directory makes it last). Readable for this user only.
 */
import { open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

export async function writeDurably(path: string, text: string): Promise<void> {
  const fresh = `${path}.new`
  await withFile(fresh, 'w', async (file) => {
    await file.writeFile(text)
    await file.sync()
  })
  await rename(fresh, path)
  await withFile(dirname(path), 'r', (directory) => directory.sync())
}

type File = Awaited<ReturnType<typeof open>>

async function withFile(path: string, flags: string, use: (file: File) => Promise<void>): Promise<void> {
  const file = await open(path, flags, 0o600)
  try {
    await use(file)
  } finally {
    await file.close()
  }
}
