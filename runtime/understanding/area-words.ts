/** Words for places and names that people use for one another. A synonym counts only where the home has no such name. */
import { nameWords } from './normalise.ts'

/** Words of a device's name that nobody needs to say. */
export const optionalNameWords: ReadonlySet<string> = new Set(['smart', 'system', 'the', 'my', 'device'])

const areaGroups: readonly (readonly string[])[] = [
  ['living room', 'great room', 'lounge', 'sitting room', 'lounge room', 'front room'],
  ['family room', 'den'],
  ['bathroom', 'washroom', 'restroom', 'bath', 'bath room'],
  ['backyard', 'back garden', 'garden', 'yard'],
  ['front yard', 'front garden'],
  ['hallway', 'hall', 'corridor', 'entrance', 'foyer', 'entryway', 'entry'],
  ['master bedroom', 'main bedroom', 'primary bedroom'],
  ['office', 'study', 'home office'],
  ['kids room', 'kids bedroom', 'childrens room', 'childrens bedroom', 'kid room', 'kid bedroom'],
  ['guest room', 'guest bedroom', 'spare room', 'spare bedroom'],
  ['laundry room', 'laundry', 'utility room'],
  ['basement', 'cellar'],
  ['attic', 'loft'],
  ['dining room', 'dining area'],
  ['veranda', 'verandah', 'porch'],
  ['toilet', 'loo', 'wc', 'powder room'],
]

/** Words of devices' names that stand for one another. */
const nameGroups: readonly (readonly string[])[] = [
  [
    'exhaust fan',
    'extractor fan',
    'ventilation fan',
    'vent fan',
    'extractor',
    'ventilator',
    'vent',
    'exhaust',
  ],
  ['washer', 'washing machine', 'clothes washer', 'laundry machine'],
  ['dryer', 'tumble dryer', 'tumble drier', 'clothes dryer', 'drier'],
  ['outdoor', 'outside', 'outdoors', 'exterior'],
  ['bedside', 'by the bed', 'bed'],
  ['coffee maker', 'coffee machine', 'coffeemaker', 'coffee pot', 'espresso machine'],
  ['christmas', 'xmas'],
  ['fridge', 'refrigerator'],
  ['dishwasher', 'dish washer'],
  ['microwave', 'microwave oven'],
  ['couch', 'sofa'],
  ['kettle', 'water kettle'],
  ['tub', 'bathtub', 'bath tub'],
  ['backyard', 'back yard'],
]

/** For names that a home has: what else they may be called there, where that is nothing else's name. */
export function* nameSynonyms(
  names: readonly (readonly string[])[],
  knows: (phrase: string) => boolean,
): Generator<readonly [string, readonly string[]]> {
  const said = names.map((words) => ` ${words.join(' ')} `)
  for (const group of nameGroups) {
    const here = group.find((phrase) => said.some((name) => name.includes(` ${phrase} `)))
    if (here === undefined) continue
    for (const phrase of group) if (phrase !== here && !knows(phrase)) yield [phrase, here.split(' ')]
  }
}

/** For areas that a home has: what else they may be called there, where that is nothing else's name. */
export function* areaSynonyms(
  said: ReadonlyMap<string, readonly string[]>,
): Generator<[string, readonly string[]]> {
  for (const group of areaGroups) {
    const here = group.filter((name) => said.has(name))
    const only = said.get(here[0] ?? '')
    if (here.length !== 1 || only === undefined) continue
    for (const name of group) if (!said.has(name)) yield [name, only]
  }
}

const upper = new Set(['upstairs', 'second floor', 'upper floor', 'first storey', 'top floor'])
const lower = new Set(['downstairs', 'ground floor', 'main floor', 'lower floor'])

/** `upstairs` and `downstairs` for a floor, given all floors of the home. */
export function floorSynonyms(floor: string, floors: readonly string[]): string[] {
  const name = nameWords(floor).join(' ')
  const names = new Set(floors.map((other) => nameWords(other).join(' ')))
  const hasGround = names.has('ground floor')
  if (upper.has(name) || (name === 'first floor' && hasGround)) return ['upstairs']
  if (lower.has(name) || (name === 'first floor' && !hasGround)) return ['downstairs']
  return []
}
