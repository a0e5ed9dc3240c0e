/**
 * Device nodes that Ganglion could use and whether this user may. Judged by owner, group and mode as the kernel does
 * (path_resolution(7)), not by opening: opening a serial port resets what hangs on it, opening a watchdog starts it.
 */
import { readFileSync, type Stats, statSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { NodeReport } from '../contract/examination.ts'
import type { Roots } from '../linux/board-detect.ts'
import { newChipInfo, readChipInfo, requests } from '../linux/gpio-abi.ts'
import { withNode } from '../linux/gpio-chips.ts'
import { ioctl } from '../linux/libc.ts'
import { readAttribute } from '../linux/sysfs.ts'

export interface User {
  readonly uid: number
  readonly gids: readonly number[]
}

export const thisUser = (): User => ({ uid: process.getuid?.() ?? 0, gids: process.getgroups?.() ?? [] })

const root = 0
/** Read and write, of the owner, the group and everybody. */
const modes = { owner: 0o600, group: 0o060, other: 0o006 } as const

export function mayUse({ uid, gid, mode }: Pick<Stats, 'uid' | 'gid' | 'mode'>, user: User): boolean {
  if (user.uid === root) return true
  const bits = uid === user.uid ? modes.owner : user.gids.includes(gid) ? modes.group : modes.other
  return (mode & bits) === bits
}

/** Names of groups by number, from group(5): name:password:number:members. Empty where there is no such file. */
export function readGroups(file: string): ReadonlyMap<number, string> {
  try {
    const lines = readFileSync(file, 'utf8').split('\n')
    return new Map(
      lines.flatMap((line) => {
        const [name, , number] = line.split(':')
        return name && number ? [[Number(number), name] as const] : []
      }),
    )
  } catch {
    return new Map()
  }
}

export interface NodeLook {
  readonly roots: Roots
  readonly user: User
  readonly groups: ReadonlyMap<number, string>
}

/** Undefined when there is no such node. */
export function lookAtNode(path: string, look: NodeLook): NodeReport | undefined {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (!stat) return undefined
  const group = stat.gid === root ? undefined : look.groups.get(stat.gid)
  return { path, usable: mayUse(stat, look.user), ...(group === undefined ? {} : { group }) }
}

export async function nodesLike(pattern: RegExp, look: NodeLook): Promise<NodeReport[]> {
  const names = await readdir(look.roots.dev).catch(() => [])
  const matching = names.filter((name) => pattern.test(name)).sort(byNumber)
  return matching.flatMap((name) => lookAtNode(join(look.roots.dev, name), look) ?? [])
}

const byNumber = (a: string, b: string) => a.localeCompare(b, 'en', { numeric: true })

/** Label of a GPIO chip; undefined where it cannot be asked. */
export type AskChip = (path: string) => string | undefined

export const askChip: AskChip = (path) => {
  try {
    return withNode(path, (fd) => {
      const info = newChipInfo()
      return ioctl(fd, requests.chipInfo, info) === 0 ? readChipInfo(info).label : undefined
    })
  } catch {
    return undefined
  }
}

/** Every chip once: a Raspberry Pi 5 has gpiochip4 as a link to gpiochip0. */
export async function gpioChips(look: NodeLook, ask: AskChip): Promise<NodeReport[]> {
  const seen = new Set<number>()
  const chips: NodeReport[] = []
  for (const node of await nodesLike(/^gpiochip\d+$/, look)) {
    const { ino } = statSync(node.path)
    if (seen.has(ino)) continue
    seen.add(ino)
    const name = node.usable ? ask(node.path) : undefined
    chips.push({ ...node, ...(name === undefined ? {} : { name }) })
  }
  return chips
}

/** Ports with hardware behind them: PCs list 32 `ttyS`, most of which are nothing (`type` 0 is PORT_UNKNOWN, serial_core.h). */
export async function serialPorts(look: NodeLook): Promise<NodeReport[]> {
  const nodes = await nodesLike(/^tty(S|AMA|THS|USB|ACM|O|mxc)\d+$/, look)
  const kept = await Promise.all(
    nodes.map(async (node) => {
      const tty = join(look.roots.sys, 'class', 'tty', node.path.slice(look.roots.dev.length + 1))
      if ((await readAttribute(tty, 'type')) === '0') return undefined
      const driver = /DRIVER=(.+)/.exec((await readAttribute(tty, 'device', 'uevent')) ?? '')?.[1]
      return driver === undefined ? node : { ...node, name: driver }
    }),
  )
  return kept.filter((node) => node !== undefined)
}
