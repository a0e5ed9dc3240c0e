import { describe, expect, it } from 'vitest'
import { did, say } from './home-builder.ts'
import { intentsHome } from './home-fixtures.ts'
import { richHome } from './rich-home.ts'

type Case = readonly [text: string, ...expected: string[]]

function table(name: string, cases: readonly Case[]): void {
  describe(name, () => {
    it.each(cases)('%s', (text, ...expected) => {
      expect(did(say(richHome, text))).toEqual([...expected].sort())
    })
  })
}

table('lights [understanding-1]', [
  ['lights on in the kitchen', 'light.kitchen_island {"state":"on"}', 'light.kitchen_main {"state":"on"}'],
  ['turn the floor lamp down to 20%', 'light.floor_lamp {"state":"on","brightness":51}'],
  ['floor lamp twenty five percent', 'light.floor_lamp {"state":"on","brightness":64}'],
  ['set the floor lamp to half brightness', 'light.floor_lamp {"state":"on","brightness":128}'],
  ['floor lamp to minimum', 'light.floor_lamp {"state":"on","brightness":3}'],
  ['floor lamp to full', 'light.floor_lamp {"state":"on","brightness":255}'],
  ['set the floor lamp to 0 percent', 'light.floor_lamp {"state":"off"}'],
  ['make the floor lamp brighter', 'light.floor_lamp {"state":"on","brightness":166}'],
  ['dim the floor lamp by 10 percent', 'light.floor_lamp {"state":"on","brightness":77}'],
  ['dim the floor lamp a bit', 'light.floor_lamp {"state":"on","brightness":77}'],
  ['make the floor lamp purple', 'light.floor_lamp {"state":"on","rgb_color":[128,0,128]}'],
  [
    'set the floor lamp to sky blue at 30%',
    'light.floor_lamp {"state":"on","rgb_color":[135,206,235],"brightness":77}',
  ],
  ['floor lamp warm white', 'light.floor_lamp {"state":"on","color_temp_kelvin":2700}'],
  [
    'set the floor lamp color temperature to 3000',
    'light.floor_lamp {"state":"on","color_temp_kelvin":3000}',
  ],
  ['floor lamp to 4000 kelvin', 'light.floor_lamp {"state":"on","color_temp_kelvin":4000}'],
  // Of several in a room, those that can are set.
  ['kitchen lights 30%', 'light.kitchen_island {"state":"on","brightness":77}'],
  ['turn off the lamp in the master bedroom', 'light.main_bedroom {"state":"off"}'],
  ['TV room lights off', 'light.floor_lamp {"state":"off"}'],
  [
    'turn off the lights downstairs',
    'light.floor_lamp {"state":"off"}',
    'light.kitchen_island {"state":"off"}',
    'light.kitchen_main {"state":"off"}',
  ],
  ['turn the lights upstairs off', 'light.guest {"state":"off"}', 'light.main_bedroom {"state":"off"}'],
  ['shut the bedside lamp off', 'light.main_bedroom {"state":"off"}'],
])

table('switches and fans', [
  ['start the coffee maker', 'switch.coffee {"state":"on"}'],
  ['turn on the christmas tree lights', 'switch.christmas {"state":"on"}'],
  ['toggle the christmas tree', 'switch.christmas {"state":"on"}'],
  ['toggle the floor lamp', 'light.floor_lamp {"state":"off"}'],
  ['kitchen plug off', 'switch.coffee {"state":"off"}'],
  ['set the tower fan to 75%', 'fan.bedroom {"state":"on","percentage":75}'],
  ['fan to high in the main bedroom', 'fan.bedroom {"state":"on","percentage":100}'],
  ['tower fan speed low', 'fan.bedroom {"state":"on","percentage":33}'],
  ['tower fan faster', 'fan.bedroom {"state":"on","percentage":75}'],
  ['make the tower fan oscillate', 'fan.bedroom {"oscillating":true}'],
  ['stop the tower fan from oscillating', 'fan.bedroom {"oscillating":false}'],
  ['run the extractor fan', 'fan.kitchen {"state":"on"}'],
])

