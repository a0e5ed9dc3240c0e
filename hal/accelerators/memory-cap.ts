/**
 * A cap on the memory of one child process, through cgroup v2 (linux/Documentation/admin-guide/cgroup-v2.rst, "Memory"), where
 * this process may make groups: as root, or under systemd with Delegate=yes. Where it may not, the reason is kept.
 */
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Roots } from '../linux/board-detect.ts'

export type MemoryCap = { readonly mb: number } | { readonly whyNot: string }

export interface CappedProcess {
  readonly cap: MemoryCap
  /** Takes the empty group away, after the process has ended. */
  remove(): Promise<void>
}

const advice = 'run the service with Delegate=yes'
const uncapped = (whyNot: string): CappedProcess => ({ cap: { whyNot }, remove: async () => {} })

/** Puts a process that has just started under a cap; it and its children are killed together beyond it. */
export async function capMemory(roots: Roots, name: string, pid: number, mb: number): Promise<CappedProcess> {
  const root = join(roots.sys, 'fs', 'cgroup')
  const own = await ownGroup(root, roots.proc)
  if (own === undefined) return uncapped('this system has no cgroup v2 with the memory controller')
  // A group that holds processes cannot give controllers to groups within it: then they go beside it.
  const reasons: string[] = []
  for (const parent of own === join(root, '/') ? [own] : [own, dirname(own)]) {
    const group = join(parent, `ganglion-${name}-${pid}`)
    try {
      await offerMemory(parent)
      await mkdir(group)
    } catch (error) {
      reasons.push((error as NodeJS.ErrnoException).code ?? String(error))
      continue
    }
    const remove = () => rmdir(group).catch(() => {})
    try {
      await writeFile(join(group, 'memory.max'), String(mb * 2 ** 20))
      await writeFile(join(group, 'memory.oom.group'), '1')
      await writeFile(join(group, 'cgroup.procs'), String(pid))
      return { cap: { mb }, remove }
    } catch (error) {
      reasons.push((error as NodeJS.ErrnoException).code ?? String(error))
      await remove()
    }
  }
  return uncapped(`no cgroup may be made here (${reasons.join(', ')}): ${advice}`)
}

/** Lets groups within this one have the memory controller. Throws where that is not allowed. */
async function offerMemory(parent: string): Promise<void> {
  const control = join(parent, 'cgroup.subtree_control')
  if ((await readFile(control, 'utf8')).split(/\s+/).includes('memory')) return
  await writeFile(control, '+memory')
}

/** Folder of the group that this process is in; undefined where version 2 does not control memory. */
async function ownGroup(root: string, proc: string): Promise<string | undefined> {
  try {
    const controllers = (await readFile(join(root, 'cgroup.controllers'), 'utf8')).split(/\s+/)
    if (!controllers.includes('memory')) return undefined
    const lines = (await readFile(join(proc, 'self', 'cgroup'), 'utf8')).split('\n')
    const path = lines.find((line) => line.startsWith('0::'))?.slice('0::'.length)
    return path === undefined ? undefined : join(root, path)
  } catch {
    return undefined
  }
}
