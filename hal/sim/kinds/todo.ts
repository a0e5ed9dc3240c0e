/** Lists. The state is the number of open items, `todo_items` the items: `{summary, status}`, as Home Assistant reports them. */

import { CommandFields } from '../../command-fields.ts'
import type { Json } from '../../contract/component.ts'
import { times } from '../times.ts'
import { after, type Change, type Kind, type Snapshot } from './kind.ts'

/** A list longer than this is no longer read by anybody; it bounds the report on the wire. */
const itemsMax = 200

type Item = { summary: string; status: 'needs_action' | 'completed' }

export const todo: Kind = {
  kind: 'todo',
  states: /^\d{1,6}$/,
  restState: '0',
  begin({ info, now }, command) {
    const fields = new CommandFields(info.id, command, ['action', 'item'])
    const action = fields.oneOf('action', ['add_item', 'complete_item', 'remove_item'])
    const item = fields.text('item')
    if (!action || !item) return fields.refuse('malformed', action ? 'item' : 'action', 'is missing')
    if (action === 'add_item') {
      if (todoItems(now).length >= itemsMax)
        fields.refuse('out-of-range', 'item', `the list holds ${itemsMax} items`)
      return after(times.todoMs, (list) => addItem(list, item), { idempotent: false })
    }
    if (!todoItems(now).some((entry) => same(entry, item)))
      fields.refuse('out-of-range', 'item', `not on the list`)
    return after(times.todoMs, (list) => closeItem(list, item, action), { idempotent: false })
  },
}

/** The items of a list; entries that are not items are dropped. A plain text counts as an open item. */
export function todoItems(now: Snapshot): Item[] {
  const value = now.attributes['todo_items']
  return Array.isArray(value) ? value.flatMap(toItem) : []
}

/** A list as it reports itself. */
export function todoReport(items: readonly Item[]): Required<Change> & Snapshot {
  const open = items.filter((item) => item.status === 'needs_action').length
  return { state: String(open), attributes: { todo_items: items.map((item) => ({ ...item })) } }
}

function toItem(value: Json): Item[] {
  if (typeof value === 'string') return [{ summary: value, status: 'needs_action' }]
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return []
  const summary = value['summary']
  if (typeof summary !== 'string') return []
  return [{ summary, status: value['status'] === 'completed' ? 'completed' : 'needs_action' }]
}

function same(entry: Item, name: string): boolean {
  return entry.summary.toLowerCase() === name.toLowerCase()
}

function addItem(now: Snapshot, summary: string): Change {
  return todoReport([...todoItems(now), { summary, status: 'needs_action' }])
}

function closeItem(now: Snapshot, name: string, action: 'complete_item' | 'remove_item'): Change {
  const items = todoItems(now)
  const open = items.findIndex((entry) => same(entry, name) && entry.status === 'needs_action')
  const index = open >= 0 ? open : items.findIndex((entry) => same(entry, name))
  if (action === 'remove_item') return todoReport(items.filter((_, place) => place !== index))
  return todoReport(
    items.map((entry, place) => (place === index ? { ...entry, status: 'completed' } : entry)),
  )
}
