/**
 * The log: one line an event on standard error, `key=value` for people, JSON for machines. Secrets and personal
 * content (transcripts, item names) are never passed to it.
 */
import { messageOf } from './errors.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'
type Fields = Record<string, unknown>

export interface Log {
  debug(message: string, fields?: Fields): void
  info(message: string, fields?: Fields): void
  warn(message: string, fields?: Fields): void
  error(message: string, fields?: Fields): void
  /** The same log with a component's name in front. */
  named(component: string): Log
}

export const logLevels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'silent']

export interface LogOptions {
  readonly level: LogLevel
  readonly json: boolean
  readonly write: (line: string) => void
  readonly nowMs: () => number
}

export function createLog(options: LogOptions, component = 'ganglion'): Log {
  const threshold = logLevels.indexOf(options.level)
  const at = (level: Exclude<LogLevel, 'silent'>) => (message: string, fields?: Fields) => {
    if (logLevels.indexOf(level) < threshold) return
    const ts = new Date(options.nowMs()).toISOString()
    const head = { ts, level, component, message }
    options.write(options.json ? jsonLine(head, fields) : plainLine(head, fields))
  }
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    named: (name) => createLog(options, name),
  }
}

interface Head {
  readonly ts: string
  readonly level: string
  readonly component: string
  readonly message: string
}

/** The head comes last: no field can stand in for it. */
function jsonLine(head: Head, fields: Fields = {}): string {
  const safe = Object.entries(fields).map(([key, value]): [string, unknown] => [
    key,
    JSON.parse(jsonOf(value)),
  ])
  return oneLine(JSON.stringify(Object.assign({ ...head }, Object.fromEntries(safe), head)))
}

function plainLine({ ts, level, component, message }: Head, fields: Fields = {}): string {
  const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${plainValue(value)}`)
  return oneLine(`${ts} ${level.padEnd(5)} ${component}: ${message}${rest.join('')}`)
}

function plainValue(value: unknown): string {
  return typeof value === 'string' && /^[^\s"=]+$/.test(value) ? value : jsonOf(value)
}

/** JSON of anything: an error as its message, what JSON cannot hold as text. Never throws: a log line must not. */
function jsonOf(value: unknown): string {
  try {
    const text = JSON.stringify(value, (_, part: unknown) => {
      if (part instanceof Error) return messageOf(part)
      return typeof part === 'bigint' ? String(part) : part
    })
    return text ?? JSON.stringify(String(value))
  } catch {
    return '"(not printable)"'
  }
}

/** What the world said must not start a line of its own or move the cursor of whoever reads. */
function oneLine(text: string): string {
  return text.replace(
    /[\p{Cc}\u2028\u2029]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** A log that says nothing, for tests and one-shot commands. */
export const silentLog: Log = createLog({ level: 'silent', json: false, write: () => {}, nowMs: () => 0 })
