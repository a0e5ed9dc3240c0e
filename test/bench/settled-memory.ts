/** The memory of processes once they have become quiet: right after starting, garbage and lazy pages move it by tens of MB. */
import { readFile } from 'node:fs/promises'
import { realClock, sleep } from '../../runtime/base/clock.ts'
import { pssMb } from '../../runtime/observe/memory.ts'
import { median } from './quantiles.ts'

export interface SettleOptions {
  readonly settleMs: number
  /** Read once a second after that; the median counts. */
  readonly readings: number
}

export interface Memory {
  /** Pages that several processes map are divided among them. */
  readonly pssMb: number
  /** Every resident page counted in full. */
  readonly rssMb: number
}

/** MB of each process, read in the same moments. Throws where the kernel does not tell. */
export async function settledMemory<Name extends string>(
  pids: Readonly<Record<Name, number>>,
  { settleMs, readings }: SettleOptions,
  signal: AbortSignal,
): Promise<Record<Name, Memory>> {
  await sleep(realClock, settleMs, signal)
  const names = Object.keys(pids) as Name[]
  const seen = new Map<Name, Memory[]>(names.map((name) => [name, []]))
  for (let reading = 0; reading < readings; reading += 1) {
    await sleep(realClock, 1_000, signal)
    for (const name of names) seen.get(name)?.push(await read(name, pids[name]))
  }
  const typical = (name: Name): Memory => ({
    rssMb: median((seen.get(name) ?? []).map((memory) => memory.rssMb)),
    pssMb: median((seen.get(name) ?? []).map((memory) => memory.pssMb)),
  })
  return Object.fromEntries(names.map((name) => [name, typical(name)])) as Record<Name, Memory>
}

async function read(name: string, pid: number): Promise<Memory> {
  const pss = await pssMb(pid)
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '')
  const kilobytes = /^Rss:\s+(\d+) kB$/m.exec(rollup)?.[1]
  if (pss === undefined || kilobytes === undefined)
    throw new Error(`the memory of ${name} (process ${pid}) cannot be read: not Linux, or it ended`)
  return { rssMb: Math.round((Number(kilobytes) * 1024) / 1e5) / 10, pssMb: pss }
}
