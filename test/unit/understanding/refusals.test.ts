import { describe, expect, it } from 'vitest'
import { wireLimits } from '../../../runtime/wire/limits.ts'
import { area, did, entity, say } from './home-builder.ts'
import { intentsHome } from './home-fixtures.ts'

const home = intentsHome()

function refused(text: string, part: RegExp, where?: string): void {
  const found = say(home, text, where)
  expect(found.kind, did(found).join()).toBe('refusal')
  expect(found.reply).toMatch(part)
}

function asked(text: string, options: readonly string[], where?: string): void {
  const found = say(home, text, where)
  expect(found.kind, did(found).join()).toBe('question')
  expect(found.kind === 'question' ? found.options : []).toEqual(options)
}

describe('understand() refuses, and says why [understanding-2]', () => {
  it.each([
    ['turn on the floodlight', /floodlight/],
    ['turn on the lights in the conservatory', /conservatory/],
    ['turn on the frobnicator in the kitchen', /frobnicator/],
    ['play jazz', /jazz/],
    ['打开灯', /打开灯/],
    ['включи свет', /включи свет/],
  ])('a word that it does not know: %s', (text, part) => refused(text, part))

  it('names the nearest names for an unknown word', () => refused('turn on the kitch', /Kitchen/))

  it.each([
    ['set the thermostat to 900 degrees', /45 to 95 °F/],
    ['set the office thermostat to 80 celsius', /7 to 35 °C/],
    ['set the bedroom lamp brightness to 300 %', /0 to 100 %/],
    ['set the main valve to 140', /0 to 100 %/],
    ['set the tv volume to 150', /0 to 100 %/],
    ['set the ceiling fan to minus 20 percent', /0 to 100 %/],
  ])('a value out of range, with the range: %s', (text, part) => refused(text, part))

  it.each([
    ['turn the bedroom lamp red', /colour/],
    ['bedroom lamp warm white', /colour temperature/],
    ['open curtain left to 30%', /only be open or closed/],
    ['open the front door', /lock/],
    ['make curtain left red', /cover/],
    ['locate rover', /cannot be located/],
    ['water the lawn', /does not water/],
  ])('what a device cannot do: %s', (text, part) => refused(text, part))

  it.each([
    "don't turn on the bedroom lamp",
    'do not turn off the kitchen lights',
    'never unlock the front door',
    'please dont open the curtains in the living room',
    'turn off the kitchen lights, no wait',
  ])('what shall not be done: %s', (text) => refused(text, /nothing is changed/))

  it.each([
    'turn off all the lights except the submarine',
    'turn off the bedroom lamp except the bedroom lamp',
    'leave the bedroom lamp on',
    'turn on the bedroom lamp or the garage light',
  ])('exceptions and choices: %s', (text) => refused(text, /./))

  it.each([
    'turn off the bedroom lamp in five minutes',
    'turn on the heat in the office at 7 pm',
    'turn on the garage light at 7:30',
    'turn on the garage light when I get home',
    'turn on the ceiling fan for ten minutes',
    'lock the front door if it is unlocked',
    'open the bedroom curtain tomorrow morning',
    'turn off the tv later',
    'turn on the garage light every day',
    'set a timer for 5 minutes',
  ])('what is for later: %s', (text) => refused(text, /later|do not know/))

  it.each([
    'the bedroom lamp is on',
    'I am turning on the bedroom lamp',
    'should I unlock the front door',
    'can I unlock the front door',
    'shall we open the bedroom curtain',
  ])('a remark: %s', (text) => refused(text, /remark/))

  it.each(['turn on two lamps', 'close 3 curtains', 'turn on one of the lamps'])(
    'a number of things: %s',
    (text) => refused(text, /choose/),
  )

  it.each(['turn on bedroom lamp 2', 'bedroom lamp 7 on', 'dim bedroom lamp 3'])(
    'a number that is in no name, rather than take it for an amount: %s',
    (text) => refused(text, /\d/),
  )

  it('a command that contradicts itself', () => refused('turn on turn off bedroom lamp', /two different/))

  it.each([
    'turn on the bedroom lamp and frobnicate the fan',
    'frobnicate the fan and turn on the bedroom lamp',
    'turn on the bedroom lamp, the garage light and the submarine',
    'close the bedroom curtain and set the thermostat to 900 degrees',
  ])('the whole of it where a part is not understood, and says which part: %s', (text) => {
    const found = say(home, text)
    expect(found.kind).toBe('refusal')
    expect(found.reply).toMatch(/^“.+”: /)
  })

  it.each(['', ' ', '🔥🔥🔥', '...', '?!', '\u0000', 'please', 'hello', 'thank you'])(
    'nothing to do: %j',
    (text) => expect(say(home, text).kind).toBe('refusal'),
  )

  it('what is longer than the wire allows, at once', () => {
    refused('turn on the bedroom lamp '.repeat(400), /too long/)
    expect('turn on the bedroom lamp '.repeat(400).length).toBeGreaterThan(wireLimits.utteranceCharsMax)
  })

  it('a device that is in another room than the one named', () =>
    refused('turn on the tv in the bedroom', /TV.*Bedroom/))

  it('one room of a vacuum that cleans everywhere', () => refused('vacuum the kitchen', /one room/))

  it('an item that is not on the list', () => refused("remove pears from my trader joe's list", /pears/))
})

