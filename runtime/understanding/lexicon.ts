/**
 * Grammar words and phrases, as explicit values. A phrase is looked up longest first. What is not here, and not glue,
 * is taken for part of a name.
 */
import { colours, whites } from './colours.ts'
import type { Slots, Unit } from './slots.ts'

/** How firmly something is wished; after `make sure` even `is` says what shall be. */
export type Wish = 'mild' | 'strong' | 'sure'

export type Sense =
  /** Fills slots. `weak` gives way to any other word that fills the same slot. */
  | {
      readonly as: 'slot'
      readonly fills: Partial<Slots>
      readonly weak?: boolean
      readonly initial?: boolean
      /** `locked`, `opened`: what was done, or what is wished; which, the words around it say. */
      readonly participle?: boolean
      /** Only where nothing else says what to do: `hit the lights`, but `hit pause`. */
      readonly lastly?: boolean
    }
  /** A verb that decides nothing by itself: `set`, `turn`, `make`. */
  | { readonly as: 'neutral'; readonly initial?: boolean; readonly participle?: boolean }
  /** `wish`: says that it shall be so. Mildly (`should be`) is not enough to open a way in. */
  | { readonly as: 'glue'; readonly wish?: Wish }
  | { readonly as: 'unit'; readonly unit: Unit }
  | {
      readonly as:
        | 'to'
        | 'by'
        | 'on'
        | 'all'
        | 'both'
        | 'here'
        | 'there'
        | 'home'
        | 'it'
        | 'everything'
        | 'and'
        | 'bit'
    }
  /** Leaves something out of what was said before. */
  | { readonly as: 'but' }
  /** Makes the clause one that must not act. */
  | { readonly as: 'not' | 'except' | 'later' | 'statement' }

const slot = (
  fills: Partial<Slots>,
  more: { weak?: boolean; initial?: boolean; participle?: boolean; lastly?: boolean } = {},
): Sense => ({
  as: 'slot',
  fills,
  ...more,
})

