/**
 * The words of a home: which entity, area, floor or maker each word can stand for. Built once per set of entities and
 * areas; what an entity is doing is never kept here.
 */
import type { ComponentInfo, ComponentKind, SensorKind } from '../../hal/contract/component.ts'
import type { Area, HomeView } from '../things/entity.ts'
import { areaSynonyms, floorSynonyms, nameSynonyms, optionalNameWords } from './area-words.ts'
import { nouns } from './kinds.ts'
import { lexicon } from './lexicon.ts'
import { nameWords, saidChoice } from './normalise.ts'

export interface EntityWords {
  readonly info: ComponentInfo
  readonly area: Area | undefined
  readonly name: readonly string[]
  /** Words of the name that must be said to name it in full. */
  readonly essential: readonly string[]
  readonly nameWords: ReadonlySet<string>
  readonly nameStems: ReadonlySet<string>
  readonly areaStems: ReadonlySet<string>
  /** Each way to say the area, as words. */
  readonly areaNames: readonly (readonly string[])[]
  /** Each way to say the floor, as words. */
  readonly floorNames: readonly (readonly string[])[]
  readonly makerStems: ReadonlySet<string>
}

const cache = new WeakMap<ComponentInfo, HomeIndex>()

/** The index of a home; the one from the last call where neither entities nor areas changed. */
export function indexOf(home: HomeView): HomeIndex {
  const key = home.entities[0]?.info
  if (key === undefined) return new HomeIndex(home)
  const known = cache.get(key)
  if (known?.fits(home)) return known
  const built = new HomeIndex(home)
  cache.set(key, built)
  return built
}

/** Singular of a regular plural; other words unchanged. */
export function stem(word: string): string {
  if (word.length < 4 || !word.endsWith('s') || word.endsWith('ss')) return word
  return /(?:ch|sh|x|ss)es$/.test(word) ? word.slice(0, -2) : word.slice(0, -1)
}

export class HomeIndex {
  readonly entities: readonly EntityWords[]
  /** Stems of every word that names something here. */
  readonly vocabulary: ReadonlySet<string>
  /** Things said as a whole, actuators only, to the words they stand for. */
  readonly phrases: ReadonlyMap<string, readonly string[]>
  /** The same with sensors, for questions. */
  readonly allPhrases: ReadonlyMap<string, readonly string[]>
  readonly phraseWordsMax: number
  readonly #choices: ReadonlyMap<string, ReadonlySet<string>>
  readonly #devices: ReadonlySet<string>
  readonly #areas: readonly Area[]

  constructor(home: HomeView) {
    this.#areas = home.areas
    const areas = new Map(home.areas.map((area) => [area.id, area]))
    const floors = [...new Set(home.areas.flatMap((area) => (area.floor ? [area.floor] : [])))]
    this.entities = home.entities.map((entity) =>
      wordsOf(entity.info, areas.get(entity.info.area ?? ''), floors),
    )
    const shared = areaPhrases(home.areas, floors)
    const devices = new Map(entityPhrases(this.entities.filter(isActuator)))
    this.#choices = choicesOf(this.entities)
    const places = new Map(shared)
    this.#devices = new Set([...devices.keys()].filter((phrase) => !places.has(phrase)))
    const vocabulary = vocabularyOf(this.entities, home.areas, floors)
    const knows = (phrase: string) => phrase.split(' ').every((word) => vocabulary.has(stem(word)))
    const names = this.entities.map(({ name }) => name)
    for (const [phrase, words] of nameSynonyms(names, knows)) places.set(phrase, words)
    this.phrases = new Map([...devices, ...places])
    this.allPhrases = new Map([...entityPhrases(this.entities), ...places])
    this.vocabulary = vocabulary
    this.phraseWordsMax = Math.max(
      1,
      ...[...this.allPhrases.keys()].map((phrase) => phrase.split(' ').length),
    )
  }

