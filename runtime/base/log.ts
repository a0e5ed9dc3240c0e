/**
 * The log: one line an event on standard error, `key=value` for people, JSON for machines. Secrets and personal
 * content (transcripts, item names) are never passed to it.
 */

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
    options.write(
      options.json
        ? JSON.stringify({ ts, level, component, message, ...fields })
        : plain(ts, level, component, message, fields),
    )
  }
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    named: (name) => createLog(options, name),
  }
}

function plain(ts: string, level: string, component: string, message: string, fields: Fields = {}): string {
  const rest = Object.entries(fields).map(
    ([key, value]) =>
      ` ${key}=${typeof value === 'string' && !/[\s"=]/.test(value) ? value : JSON.stringify(value)}`,
  )
  return `${ts} ${level.padEnd(5)} ${component}: ${message}${rest.join('')}`
}

/** A log that says nothing, for tests and one-shot commands. */
export const silentLog: Log = createLog({ level: 'silent', json: false, write: () => {}, nowMs: () => 0 })