describe('understand() asks, and moves nothing [understanding-3]', () => {
  const doors = ['Front Door', 'Back Door', 'Side Door']

  it.each([
    'unlock all doors',
    'unlock the doors',
    'unlock every door',
    'unlock the door',
    'unlock all the locks',
  ])('which door to unlock: %s', (text) => asked(text, doors))

  it('which door to unlock even where the speaker stands at one', () =>
    asked('unlock the door', doors, 'entrance_id'))

  it.each(['open all the doors', 'open all garage doors'])('which way in to open: %s', (text) => {
    const garage = {
      areas: [area('g', 'Garage')],
      entities: ['Left Garage Door', 'Right Garage Door'].map((name, at) =>
        entity(`cover.door_${at}`, { name, area: 'g', deviceClass: 'garage', state: 'closed' }),
      ),
    }
    expect(say(garage, text)).toMatchObject({
      kind: 'question',
      options: ['Left Garage Door', 'Right Garage Door'],
    })
    expect(did(say(garage, text.replace('open', 'close')))).toHaveLength(2)
  })

  it('what to unlock', () => asked('unlock everything', []))

  it('where, for lights in several rooms', () =>
    asked('turn off the lights', ['Bedroom', 'Kitchen', 'Living Room', 'Garage']))

  it('which of two lamps', () => asked('turn on the lamp', ['Bedroom Lamp', 'Living Room Lamp']))

  it('whether a misheard door was meant, before it is unlocked', () => {
    asked('unlock the frontt door', ['Front Door'])
    expect(did(say(home, 'lock the frontt door'))).toEqual(['lock.front_door {"state":"locked"}'])
  })

  it('which thermostat', () => asked('make it warmer', ['Thermostat', 'Office Thermostat']))

  it('which list', () => asked('add milk to my shopping list', ["Trader Joe's"]))

  it('percent or degrees', () => asked('set the living room to 70', ['percent', 'degrees']))

  it.each(['turn it off', 'turn on', 'open', 'unlock', 'stop'])('of what: %s', (text) => asked(text, []))

  it('what to do with a thing that was only named', () => asked('bedroom lamp', []))

  it('which of two devices of one name, told apart by area', () => {
    const twins = {
      areas: [area('a', 'Master Bedroom'), area('b', 'Guest Bedroom')],
      entities: [
        entity('light.one', { name: 'Bedroom Light', area: 'a' }),
        entity('light.two', { name: 'Bedroom Light', area: 'b' }),
      ],
    }
    const found = say(twins, 'turn on the bedroom light')
    expect(found).toMatchObject({
      kind: 'question',
      options: ['Bedroom Light (Master Bedroom)', 'Bedroom Light (Guest Bedroom)'],
    })
    expect(did(say(twins, 'turn on the bedroom light', 'b'))).toEqual(['light.two {"state":"on"}'])
    expect(did(say(twins, 'turn on the guest bedroom light'))).toEqual(['light.two {"state":"on"}'])
    expect(did(say(twins, 'turn on all the bedroom lights'))).toHaveLength(2)
  })
})