  fits(home: HomeView): boolean {
    return (
      home.entities.length === this.entities.length &&
      home.areas.length === this.#areas.length &&
      home.areas.every((area, at) => area === this.#areas[at]) &&
      home.entities.every((entity, at) => entity.info === this.entities[at]?.info)
    )
  }

  /** Whether a phrase is the name of a device that can do something, and of no place. */
  isDevice(phrase: string): boolean {
    return this.#devices.has(phrase)
  }

  /** What the selects of this name may be set to, as it is said. */
  choicesOf(phrase: string): ReadonlySet<string> | undefined {
    return this.#choices.get(phrase)
  }

  knows(word: string): boolean {
    return this.vocabulary.has(stem(word))
  }

  get areas(): readonly Area[] {
    return this.#areas
  }
}

const sensorKinds: Readonly<Record<SensorKind, true>> = { sensor: true, binary_sensor: true, weather: true }
const kindsThatReport: ReadonlySet<ComponentKind> = new Set(Object.keys(sensorKinds) as SensorKind[])

export function isActuator(entity: EntityWords): boolean {
  return !kindsThatReport.has(entity.info.kind)
}

/** Every way to say an area: its name, without what is in brackets, its aliases. */
export function areaNames(area: Area): string[][] {
  const names = [area.name, area.name.replace(/\([^)]*\)/g, ' '), ...(area.aliases ?? [])]
  const seen = new Map(names.map((name) => nameWords(name)).map((words) => [words.join(' '), words]))
  seen.delete('')
  return [...seen.values()]
}

function stems(words: Iterable<string>): Set<string> {
  return new Set([...words].map(stem))
}

function wordsOf(info: ComponentInfo, area: Area | undefined, floors: readonly string[]): EntityWords {
  const name = nameWords(info.name)
  const essential = name.filter((word) => !optionalNameWords.has(word))
  const saidAreas = area === undefined ? [] : areaNames(area)
  const floor = area?.floor
  const maker = [info.device?.manufacturer ?? '', info.device?.model ?? '', info.device?.name ?? '']
  return {
    info,
    area,
    name,
    essential: essential.length > 0 ? essential : name,
    nameWords: new Set(name),
    nameStems: stems(name),
    areaNames: saidAreas,
    areaStems: stems(saidAreas.flat()),
    floorNames:
      floor === undefined ? [] : [nameWords(floor), ...floorSynonyms(floor, floors).map((word) => [word])],
    makerStems: stems(maker.flatMap(nameWords)),
  }
}

/** Ways to say a name as a whole: in full, without optional words, without its noun, with its noun in the plural. */
function namePhrases(entity: EntityWords): string[][] {
  const ways = [[...entity.name], [...entity.essential]]
  for (const way of [...ways]) {
    const last = way.at(-1) ?? ''
    if (way.length < 2 || !nouns.has(last)) continue
    ways.push([...way.slice(0, -1), `${last}s`])
    if (way.length > 2) ways.push(way.slice(0, -1))
  }
  return ways
}

function* entityPhrases(entities: readonly EntityWords[]): Generator<[string, readonly string[]]> {
  // A name that is one grammar word, or a common noun, cannot be told from grammar: it is resolved as a word.
  for (const entity of entities)
    for (const words of namePhrases(entity))
      if (words.length > 1 || !(lexicon.has(words[0] ?? '') || nouns.has(words[0] ?? '')))
        yield [words.join(' '), words]
}

function choicesOf(entities: readonly EntityWords[]): Map<string, Set<string>> {
  const choices = new Map<string, Set<string>>()
  for (const entity of entities.filter(({ info }) => info.kind === 'select'))
    for (const [phrase] of entityPhrases([entity])) {
      const known = choices.get(phrase) ?? new Set()
      for (const choice of entity.info.choices ?? []) known.add(saidChoice(choice))
      choices.set(phrase, known)
    }
  return choices
}

function* areaPhrases(
  areas: readonly Area[],
  floors: readonly string[],
): Generator<[string, readonly string[]]> {
  const said = new Map(
    areas.flatMap((area) => areaNames(area).map((words) => [words.join(' '), words] as const)),
  )
  for (const [phrase, words] of areaSynonyms(said)) yield [phrase, words]
  for (const floor of floors) {
    yield [nameWords(floor).join(' '), nameWords(floor)]
    for (const word of floorSynonyms(floor, floors)) yield [word, [word]]
  }
  for (const [phrase, words] of said) {
    yield [phrase, words]
    if (words.length === 2) yield [words.join(''), words]
  }
}

function vocabularyOf(
  entities: readonly EntityWords[],
  areas: readonly Area[],
  floors: readonly string[],
): Set<string> {
  const all = new Set<string>()
  const add = (words: Iterable<string>) => {
    for (const word of words) all.add(stem(word))
  }
  for (const entity of entities) {
    add(entity.nameStems)
    for (const floor of entity.floorNames) add(floor)
    add(entity.makerStems)
  }
  for (const area of areas) for (const words of areaNames(area)) add(words)
  for (const floor of floors) add(nameWords(floor))
  return all
}
