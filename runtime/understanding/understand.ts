/**
 * Utterance and home to what it means: commands, an answer, a question back, or a refusal. Pure and deterministic:
 * the same words, home and context give the same. Nothing moves unless every part of what was said is understood.
 */

import type { HomeView } from '../things/entity.ts'
import { wireLimits } from '../wire/limits.ts'
import type { Reading } from '../wire/messages.ts'
import { type Clause, clausesOf } from './clause.ts'
import { type HomeIndex, indexOf } from './home-index.ts'
import { answer } from './intents/question.ts'
import { interpretTodo } from './intents/todo.ts'
import { interpret } from './interpret.ts'
import type { Interpretation, Scene } from './interpretation.ts'
import { normalise, type Token } from './normalise.ts'
import { type Group, replyFor } from './reply.ts'
import { tag } from './tag.ts'
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
  const list = interpretTodo(text, tokens, scene)
  if (list) return result([{ clause: undefined, found: list }], text, scene)
  return command(text, tokens, index, scene)
}

interface Read {
  readonly clause: Clause | undefined
  readonly found: Interpretation
}

function command(text: string, tokens: readonly Token[], index: HomeIndex, scene: Scene): Understanding {
  const clauses = clausesOf(tag(tokens, index, index.phrases), text)
  if (clauses.length === 0) return refusal('I heard nothing to do.')
  const reads = clauses.map((clause) => {
    const others = clauses
      .filter((other) => other !== clause && other.act === clause.act)
      .flatMap((other) => other.target)
    return { clause, found: interpret(clause, scene, others) }
  })
  return result(reads, text, scene)
}

/** Commands only where every part gives some; else what is missing in the first part that gives none. */
function result(reads: readonly Read[], text: string, scene: Scene): Understanding {
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
