/** Holds a declared effect against telemetry, and says both in words. */
import type { Json, Telemetry } from '../../hal/contract/component.ts'
import type { Check, Effect } from './kinds/kind.ts'

/** True when telemetry shows every check. An unavailable entity shows nothing. */
export function isShown(effect: Effect, telemetry: Telemetry): boolean {
  return telemetry.state !== 'unavailable' && effect.checks.every((check) => holds(check, telemetry))
}

/** `state on, brightness 128 ± 3` */
export function describeEffect(effect: Effect): string {
  if (effect.checks.length === 0) return 'the command was taken (the device reports nothing more)'
  return effect.checks.map(describeCheck).join(', ')
}

/** What telemetry says of the paths that the effect names: `state off, brightness 40`. */
export function describeObserved(effect: Effect, telemetry: Telemetry): string {
  const paths = [...new Set(['state', ...effect.checks.map((check) => check.path)])]
  return paths.map((path) => `${path} ${show(valueAt(path, telemetry))}`).join(', ')
}

function valueAt(path: string, telemetry: Telemetry): Json | undefined {
  return path === 'state' ? telemetry.state : telemetry.attributes[path]
}

function holds(check: Check, telemetry: Telemetry): boolean {
  const seen = valueAt(check.path, telemetry)
  if ('oneOf' in check) return check.oneOf.includes(String(seen))
  if ('noneOf' in check) return seen !== undefined && !check.noneOf.includes(String(seen))
  if ('near' in check)
    return isNear(check.path === 'state' ? Number(seen) : seen, check.near, check.tolerance)
  if ('nearAll' in check) {
    return (
      Array.isArray(seen) &&
      check.nearAll.every((wanted, index) => isNear(seen[index], wanted, check.tolerance))
    )
  }
  if ('includes' in check)
    return Array.isArray(seen) && seen.some((item) => summaryOf(item) === check.includes)
  if ('excludesOpen' in check)
    return Array.isArray(seen) && !seen.some((item) => isOpen(item, check.excludesOpen))
  return JSON.stringify(seen) === JSON.stringify(check.value)
}

function isNear(seen: Json | undefined, wanted: number, tolerance: number): boolean {
  return typeof seen === 'number' && Math.abs(seen - wanted) <= tolerance
}

/** Lists hold plain texts or Home Assistant's to-do items, `{summary, status}`. */
function summaryOf(item: Json): Json | undefined {
  return item !== null && typeof item === 'object' && !Array.isArray(item) ? item['summary'] : item
}

/** Items without a status are open. */
function isOpen(item: Json, summary: string): boolean {
  const status =
    item !== null && typeof item === 'object' && !Array.isArray(item) ? item['status'] : undefined
  return summaryOf(item) === summary && status !== 'completed'
}

function describeCheck(check: Check): string {
  if ('oneOf' in check) return `${check.path} ${check.oneOf.join(' or ')}`
  if ('noneOf' in check) return `${check.path} not ${check.noneOf.join(' or ')}`
  if ('near' in check) return `${check.path} ${check.near} ± ${round(check.tolerance)}`
  if ('nearAll' in check) return `${check.path} [${check.nearAll.join(', ')}] ± ${round(check.tolerance)}`
  if ('includes' in check) return `${check.path} includes ${show(check.includes)}`
  if ('excludesOpen' in check) return `${check.path} without ${check.excludesOpen} open`
  return `${check.path} ${show(check.value)}`
}

function show(value: Json | undefined): string {
  if (value === undefined) return 'absent'
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