/** One line a meaning: `phrase, phrase, …`. */
const table: readonly (readonly [string, Sense])[] = [
  // Glue: politeness, articles, prepositions, auxiliaries.
  [
    `the, a, an, my, our, your, hey, hi, hello, ok, okay, ganglion, can, could, would, will, you, u, i,
    we, us, me, love, for, just, now, right now, immediately, straight away, thanks, thank, thank you,
    kindly, of, in, at, near, next to, from, into, inside, with, so, go ahead and, mind, would you mind,
    let, lets, some, do, be, am, there, device, devices, completely, fully, entirely, really, very,
    quickly, again, hurry, maybe, too, as well, onto, over, more, by the, id, setting, level, currently, can i have, can we have, could i have, could we have, can i get, may i have, can you have, so kind as to, so kind to,
    right away, at once, asap, alright, all right, only, do me a favor and, do me a favour and, do me a favor, do me a favour, would be nice,
    all the way, way, can we, could we, can we please, can someone, can somebody, could someone, could somebody, said, go, go ahead,
    exactly, about, around, roughly, anymore, any more, nothing else, and nothing else, straightaway, real quick, already, then please,
    quick, fast please, hey there, listen, yo, dear, kind of, sort of, pls, plz, thx, real, possible, as possible, to be, teh, hte,
    a lot, much, if you can, if possible, for me, for us, able to, try to, go and, value, cheers, actually, um, uh, well, together`,
    { as: 'glue' },
  ],
  [
    `please, i want, want, wanna, like, need, i need, get, have, id like, i would like`,
    { as: 'glue', wish: 'strong' },
  ],
  [
    'make sure, make sure that, make sure to, ensure, ensure that, be sure, be sure that, see to it, see to it that, see that',
    { as: 'glue', wish: 'sure' },
  ],
  [
    `should be, should, needs to be, need to be, needs to, needs, has to be, have to be, must be, ought to be, shall be, should go, can go,
    should get`,
    { as: 'glue', wish: 'mild' },
  ],
  ['to, at about, to about, to around, to exactly, to roughly', { as: 'to' }],
  ['by', { as: 'by' }],
  ['on', { as: 'on' }],
  [
    'and, plus, then, and then, and also, after that, as well as, along with, together with, also, and after that, followed by, ",", ";", "."',
    { as: 'and' },
  ],
  [
    'it, that, this, them, they, these, those, this one, that one, what is playing, whatever is playing',
    { as: 'it' },
  ],
  ['all, every, each, every single, each and every, all of, any', { as: 'all' }],
  ['both, both of', { as: 'both' }],
  ['everything', { as: 'everything' }],
  ['a bit, a little, a little bit, slightly, a touch, a tad, a notch, bit, little', { as: 'bit' }],
  ['in there, over there, its', { as: 'there' }],
  ['here, in here, in this room, this room, in the room, the room, over here', { as: 'here' }],
  [
    `everywhere, in the house, in the home, in the apartment, in the flat, in every room, in all the rooms, in all rooms,
    in each room, in the whole house, whole house, the whole house, in the entire house, throughout the house, around the house, at home, the house, whole home,
    all over the house, in my house, in our house, in the building, of the house, in my home, the entire house`,
    { as: 'home' },
  ],
  // Words that stop a clause from acting.
  ['not, never, no, without, neither, nor, dont, avoid, refrain', { as: 'not' }],
  [
    `except, except for, except in, except the one, except the ones, excluding, but not, but not in, but, apart from, other than, besides, not including, leave, but leave,
    and leave, but keep, aside from, save for`,
    { as: 'but' },
  ],
  ['instead, rather than, or', { as: 'except' }],
  [
    `is, are, was, were, been, i do not need, we do not need, i do not want, we do not want, can i, could i, should i, shall i, may i, should we, shall we, may we, i will, we will,
    turns, opens, closes, keeps, stays, goes, works, gets, comes, happened, i am, we are, i have, we have, i did, you did, you have, did you, have you, you are, it will, that will`,
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
    `turn, turning, put, roll, pull, set, setting up, make, making, change, crank, bump, slide, knock, pop, flick, spin, ramp, nudge, push, tweak, adjust, bring, take, move, power, flip, give, send, keep, show,
    want it, tell, ask, have it`,
    { as: 'neutral' },
  ],
  ['switch, switching', { as: 'neutral', initial: true }],
  ['turned, switched', { as: 'neutral', participle: true }],
  // States.
  [
    'activate, enable, illuminate, back on, power up, fire up, power on, spin up, ignite, going, up and running, start up, spinning, lit',
    slot({ state: 'on' }),
  ],
  [
    'off, deactivate, disable, shut off, shut down, kill, put out, turn out, extinguish, back off, cut, power down, power off, no more, turn of, switch of, shut of, turned of, switched of',
    slot({ state: 'off' }),
  ],
  ['light up', slot({ state: 'on' }, { initial: true })],
  [
    'hit, give me some, need some, i need some, want some, i want some, let there be',
    slot({ state: 'on' }, { lastly: true }),
  ],
  ['out', slot({ state: 'off' }, { weak: true })],
  // Directions and levels.
  ['up, increase, raise, higher, boost', slot({ direction: 'up' }, { weak: true })],
  ['down, decrease, lower, reduce, drop', slot({ direction: 'down' }, { weak: true })],
  [
    'brighter, brighten, brighten up, lighter, less dim, less dark, more bright, more light',
    slot({ attribute: 'brightness', direction: 'up' }),
  ],
  [
    'dim, dimmer, dim down, darker, darken, less bright, less light',
    slot({ attribute: 'brightness', direction: 'down' }),
  ],
  ['dimmed', slot({ attribute: 'brightness', direction: 'down' }, { participle: true })],
  ['louder, less quiet', slot({ attribute: 'volume', direction: 'up' })],
  ['quieter, softer, less loud', slot({ attribute: 'volume', direction: 'down' })],
  [
    'warmer, hotter, warm, warm up, heat up, less cold, less cool',
    slot({ attribute: 'temperature', direction: 'up' }),
  ],
  ['cooler, colder, cool down, less warm, less hot', slot({ attribute: 'temperature', direction: 'down' })],
  ['faster', slot({ attribute: 'speed', direction: 'up' })],
  ['slower, slow down, slow', slot({ attribute: 'speed', direction: 'down' })],
  [
    'max, maximum, as high as possible, as much as possible, as far as possible, highest, full, all the way up, the most, fullest, full blast',
    slot({ level: 'max' }),
  ],
  [
    'brightest, full brightness, as bright as possible, as bright as it goes',
    slot({ attribute: 'brightness', level: 'max' }),
  ],
  ['min, minimum, lowest, all the way down, the least', slot({ level: 'min' })],
  [
    'dimmest, darkest, as dim as possible, as dark as possible',
    slot({ attribute: 'brightness', level: 'min' }),
  ],
  ['loudest, as loud as possible', slot({ attribute: 'volume', level: 'max' })],
  ['quietest, as quiet as possible', slot({ attribute: 'volume', level: 'min' })],
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
  ['open, open up, unroll, lift', slot({ verb: 'open' })],
  ['opened', slot({ verb: 'open' }, { participle: true })],
  ['close, shut, close up, draw', slot({ verb: 'close' })],
  ['closed', slot({ verb: 'close' }, { participle: true })],
  [
    'start, run, begin, launch, send out, started, running, kick off, get started',
    slot({ verb: 'start' }, { weak: true }),
  ],
  ['stop, halt, end, quit, cease, stopped', slot({ verb: 'stop' }, { weak: true })],
  ['toggle', slot({ verb: 'toggle' })],
  ['unlock, unbolt', slot({ verb: 'unlock' })],
  ['unlocked', slot({ verb: 'unlock' }, { participle: true })],
  ['locked, secured, bolted', slot({ verb: 'lock' }, { participle: true })],
  ['lock, lock up, secure, bolt', slot({ verb: 'lock' }, { initial: true })],
  ['play, playing', slot({ verb: 'play' }, { weak: true })],
  [
    'unpause, resume, continue, play again, keep playing, resume playing, continue playing, unpaused, resumed',
    slot({ verb: 'resume' }, { weak: true }),
  ],
  ['pause, paused, hold', slot({ verb: 'pause' })],
  [
    'next, skip, skip to the next, skip forward, skip ahead, skip to next, play the next, play next, go to the next, go to next, go forward',
    slot({ verb: 'next' }),
  ],
  [
    `previous, skip back, skip backward, skip backwards, go back, go back to the previous, last song, last track, rewind,
    go to the previous, play the previous, play previous, skip to the previous`,
    slot({ verb: 'previous' }),
  ],
  ['mute, silence, muted', slot({ verb: 'mute' })],
  ['unmute, unmuted, off mute, mute off, off of mute', slot({ verb: 'unmute' })],
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
  ['ventilate', { verb: 'start' }],
  ['sprinkle', { verb: 'water' }],
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
  for (const phrase of purposes()) yield [phrase, { as: 'glue' }]
  for (const [name, rgb] of colours) yield [name, slot({ rgb })]
  for (const [name, kelvin] of whites) yield [name, slot({ kelvin })]
}

/** Why something is wanted changes nothing: `so I can sleep`. */
function* purposes(): Generator<string> {
  const ends =
    'leave, go, see, sleep, read, work, cook, eat, get in, get out, come in, drive in, drive out, park, get up'
  for (const who of ['i', 'we'])
    for (const link of ['so', 'so that'])
      for (const end of ends.split(', ')) yield `${link} ${who} can ${end}`
}

/** Phrase to sense. */
export const lexicon: ReadonlyMap<string, Sense> = new Map(entries())

/** Longest phrase, words. */
export const phraseWordsMax = Math.max(...[...lexicon.keys()].map((phrase) => phrase.split(' ').length))
