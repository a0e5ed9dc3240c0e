/**
 * Lists: add, remove, complete. The item is the speaker's own words, taken as they are: nothing in it is read as
 * grammar, so `add open the door to my list` opens no door.
 */
import type { Json } from '../../../hal/contract/component.ts'
import type { Entity } from '../../things/entity.ts'
import { type EntityWords, stem } from '../home-index.ts'
import type { Interpretation, Scene } from '../interpretation.ts'
import type { Token } from '../normalise.ts'
import { listed } from '../wording.ts'

type Action = 'add_item' | 'complete_item' | 'remove_item'

/** Verb, and whether it is one of lists only (`put` is not: it needs a list to be named). */
const verbs: ReadonlyMap<string, { action: Action; alone: boolean }> = new Map([
  ['add', { action: 'add_item', alone: true }],
  ['append', { action: 'add_item', alone: true }],
  ['include', { action: 'add_item', alone: false }],
  ['put', { action: 'add_item', alone: false }],
  ['write', { action: 'add_item', alone: false }],
  ['remove', { action: 'remove_item', alone: true }],
  ['delete', { action: 'remove_item', alone: true }],
  ['take', { action: 'remove_item', alone: false }],
  ['cross', { action: 'complete_item', alone: false }],
  ['complete', { action: 'complete_item', alone: true }],
  ['check', { action: 'complete_item', alone: false }],
  ['tick', { action: 'complete_item', alone: false }],
  ['mark', { action: 'complete_item', alone: false }],
])
const lead = new Set(
  'please can could would you will i want to need hey hi ok okay ganglion kindly like just and'.split(' '),
)
const links = new Set(['to', 'on', 'onto', 'from', 'off', 'in', 'into', 'of'])
const articles = new Set(['the', 'my', 'our', 'your', 'a'])
const tail = new Set([
  'please',
  'thanks',
  'thank',
  'you',
  'now',
  '.',
  '!',
  '?',
  ',',
  'done',
  'as',
  'complete',
  'completed',
])

/** The clause as one about a list; undefined where it is not. */
export function interpretTodo(
  text: string,
  tokens: readonly Token[],
  scene: Scene,
): Interpretation | undefined {
  const at = tokens.findIndex((token) => !lead.has(token.text))
  const verb = verbs.get(tokens[at]?.text ?? '')
  if (verb === undefined) return undefined
  const lists = scene.index.entities.filter((entity) => entity.info.kind === 'todo')
  const end = tokens.findLastIndex((token) => !tail.has(token.text)) + 1
  const from = skipParticle(tokens, at + 1)
  const split = findList(tokens, from, end, lists)
  if (split === undefined && !(verb.alone && lists.length > 0)) return undefined
  const spoken = itemText(text, tokens, from, split?.at ?? end)
  const found = split?.lists ?? lists
  if (lists.length === 0) return { kind: 'refusal', reply: 'There is no list here.' }
  if (found.length !== 1) return whichList(found, lists, split?.name)
  const list = found[0] as EntityWords
  if (spoken === '') return { kind: 'question', reply: `Which item of ${list.info.name}?`, options: [] }
  return step(verb.action, list, spoken, scene.live.get(list.info.id))
}

/** `cross off milk`, `check off milk`. */
function skipParticle(tokens: readonly Token[], at: number): number {
  return tokens[at]?.text === 'off' ? at + 1 : at
}

/** The last `to|on|from … <list>` that ends the clause, and which lists it may be. */
function findList(
  tokens: readonly Token[],
  from: number,
  end: number,
  lists: readonly EntityWords[],
): { at: number; name: string; lists: readonly EntityWords[] } | undefined {
  for (let at = end - 1; at > from; at -= 1) {
    if (!links.has(tokens[at]?.text ?? '')) continue
    const words = tokens.slice(at + 1, end).map((token) => token.text)
    while (articles.has(words[0] ?? '')) words.shift()
    const said = words.filter((word) => word !== 'list' && word !== 'lists')
    const saysList = said.length < words.length
    const named = lists.filter(
      (list) => said.length > 0 && said.every((word) => list.nameStems.has(stem(word))),
    )
    if (named.length > 0) return { at: startOfLink(tokens, at), name: said.join(' '), lists: named }
    if (saysList)
      return { at: startOfLink(tokens, at), name: said.join(' '), lists: said.length === 0 ? lists : [] }
  }
  return undefined
}

/** `off of my list`: the first of two links. */
function startOfLink(tokens: readonly Token[], at: number): number {
  return links.has(tokens[at - 1]?.text ?? '') ? at - 1 : at
}

function itemText(text: string, tokens: readonly Token[], from: number, to: number): string {
  const first = tokens[from]
  const last = tokens[to - 1]
  if (first === undefined || last === undefined || to <= from) return ''
  return text
    .slice(first.start, last.end)
    .replace(/^some\s+/i, '')
    .replace(/\s+as\s+(?:done|complete|completed|bought)$/i, '')
    .trim()
}

function whichList(
  found: readonly EntityWords[],
  lists: readonly EntityWords[],
  said: string | undefined,
): Interpretation {
  const options = (found.length > 0 ? found : lists).map((list) => list.info.name)
  const missing = found.length === 0 && said !== undefined ? `There is no list “${said}”. ` : ''
  return { kind: 'question', reply: `${missing}Which list: ${listed(options)}?`, options }
}

/** Open items of a list, as its report gives them; undefined where it gives none. */
export function itemsOf(entity: Entity | undefined): string[] | undefined {
  const items = entity?.telemetry.attributes['todo_items']
  if (!Array.isArray(items)) return undefined
  return items.flatMap((item) => openItem(item) ?? [])
}

function openItem(item: Json): string | undefined {
  if (typeof item === 'string') return item
  if (item === null || typeof item !== 'object' || Array.isArray(item)) return undefined
  return item['status'] === 'completed' || typeof item['summary'] !== 'string' ? undefined : item['summary']
}

const done: Readonly<Record<Action, string>> = {
  add_item: 'is on',
  remove_item: 'is no longer on',
  complete_item: 'is done on',
}

function step(action: Action, list: EntityWords, spoken: string, live: Entity | undefined): Interpretation {
  const items = itemsOf(live)
  const known = items?.find((item) => item.toLowerCase() === spoken.toLowerCase())
  if (action !== 'add_item' && items !== undefined && known === undefined)
    return { kind: 'refusal', reply: `“${spoken}” is not on ${list.info.name}.` }
  const item = action === 'add_item' ? spoken : (known ?? spoken)
  return {
    kind: 'steps',
    place: undefined,
    steps: [
      {
        entity: list.info.id,
        command: { action, item },
        effect: '',
        sentence: `“${item}” ${done[action]} ${list.info.name}`,
        intent: `todo.${action}`,
      },
    ],
  }
}
