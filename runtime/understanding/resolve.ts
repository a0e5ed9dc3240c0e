/**
 * Words to entities. An entity is meant only if it accounts for every word that was said: its name, its area or floor,
 * its maker, or a noun that it is. Among those that do, the best named win: exact name, then full name, then part of
 * a name, then area and kind, then what is only called like that kind. Ties are for the caller to ask about, never broken by order.
 */
import { type EntityWords, stem } from './home-index.ts'
import { accepts, nouns } from './kinds.ts'
import type { TargetWord } from './tag.ts'

/** Lower is better. */
export const rank = { exact: 0, full: 1, part: 2, kind: 3, called: 4 } as const
type Rank = (typeof rank)[keyof typeof rank]

export interface Match {
  readonly words: EntityWords
  readonly rank: Rank
  /** How many essential words of the name were said. */
  readonly named: number
  /** Words that only the area explains were said, and they are a whole name of it. */
  readonly area: 'whole' | 'part' | 'none'
  readonly floor: boolean
}

/**
 * What words say together, entity by entity, best rank only. Empty where nothing accounts for all of them. With
 * `every`, more than one thing is meant, so that `every light` is none that is called Light.
 */
export function bestMatches(
  target: readonly TargetWord[],
  entities: readonly EntityWords[],
  every = false,
): Match[] {
  const matches = entities.flatMap((entity) => match(target, entity, every) ?? [])
  const best = Math.min(...matches.map((found) => found.rank))
  let kept = matches.filter((found) => found.rank === best)
  const named = Math.max(...kept.map((found) => found.named))
  if (best <= rank.full)
    kept = preferOrder(
      kept.filter((found) => found.named === named),
      target,
    )
  return preferWholeArea(preferNamed(preferClass(kept, target), target))
}

/** Of two names of the same words, the one said in its own order. */
function preferOrder(matches: readonly Match[], target: readonly TargetWord[]): Match[] {
  const said = ` ${target.map(({ word }) => word).join(' ')} `
  const same = matches.filter(({ words }) => said.includes(` ${words.name.join(' ')} `))
  return same.length > 0 ? same : [...matches]
}

function match(target: readonly TargetWord[], entity: EntityWords, every: boolean): Match | undefined {
  const said = new Set(target.map(({ word }) => word))
  const stems = new Set(target.map(({ word }) => stem(word)))
  const full = entity.essential.every((word) => said.has(word))
  let byNameOnly = false
  let calledOnly = false
  let byArea = false
  let byFloor = false
  for (const word of target) {
    const cover = coverOf(word, entity, stems, full)
    if (cover === undefined) return undefined
    if (cover === 'name' && word.noun) calledOnly = true
    else if (cover === 'name') byNameOnly = true
    if (cover === 'area') byArea = true
    if (cover === 'floor') byFloor = true
  }
  const generic = entity.essential.every((word) => nouns.has(word))
  const exact = full && [...said].every((word) => entity.nameWords.has(word))
  let found: Rank = byNameOnly ? rank.part : calledOnly ? rank.called : rank.kind
  if (exact && !(every && generic)) found = rank.exact
  else if (full && !generic) found = rank.full
  const whole = entity.areaNames.some((name) => name.every((word) => stems.has(stem(word))))
  return {
    words: entity,
    rank: found,
    named: entity.essential.length,
    area: whole ? 'whole' : byArea ? 'part' : 'none',
    floor: byFloor,
  }
}

function coverOf(
  { word, noun }: TargetWord,
  entity: EntityWords,
  said: ReadonlySet<string>,
  full: boolean,
): 'name' | 'area' | 'floor' | 'kind' | 'maker' | undefined {
  const root = stem(word)
  const isKind = noun !== undefined && accepts(noun.noun, entity.info, entity.nameWords)
  // `TV` is a TV before it is half of `TV room`.
  const inArea =
    entity.areaStems.has(root) && (noun === undefined || isWholeName(entity.areaNames, root, said))
  if (inArea) return 'area'
  if (isKind) return 'kind'
  if (isWholeName(entity.floorNames, root, said)) return 'floor'
  if (entity.nameStems.has(root)) return 'name'
  if (entity.makerStems.has(root)) return 'maker'
  // `the Christmas tree lights` are what its plug switches.
  if (full && noun !== undefined && entity.info.kind === 'switch' && noun.noun.kinds.includes('light'))
    return 'kind'
  return optionalSaid.has(word) ? 'kind' : undefined
}

