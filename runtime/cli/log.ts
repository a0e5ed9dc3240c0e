/** The log of a command that runs in the foreground: plain lines on standard error. */
import { createLog, type Log, type LogLevel } from '../base/log.ts'

export function createCliLog(level: LogLevel, json = false): Log {
  return createLog({
    level,
    json,
    nowMs: () => Date.now(),
    write: (line) => process.stderr.write(`${line}\n`),
  })
}
