/** Memory of a process as the kernel counts it: proportional set size, so that shared pages are not counted twice. */
import { readFile } from 'node:fs/promises'

/** PSS in megabytes (10^6 bytes); undefined where the kernel does not tell (not Linux, or not our process). */
export async function pssMb(pid: number): Promise<number | undefined> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '')
  const kilobytes = /^Pss:\s+(\d+) kB$/m.exec(text)?.[1]
  return kilobytes === undefined ? undefined : Math.round((Number(kilobytes) * 1024) / 1e5) / 10
}
