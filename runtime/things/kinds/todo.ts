/** To-do lists. Adding is not idempotent; the list drops a repeated command id, which makes the retry safe. */
import * as v from 'valibot'
import type { Telemetry } from '../../../hal/contract/component.ts'
import { type Check, commandSchema, effect, type KindRules, shortText } from './kind.ts'

export const todo: KindRules = {
  kind: 'todo',
  schema: commandSchema({
    action: v.picklist(
      ['add_item', 'complete_item', 'remove_item'],
      'must be add_item, complete_item or remove_item',
    ),
    item: shortText,
  }),
  effect(command, _info, before) {
    return effect(
      (command['action'] === 'add_item' ? added : closed)(String(command['item']), before),
      3_000,
      { additive: true },
    )
  },
}

function added(item: string, before: Telemetry): Check[] {
  const checks: Check[] = []
  if (Number.isInteger(Number(before.state)))
    checks.push({ path: 'state', oneOf: [String(Number(before.state) + 1)] })
  if (Array.isArray(before.attributes['todo_items'])) checks.push({ path: 'todo_items', includes: item })
  return checks
}

/** The item is no longer open; a list that does not show its items must at least be shorter. */
function closed(item: string, before: Telemetry): Check[] {
  if (Array.isArray(before.attributes['todo_items'])) return [{ path: 'todo_items', excludesOpen: item }]
  const count = Number(before.state)
  return count > 0 ? [{ path: 'state', oneOf: [String(count - 1)] }] : []
}
