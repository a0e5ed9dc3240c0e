import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createLog, type Log, type LogLevel, logLevels, silentLog } from '../../../runtime/base/log.ts'

function logged(level: LogLevel, json: boolean, speak: (log: Log) => void): string[] {
  const lines: string[] = []
  speak(createLog({ level, json, write: (line) => lines.push(line), nowMs: () => 0 }))
  return lines
}

describe('createLog', () => {
  test.each(logLevels)('at level %s writes that level and those above it', (level) => {
    const lines = logged(level, true, (log) => {
      log.debug('debug')
      log.info('info')
      log.warn('warn')
      log.error('error')
    })
    const expected = ['debug', 'info', 'warn', 'error'].slice(logLevels.indexOf(level))
    expect(lines.map((line) => JSON.parse(line).level)).toEqual(expected)
  })

  test('writes key=value for people', () => {
    const [line] = logged('info', false, (log) =>
      log.named('link').warn('lost', { broker: 'a b', tries: 3, why: 'eof' }),
    )
    expect(line).toBe('1970-01-01T00:00:00.000Z warn  link: lost broker="a b" tries=3 why=eof')
  })

  test('writes one line an event and no control character, whatever it is given [base-5]', () => {
    const text = fc.string({ unit: 'binary' })
    fc.assert(
      fc.property(
        fc.boolean(),
        text,
        fc.dictionary(text, fc.oneof(text, fc.anything())),
        (json, message, fields) => {
          const lines = logged('info', json, (log) => log.named(message).info(message, fields))
          expect(lines).toHaveLength(1)
          expect(lines[0]).not.toMatch(/[\p{Cc}\u2028\u2029]/u)
        },
      ),
    )
  })

  test('no field of a JSON line can stand in for its level, time, component or message', () => {
    const [line = ''] = logged('info', true, (log) =>
      log.info('true message', { level: 'error', ts: 'never', component: 'other', message: 'false message' }),
    )
    expect(JSON.parse(line)).toMatchObject({
      level: 'info',
      ts: '1970-01-01T00:00:00.000Z',
      component: 'ganglion',
      message: 'true message',
    })
  })

  test('shows an error by its message, and a value that JSON cannot hold by its text', () => {
    const circle: Record<string, unknown> = {}
    circle['self'] = circle
    for (const json of [true, false]) {
      const [line] = logged('info', json, (log) =>
        log.info('x', { error: new Error('why not'), big: 10n, circle }),
      )
      expect(line).toContain('why not')
      expect(line).toContain('10')
    }
  })

  test('the silent log writes nothing and can be named', () => {
    expect(() => silentLog.named('x').error('y')).not.toThrow()
  })
})
