/** Opens a directory to keep state in: creates it for this user only and proves that it can be written. */
import { accessSync, constants, existsSync, mkdirSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { messageOf, UsageError } from './errors.ts'

/** Throws UsageError with one line that names the directory and what to do. */
export function openStateDir(path: string): void {
  try {
    makeDirectory(path)
    accessSync(path, constants.W_OK | constants.X_OK)
  } catch (error) {
    throw new UsageError(
      `cannot write to the state directory ${path} (${messageOf(error)}): choose another with --state-dir, or make it writable`,
      { cause: error },
    )
  }
}

/**
 * Creates a directory and those above it, for this user only. Node's own recursive mkdir never returns where a file
 * system answers ENOENT to creating in a directory that exists, as /proc does.
 */
export function makeDirectory(path: string): void {
  const absent: string[] = []
  for (let at = resolve(path); !existsSync(at); at = dirname(at)) absent.unshift(at)
  for (const directory of absent) {
    try {
      mkdirSync(directory, { mode: 0o700 })
    } catch (error) {
      // Another process may have made it meanwhile.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
}
