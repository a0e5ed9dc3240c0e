/**
 * Utterance and home to what it means: commands, an answer, a question back, or a refusal. Pure and deterministic:
 * the same words, home and context give the same. Nothing moves unless every part of what was said is understood.
 */

import type { HomeView } from '../things/entity.ts'
import { wireLimits } from '../wire/limits.ts'
import type { Reading } from '../wire/messages.ts'
import { type Clause, hasAct } from './clause.ts'
import { indexOf } from './home-index.ts'
import { answer } from './intents/question.ts'
import { interpretTodo } from './intents/todo.ts'
import { interpret } from './interpret.ts'
import type { Interpretation, Scene } from './interpretation.ts'
import { mend } from './mend.ts'
import { normalise, type Token } from './normalise.ts'
import { clausesOf } from './read-clause.ts'
import { type Group, replyFor } from './reply.ts'
import { type TargetWord, tag } from './tag.ts'
import type { Understanding, UnderstandingContext } from './understanding.ts'

/** Says what an utterance means in a home. Never throws. */
export function understand(text: string, home: HomeView, context: UnderstandingContext): Understanding {
  if (text.length > wireLimits.utteranceCharsMax)
    return refusal(`That is too long: at most ${wireLimits.utteranceCharsMax} characters.`)
  const tokens = normalise(text)
  if (tokens.every((token) => token.text.length === 1 && /[^\p{L}\p{N}]/u.test(token.text)))
    return refusal('I heard no words.')
  const index = indexOf(home)
  const scene: Scene = {
    index,
    live: new Map(home.entities.map((entity) => [entity.info.id, entity])),
    context,
  }
  const answered = answer(text, tokens, scene)
  if (answered) return answered
  return result(readAll(text, tokens, scene), text, scene)
}

/** Lists and other things to do, in the order in which they were said. */
function readAll(text: string, tokens: readonly Token[], scene: Scene): Read[] {
  const lists = scene.index.entities.some((entity) => entity.info.kind === 'todo')
  const around = lists ? readAroundList(text, tokens, scene) : undefined
  if (around) return around
  const list = interpretTodo(text, tokens, scene)
  return list ? [{ clause: undefined, found: list.found }] : readCommands(text, tokens, scene)
}

/**
 * `add eggs to the groceries and turn on the light`, or the other way round. `salt and pepper` is one item: what
 * follows `and` is something else to do only where it is understood as that by itself.
 */
function readAroundList(text: string, tokens: readonly Token[], scene: Scene): Read[] | undefined {
  if (tokens.filter((token) => boundaries.has(token.text)).length > boundariesMax) return undefined
  for (const [at, token] of tokens.entries()) {
    if (!boundaries.has(token.text)) continue
    const before = tokens.slice(0, at)
    const after = tokens.slice(at + 1)
    while (boundaries.has(after[0]?.text ?? '')) after.shift()
    if (before.length === 0 || after.length === 0) continue
    const list = interpretTodo(text, before, scene)
    const last = interpretTodo(text, after, scene)
    if (list === undefined && last?.found.kind !== 'steps') continue
    const first = list ? [{ clause: undefined, found: list.found }] : readCommands(text, before, scene)
    const more = list?.verb && interpretTodo(text, [list.verb, ...after], scene)
    if (list?.named && more?.named && last === undefined)
      return [...first, { clause: undefined, found: more.found }]
    const rest = readAll(text, after, scene)
    if (list?.named ? isClause(rest) : isDone(rest) && isDone(first)) return [...first, ...rest]
  }
  return undefined
}

/** Parts that are tried: each may be split again, so with many the time would grow without bound. */
const boundariesMax = 6
const boundaries = new Set(['and', ',', ';', '.', 'then', 'also'])

function isDone(reads: readonly Read[]): boolean {
  return reads.every(({ found }) => found.kind === 'steps')
}

/** Something to do of its own, even if it cannot be done. */
function isClause(reads: readonly Read[]): boolean {
  return reads.every(
    ({ clause, found }) => found.kind === 'steps' || (clause !== undefined && hasAct(clause)),
  )
}

interface Read {
  readonly clause: Clause | undefined
  readonly found: Interpretation
}

function readCommands(text: string, tokens: readonly Token[], scene: Scene): Read[] {
  const { index } = scene
  const clauses = clausesOf(tag(mend(tokens, index), index, index.phrases), text)
  const reads: Read[] = []
  for (const clause of clauses) {
    const words = clauses
      .filter((other) => other !== clause && other.act === clause.act)
      .flatMap((other) => other.target)
    const lastPlace = clause === clauses.at(-1) ? [] : placeAtEnd(clauses.at(-1))
    const area = areaOf(reads.at(-1), scene)
    reads.push({ clause, found: interpret(clause, scene, { words, lastPlace, area }) })
  }
  return reads
}

/** `the blinds in the bedroom`: a name behind the thing. */
function placeAtEnd(clause: Clause | undefined): TargetWord[] {
  const target = clause?.target ?? []
  const noun = target.findLastIndex((word) => word.noun !== undefined)
  return noun < 0 ? [] : target.slice(noun + 1).filter(({ bound }) => bound)
}

/** The one area of what a part was about. */
function areaOf(read: Read | undefined, scene: Scene): string | undefined {
  if (read?.found.kind !== 'steps') return undefined
  const areas = new Set(read.found.steps.map((step) => scene.live.get(step.entity)?.info.area))
  return areas.size === 1 ? [...areas][0] : undefined
}

/** Commands only where every part gives some; else what is missing in the first part that gives none. */
function result(reads: readonly Read[], text: string, scene: Scene): Understanding {
  if (reads.length === 0) return refusal('I heard nothing to do.')
  const reading = readingOf(reads, text)
  const groups: Group[] = []
  for (const { clause, found } of reads) {
    const where = reads.length > 1 && clause ? `“${clause.text}”: ` : ''
    if (found.kind === 'question')
      return { kind: 'question', reading, reply: where + found.reply, options: found.options }
    if (found.kind === 'refusal') return { kind: 'refusal', reading, reply: where + found.reply }
    groups.push(found)
  }
  return {
    kind: 'commands',
    reading,
    commands: groups.flatMap((group) => group.steps.map(({ entity, command }) => ({ entity, command }))),
    reply: replyFor(groups, (id) => scene.live.get(id)?.info),
  }
}

function readingOf(reads: readonly Read[], text: string): Reading {
  const intents = new Set<string>()
  const words = reads.flatMap(({ clause, found }) => {
    const said = clause?.words ?? []
    if (found.kind !== 'steps') return said
    for (const step of found.steps) intents.add(step.intent)
    const means = found.steps.map((step) => step.entity).join(' ')
    return [...said, { text: clause?.text ?? text, role: 'entities', means }]
  })
  return { intent: [...intents].join(' + ') || 'none', words }
}

function refusal(reply: string): Understanding {
  return { kind: 'refusal', reading: { intent: 'none', words: [] }, reply }
}
