/**
 * Which entities a clause means. Where its words leave several, the order is: those of the speaker's room, all that
 * were said together, what the rule can do, what makes sense now; what is then still several is asked about, never
 * guessed.
 */
import type { Clause } from './clause.ts'
import { type EntityWords, stem } from './home-index.ts'
import type { Act, Rule } from './intents/rule.ts'
import { ask, type Chosen, type Scene } from './interpretation.ts'
import { accepts, nouns } from './kinds.ts'
import { bestMatches, isCollective, isPlaceOnly, isPlural, type Match, rank } from './resolve.ts'
import type { TargetWord } from './tag.ts'
import { capital, notFound, notHere, verbOf, which } from './wording.ts'

export function choose(clause: Clause, fitting: readonly Rule[], scene: Scene): Chosen {
  const { index } = scene
  const place = isPlaceOnly(clause.target, index.entities)
  if (clause.everything) return chooseImplied(clause, fitting, scene, true)
  if (clause.target.length === 0) return chooseImplied(clause, fitting, scene, false)
  const kinds = new Set(fitting.map((rule) => rule.kind))
  const able = index.entities.filter((entity) => kinds.has(entity.info.kind as Rule['kind']))
  const matches = bestMatches(clause.target, able, clause.all)
  const named = matches.some((match) => match.rank <= rank.full)
  const byNoun = matches.filter(({ words }) =>
    clause.target.some(({ noun }) => noun && accepts(noun.noun, words.info, words.nameWords)),
  )
  // `close the garage`: a place, and the name of its door.
  if (place && !named && byNoun.length > 0) return narrow(clause, byNoun, fitting, scene)
  if (place && !named) return chooseInPlace(clause, matches, fitting, scene)
  if (matches.length === 0) return notFound(clause, scene)
  return narrow(clause, matches, fitting, scene)
}

/** Only a place is named: what the rules imply there, else the one device that carries its name (`close the barn`). */
function chooseInPlace(
  clause: Clause,
  matches: readonly Match[],
  fitting: readonly Rule[],
  scene: Scene,
): Chosen {
  const implied = chooseImplied(clause, fitting, scene, false)
  if ('chosen' in implied) return implied
  const called = matches.filter(({ words }) =>
    clause.target.every(({ word }) => words.nameStems.has(stem(word))),
  )
  return called.length === 1 && matches.length === 1 ? narrow(clause, called, fitting, scene) : implied
}

/** No thing is named: the rules that can do without say which kind it is, and the area or the speaker's place where. */
function chooseImplied(clause: Clause, fitting: readonly Rule[], scene: Scene, everything: boolean): Chosen {
  const { index, context } = scene
  const place = clause.target.length > 0
  const somewhere = place || everything || clause.home || clause.here || context.area !== undefined
  const implied = fitting.filter(
    (rule) =>
      rule.implied === 'nothing' ||
      (rule.implied === 'area' && somewhere) ||
      (rule.implied === 'all' && !clause.it),
  )
  const kind = implied[0]?.kind
  // `turn it off`: what `it` is was never said, wherever the speaker is.
  const bare = !place && !everything && !clause.home && !clause.here
  if (kind === undefined || (bare && implied[0]?.implied === 'area' && !sayable(clause)))
    return ask(`${capital(verbOf(clause))} what?`, [])
  if (place && kind === 'light' && isBareNumber(clause) && hasClimate(clause.target, index.entities))
    return ask(`Do you mean ${clause.slots.amount?.value} percent brightness or degrees?`, [
      'percent',
      'degrees',
    ])
  const noun: TargetWord = { word: unspoken, known: true, noun: nounFor(kind) }
  const able = index.entities.filter((entity) => entity.info.kind === kind)
  const matches = bestMatches([...clause.target, noun], able)
  if (matches.length === 0) return notFound({ ...clause, target: [...clause.target, noun] }, scene)
  const all = clause.all || everything || implied[0]?.implied === 'all'
  return narrow({ ...clause, all, target: [...clause.target, noun] }, matches, fitting, scene)
}

