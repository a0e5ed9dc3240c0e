/**
 * Recognises the machine by device-tree `compatible` (Devicetree Specification 2.3.1: strings ended by NUL, most specific
 * first), else by DMI, else by architecture. The `model` text and chip numbers are never used: they change.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Board } from '../contract/board.ts'
import { HalError } from '../contract/errors.ts'

export interface DetectedBoard {
  readonly board: Board
  readonly recognisedBy: string
}

export interface Roots {
  readonly proc: string
  readonly sys: string
  readonly dev: string
}

/** Device trees list under ten; more is not a device tree. */
const compatibleBytesMax = 4096

/**
 * Finds the board among `boards`. `arch` is Node's `process.arch`. Throws HalError `unsupported` when no board and no
 * generic one for the architecture is listed.
 */
export async function detectBoard(
  boards: readonly Board[],
  roots: Roots,
  arch: string,
): Promise<DetectedBoard> {
  const compatible = await readCompatible(roots.proc)
  for (const name of compatible) {
    const board = boards.find((candidate) => candidate.compatible.includes(name))
    if (board) return { board, recognisedBy: `device tree compatible "${name}"` }
  }
  const dmi = await readDmi(roots.sys)
  const byDmi = dmi && boards.find((candidate) => candidate.compatible.includes(`dmi:${dmi}`))
  if (byDmi) return { board: byDmi, recognisedBy: `DMI "${dmi}"` }
  const generic = boards.find((candidate) => candidate.id === `generic-${arch}`)
  if (!generic)
    throw new HalError(
      'unsupported',
      `no board for ${arch} machines, known are ${boards.map((b) => b.id).join(', ')}`,
    )
  const seen = compatible[0] ?? dmi
  return { board: generic, recognisedBy: `architecture ${arch}${seen ? ` (${seen} is not listed)` : ''}` }
}

async function readCompatible(proc: string): Promise<string[]> {
  const text = await readOptional(join(proc, 'device-tree', 'compatible'))
  return (text ?? '')
    .slice(0, compatibleBytesMax)
    .split('\0')
    .filter((name) => name.length > 0)
}

/** `<vendor>:<product>` of the mainboard's firmware. */
async function readDmi(sys: string): Promise<string | undefined> {
  const folder = join(sys, 'class', 'dmi', 'id')
  const vendor = (await readOptional(join(folder, 'sys_vendor')))?.trim()
  const product = (await readOptional(join(folder, 'product_name')))?.trim()
  return vendor && product ? `${vendor}:${product}` : undefined
}

/** Absent on machines of the other kind, so any failure to read means absent. */
async function readOptional(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    return undefined
  }
}
