import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Entity, HomeView } from '../../../runtime/things/entity.ts'
import { understand } from '../../../runtime/understanding/understand.ts'
import { area, did, entity, say } from './home-builder.ts'
import { homeNames, intentsHome, namedHome } from './home-fixtures.ts'

const homes = [intentsHome(), ...homeNames.map(namedHome)]

const words = fc.constantFrom(
  ...`turn on off the a all both every open close lock unlock set to by at in and please not don't kitchen bedroom living room
  light lights lamp fan curtain curtains door doors thermostat heat 20 50 % percent degrees celsius brightness volume red
  blue warm white max min half up down louder brighter dim play pause stop next previous add milk list what is are which how
  many temperature outside here everything home it them vacuum clean go back base rover speaker music tv smart plug
  sprinklers water lawn first floor when minutes except front back garage play corner , . ? twenty two a half`.split(
    /\s+/,
  ),
)
const utterances = fc.oneof(
  fc.array(words, { maxLength: 14 }).map((said) => said.join(' ')),
  fc.string({ maxLength: 80 }),
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc.string({ unit: 'binary', maxLength: 60 }),
)

const nameWords = fc.constantFrom(
  ...`Kitchen Bedroom Porch Corner Night Reading Ceiling Heat Open Play Water Left Right Upper High Low Blue Party Morning Desk
  Front Second Shelf Strip Lava Moon Aquarium Pond Stage Studio`.split(/\s+/),
)
const heads = fc.constantFrom('Lamp', 'Light', 'Spot', 'Glow', 'Lantern')

/** Homes of lights and switches whose names are all different, some made of grammar words. */
const namedHomes: fc.Arbitrary<HomeView> = fc
  .uniqueArray(
    fc.tuple(nameWords, nameWords, heads).map((parts) => [...new Set(parts)].join(' ')),
    {
      minLength: 1,
      maxLength: 12,
    },
  )
  .map((names) => ({
    areas: [area('hall', 'Hall'), area('loft', 'Loft')],
    entities: names.map((name, at) =>
      entity(`${at % 3 === 2 ? 'switch' : 'light'}.thing_${at}`, {
        name,
        area: at % 2 === 0 ? 'hall' : 'loft',
      }),
    ),
  }))

describe('understand() for any words in any home', () => {
  it('never throws, commands nothing outside the home, and says the same again [understanding-4]', () => {
    fc.assert(
      fc.property(fc.constantFrom(...homes), utterances, fc.nat(20), (home, text, where) => {
        const at = home.areas[where]?.id
        const context = at === undefined ? { nowMs: 0 } : { nowMs: 0, area: at }
        const found = understand(text, home, context)
        const ids = new Set(home.entities.map(({ info }) => info.id))
        if (found.kind === 'commands') {
          expect(found.commands.length).toBeGreaterThan(0)
          for (const { entity: id } of found.commands) expect(ids.has(id)).toBe(true)
        }
        if (found.kind === 'answer') for (const id of found.entities) expect(ids.has(id)).toBe(true)
        expect(found.reply.length).toBeGreaterThan(0)
        expect(understand(text, structuredClone(home), context)).toEqual(found)
      }),
      { numRuns: 500 },
    )
  })

  it('never moves anything where `not` was said [understanding-2]', () => {
    fc.assert(
      fc.property(fc.array(words, { maxLength: 8 }), fc.nat(8), (said, at) => {
        const text = said.toSpliced(Math.min(at, said.length), 0, 'not').join(' ')
        // What goes on a list is not read: `add do not disturb to my list` is only an item.
        fc.pre(!/\b(?:add|put)\b/.test(text))
        // `…, not the lamp` leaves the lamp out.
        fc.pre(!/(?:\band|[,.]) not\b/.test(text))
        expect(say(intentsHome(), text).kind).not.toBe('commands')
      }),
      { examples: [[['garage', ',', 'half'], 0]] },
    )
  })

  it('never unlocks more than one lock that was not named by itself [understanding-5]', () => {
    const home = intentsHome()
    fc.assert(
      fc.property(fc.array(words, { maxLength: 8 }), (said) => {
        const found = say(home, `unlock ${said.filter((word) => word !== 'and' && word !== ',').join(' ')}`)
        const commands = found.kind === 'commands' ? found.commands : []
        const unlocked = commands.filter(({ command }) => command['state'] === 'unlocked')
        expect(unlocked.length).toBeLessThanOrEqual(1)
      }),
    )
  })

  it('says nothing it did not quote from the text: every word of a reading is in it', () => {
    fc.assert(
      fc.property(fc.constantFrom(...homes), fc.array(words, { maxLength: 10 }), (home, said) => {
        const text = said.join(' ')
        for (const word of say(home, text).reading.words)
          for (const part of word.text.split(', ')) expect(text).toContain(part)
      }),
    )
  })
})