/** All of a kind, in the place that was named, or everywhere. */
export function chooseEvery(
  clause: Clause,
  fitting: readonly Rule[],
  kind: Rule['kind'],
  scene: Scene,
): Chosen {
  const noun: TargetWord = {
    word: unspoken,
    known: true,
    noun: { noun: { name: kind, kinds: [kind] }, plural: true },
  }
  const target = [...clause.target, noun]
  const able = scene.index.entities.filter((entity) => entity.info.kind === kind)
  const matches = bestMatches(target, able)
  if (matches.length === 0) return notFound({ ...clause, target }, scene)
  return narrow({ ...clause, target, all: true }, matches, fitting, scene)
}

/** `the office to 20`: light or heat? */
function isBareNumber({ slots }: Clause): boolean {
  return slots.amount !== undefined && slots.amount.unit === undefined && slots.attribute === undefined
}

function hasClimate(target: readonly TargetWord[], entities: readonly EntityWords[]): boolean {
  const climates = entities.filter((entity) => entity.info.kind === 'climate')
  const noun: TargetWord = { word: unspoken, known: true, noun: nounFor('climate') }
  return bestMatches([...target, noun], climates).length > 0
}

/** Whether what is asked for by itself says which kind it is about: `brighter`, `50 % brightness`, `red`. */
function sayable({ slots }: Clause): boolean {
  return slots.attribute !== undefined || slots.rgb !== undefined || slots.kelvin !== undefined
}

/** Stands for a noun that was not said, so that it matches no name. */
const unspoken = ''

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
  if (clause.here && scene.context.area !== undefined)
    return inArea(clause, entities, scene.context.area, several) ?? notHere(clause, scene)
  if (entities.length === 1) return { chosen: entities }
  const one = fitting.find((rule) => rule.kind === entities[0]?.info.kind)
  if (one?.several === 'never') return which(clause, entities)
  if (one?.several === 'anywhere' && several && !clause.both) return { chosen: entities }
  if (clause.both) return entities.length === 2 ? { chosen: entities } : which(clause, entities)
  if (clause.here) return notHere(clause, scene)
  if (clause.home || clause.all) return { chosen: entities }
  const placed = matches.every((match) => match.area !== 'none' || match.floor)
  if (best >= rank.part && several && placed && namedTogether(clause, matches)) return { chosen: entities }
  const here = inArea(clause, entities, scene.context.area, several)
  if (here && !placed) return here
  if (several && best >= rank.part && new Set(entities.map((entity) => entity.area?.id)).size === 1)
    return { chosen: entities }
  if (best === rank.part && isPlural(clause.target)) return { chosen: entities }
  // `the bedroom lights`, of two rooms with a Bedroom Light each.
  if (isPlural(clause.target) && new Set(entities.map(({ info }) => info.name)).size === 1)
    return here ?? { chosen: entities }
  const left = sensible(clause, entities, fitting, scene)
  return left.length === 1 ? { chosen: left } : (here ?? which(clause, left))
}

/** Several areas are meant only if they were named together: a floor, or `the bedrooms`. */
function namedTogether(clause: Clause, matches: readonly Match[]): boolean {
  const areas = new Set(matches.map((match) => match.words.area?.id))
  if (areas.size <= 1 || matches.every((match) => match.floor)) return true
  const literal = new Set(matches.flatMap((match) => match.words.areaNames.flat()))
  return clause.target.some(({ word, noun }) => !noun && stem(word) !== word && !literal.has(word))
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

/** Those for which it makes sense now, else those that can do it at all, else all. */
function sensible(
  clause: Clause,
  entities: readonly EntityWords[],
  fitting: readonly Rule[],
  scene: Scene,
): readonly EntityWords[] {
  const able = entities.filter((entity) => {
    const done = tryRule(entity, clause, fitting, scene)
    return done !== undefined && ('command' in done.act || done.act.value === true)
  })
  if (able.length === 0) return entities
  const now = able.filter((entity) => {
    const live = scene.live.get(entity.info.id)
    const rule = fitting.find((candidate) => candidate.kind === entity.info.kind)
    return live !== undefined && rule?.prefers?.(live, clause.slots) === true
  })
  return now.length > 0 ? now : able
}

export function tryRule(
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
