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
interface Verb {
  readonly action: Action
  readonly alone: boolean
  /** How many words it is. */
  readonly words: number
}
const verbTable: readonly (readonly [string, { action: Action; alone: boolean }])[] = [
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
  ['remember', { action: 'add_item', alone: false }],
  ['note', { action: 'add_item', alone: false }],
  ['get', { action: 'add_item', alone: false }],
]
const verbs: ReadonlyMap<string, Verb> = new Map(
  verbTable.map(([word, verb]) => [word, { ...verb, words: 1 }]),
)
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

interface Spoken {
  readonly action: Action
  readonly item: string
  readonly lists: readonly EntityWords[]
  /** How the list was called, where it was said at all. */
  readonly name: string | undefined
}

export interface TodoRead {
  readonly found: Interpretation
  /** Whether a list was named, and not only meant. */
  readonly named: boolean
  /** What to do with an item, for another that follows: `… and eggs to the other list`. */
  readonly verb: Token | undefined
}

/** The clause as one about a list; undefined where it is not. */
export function interpretTodo(text: string, tokens: readonly Token[], scene: Scene): TodoRead | undefined {
  const lists = scene.index.entities.filter((entity) => entity.info.kind === 'todo')
  const spoken = read(text, tokens, lists)
  if (spoken === undefined) return undefined
  const verb = tokens.find((token) => verbs.has(token.text))
  return { found: resolveList(spoken, lists, scene), named: spoken.name !== undefined, verb }
}

function resolveList(spoken: Spoken, lists: readonly EntityWords[], scene: Scene): Interpretation {
  if (lists.length === 0) return { kind: 'refusal', reply: 'There is no list here.' }
  if (spoken.lists.length !== 1) return whichList(spoken.lists, lists, spoken.name)
  const list = spoken.lists[0] as EntityWords
  if (spoken.item === '') return { kind: 'question', reply: `Which item of ${list.info.name}?`, options: [] }
  return step(spoken.action, list, spoken.item, scene.live.get(list.info.id))
}

function read(text: string, tokens: readonly Token[], lists: readonly EntityWords[]): Spoken | undefined {
  const begin = tokens.findIndex((token) => !lead.has(token.text))
  const end = tokens.findLastIndex((token) => !tail.has(token.text)) + 1
  if (begin < 0) return undefined
  const pointed = readPointed(text, tokens, end, lists)
  if (pointed) return pointed
  const first = listAt(tokens, begin, end, lists)
  const said = first ? skipPunctuation(tokens, first.end) : begin
  const needs = tokens.slice(0, begin).some((token) => /^(?:need|want)$/.test(token.text))
  const verb = verbs.get(tokens[said]?.text ?? '') ?? newItem(tokens, said)
  if (verb === undefined) return needs ? readNeed(text, tokens, begin, end, lists) : undefined
  const from = skipItemWord(tokens, skipParticle(tokens, said + verb.words))
  if (first)
    return {
      action: verb.action,
      item: itemText(text, tokens, from, end),
      lists: first.lists,
      name: first.name,
    }
  const ahead = links.has(tokens[from]?.text ?? '') ? listAt(tokens, from + 1, end, lists) : undefined
  if (ahead)
    return {
      action: verb.action,
      item: itemText(text, tokens, skipPunctuation(tokens, ahead.end), end),
      lists: ahead.lists,
      name: ahead.name,
    }
  const split = findList(tokens, from, end, lists)
  if (split === undefined && !(verb.alone && lists.length > 0)) return undefined
  const item = itemText(text, tokens, from, split?.at ?? end)
  return { action: verb.action, item, lists: split?.lists ?? lists, name: split?.name }
}

/** `I need milk on the shopping list`. */
function readNeed(
  text: string,
  tokens: readonly Token[],
  from: number,
  end: number,
  lists: readonly EntityWords[],
): Spoken | undefined {
  const split = findList(tokens, from, end, lists)
  if (split === undefined || split.name === undefined) return undefined
  return {
    action: 'add_item',
    item: itemText(text, tokens, from, split.at),
    lists: split.lists,
    name: split.name,
  }
}

