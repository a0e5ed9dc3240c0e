/**
 * What this process may use of the machine: cores as the scheduler's mask and a container's CPU quota leave them, memory as
 * a container's limit leaves it. Control groups: https://docs.kernel.org/admin-guide/cgroup-v2.html (cpu.max, memory.max).
 */
import { readFile } from 'node:fs/promises'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { dirname, join } from 'node:path'

export interface MachineLimits {
  /** Cores that may be used at the same time, whole ones. */
  readonly cores: number
  /** Cores that a control group's quota allows, where it allows fewer: 1.5. */
  readonly quotaCores?: number
  readonly memoryMb: number
  /** Processor as the system names it; what was measured on one is not true on another. */
  readonly processor: string
}

/** `root` is where the file system of the machine begins; another one in tests. */
export async function machineLimits(root = '/'): Promise<MachineLimits> {
  const groups = await groupFolders(root)
  const quotaCores = await least(groups, 'cpu.max', (text) => {
    const [quota, period] = text.trim().split(/\s+/).map(Number)
    return quota && period ? quota / period : undefined
  })
  const memoryBytes = await least(groups, 'memory.max', (text) => Number(text) || undefined)
  return {
    cores: availableParallelism(),
    ...(quotaCores === undefined ? {} : { quotaCores }),
    memoryMb: Math.floor(Math.min(memoryBytes ?? Number.POSITIVE_INFINITY, totalmem()) / 1e6),
    processor: `${process.arch} ${cpus()[0]?.model ?? 'unknown'}`,
  }
}

/** This process's group and those above it; none where there is no cgroup v2. */
async function groupFolders(root: string): Promise<string[]> {
  const text = await readFile(join(root, 'proc/self/cgroup'), 'utf8').catch(() => '')
  const path = /^0::(\/.*)$/m.exec(text)?.[1]
  if (path === undefined) return []
  const mount = join(root, 'sys/fs/cgroup')
  const folders = [mount]
  // A path that climbs is one that this process may not see.
  for (let at = path; at !== '/' && at !== '.' && !at.includes('..'); at = dirname(at))
    folders.push(join(mount, at))
  return folders
}

/** A group is limited by its own limit and those of every group above it. */
async function least(
  folders: readonly string[],
  file: string,
  read: (text: string) => number | undefined,
): Promise<number | undefined> {
  let smallest: number | undefined
  for (const folder of folders) {
    const text = await readFile(join(folder, file), 'utf8').catch(() => '')
    const value = read(text)
    if (value !== undefined && (smallest === undefined || value < smallest)) smallest = value
  }
  return smallest
}
