/**
 * One clause to commands: the rules that its slots allow, the entities that its words mean, one command each.
 * Where words leave several entities, the order is: what the rule can do, what makes sense now, where the speaker is;
 * what is then still several is asked about, never guessed.
 */
import type { Command } from '../../hal/contract/actuator.ts'
import type { Entity } from '../things/entity.ts'
import { type Clause, hasAct } from './clause.ts'
import { type EntityWords, type HomeIndex, isActuator } from './home-index.ts'
import { rules } from './intents/index.ts'
import type { Act, Rule } from './intents/rule.ts'
import { nouns } from './kinds.ts'
import {
  bestMatches,
  isCollective,
  isPlaceOnly,
  isPlural,
  type Match,
  rank,
  tell,
  unknownWords,
} from './resolve.ts'
import { type SlotName, slotNames } from './slots.ts'
import { nearestNames } from './spelling.ts'
import type { TargetWord } from './tag.ts'
import type { UnderstandingContext } from './understanding.ts'

export interface Step {
  readonly entity: string
  readonly command: Command
  /** What is true of it once it is done: `on`, `at 50 %`. */
  readonly effect: string
  /** Said instead of `<name> is <effect>`. */
  readonly sentence?: string
  readonly intent: string
}

export type Interpretation =
  | { readonly kind: 'steps'; readonly steps: readonly Step[]; readonly place: string | undefined }
  | { readonly kind: 'question'; readonly reply: string; readonly options: readonly string[] }
  | { readonly kind: 'refusal'; readonly reply: string }

export interface Scene {
  readonly index: HomeIndex
  readonly live: ReadonlyMap<string, Entity>
  readonly context: UnderstandingContext
}

type Chosen = { readonly chosen: readonly EntityWords[] } | Exclude<Interpretation, { kind: 'steps' }>

const refuse = (reply: string): Interpretation & { kind: 'refusal' } => ({ kind: 'refusal', reply })
const ask = (reply: string, options: readonly string[]): Interpretation & { kind: 'question' } => ({
  kind: 'question',
  reply,
  options,
})

const stopReplies = {
  not: 'I only do what I am asked to do, so nothing is changed.',
  except: 'I cannot leave things out or choose between them yet; name what shall change.',
  later: 'I cannot do things later or on a condition yet, only now.',
  conflict: 'That asks for two different things at once.',
} as const

/** Reads one clause; `others` are the words of its neighbours, from which a missing noun or area may be borrowed. */
export function interpret(clause: Clause, scene: Scene, others: readonly TargetWord[]): Interpretation {
  if (clause.stop) return refuse(`${stopReplies[clause.stop.kind]} (“${clause.stop.phrase}”)`)
  const unknown = unknownWords(clause.target)
  if (unknown.length > 0) return notKnown(unknown, scene)
  if (!hasAct(clause)) return ask(`What should I do with “${clause.text}”?`, [])
  const fitting = rules.filter((rule) => fits(rule, clause))
  if (fitting.length === 0) return refuse(`I do not know how to do that: “${clause.text}”.`)
  const found = choose(clause, fitting, scene)
  if ('chosen' in found) return act(clause, found.chosen, fitting, scene)
  return retry(clause, fitting, scene, others) ?? found
}

function fits(rule: Rule, clause: Clause): boolean {
  const filled = slotNames.filter((name: SlotName) => clause.slots[name] !== undefined)
  return filled.every((name) => rule.uses.includes(name)) && rule.when(clause.slots)
}

/** `the kitchen and bedroom fans`: the first part has no noun of its own. */
function retry(
  clause: Clause,
  fitting: readonly Rule[],
  scene: Scene,
  others: readonly TargetWord[],
): Interpretation | undefined {
  const own = new Set(clause.target.map(({ word }) => word))
  const extra = others.filter(({ word }) => !own.has(word))
  const places = extra.filter(({ noun }) => noun === undefined)
  const borrowable = clause.target.some(({ noun }) => noun) ? places : extra.filter(({ noun }) => noun)
  if (borrowable.length === 0 || clause.target.length === 0) return undefined
  const found = choose({ ...clause, target: [...clause.target, ...borrowable] }, fitting, scene)
  return 'chosen' in found ? act(clause, found.chosen, fitting, scene) : undefined
}

function choose(clause: Clause, fitting: readonly Rule[], scene: Scene): Chosen {
  const { index } = scene
  const place = isPlaceOnly(clause.target, index.entities)
  if (clause.everything) return chooseImplied(clause, fitting, scene, true)
  if (clause.target.length === 0) return chooseImplied(clause, fitting, scene, false)
  const kinds = new Set(fitting.map((rule) => rule.kind))
  const able = index.entities.filter((entity) => kinds.has(entity.info.kind as Rule['kind']))
  const matches = bestMatches(clause.target, able)
  const named = matches.some((match) => match.rank <= rank.full)
  if (place && !named) return chooseImplied(clause, fitting, scene, false)
  if (matches.length === 0) return notFound(clause, scene)
  return narrow(clause, matches, fitting, scene)
}

