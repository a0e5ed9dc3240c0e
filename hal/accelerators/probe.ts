/**
 * Which of a board's accelerators are there and can be used now, with the reason where not. Looks only: opens no device and
 * loads no driver, so it is safe to ask at any time. A board's maker may sell it with or without the chip, hence the look.
 */
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import type { Board, BoardAccelerator } from '../contract/board.ts'
import type { Roots } from '../linux/board-detect.ts'
import { permissionAdvice } from '../linux/permissions.ts'
import { namesIn, readAttribute } from '../linux/sysfs.ts'

export interface AcceleratorProbe {
  readonly id: string
  readonly name: string
  /** As its maker states it. */
  readonly claim: string
  readonly usable: boolean
  /** One line: why not, and what to do. Absent when usable. */
  readonly whyNot?: string
}

export interface ProbeOptions {
  readonly roots?: Roots
  /** Names of adapters that are configured on this device. */
  readonly adapters?: readonly string[]
}

/** What a look for one sign of an accelerator found. */
type Sign = 'present' | 'absent' | { readonly denied: string }

const defaultRoots: Roots = { proc: '/proc', sys: '/sys', dev: '/dev' }

/** One line for each accelerator that the board lists, in its order. */
export function probeAccelerators(board: Board, options: ProbeOptions = {}): Promise<AcceleratorProbe[]> {
  const roots = options.roots ?? defaultRoots
  return Promise.all(
    board.accelerators.map(async (accelerator) => {
      const { id, name, claim } = accelerator
      const whyNot = await reasonAgainst(accelerator, roots, options.adapters ?? [])
      return { id, name, claim, usable: whyNot === undefined, ...(whyNot === undefined ? {} : { whyNot }) }
    }),
  )
}

async function reasonAgainst(
  { shownBy, reachedBy }: BoardAccelerator,
  roots: Roots,
  adapters: readonly string[],
): Promise<string | undefined> {
  const signs = await Promise.all(shownBy.map((sign) => look(sign, roots)))
  if (signs.length > 0 && signs.every((sign) => sign === 'absent'))
    return `not found: there is no ${shownBy.join(' or ')}; is it fitted, and its kernel driver loaded?`
  if (reachedBy === 'not-yet') return 'there, but Ganglion cannot reach it yet'
  if (reachedBy === 'cpu') return undefined
  if (!signs.includes('present')) {
    const denied = signs.find((sign) => typeof sign === 'object')
    if (denied) return denied.denied
  }
  return adapters.includes(reachedBy.adapter)
    ? undefined
    : `there, but reached only through an adapter named ${reachedBy.adapter}, which is not configured and not shipped: hal/accelerators/README.md says how to write one and where to name it`
}

/**
 * A sign is a path below /dev, /sys or /proc, `pci:<vendor>:<device>` in hexadecimal, or else a name of the device tree: the
 * path of a node, a `compatible` string, or the name of a platform device (`fdab0000.npu`).
 */
async function look(sign: string, roots: Roots): Promise<Sign> {
  const [, root, rest] = /^\/(dev|sys|proc)\/(.+)$/.exec(sign) ?? []
  if (root === 'dev' && rest) return lookAtNode(sign, join(roots.dev, rest))
  if (root !== undefined && rest) return seen(await exists(join(roots[root as 'sys' | 'proc'], rest)))
  const [, vendor, device] = /^pci:([0-9a-f]{4}):([0-9a-f]{4})$/i.exec(sign) ?? []
  if (vendor && device) return seen(await hasPciDevice(roots.sys, vendor, device))
  return seen(await hasTreeName(roots, sign))
}

async function lookAtNode(name: string, path: string): Promise<Sign> {
  try {
    await access(path, constants.R_OK | constants.W_OK)
    return 'present'
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') return 'absent'
    return { denied: `${name}: ${permissionAdvice(path)}` }
  }
}

async function hasPciDevice(sys: string, vendor: string, device: string): Promise<boolean> {
  const folder = join(sys, 'bus', 'pci', 'devices')
  const id = async (slot: string, file: string) =>
    (await readAttribute(folder, slot, file))?.replace(/^0x/, '').toLowerCase()
  for (const slot of await namesIn(folder))
    if (
      (await id(slot, 'vendor')) === vendor.toLowerCase() &&
      (await id(slot, 'device')) === device.toLowerCase()
    )
      return true
  return false
}

async function hasTreeName(roots: Roots, name: string): Promise<boolean> {
  if (await exists(join(roots.proc, 'device-tree', name))) return true
  const folder = join(roots.sys, 'bus', 'platform', 'devices')
  for (const device of await namesIn(folder)) {
    if (device === name) return true
    const compatible = await readAttribute(folder, device, 'of_node', 'compatible')
    if (compatible?.split('\0').includes(name)) return true
  }
  return false
}

const seen = (there: boolean): Sign => (there ? 'present' : 'absent')

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
