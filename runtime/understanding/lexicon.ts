/**
 * Grammar words and phrases, as explicit values. A phrase is looked up longest first. What is not here, and not glue,
 * is taken for part of a name.
 */
import { colours, whites } from './colours.ts'
import type { Slots, Unit } from './slots.ts'

export type Sense =
  /** Fills slots. `weak` gives way to any other word that fills the same slot. */
  | {
      readonly as: 'slot'
      readonly fills: Partial<Slots>
      readonly weak?: boolean
      readonly initial?: boolean
    }
  /** A verb that decides nothing by itself: `set`, `turn`, `make`. */
  | { readonly as: 'neutral'; readonly initial?: boolean }
  | { readonly as: 'glue' }
  | { readonly as: 'unit'; readonly unit: Unit }
  | {
      readonly as: 'to' | 'by' | 'on' | 'all' | 'both' | 'here' | 'home' | 'it' | 'everything' | 'and' | 'bit'
    }
  /** Makes the clause one that must not act. */
  | { readonly as: 'not' | 'except' | 'later' | 'statement' }

const slot = (fills: Partial<Slots>, more: { weak?: boolean; initial?: boolean } = {}): Sense => ({
  as: 'slot',
  fills,
  ...more,
})

/** One line a meaning: `phrase, phrase, …`. */
const table: readonly (readonly [string, Sense])[] = [
  // Glue: politeness, articles, prepositions, auxiliaries.
  [
    `the, a, an, my, our, your, its, please, hey, hi, hello, ok, okay, ganglion, can, could, would, will, you, i,
    we, us, me, want, wanna, like, need, love, for, just, now, right now, immediately, straight away, thanks, thank, thank you,
    kindly, of, in, at, near, next to, from, into, inside, with, so, go ahead and, mind, would you mind,
    let, lets, have, get, some, do, be, am, there, device, devices, completely, fully, entirely, really, very,
    quickly, again, hurry, maybe, also, too, as well, onto, over, more, by the, id, setting, level, currently, can i have, can we have, could i have, could we have, can i get, may i have, can you have, so kind as to, so kind to,
    a lot, much, if you can, if possible, for me, for us, able to, try to, go and, value, cheers, actually, um, uh, well, together`,
    { as: 'glue' },
  ],
  ['to, at about, to about', { as: 'to' }],
  ['by', { as: 'by' }],
  ['on', { as: 'on' }],
  ['and, plus, then, and then, and also, after that, ",", ";", "."', { as: 'and' }],
  [
    'it, that, this, them, they, these, those, this one, that one, what is playing, whatever is playing',
    { as: 'it' },
  ],
  ['all, every, each, every single, each and every, all of, any', { as: 'all' }],
  ['both, both of', { as: 'both' }],
  ['everything', { as: 'everything' }],
  ['a bit, a little, a little bit, slightly, a touch, a tad, a notch, bit, little', { as: 'bit' }],
  ['here, in here, in this room, this room, in the room, the room, over here', { as: 'here' }],
  [
    `everywhere, in the house, in the home, in the apartment, in the flat, in every room, in all the rooms, in all rooms,
    in each room, in the whole house, whole house, the whole house, in the entire house, throughout the house, around the house, at home, the house, whole home,
    all over the house, in my house, in our house, in the building, of the house, in my home, the entire house`,
    { as: 'home' },
  ],
  // Words that stop a clause from acting.
  ['not, never, no, without, neither, nor, dont, avoid, refrain', { as: 'not' }],
  ['except, except for, but, apart from, other than, besides, instead, rather than, or', { as: 'except' }],
  [
    `is, are, was, were, been, can i, could i, should i, shall i, may i, can we, could we, should we, shall we, may we, i will, we will,
    i am, we are, i have, we have, i did, you did, you have, did you, have you, you are, it will, that will`,
    { as: 'statement' },
  ],
  [
    `when, whenever, if, unless, until, till, once, while, after, before, later, tomorrow, tonight, today, yesterday, soon, sunset,
    sunrise, noon, midnight, minute, minutes, hour, hours, seconds, day, days, week, weeks, morning,
    evening, afternoon, pm, oclock, schedule, timer, remind, alarm, daily, every day, every night, every morning,
    every evening, every hour, monday, tuesday, wednesday, thursday, friday, saturday, sunday, weekend,
    weekdays`,
    { as: 'later' },
  ],
  // Neutral verbs.
  [
    `turn, turning, put, roll, pull, set, setting up, make, making, change, adjust, bring, take, move, power, flip, give, send, keep, show,
    want it, tell, ask, have it`,
    { as: 'neutral' },
  ],
  ['switch, switching', { as: 'neutral', initial: true }],
  // States.
  ['activate, enable, illuminate, back on, power up, fire up', slot({ state: 'on' })],
  [
    'off, deactivate, disable, shut off, shut down, kill, put out, turn out, extinguish, back off, cut',
    slot({ state: 'off' }),
  ],
  ['light up', slot({ state: 'on' }, { initial: true })],
  ['out', slot({ state: 'off' }, { weak: true })],
  // Directions and levels.
  ['up, increase, raise, higher, boost', slot({ direction: 'up' }, { weak: true })],
  ['down, decrease, lower, reduce, drop', slot({ direction: 'down' }, { weak: true })],
  ['brighter, brighten, brighten up, lighter', slot({ attribute: 'brightness', direction: 'up' })],
  ['dim, dimmer, dim down, dimmed, darker, darken', slot({ attribute: 'brightness', direction: 'down' })],
  ['louder', slot({ attribute: 'volume', direction: 'up' })],
  ['quieter, softer', slot({ attribute: 'volume', direction: 'down' })],
  ['warmer, hotter, warm, warm up, heat up', slot({ attribute: 'temperature', direction: 'up' })],
  ['cooler, colder, cool down', slot({ attribute: 'temperature', direction: 'down' })],
  ['faster', slot({ attribute: 'speed', direction: 'up' })],
  ['slower, slow down', slot({ attribute: 'speed', direction: 'down' })],
  ['max, maximum, highest, full, all the way up, the most, fullest, full blast', slot({ level: 'max' })],
  ['brightest, full brightness', slot({ attribute: 'brightness', level: 'max' })],
  ['min, minimum, lowest, all the way down, the least', slot({ level: 'min' })],
  ['dimmest, darkest', slot({ attribute: 'brightness', level: 'min' })],
  ['loudest', slot({ attribute: 'volume', level: 'max' })],
  ['quietest', slot({ attribute: 'volume', level: 'min' })],
  ['half, halfway, half way, a half, one half, 1 half', slot({ level: 'half' })],
  ['quarter, a quarter, one quarter, 1 quarter', slot({ level: 'quarter' })],
  ['three quarters, 3 quarters', slot({ level: 'threequarters' })],
  ['low', slot({ level: 'low' })],
  ['medium', slot({ level: 'medium' })],
  ['high', slot({ level: 'high' })],
  // Attributes.
  ['brightness, bright', slot({ attribute: 'brightness' }, { weak: true })],
  ['color, colour, hue', slot({ attribute: 'color' })],
  ['color temperature, colour temperature', slot({ attribute: 'color_temp' })],
  ['volume, sound level, volume level', slot({ attribute: 'volume' })],
  [
    'temperature, temp, target temperature, set point, setpoint',
    slot({ attribute: 'temperature' }, { weak: true }),
  ],
  ['position', slot({ attribute: 'position' })],
  ['speed', slot({ attribute: 'speed' })],
  ['mode, preset', slot({ attribute: 'mode' })],
  // Units.
  ['%, percent, per cent, pct', { as: 'unit', unit: 'percent' }],
  ['degree, degrees, °', { as: 'unit', unit: 'degree' }],
  [
    'c, ° c, celsius, centigrade, degrees celsius, degrees c, degrees centigrade',
    { as: 'unit', unit: 'celsius' },
  ],
  ['f, ° f, fahrenheit, degrees fahrenheit, degrees f', { as: 'unit', unit: 'fahrenheit' }],
  ['k, kelvin', { as: 'unit', unit: 'kelvin' }],
  // Verbs.
  ['open, open up, opened, unroll', slot({ verb: 'open' })],
  ['close, closed, shut, close up', slot({ verb: 'close' })],
  ['start, run, begin, launch, send out', slot({ verb: 'start' }, { weak: true })],
  ['stop, halt, end, quit, cease', slot({ verb: 'stop' }, { weak: true })],
  ['toggle', slot({ verb: 'toggle' })],
  ['unlock', slot({ verb: 'unlock' })],
  ['lock, lock up', slot({ verb: 'lock' }, { initial: true })],
  ['play, playing', slot({ verb: 'play' }, { weak: true })],
  [
    'unpause, resume, continue, play again, keep playing, resume playing, continue playing, unpaused, resumed',
    slot({ verb: 'resume' }, { weak: true }),
  ],
  ['pause, paused', slot({ verb: 'pause' })],
  [
    'next, skip, skip to the next, skip forward, skip ahead, skip to next, play the next, play next, go to the next, go to next, go forward',
    slot({ verb: 'next' }),
  ],
  [
    `previous, skip back, skip backward, skip backwards, go back, go back to the previous, last song, last track, rewind,
    go to the previous, play the previous, play previous, skip to the previous`,
    slot({ verb: 'previous' }),
  ],
  ['mute, silence', slot({ verb: 'mute' })],
  ['unmute', slot({ verb: 'unmute' })],
  [
    'dock, return, go home, go back home, come home, return home, back home, charge, recharge',
    slot({ verb: 'dock' }),
  ],
  ['locate, find', slot({ verb: 'locate' })],
  ['oscillate, oscillating, oscillation, swing, rotate', slot({ verb: 'oscillate' })],
  // Climate modes. As nouns (`turn on the heat`) these words also name the thermostat.
  ['auto, automatic', slot({ mode: 'auto' })],
  ['dry', slot({ mode: 'dry' })],
]

