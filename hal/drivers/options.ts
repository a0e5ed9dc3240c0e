/** Checks the options that a person wrote for a part against the rules of its driver, and fills in the defaults. */
import type { OptionRule, OptionRules, Options } from '../contract/driver.ts'

/** Every mistake in one line that begins with the option's name. */
export type CheckedOptions =
  | { readonly ok: true; readonly options: Options }
  | { readonly ok: false; readonly mistakes: readonly string[] }

export function checkOptions(rules: OptionRules, given: Readonly<Record<string, unknown>>): CheckedOptions {
  const known = Object.keys(rules)
  const mistakes: string[] = []
  const options: Record<string, number | string | boolean> = {}
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(rules, name))
      mistakes.push(`${name}: no such option; there ${known.length ? `are ${known.join(', ')}` : 'are none'}`)
  }
  for (const [name, rule] of Object.entries(rules)) {
    const value = Object.hasOwn(given, name) ? given[name] : rule.default
    const wrong = mistakeOf(rule, value)
    if (wrong === undefined) options[name] = value as number | string | boolean
    else mistakes.push(`${name}: ${wrong}`)
  }
  return mistakes.length > 0 ? { ok: false, mistakes } : { ok: true, options }
}

/** The options of a part for which nothing was written. */
export function defaultOptions(rules: OptionRules): Options {
  return Object.fromEntries(Object.entries(rules).map(([name, rule]) => [name, rule.default]))
}

function mistakeOf(rule: OptionRule, value: unknown): string | undefined {
  const found = `is ${JSON.stringify(value) ?? typeof value}`
  switch (rule.type) {
    case 'number': {
      const unit = rule.unit ? ` ${rule.unit}` : ''
      const inRange = typeof value === 'number' && value >= rule.min && value <= rule.max
      return inRange ? undefined : `must be a number from ${rule.min} to ${rule.max}${unit}, ${found}`
    }
    case 'choice':
      return typeof value === 'string' && rule.choices.includes(value)
        ? undefined
        : `must be one of ${rule.choices.join(', ')}, ${found}`
    case 'boolean':
      return typeof value === 'boolean' ? undefined : `must be true or false, ${found}`
    case 'text':
      return typeof value === 'string' ? undefined : `must be text, ${found}`
  }
}
