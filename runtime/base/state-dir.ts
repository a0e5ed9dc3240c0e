/** Opens a directory to keep state in: creates it for this user only and proves that it can be written. */
import { accessSync, constants, mkdirSync } from 'node:fs'
import { messageOf, UsageError } from './errors.ts'

/** Throws UsageError with one line that names the directory and what to do. */
export function openStateDir(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    accessSync(path, constants.W_OK | constants.X_OK)
  } catch (error) {
    throw new UsageError(
      `cannot write to the state directory ${path} (${messageOf(error)}): choose another with --state-dir, or make it writable`,
      { cause: error },
    )
  }
}
