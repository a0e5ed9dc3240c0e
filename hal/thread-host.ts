/** The HAL's host inside its own threads, and in the program that makes outputs safe: real time, bounded log. */
import type { Host, HostClock } from './contract/host.ts'

type Level = 'debug' | 'info' | 'warn' | 'error'

/** Lines that one second may have: a part that fails in every cycle must not drown the rest. */
const logLinesPerS = 20

/** CLOCK_MONOTONIC, milliseconds: the same in every thread of a process, where `performance.now` is not. */
export function sharedMonotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000
}

export const realClock: HostClock = {
  nowMs: () => Date.now(),
  monotonicMs: sharedMonotonicMs,
  after(delayMs, fn) {
    const timer = setTimeout(fn, delayMs)
    return () => clearTimeout(timer)
  },
}

export function threadHost(
  write: (level: Level, message: string, fields: Record<string, unknown>) => void,
): Host {
  let second = 0
  let lines = 0
  const log =
    (level: Level) =>
    (message: string, fields: Record<string, unknown> = {}) => {
      const now = Math.floor(sharedMonotonicMs() / 1000)
      if (now !== second) lines = 0
      second = now
      lines += 1
      if (lines <= logLinesPerS) write(level, message, fields)
    }
  return {
    clock: realClock,
    log: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
    random: () => Math.random(),
  }
}