table('covers, valves, locks', [
  ['raise the blinds in the lounge', 'cover.lounge_blind {"state":"open"}'],
  ['blinds down', 'cover.lounge_blind {"state":"closed"}'],
  ['roll the lounge blinds up', 'cover.lounge_blind {"state":"open"}'],
  ['lower the blinds to 50%', 'cover.lounge_blind {"position":50}'],
  ['open the blinds a bit more', 'cover.lounge_blind {"position":85}'],
  ['close the blinds halfway', 'cover.lounge_blind {"position":50}'],
  ['stop the blinds', 'cover.lounge_blind {"action":"stop"}'],
  ['close the drapes in the main bedroom', 'cover.bedroom_curtain {"state":"closed"}'],
  ['open the garage', 'cover.garage_door {"state":"open"}'],
  ['close the garage door completely', 'cover.garage_door {"state":"closed"}'],
  ['run the sprinklers', 'valve.sprinkler {"state":"open"}'],
  ['start watering the lawn', 'valve.sprinkler {"state":"open"}'],
  ['stop the irrigation', 'valve.sprinkler {"state":"closed"}'],
  ['unlock the back door', 'lock.back {"state":"unlocked"}'],
  ['lock up', 'lock.back {"state":"locked"}', 'lock.front {"state":"locked"}'],
  ['lock all the doors', 'lock.back {"state":"locked"}', 'lock.front {"state":"locked"}'],
])

table('climate', [
  ['set the living room to 21 degrees', 'climate.lounge {"temperature":21}'],
  ['set the thermostat to 72', 'climate.lounge {"temperature":22.2}'],
  ['set the thermostat to 68 fahrenheit', 'climate.lounge {"temperature":20}'],
  ['thermostat to twenty one point five degrees', 'climate.lounge {"temperature":21.5}'],
  ['turn up the heat', 'climate.lounge {"temperature":21}'],
  ['make it warmer', 'climate.lounge {"temperature":21}'],
  ['cooler by 2 degrees', 'climate.lounge {"temperature":18}'],
  ['set the AC to cool', 'climate.lounge {"hvac_mode":"cool"}'],
  ['turn on the air conditioning', 'climate.lounge {"hvac_mode":"cool"}'],
  ['thermostat to auto mode', 'climate.lounge {"hvac_mode":"auto"}'],
  ['stop heating the lounge', 'climate.lounge {"hvac_mode":"off"}'],
])

table('players', [
  ['pause', 'media_player.kitchen {"state":"paused"}'],
  ['resume', 'media_player.bedroom {"state":"playing"}'],
  ['skip this song', 'media_player.kitchen {"action":"next"}'],
  ['go back to the previous track', 'media_player.kitchen {"action":"previous"}'],
  ['stop the music', 'media_player.kitchen {"state":"paused"}'],
  ['louder', 'media_player.kitchen {"volume_level":0.5}'],
  ['sonos volume to 35 percent', 'media_player.bedroom {"volume_level":0.35}'],
  ['turn the kitchen speaker down by 15%', 'media_player.kitchen {"volume_level":0.25}'],
  ['mute the telly', 'media_player.tv {"muted":true}'],
  ['turn on the television', 'media_player.tv {"state":"on"}'],
])

table('vacuums and lists', [
  ['start cleaning', 'vacuum.dusty {"action":"start"}'],
  ['vacuum the hallway', 'vacuum.dusty {"action":"start"}'],
  ['have dusty clean', 'vacuum.dusty {"action":"start"}'],
  ['send dusty home', 'vacuum.dusty {"action":"return_to_base"}'],
  ['dusty, go back to your base', 'vacuum.dusty {"action":"return_to_base"}'],
  ['stop the hoover', 'vacuum.dusty {"action":"stop"}'],
  ['pause the robot', 'vacuum.dusty {"action":"pause"}'],
  ['find dusty', 'vacuum.dusty {"action":"locate"}'],
  ['add 2 kg of Flour to the shopping list', 'todo.shopping {"action":"add_item","item":"2 kg of Flour"}'],
  [
    'put bread and butter on my shopping list',
    'todo.shopping {"action":"add_item","item":"bread and butter"}',
  ],
  [
    'add unlock the front door to my chores',
    'todo.chores {"action":"add_item","item":"unlock the front door"}',
  ],
  ['remove milk from the shopping list', 'todo.shopping {"action":"remove_item","item":"Milk"}'],
  ['cross milk off the shopping list', 'todo.shopping {"action":"complete_item","item":"Milk"}'],
])

