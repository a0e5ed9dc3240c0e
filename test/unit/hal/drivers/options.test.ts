/** What a person wrote for a part, against the rules of its driver. */
import { describe, expect, test } from 'vitest'
import type { OptionRules } from '../../../../hal/contract/driver.ts'
import { checkOptions, defaultOptions } from '../../../../hal/drivers/options.ts'

const rules: OptionRules = {
  altitude: { type: 'number', min: 0, max: 3000, default: 0, unit: 'm', help: 'Height' },
  mode: { type: 'choice', choices: ['high', 'low'], default: 'high', help: 'Mode' },
  fast: { type: 'boolean', default: false, help: 'Fast' },
  label: { type: 'text', default: '', help: 'Label' },
}

describe('checkOptions()', () => {
  test('fills in the defaults and keeps what was written', () => {
    expect(checkOptions(rules, { altitude: 520 })).toEqual({
      ok: true,
      options: { altitude: 520, mode: 'high', fast: false, label: '' },
    })
    expect(defaultOptions(rules)).toEqual({ altitude: 0, mode: 'high', fast: false, label: '' })
  })

  test.each([
    [{ altitude: 9000 }, 'altitude: must be a number from 0 to 3000 m, is 9000'],
    [{ altitude: '5' }, 'altitude: must be a number from 0 to 3000 m, is "5"'],
    [{ altitude: Number.NaN }, 'altitude: must be a number from 0 to 3000 m, is null'],
    [{ mode: 'medium' }, 'mode: must be one of high, low, is "medium"'],
    [{ fast: 1 }, 'fast: must be true or false, is 1'],
    [{ label: 7 }, 'label: must be text, is 7'],
    [{ label: undefined }, 'label: must be text, is undefined'],
    [{ hight: 5 }, 'hight: no such option; there are altitude, mode, fast, label'],
    [{ toString: 5 }, 'toString: no such option; there are altitude, mode, fast, label'],
  ])('refuses %j in one line that names the option', (given, mistake) => {
    expect(checkOptions(rules, given)).toEqual({ ok: false, mistakes: [mistake] })
  })

  test('tells every mistake at once', () => {
    const checked = checkOptions(rules, { altitude: -1, fast: 'yes', speed: 1 })
    expect(!checked.ok && checked.mistakes).toHaveLength(3)
  })

  test('says so where a driver has no options', () => {
    expect(checkOptions({}, { speed: 1 })).toEqual({
      ok: false,
      mistakes: ['speed: no such option; there are none'],
    })
  })
})
