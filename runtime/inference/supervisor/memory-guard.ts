/**
 * Looks at an engine's memory from outside while it works: one native call may take more than the machine has, and the engine
 * says nothing until it returns. Reads procfs (proc_pid_status(5)), some 30 µs each time; where there is none, it sees nothing.
 */
import { readFileSync } from 'node:fs'
import type { Cancel, Clock } from '../../base/clock.ts'

export interface MemoryGuardDeps {
  readonly clock: Clock
  readonly pid: () => number | undefined
  /** Something is under way; otherwise nobody looks. */
  readonly busy: () => boolean
  /** Resident memory that it may have, megabytes; undefined: as much as there is. */
  readonly limitMb: () => number | undefined
  readonly onOver: (rssMb: number, limitMb: number) => void
}

/** What a native call can fill meanwhile: some 100 MB on a quick machine, fewer on a small board. */
const lookEveryMs = 50

export class MemoryGuard {
  readonly #deps: MemoryGuardDeps
  #cancel: Cancel | undefined

  constructor(deps: MemoryGuardDeps) {
    this.#deps = deps
  }

  /** Something begins: looks until nothing is under way. */
  watch(): void {
    this.#cancel ??= this.#deps.clock.after(lookEveryMs, () => this.#look())
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  #look(): void {
    this.#cancel = undefined
    const { pid, busy, limitMb, onOver } = this.#deps
    const limit = limitMb()
    if (!busy()) return
    const rssMb = limit === undefined ? undefined : residentMb(pid())
    if (limit !== undefined && rssMb !== undefined && rssMb > limit) onOver(rssMb, limit)
    else this.watch()
  }
}

/** Undefined where the system does not tell. Not `statm`: it counts in pages, whose size differs between boards. */
function residentMb(pid: number | undefined): number | undefined {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return kilobytes === undefined ? undefined : Number(kilobytes) / 1024
  } catch {
    return undefined
  }
}