/** Whether a word is part of a name that was said in full. */
function isWholeName(
  names: readonly (readonly string[])[],
  root: string,
  said: ReadonlySet<string>,
): boolean {
  return names.some(
    (name) => name.some((word) => stem(word) === root) && name.every((word) => said.has(stem(word))),
  )
}

/** Adjectives that say nothing about which device is meant. */
const optionalSaid = new Set(['smart', 'system', 'led'])

/** `blinds` means the blinds where there are any, else whatever covers the window; `music` the speaker before the TV. */
function preferClass(matches: readonly Match[], target: readonly TargetWord[]): Match[] {
  const classes = new Set(target.flatMap(({ noun }) => (noun ? [noun.noun.name] : [])))
  const same = matches.filter(
    ({ words }) => words.info.kind === 'cover' && classes.has(words.info.deviceClass ?? ''),
  )
  if (same.length > 0) return same
  const lastly = new Set(target.flatMap(({ noun }) => noun?.noun.lastly ?? []))
  const first = matches.filter(({ words }) => !lastly.has(words.info.deviceClass ?? ''))
  return first.length > 0 ? first : [...matches]
}

/** `the lamp` is one called lamp before it is any other light; `the light` and `all lamps` are whatever gives light. */
function preferNamed(matches: readonly Match[], target: readonly TargetWord[]): Match[] {
  if (isPlural(target) || isCollective(target)) return [...matches]
  const said = target.flatMap(({ word, noun }) => (noun ? [word] : []))
  const called = matches.filter(({ words }) => said.every((word) => words.nameWords.has(word)))
  return called.length > 0 ? called : [...matches]
}

/** `bedroom` is the Bedroom before it is the Guest Bedroom. */
function preferWholeArea(matches: readonly Match[]): Match[] {
  const whole = matches.filter((found) => found.area === 'whole')
  if (whole.length === 0) return [...matches]
  // Of `Bedroom` and `Master Bedroom`, both whole, the longer name accounts for more of what was said.
  const size = ({ words }: Match) => Math.max(...words.areaNames.map((name) => name.length), 0)
  const longest = Math.max(...whole.map(size))
  const areas = new Set(whole.map((found) => found.words.area?.id))
  return areas.size === 1 ? whole : whole.filter((found) => size(found) === longest || found.area === 'whole')
}

/** Words that nothing in the home and no common noun explains. */
export function unknownWords(target: readonly TargetWord[]): string[] {
  return target.filter(({ known }) => !known).map(({ word }) => word)
}

/** Whether only an area or a floor is said, and no thing in it. */
export function isPlaceOnly(target: readonly TargetWord[], entities: readonly EntityWords[]): boolean {
  if (target.length === 0) return false
  const said = new Set(target.map(({ word }) => stem(word)))
  return entities.some(({ areaNames, areaStems, floorNames }) => {
    const inArea = target.every(({ word }) => areaStems.has(stem(word)))
    const onFloor = target.every(({ word }) => isWholeName(floorNames, stem(word), said))
    const wholeOrHead = areaNames.some((name) =>
      target.some(({ word }) => stem(word) === stem(name.at(-1) ?? '')),
    )
    return onFloor || (inArea && wholeOrHead)
  })
}

export function isPlural(target: readonly TargetWord[]): boolean {
  return target.some(({ noun }) => noun?.plural === true)
}

export function isCollective(target: readonly TargetWord[]): boolean {
  return target.some(({ noun }) => noun?.noun.collective === true)
}

/** An entity's name, with its area or its kind where the name alone does not tell it from `others`. */
export function tell(entity: EntityWords, others: readonly EntityWords[]): string {
  const twins = others.filter((other) => other !== entity && other.info.name === entity.info.name)
  if (twins.length === 0) return entity.info.name
  const sameArea = twins.some((twin) => twin.area?.id === entity.area?.id)
  const what = sameArea ? entity.info.kind.replace('_', ' ') : (entity.area?.name ?? entity.info.id)
  return `${entity.info.name} (${what})`
}
