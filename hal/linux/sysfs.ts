/** The kernel's small text files: one value a file, absent where the hardware has it not, unreadable while it has no value. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** The value without its line end; undefined when there is no such file, or no reading now (a zone may be disabled). */
export async function readAttribute(...path: string[]): Promise<string | undefined> {
  try {
    return (await readFile(join(...path), 'utf8')).trim()
  } catch {
    return undefined
  }
}

/** A whole or decimal number as the kernel prints it; undefined for anything else. */
export async function readNumber(...path: string[]): Promise<number | undefined> {
  const text = await readAttribute(...path)
  return text !== undefined && /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/.test(text) ? Number(text) : undefined
}

/** Names in a folder, sorted; none when there is no such folder. */
export async function namesIn(...path: string[]): Promise<string[]> {
  try {
    return (await readdir(join(...path))).sort()
  } catch {
    return []
  }
}
