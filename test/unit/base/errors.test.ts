import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { assert, CodedError, messageOf, UsageError } from '../../../runtime/base/errors.ts'
import { version } from '../../../runtime/base/version.ts'

class LampError extends CodedError<'burnt' | 'missing'> {}

describe('errors', () => {
  test('a coded error carries its code, whether trying again helps, and its cause', () => {
    const cause = new Error('current 0 mA')
    expect(new LampError('burnt', 'the lamp is burnt', { retryable: true, cause })).toMatchObject({
      code: 'burnt',
      retryable: true,
      cause,
      message: 'the lamp is burnt',
    })
    expect(new LampError('missing', 'no lamp')).toMatchObject({ retryable: false })
    expect('cause' in new LampError('missing', 'no lamp')).toBe(false)
  })

  test('a usage error is one of code usage', () => {
    expect(new UsageError('no such option')).toMatchObject({ code: 'usage', name: 'UsageError' })
  })

  test('messageOf gives one line for anything thrown, and never throws', () => {
    fc.assert(
      fc.property(fc.anything(), (thrown) => {
        expect(messageOf(thrown)).not.toMatch(/[\n\r]/)
      }),
    )
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(messageOf(new Error(text))).not.toMatch(/[\n\r]/)
      }),
    )
  })

  test('assert throws what was violated, and only then', () => {
    expect(() => assert(false, 'size is positive')).toThrow('assertion failed: size is positive')
    expect(() => assert(true, 'size is positive')).not.toThrow()
  })

  test('the version is that of package.json', () => {
    const file = new URL('../../../package.json', import.meta.url)
    expect(version).toBe(JSON.parse(readFileSync(file, 'utf8')).version)
  })
})
