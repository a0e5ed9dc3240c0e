/** The HAL's host inside the safety thread, and in the program that makes outputs safe: real time, bounded log. */
import type { Host } from '../contract/host.ts'
import { sharedMonotonicMs } from './messages.ts'

type Level = 'debug' | 'info' | 'warn' | 'error'

/** Lines that one second may have: a part that fails in every cycle must not drown the rest. */
const logLinesPerS = 20

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
    clock: {
      nowMs: () => Date.now(),
      monotonicMs: sharedMonotonicMs,
      after(delayMs, fn) {
        const timer = setTimeout(fn, delayMs)
        return () => clearTimeout(timer)
      },
    },
    log: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
    random: () => Math.random(),
  }
}
