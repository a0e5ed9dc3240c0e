/** Memory against what the board's budgets want, and the hardware watchdog, as the kernel lists them. Opens nothing. */
import { join } from 'node:path'
import type { Board } from '../contract/board.ts'
import type { Examination } from '../contract/examination.ts'
import { namesIn, readAttribute, readNumber } from '../linux/sysfs.ts'
import { lookAtNode, type NodeLook } from './nodes.ts'

/** /proc/meminfo, in kB (proc_meminfo(5)). */
export async function memory(proc: string, board: Board): Promise<Examination['memory']> {
  const text = (await readAttribute(proc, 'meminfo')) ?? ''
  const megabytes = (field: string) => {
    const kilobytes = new RegExp(`^${field}: +(\\d+) kB$`, 'm').exec(text)?.[1]
    return kilobytes === undefined ? undefined : Math.round((Number(kilobytes) * 1024) / 1e6)
  }
  const totalMb = megabytes('MemTotal')
  const availableMb = megabytes('MemAvailable')
  return {
    ...(totalMb === undefined ? {} : { totalMb }),
    ...(availableMb === undefined ? {} : { availableMb }),
    budgetMb: board.memoryBudgetMb,
  }
}

/** The first watchdog (linux/Documentation/ABI/testing/sysfs-class-watchdog); undefined: there is none. */
export async function watchdog(look: NodeLook, board: Board): Promise<Examination['watchdog']> {
  const folder = join(look.roots.sys, 'class', 'watchdog')
  const [name] = await namesIn(folder)
  const node =
    lookAtNode(join(look.roots.dev, name ?? 'watchdog'), look) ??
    lookAtNode(join(look.roots.dev, 'watchdog'), look)
  if (!node) return undefined
  const attribute = async (file: string) =>
    name === undefined ? undefined : readAttribute(folder, name, file)
  const identity = await attribute('identity')
  const timeoutS = name === undefined ? undefined : await readNumber(folder, name, 'timeout')
  return {
    path: node.path,
    ...(identity === undefined ? {} : { identity }),
    ...(timeoutS === undefined ? {} : { timeoutS }),
    ...(board.watchdogSMax === undefined ? {} : { maxS: board.watchdogSMax }),
    active: (await attribute('state')) === 'active',
    usable: node.usable,
  }
}