/** No thing is named: the rules that can do without say which kind it is, and the area or the speaker's place where. */
function chooseImplied(clause: Clause, fitting: readonly Rule[], scene: Scene, everything: boolean): Chosen {
  const { index, context } = scene
  const place = clause.target.length > 0
  const somewhere = place || everything || clause.home || clause.here || context.area !== undefined
  const implied = fitting.filter(
    (rule) => rule.implied === 'nothing' || (rule.implied === 'area' && somewhere),
  )
  const kind = implied[0]?.kind
  // `turn it off`: what `it` is was never said, wherever the speaker is.
  const bare = !place && !everything && !clause.home && !clause.here
  if (kind === undefined || (bare && implied[0]?.implied === 'area' && !sayable(clause)))
    return ask(`${capital(verbOf(clause))} what?`, [])
  const noun: TargetWord = { word: wordOf[kind] ?? kind, known: true, noun: nounFor(kind) }
  const able = index.entities.filter((entity) => entity.info.kind === kind)
  const matches = bestMatches([...clause.target, noun], able)
  if (matches.length === 0) return notFound({ ...clause, target: [...clause.target, noun] }, scene)
  const all = clause.all || everything
  return narrow({ ...clause, all, target: [...clause.target, noun] }, matches, fitting, scene)
}

/** Whether what is asked for by itself says which kind it is about: `brighter`, `50 % brightness`, `red`. */
function sayable({ slots }: Clause): boolean {
  return slots.attribute !== undefined || slots.rgb !== undefined || slots.kelvin !== undefined
}

const wordOf: Partial<Record<string, string>> = {
  light: 'lights',
  climate: 'thermostat',
  media_player: 'player',
}

function nounFor(kind: string): NonNullable<TargetWord['noun']> {
  const word = wordOf[kind]
  return (
    nouns.get(word ?? kind) ?? {
      noun: { name: word ?? kind, kinds: [kind as Rule['kind']] },
      plural: false,
    }
  )
}

function narrow(clause: Clause, matches: readonly Match[], fitting: readonly Rule[], scene: Scene): Chosen {
  const several = clause.all || clause.both || isPlural(clause.target) || isCollective(clause.target)
  const entities = matches.map((match) => match.words)
  const best = Math.min(...matches.map((match) => match.rank))
  if (entities.length === 1) return { chosen: entities }
  const one = fitting.find((rule) => rule.kind === entities[0]?.info.kind)
  if (one?.oneAtATime) return which(clause, entities)
  if (clause.both) return entities.length === 2 ? { chosen: entities } : which(clause, entities)
  if (clause.here) return inArea(clause, entities, scene.context.area, several) ?? notHere(clause, scene)
  if (clause.home || clause.all) return { chosen: entities }
  const placed = matches.every((match) => match.area !== 'none' || match.floor)
  if (best >= rank.part && several && placed && oneplace(clause, matches)) return { chosen: entities }
  const here = inArea(clause, entities, scene.context.area, several)
  if (here && !placed) return here
  if (several && best >= rank.part && new Set(entities.map((entity) => entity.area?.id)).size === 1)
    return { chosen: entities }
  if (best === rank.part && isPlural(clause.target)) return { chosen: entities }
  return sensible(clause, entities, fitting, scene) ?? here ?? which(clause, entities)
}

/** Several areas are meant only if they were named together: a floor, or `the bedrooms`. */
function oneplace(clause: Clause, matches: readonly Match[]): boolean {
  const areas = new Set(matches.map((match) => match.words.area?.id))
  if (areas.size <= 1 || matches.every((match) => match.floor)) return true
  return clause.target.some(({ word, noun }) => noun === undefined && word.endsWith('s') && word.length > 4)
    ? clause.target.some(({ word }) => word === 'bedrooms' || word === 'bathrooms' || word === 'rooms')
    : false
}

function inArea(
  clause: Clause,
  entities: readonly EntityWords[],
  area: string | undefined,
  several: boolean,
): Chosen | undefined {
  if (area === undefined) return undefined
  const here = entities.filter((entity) => entity.info.area === area)
  if (here.length === 0) return undefined
  return here.length === 1 || several ? { chosen: here } : which(clause, here)
}