/** Nouns that also say what to do when no other word does: `vacuum the hall`, `water the lawn`, `heat the bedroom`. */
export const verbNouns: ReadonlyMap<string, Partial<Slots>> = new Map<string, Partial<Slots>>([
  ['vacuum', { verb: 'clean' }],
  ['hoover', { verb: 'clean' }],
  ['clean', { verb: 'clean' }],
  ['cleaning', { verb: 'clean' }],
  ['vacuuming', { verb: 'clean' }],
  ['sweep', { verb: 'clean' }],
  ['water', { verb: 'water' }],
  ['watering', { verb: 'water' }],
  ['irrigate', { verb: 'water' }],
  ['heat', { mode: 'heat' }],
  ['heating', { mode: 'heat' }],
  ['cool', { mode: 'cool' }],
  ['cooling', { mode: 'cool' }],
  ['ac', { mode: 'cool' }],
  ['aircon', { mode: 'cool' }],
])

/** What watering is done to; it names no device. */
export const watered: ReadonlySet<string> = new Set([
  'lawn',
  'grass',
  'garden',
  'yard',
  'plants',
  'flowers',
  'plant',
  'flower',
  'vegetables',
  'trees',
  'hedge',
])

/** `go back to its base`, `to the charger`: every way to say where a vacuum lives. */
function* wayHome(): Generator<string> {
  const moves = [
    '',
    'go ',
    'go back ',
    'return ',
    'back ',
    'head back ',
    'come back ',
    'drive back ',
    'go home ',
  ]
  const owners = ['', 'the ', 'its ', 'your ', 'his ', 'her ', 'their ']
  const places =
    'base, dock, charger, home base, charging station, charging base, charging dock, docking station'
  for (const move of moves)
    for (const owner of owners) for (const place of places.split(', ')) yield `${move}to ${owner}${place}`
}

function* entries(): Generator<readonly [string, Sense]> {
  for (const [phrases, sense] of table)
    for (const phrase of phrases.split(/,(?!")/)) {
      const key = phrase.replaceAll('"', '').replace(/\s+/g, ' ').trim()
      if (key !== '') yield [key, sense]
    }
  for (const phrase of wayHome()) yield [phrase, slot({ verb: 'dock' })]
  for (const [name, rgb] of colours) yield [name, slot({ rgb })]
  for (const [name, kelvin] of whites) yield [name, slot({ kelvin })]
}

/** Phrase to sense. */
export const lexicon: ReadonlyMap<string, Sense> = new Map(entries())

/** Longest phrase, words. */
export const phraseWordsMax = Math.max(...[...lexicon.keys()].map((phrase) => phrase.split(' ').length))
