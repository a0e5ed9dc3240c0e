/**
 * Common nouns for things in a home, and which entities each may mean. A noun never widens what may be done: the
 * entity must still carry the intent.
 */
import type { ComponentInfo, ComponentKind } from '../../hal/contract/component.ts'

interface Noun {
  /** Singular, as spoken back. */
  readonly name: string
  readonly kinds: readonly ComponentKind[]
  /** Device classes it means; absent: any. An entity without a class passes if `unclassed` says so. */
  readonly classes?: readonly string[]
  readonly unclassed?: boolean
  /** Words of an entity's name that make it one, whatever its kind among `kinds`. */
  readonly named?: readonly string[]
  /** Words of an entity's name that make it not one. */
  readonly notNamed?: readonly string[]
  /** Meant only where nothing else fits: `the music` is the speaker's before it is the TV's. */
  readonly lastly?: readonly string[]
  /** Said in the singular it may still mean several in one area (`the light in the kitchen`). */
  readonly collective?: boolean
}

const drapery = ['curtain', 'blind', 'shade', 'shutter', 'drape', 'awning'] as const
const doors = ['door', 'garage', 'gate', 'garage_door', 'opening', 'lock'] as const

const light: Noun = { name: 'light', kinds: ['light'], collective: true }
const lamp: Noun = { name: 'lamp', kinds: ['light'] }
const cover = (name: string): Noun => ({
  name,
  kinds: ['cover'],
  classes: [...drapery],
  unclassed: true,
})
const thermostat: Noun = { name: 'thermostat', kinds: ['climate'] }
const plug: Noun = { name: 'plug', kinds: ['switch'], classes: ['outlet'], unclassed: true }
const sprinkler: Noun = {
  name: 'sprinkler',
  kinds: ['valve', 'switch'],
  classes: ['sprinkler'],
  named: ['sprinkler', 'sprinklers', 'irrigation', 'watering', 'garden', 'lawn', 'drip'],
}
const tv: Noun = {
  name: 'TV',
  kinds: ['media_player', 'switch'],
  classes: ['tv'],
  named: ['tv', 'television'],
}
const speaker: Noun = {
  name: 'speaker',
  kinds: ['media_player'],
  classes: ['speaker', 'receiver'],
  unclassed: true,
  notNamed: ['tv', 'television'],
}
const music: Noun = { name: 'player', kinds: ['media_player'], lastly: ['tv'] }
const water: Noun = {
  name: 'water valve',
  kinds: ['valve', 'switch'],
  classes: ['sprinkler', 'water'],
  named: [...(sprinkler.named ?? []), 'water', 'main'],
}
const player: Noun = { name: 'player', kinds: ['media_player'] }
const vacuum: Noun = { name: 'vacuum', kinds: ['vacuum'] }
const fire: Noun = { name: 'fireplace', kinds: ['switch', 'climate', 'light'], named: ['fireplace', 'fire'] }

