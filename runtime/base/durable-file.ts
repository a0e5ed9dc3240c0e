/**
 * Small files that are replaced whole: after a power loss the old content is there or the new, never a half (rename(2) is atomic,
 * fsync(2) of the directory makes it last). Readable for this user only. One writer a file at a time.
 */
import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

export async function writeDurably(path: string, text: string): Promise<void> {
  const part = `${path}.part`
  const file = await open(part, 'w', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(part, path)
  await syncDirectory(dirname(path))
}

/** For what must be on the disk before anything else happens: holds up the event loop. */
export function writeDurablySync(path: string, text: string): void {
  const part = `${path}.part`
  const file = openSync(part, 'w', 0o600)
  try {
    for (let left = Buffer.from(text); left.byteLength > 0; ) left = left.subarray(writeSync(file, left))
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(part, path)
  const directory = openSync(dirname(path), 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}

/** A new file's name is on the disk when its directory is. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