/** The only one that can do it, or the only one for which it makes sense now. */
function sensible(
  clause: Clause,
  entities: readonly EntityWords[],
  fitting: readonly Rule[],
  scene: Scene,
): Chosen | undefined {
  const able = entities.filter((entity) => {
    const done = tryRule(entity, clause, fitting, scene)
    return done !== undefined && 'command' in done.act
  })
  if (able.length === 1) return { chosen: able }
  const now = (able.length > 0 ? able : entities).filter((entity) => {
    const live = scene.live.get(entity.info.id)
    const rule = fitting.find((candidate) => candidate.kind === entity.info.kind)
    return live !== undefined && rule?.prefers?.(live, clause.slots) === true
  })
  return now.length === 1 ? { chosen: now } : undefined
}

function tryRule(
  entity: EntityWords,
  clause: Clause,
  fitting: readonly Rule[],
  scene: Scene,
): { rule: Rule; act: Act } | undefined {
  const live = scene.live.get(entity.info.id)
  const rule = fitting.find((candidate) => candidate.kind === entity.info.kind)
  if (live === undefined || rule === undefined) return undefined
  return { rule, act: rule.act(live, clause.slots) }
}

function act(
  clause: Clause,
  chosen: readonly EntityWords[],
  fitting: readonly Rule[],
  scene: Scene,
): Interpretation {
  const steps: Step[] = []
  let reason: string | undefined
  for (const entity of chosen) {
    const done = tryRule(entity, clause, fitting, scene)
    if (done === undefined) continue
    if ('command' in done.act)
      steps.push({
        entity: entity.info.id,
        command: done.act.command,
        effect: done.act.effect,
        intent: done.rule.intent,
      })
    else reason ??= 'impossible' in done.act ? done.act.impossible : done.act.ask
  }
  if (steps.length === 0) return refuse(`${reason ?? 'Nothing there can do that'}.`)
  const places = new Set(chosen.map((entity) => entity.area?.name))
  return { kind: 'steps', steps, place: places.size === 1 ? [...places][0] : undefined }
}

function which(clause: Clause, entities: readonly EntityWords[]): Chosen {
  const options = entities.map((entity) => tell(entity, entities))
  return ask(`Which one should I ${verbOf(clause)}: ${listed(options)}?`, options)
}

function notHere(clause: Clause, { context, index }: Scene): Chosen {
  if (context.area === undefined)
    return ask(
      'Which room do you mean?',
      index.areas.map((area) => area.name),
    )
  const area = index.areas.find(({ id }) => id === context.area)?.name ?? context.area
  return refuse(`There is no ${nounName(clause)} in ${area}.`)
}

function notKnown(words: readonly string[], { index }: Scene): Interpretation {
  const names = [
    ...index.entities.filter(isActuator).map((entity) => entity.info.name),
    ...index.areas.map((area) => area.name),
  ]
  const near = nearestNames(words[0] ?? '', names, 3)
  const hint = near.length > 0 ? ` Did you mean ${listed(near, 'or')}?` : ''
  return refuse(`I do not know “${words.join(' ')}” here.${hint}`)
}

function notFound(clause: Clause, { index }: Scene): Chosen {
  const able = index.entities.filter(isActuator)
  const other = bestMatches(clause.target, able)[0]
  if (other)
    return refuse(
      `${other.words.info.name} is a ${kindName(other.words)}: I cannot ${verbOf(clause)} it that way.`,
    )
  const said = clause.target.map(({ word }) => word).join(' ')
  const noun = nounName(clause)
  const place = index.areas.find((area) =>
    area.name
      .toLowerCase()
      .split(/\s+/)
      .every((word) => said.includes(word)),
  )
  if (noun !== undefined && place) return refuse(`There is no ${noun} in ${place.name}.`)
  return refuse(`There is no “${said}” here that I could ${verbOf(clause)}.`)
}

function nounName(clause: Clause): string | undefined {
  return clause.target.findLast(({ noun }) => noun)?.noun?.noun.name
}

function kindName(entity: EntityWords): string {
  return entity.info.kind.replace('_', ' ')
}

function verbOf({ slots }: Clause): string {
  if (slots.state) return `turn ${slots.state}`
  if (slots.verb === 'next' || slots.verb === 'previous') return 'skip on'
  if (slots.verb === 'clean') return 'start'
  if (slots.verb === 'dock') return 'send home'
  if (slots.verb) return slots.verb
  return slots.direction ? `turn ${slots.direction}` : 'set'
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** `a, b and c`. */
export function listed(names: readonly string[], last = 'or'): string {
  const few = names.slice(0, 6)
  if (names.length > few.length) return `${few.join(', ')} … (${names.length} in all)`
  return few.length < 2 ? few.join('') : `${few.slice(0, -1).join(', ')} ${last} ${few.at(-1)}`
}