/** Singular forms; plurals are derived. */
const singular: readonly (readonly [string, Noun])[] = [
  ['light', light],
  ['lighting', light],
  ['lamp', lamp],
  ['bulb', lamp],
  ['lightbulb', lamp],
  ['curtain', cover('curtain')],
  ['blind', cover('blind')],
  ['shade', cover('shade')],
  ['shutter', cover('shutter')],
  ['drape', cover('drape')],
  ['awning', cover('awning')],
  ['cover', { name: 'cover', kinds: ['cover'] }],
  [
    'window',
    { name: 'window', kinds: ['cover', 'binary_sensor'], classes: ['window'], named: ['window', 'windows'] },
  ],
  [
    'door',
    {
      name: 'door',
      kinds: ['lock', 'cover', 'binary_sensor'],
      classes: doors,
      named: ['door', 'doors', 'gate'],
    },
  ],
  [
    'garage',
    { name: 'garage door', kinds: ['cover'], classes: ['garage'], named: ['garage'], unclassed: false },
  ],
  ['gate', { name: 'gate', kinds: ['lock', 'cover'], classes: ['gate'], named: ['gate'] }],
  ['lock', { name: 'lock', kinds: ['lock'] }],
  ['fan', { name: 'fan', kinds: ['fan', 'switch'], classes: [], named: ['fan'], unclassed: true }],
  ['thermostat', thermostat],
  ['heating', thermostat],
  ['heat', thermostat],
  ['hvac', thermostat],
  ['ac', thermostat],
  ['aircon', thermostat],
  ['climate', thermostat],
  ['cooling', thermostat],
  [
    'heater',
    { name: 'heater', kinds: ['climate', 'switch'], classes: [], named: ['heater'], unclassed: true },
  ],
  ['radiator', { name: 'radiator', kinds: ['climate', 'switch'], classes: [], named: ['radiator'] }],
  ['boiler', { name: 'boiler', kinds: ['climate', 'switch'], classes: [], named: ['boiler'] }],
  ['plug', plug],
  ['outlet', plug],
  ['socket', plug],
  ['switch', { name: 'switch', kinds: ['switch'] }],
  ['sprinkler', sprinkler],
  ['irrigation', sprinkler],
  ['valve', { name: 'valve', kinds: ['valve'] }],
  ['vacuum', vacuum],
  ['hoover', vacuum],
  ['robot', vacuum],
  ['vac', vacuum],
  ['tv', tv],
  ['telly', tv],
  ['television', tv],
  ['speaker', speaker],
  ['music', music],
  ['audio', music],
  ['song', music],
  ['track', music],
  ['radio', music],
  ['stereo', music],
  ['sound', player],
  ['playback', player],
  ['media', player],
  ['video', tv],
  ['movie', tv],
  ['film', tv],
  ['water', water],
  ['watering', sprinkler],
  ['sprinkle', sprinkler],
  ['ventilate', { name: 'fan', kinds: ['fan'] }],
  ['irrigate', sprinkler],
  ['clean', vacuum],
  ['cleaning', vacuum],
  ['vacuuming', vacuum],
  ['sweep', vacuum],
  ['cool', thermostat],
  ['fire', fire],
  ['fireplace', fire],
  ['list', { name: 'list', kinds: ['todo'] }],
]

/** Nouns that name an act's object and not a number of things. */
const noPlural = new Set(
  'lighting heating heat hvac ac music audio cooling climate water watering clean cleaning sweep cool irrigate vacuuming sprinkle ventilate'.split(
    ' ',
  ),
)

/** Nouns of two words, as the noun that they stand for. */
export const nounPhrases: ReadonlyMap<string, string> = new Map([
  ['air conditioning', 'ac'],
  ['air conditioner', 'ac'],
  ['air con', 'ac'],
  ['a c', 'ac'],
  ['heat pump', 'thermostat'],
  ['central heating', 'heating'],
  ['light bulb', 'bulb'],
  ['light bulbs', 'bulbs'],
  ['fire place', 'fire'],
  ['vacuum cleaner', 'vacuum'],
  ['robot cleaner', 'vacuum'],
  ['window blinds', 'blinds'],
  ['window shades', 'shades'],
  ['power outlet', 'outlet'],
  ['power plug', 'plug'],
  ['t v', 'tv'],
  // As speech recognition writes them.
  ['lite', 'light'],
  ['lites', 'lights'],
  ['lamb', 'lamp'],
  ['lambs', 'lamps'],
  ['climate control', 'climate'],
  ['vacuum cleaners', 'vacuums'],
  ['robot vacuum', 'vacuum'],
  ['robot vacuums', 'vacuums'],
  ['tele', 'tv'],
])

export interface NounForm {
  readonly noun: Noun
  readonly plural: boolean
}

function pluralOf(word: string): string {
  return /(?:ch|s|x)$/.test(word) ? `${word}es` : `${word}s`
}

export const nouns: ReadonlyMap<string, NounForm> = new Map(
  singular.flatMap(([word, noun]) => {
    // `the lighting` and `the blinds` speak of however many there are.
    const one = [word, { noun, plural: word === 'lighting' }] as const
    return noPlural.has(word) ? [one] : [one, [pluralOf(word), { noun, plural: true }] as const]
  }),
)

/** Whether an entity may be meant by a noun. `words` are those of its name. */
export function accepts(noun: Noun, info: ComponentInfo, words: ReadonlySet<string>): boolean {
  if (!noun.kinds.includes(info.kind)) return false
  if (noun.notNamed?.some((word) => words.has(word))) return false
  if (noun.named?.some((word) => words.has(word))) return true
  if (noun.classes === undefined) return noun.named === undefined
  if (info.deviceClass !== undefined) return noun.classes.includes(info.deviceClass)
  // Without a class only the noun's first kind is believed: an unclassed switch is not a fan.
  return noun.unclassed === true && info.kind === noun.kinds[0]
}
