import { describe, expect, it } from 'vitest'
import { did, say } from './home-builder.ts'
import { intentsHome, withSetup } from './home-fixtures.ts'
import { richHome } from './rich-home.ts'

const home = intentsHome()

describe('understand() answers from telemetry [understanding-6]', () => {
  it.each([
    ['is the back door locked', 'No, Back Door Lock is unlocked.'],
    ['is the front door unlocked?', 'No, Front Door is locked.'],
    ['are all the doors locked', 'No: Front Door is locked, Back Door Lock is not.'],
    ['is the garage door open', 'No, Garage Door is closed.'],
    ['is the kitchen window open', 'Yes, Kitchen Window is open.'],
    ['are any windows open', 'Yes, Kitchen Window is open.'],
    ['is the tv on', 'No, Telly is off.'],
    ["what's playing", 'Kitchen Speaker is playing.'],
    ['are any lights on in the kitchen', 'Yes, Island Pendant is on.'],
    ['how many lights are on', '2 lights are on: Island Pendant and Floor Lamp.'],
    ['which lights are on upstairs', 'None is on.'],
    ['is there anyone in the hallway', 'No, Hall Motion is clear.'],
    ["what's the temperature in the garden", 'Garden Temperature is 7.5 °C.'],
    ["what's the temperature outside", 'The temperature of Forecast is 8 °C.'],
    ['how warm is it in the lounge', 'The temperature of Lounge Thermostat is 19.5 °C.'],
    ['what is the thermostat set to', 'Lounge Thermostat is set to heat, wanted 20°, now 19.5°.'],
    ['what is the volume of the kitchen speaker', 'The volume of Kitchen Speaker is 40 %.'],
    ['how bright is the floor lamp', 'The brightness of Floor Lamp is 40 %.'],
    ['is it raining', 'Yes, Forecast is rainy.'],
    ['is it sunny', 'No, Forecast is rainy.'],
    ["what's on my shopping list", 'On Shopping List: Milk, brown eggs.'],
    ['what is on the chores list', 'Chores is empty.'],
    ['how many items are on my chores', 'Chores is empty.'],
    ['what is on my shopping list right now', 'On Shopping List: Milk, brown eggs.'],
    ['where is dusty', 'Dusty is in Hallway.'],
    ['is dusty docked', 'Yes, Dusty is docked.'],
    ['did I leave the floor lamp on', 'Yes, Floor Lamp is on at 40 %.'],
    ['hey can you tell me what time it is', 'It is 7:05.'],
    ['can you tell me if the front door is locked', 'Yes, Front Door is locked.'],
    ['do you know whether the tv is on', 'No, Telly is off.'],
    ['check if the back door is locked', 'No, Back Door Lock is unlocked.'],
    ['tell me the temperature in the lounge', 'The temperature of Lounge Thermostat is 19.5 °C.'],
    ['is the floor lamp on or off', 'Yes, Floor Lamp is on at 40 %.'],
    ['have I left the floor lamp on', 'Yes, Floor Lamp is on at 40 %.'],
    ['what time is it', 'It is 7:05.'],
    ["what's the date today", 'It is Sunday, 22 November 2026.'],
  ])('%s', (text, reply) => expect(say(richHome, text)).toMatchObject({ kind: 'answer', reply }))

  it('names the entities that it speaks of', () =>
    expect(say(richHome, 'is the front door locked')).toMatchObject({ entities: ['lock.front'] }))

  it.each(['how humid is it in the main bedroom', 'what is the bedroom humidity'])(
    'says so where a device is not available: %s',
    (text) => expect(say(richHome, text).reply).toMatch(/not available/),
  )

  it('never counts a silent lock as locked', () => {
    const silent = withSetup(home, {
      'lock.front_door': { state: 'unavailable' },
      'lock.back_door': { state: 'locked' },
      'lock.side_door': { state: 'unknown' },
    })
    expect(say(silent, 'is the front door locked').reply).toBe('Front Door is not available right now.')
    const { reply } = say(silent, 'which doors are locked')
    expect(reply).toMatch(/^Back Door is locked\./)
    expect(reply).toMatch(/Front Door is not available.*Side Door has not reported/)
  })

  it.each([
    'what is the meaning of life',
    'who is the president',
    'why is the sky blue',
    'is the submarine open',
    'what',
    'why is the floor lamp on',
    'who unlocked the front door',
    'tell me a joke',
  ])('refuses what the home cannot answer: %s', (text) =>
    expect(say(richHome, text), did(say(richHome, text)).join()).toMatchObject({ kind: 'refusal' }),
  )

  it('takes left and right for names', () =>
    expect(say(home, 'is the left curtain open').reply).toBe('Yes, Curtain Left is open.'))

  it('takes a polite command for a command', () =>
    expect(did(say(richHome, 'can you turn on the floor lamp?'))).toEqual([
      'light.floor_lamp {"state":"on"}',
    ]))
})