/** `I need to buy bananas, put it on the shopping list`: the item was said before. */
function readPointed(
  text: string,
  tokens: readonly Token[],
  end: number,
  lists: readonly EntityWords[],
): Spoken | undefined {
  const at = tokens.findIndex(
    (token, index) =>
      verbs.get(token.text)?.action === 'add_item' && pointers.has(tokens[index + 1]?.text ?? ''),
  )
  const said = tokens
    .slice(0, Math.max(0, at))
    .findLastIndex((token) => !/^(?:[,;.]|and|so|please)$/.test(token.text))
  const split = at > 0 && said >= 0 ? findList(tokens, at + 1, end, lists) : undefined
  if (split === undefined) return undefined
  let from = tokens.findIndex((token) => !lead.has(token.text))
  while (from < said && needWords.has(tokens[from]?.text ?? '')) from += 1
  return {
    action: 'add_item',
    item: itemText(text, tokens, from, said + 1),
    lists: split.lists,
    name: split.name,
  }
}

const pointers = new Set(['it', 'that', 'them', 'those', 'this', 'these'])
/** How one says that something is missing, before what it is. */
const needWords = new Set(
  'are am is out of low on running run have got to buy get do not any more no some we i us need'.split(' '),
)

/** `new item`, `new task`. */
function newItem(tokens: readonly Token[], at: number): Verb | undefined {
  const isNew = tokens[at]?.text === 'new' && itemWords.has(tokens[at + 1]?.text ?? '')
  return isNew ? { action: 'add_item', alone: true, words: 1 } : undefined
}

const itemWords = new Set(['item', 'items', 'task', 'entry', 'thing'])

/** `add an item to the list called`: the word says nothing of what it is. */
function skipItemWord(tokens: readonly Token[], at: number): number {
  let next = at
  while (/^(?:a|an|the|new|another)$/.test(tokens[next]?.text ?? '')) next += 1
  return itemWords.has(tokens[next]?.text ?? '') && links.has(tokens[next + 1]?.text ?? '') ? next + 1 : at
}

function skipPunctuation(tokens: readonly Token[], at: number): number {
  let next = at
  while (/^(?:[,;.]|called|named)$/.test(tokens[next]?.text ?? '')) next += 1
  return next
}

/** A list's name that begins at `at`. */
function listAt(
  tokens: readonly Token[],
  at: number,
  end: number,
  lists: readonly EntityWords[],
): { end: number; name: string; lists: readonly EntityWords[] } | undefined {
  let from = at
  while (articles.has(tokens[from]?.text ?? '')) from += 1
  let found: ReturnType<typeof listAt>
  for (let to = from + 1; to <= end && to <= from + 4; to += 1) {
    const words = tokens.slice(from, to).map((token) => token.text)
    const named = listsCalled(words, lists)
    if (named !== undefined && named.length > 0) found = { end: to, name: words.join(' '), lists: named }
  }
  return found
}

/** The lists that words may name; undefined where they name none and do not say `list` either. */
function listsCalled(
  words: readonly string[],
  lists: readonly EntityWords[],
): readonly EntityWords[] | undefined {
  const said = words.filter((word) => word !== 'list' && word !== 'lists')
  if (said.length === 0) return words.length > 0 ? lists : undefined
  const named = lists.filter((list) => said.every((word) => list.name.some((own) => sameWord(own, word))))
  if (named.length > 0) return named
  return said.length < words.length ? [] : undefined
}

/** `grocery` and `groceries`. */
function sameWord(a: string, b: string): boolean {
  const singular = (word: string) => stem(word.replace(/ies$/, 'y'))
  return stem(a) === stem(b) || singular(a) === singular(b)
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
    const named = listsCalled(words, lists)
    const name = words.filter((word) => word !== 'list' && word !== 'lists').join(' ')
    if (named !== undefined) return { at: startOfLink(tokens, at), name, lists: named }
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
    .replace(/^(?:to\s+)?(?:(?:buy|get)\s+)?(?:some\s+)?/i, '')
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
