/**
 * How much memory native code holds in this process: anonymous pages less the heap of JavaScript and its buffers.
 *
 * Anonymous pages are what nothing but swap can take back: weights, arenas, packed copies. Resident size as such also counts
 * pages of libraries that a model's first run happens to touch; they are shared, and reclaimed at need. From
 * proc_pid_statm(5), resident less shared pages: the kernel's counters may lag by some 100 kB a core, but reading them takes
 * microseconds, where the exact `smaps_rollup` walks all page tables for milliseconds, longer than many models take to load.
 */
import { readFileSync } from 'node:fs'

const megabyte = 2 ** 20

/** Megabytes. Where the kernel does not tell, resident size stands in for anonymous pages. */
export function nativeMemoryMb(): number {
  const { heapTotal, external, rss } = process.memoryUsage()
  const share = anonymousShare() ?? 1
  return (rss * share - heapTotal - external) / megabyte
}

/** Of resident pages; whatever the size of a page. */
function anonymousShare(): number | undefined {
  try {
    const [, resident, shared] = readFileSync('/proc/self/statm', 'utf8').split(' ').map(Number)
    return resident && shared !== undefined ? 1 - shared / resident : undefined
  } catch {
    return undefined
  }
}
