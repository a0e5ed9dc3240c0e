/**
 * How much memory native code holds in this process: anonymous pages less the heap of JavaScript and its buffers.
 *
 * Anonymous pages (`Anonymous` in proc_pid_smaps_rollup(5)) are what nothing but swap can take back: weights, arenas,
 * packed copies. Resident size as such also counts pages of libraries that a model's first run happens to touch; they are
 * shared, and reclaimed at need. Reading costs about a millisecond: for loads and first runs, not for each request.
 */
import { readFileSync } from 'node:fs'

const megabyte = 2 ** 20

/** Megabytes. Where the kernel does not tell, resident size stands in for anonymous pages. */
export function nativeMemoryMb(): number {
  const { heapTotal, external, rss } = process.memoryUsage()
  return ((anonymousBytes() ?? rss) - heapTotal - external) / megabyte
}

function anonymousBytes(): number | undefined {
  try {
    const kilobytes = /^Anonymous:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/smaps_rollup', 'utf8'))?.[1]
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024
  } catch {
    return undefined
  }
}