describe('understand() of an exact name', () => {
  it('switches precisely the entity that has it, whatever else is there', () => {
    const phrase = fc.constantFrom(
      (name: string) => `turn on ${name}`,
      (name: string) => `turn on the ${name}`,
      (name: string) => `turn the ${name} on`,
      (name: string) => `switch on the ${name} please`,
      (name: string) => `${name} on`,
      (name: string) => `Could you TURN ON ${name.toUpperCase()}?`,
    )
    fc.assert(
      fc.property(namedHomes, fc.nat(), phrase, (home, pick, say1) => {
        const chosen = home.entities[pick % home.entities.length] as Entity
        const text = say1(chosen.info.name)
        expect(did(say(home, text)), `${text} of ${home.entities.map(({ info }) => info.name)}`).toEqual([
          `${chosen.info.id} {"state":"on"}`,
        ])
      }),
      { numRuns: 600 },
    )
  })

  it.each(homeNames)('switches it off in %s, for every light, switch and fan of one name', (name) => {
    const home = namedHome(name)
    const named = home.entities.filter(({ info }) => ['light', 'switch', 'fan'].includes(info.kind))
    const unique = named.filter(
      ({ info }) => home.entities.filter((other) => other.info.name === info.name).length === 1,
    )
    for (const { info } of unique)
      expect(did(say(home, `turn off the ${info.name}`))).toEqual([`${info.id} {"state":"off"}`])
  })
})

describe('understand() of the same thing said otherwise', () => {
  const home = intentsHome()
  const sentences = fc.constantFrom(
    'turn on the bedroom lamp',
    'set the bedroom lamp to 50%',
    'close the curtains in the living room',
    'turn off all the lights in the kitchen',
    'unlock the front door',
    'set the office thermostat to 20 degrees celsius',
    'start rover',
    'open the main valve',
    'pause the tv',
    'turn off the kitchen and bedroom lights',
    'set the ceiling fan to 40 percent',
  )
  const wrap = fc.constantFrom(
    (text: string) => text.toUpperCase(),
    (text: string) => `Please ${text}.`,
    (text: string) => `${text}, please!`,
    (text: string) => `hey, could you ${text} for me?`,
    (text: string) => `I'd like you to ${text} right now, thanks`,
    (text: string) => `  ${text.replaceAll(' ', '   ')}  `,
    (text: string) => text.replaceAll('the ', ''),
    (text: string) => text.replaceAll('the ', 'my '),
    (text: string) => text.normalize('NFD').replaceAll('%', ' percent'),
    (text: string) => `would you mind and ${text}`.replace('and ', ''),
  )

  it('gives the same commands: politeness, case, articles, punctuation, spaces', () => {
    fc.assert(
      fc.property(sentences, wrap, wrap, (text, inner, outer) => {
        const plain = did(say(home, text))
        expect(plain.join()).toMatch(/\{/)
        expect(did(say(home, outer(inner(text)))), outer(inner(text))).toEqual(plain)
      }),
    )
  })
})

describe('understand() of a home that changes', () => {
  it('reads the entities, areas and states that are there now, whatever it read before', () => {
    const lamp = entity('light.a', { name: 'Reading Lamp', area: 'hall' })
    const areas = [area('hall', 'Hall')]
    const before = { areas, entities: [lamp] }
    expect(did(say(before, 'turn on the reading lamp'))).toEqual(['light.a {"state":"on"}'])
    const added = { areas, entities: [lamp, entity('fan.b', { name: 'Desk Fan', area: 'hall' })] }
    expect(did(say(added, 'turn on the desk fan'))).toEqual(['fan.b {"state":"on"}'])
    const renamed = { areas: [area('hall', 'Studio')], entities: [lamp] }
    expect(did(say(renamed, 'studio lights on'))).toEqual(['light.a {"state":"on"}'])
    expect(say(renamed, 'hall lights on').kind).toBe('refusal')
    const bright = { info: lamp.info, telemetry: { state: 'on', attributes: { brightness: 51 }, tsMs: 1 } }
    expect(did(say({ areas, entities: [bright] }, 'dim the reading lamp by 10%'))).toEqual([
      'light.a {"state":"on","brightness":26}',
    ])
    expect(say({ areas: [], entities: [] }, 'turn on the reading lamp').kind).toBe('refusal')
  })
})