table('several things at once', [
  ['turn on the tv and the floor lamp', 'light.floor_lamp {"state":"on"}', 'media_player.tv {"state":"on"}'],
  [
    'turn on the floor lamp, then close the lounge blinds',
    'cover.lounge_blind {"state":"closed"}',
    'light.floor_lamp {"state":"on"}',
  ],
  [
    'turn off the kitchen and guest room lights',
    'light.guest {"state":"off"}',
    'light.kitchen_island {"state":"off"}',
    'light.kitchen_main {"state":"off"}',
  ],
  [
    'floor lamp on and set it to 50%',
    'light.floor_lamp {"state":"on","brightness":128}',
    'light.floor_lamp {"state":"on"}',
  ],
])

describe('a list of names', () => {
  it('unlocks each that was named', () =>
    expect(did(say(intentsHome(), 'unlock the front, back and side door'))).toEqual([
      'lock.back_door {"state":"unlocked"}',
      'lock.front_door {"state":"unlocked"}',
      'lock.side_door {"state":"unlocked"}',
    ]))
})

describe('the room of the speaker', () => {
  const home = intentsHome()
  const both = ['light.living_room_lamp {"state":"off"}', 'light.play_corner {"state":"off"}']

  it.each([
    'Turn every light off in this room',
    'Turn the lights off here',
    'Turn every light in here off',
    'Switch off each and every light in the room',
    'Deactivate the lights',
    'turn off the light',
  ])('is meant by: %s', (text) => expect(did(say(home, text, 'living_room_id'))).toEqual(both))

  it('is not meant where all were asked for', () =>
    expect(did(say(home, 'turn off all the lights', 'living_room_id'))).toHaveLength(7))

  it('is not meant where another room was named', () =>
    expect(did(say(home, 'turn off the bedroom lights', 'living_room_id'))).toEqual([
      'light.bedroom_lamp {"state":"off"}',
    ]))

  it('is asked for where `here` was said and it is not known', () =>
    expect(say(home, 'turn off the lights in here')).toMatchObject({ kind: 'question' }))

  it('says that it has no such thing', () =>
    expect(say(home, 'turn on the fan in here', 'kitchen_id')).toMatchObject({
      kind: 'refusal',
      reply: 'There is no fan in Kitchen.',
    }))

  it('decides which brightness, colour and temperature', () => {
    expect(did(say(home, 'set the brightness to 50%', 'bedroom_id'))).toEqual([
      'light.bedroom_lamp {"state":"on","brightness":128}',
    ])
    expect(did(say(home, 'make it warmer', 'living_room_id'))).toEqual([
      'climate.thermostat {"temperature":70}',
    ])
  })
})

describe('the reply and the reading', () => {
  it.each([
    ['turn on the floor lamp', 'Floor Lamp is on.'],
    ['turn off the lights downstairs', '3 lights are off.'],
    ['kitchen lights off', 'Kitchen Main Light and Island Pendant are off.'],
    ['open the lounge blinds', 'Lounge Blinds are open.'],
    ['set the thermostat to 72', 'Lounge Thermostat is set to 22.2 °C (72 °F).'],
    ['put eggs on the chores list', '“eggs” is on Chores.'],
  ])('says what will be true: %s', (text, reply) => expect(say(richHome, text).reply).toBe(reply))

  it('shows which words decided, and what they were taken for', () => {
    const { reading } = say(richHome, 'Please set the bedsde lamp to fifty percent')
    expect(reading.intent).toBe('light.set_brightness')
    expect(reading.words).toEqual([
      { text: 'bedsde', role: 'target', means: 'bedside' },
      { text: 'lamp', role: 'target', means: 'lamp' },
      { text: 'fifty', role: 'amount', means: '50 percent' },
      { text: 'Please set the bedsde lamp to fifty percent', role: 'entities', means: 'light.main_bedroom' },
    ])
  })
})
