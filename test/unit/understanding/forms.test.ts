/** Forms of speech: lists that share an amount, changes and levels, questions that look like orders. */
import { describe, expect, it } from 'vitest'
import { did, say } from './home-builder.ts'
import { richHome } from './rich-home.ts'

type Case = readonly [text: string, ...expected: string[]]

function table(name: string, cases: readonly Case[]): void {
  describe(name, () => {
    it.each(cases)('%s', (text, ...expected) => {
      expect(did(say(richHome, text))).toEqual([...expected].sort())
    })
  })
}

const [pendant, lamp] = ['light.kitchen_island', 'light.floor_lamp']

table('an amount said last is meant for all that were listed [understanding-1]', [
  [
    'dim the island pendant and the floor lamp to 40 percent',
    `${pendant} {"state":"on","brightness":102}`,
    `${lamp} {"state":"on","brightness":102}`,
  ],
  [
    'lower the island pendant, the bedside lamp and the floor lamp to 20%',
    `${pendant} {"state":"on","brightness":51}`,
    `${lamp} {"state":"on","brightness":51}`,
    'light.main_bedroom {"state":"on","brightness":51}',
  ],
])

table('a change is told from a level', [
  ['floor lamp 10 percent brighter', `${lamp} {"state":"on","brightness":128}`],
  ['turn the floor lamp up 10 percent', `${lamp} {"state":"on","brightness":128}`],
  ['raise the floor lamp 10 percent', `${lamp} {"state":"on","brightness":128}`],
  ['turn the floor lamp up to 10 percent', `${lamp} {"state":"on","brightness":26}`],
  ['dim the floor lamp to 10 percent', `${lamp} {"state":"on","brightness":26}`],
  ['make it two degrees warmer', 'climate.lounge {"temperature":22}'],
  ['turn the heat down 3 degrees', 'climate.lounge {"temperature":17}'],
  ['turn the heat down to 17 degrees', 'climate.lounge {"temperature":17}'],
])

describe('a question acts on nothing [understanding-2]', () => {
  it.each([
    'can the garage door be opened',
    'could the garage door be open',
    'can curtains be opened halfway',
    'can the floor lamp turn red',
    'am I able to turn off the tv',
    'do you want to turn on the floor lamp',
  ])('%s', (text) => expect(['answer', 'refusal']).toContain(say(richHome, text).kind))

  it.each(['can you turn on the floor lamp', 'could you please turn on the floor lamp'])(
    'but an order that is asked politely does: %s',
    (text) => expect(did(say(richHome, text))).toEqual([`${lamp} {"state":"on"}`]),
  )
})

table('lists', [
  [
    'add eggs to the shopping list and turn on the floor lamp',
    `${lamp} {"state":"on"}`,
    'todo.shopping {"action":"add_item","item":"eggs"}',
  ],
  [
    'turn on the floor lamp and add eggs to the shopping list',
    `${lamp} {"state":"on"}`,
    'todo.shopping {"action":"add_item","item":"eggs"}',
  ],
  ['add salt and pepper to my shopping list', 'todo.shopping {"action":"add_item","item":"salt and pepper"}'],
  ['shopping list add coffee', 'todo.shopping {"action":"add_item","item":"coffee"}'],
  ['chores: add mow the lawn', 'todo.chores {"action":"add_item","item":"mow the lawn"}'],
  ['new item on the shopping list: sugar', 'todo.shopping {"action":"add_item","item":"sugar"}'],
  ['add an item to the chores called sweeping', 'todo.chores {"action":"add_item","item":"sweeping"}'],
  [
    'I need to buy bananas, put it on the shopping list',
    'todo.shopping {"action":"add_item","item":"bananas"}',
  ],
  ["we're out of rice, add it to the shopping list", 'todo.shopping {"action":"add_item","item":"rice"}'],
  [
    'add open the garage door and dance to my chores',
    'todo.chores {"action":"add_item","item":"open the garage door and dance"}',
  ],
  ['add to the shopping list', 'question: Which item of Shopping List?'],
])

table('past forms and wishes', [
  ['turned on the floor lamp', `${lamp} {"state":"on"}`],
  ['Switched off the coffee maker.', 'switch.coffee {"state":"off"}'],
  ['dimmed the floor lamp to 10%', `${lamp} {"state":"on","brightness":26}`],
  ['closed the lounge blinds', 'cover.lounge_blind {"state":"closed"}'],
  ['locked the back door', 'lock.back {"state":"locked"}'],
  ['opened the bedroom curtains', 'cover.bedroom_curtain {"state":"open"}'],
  ['unlocked the back door', 'question: Do you mean Back Door Lock?'],
  ['opened the garage door', 'question: Do you mean Garage Door?'],
  ['the garage door should be open', 'question: Do you mean Garage Door?'],
  ['keep the garage door open', 'question: Do you mean Garage Door?'],
  ['I was thinking, open the garage door', 'question: Do you mean Garage Door?'],
  ["I'm home, open the garage door", 'cover.garage_door {"state":"open"}'],
  ['the garage door needs to be closed', 'cover.garage_door {"state":"closed"}'],
  ['I want the back door unlocked', 'lock.back {"state":"unlocked"}'],
  ['I want the back door locked', 'lock.back {"state":"locked"}'],
  ['make sure the floor lamp is off', `${lamp} {"state":"off"}`],
  ['I would like the floor lamp turned on', `${lamp} {"state":"on"}`],
  ['open the lock on the back door', 'lock.back {"state":"unlocked"}'],
  ['turn of the floor lamp', `${lamp} {"state":"off"}`],
  ['trun off the floor lamp', `${lamp} {"state":"off"}`],
  ['turnon the floor lamp', `${lamp} {"state":"on"}`],
  ['opne the garage door', 'question: Do you mean Garage Door?'],
  ['run the tower fan at 50%', 'fan.bedroom {"state":"on","percentage":50}'],
  ['set the thermostat to cool at 18 degrees', 'climate.lounge {"hvac_mode":"cool","temperature":18}'],
  ['turn the kitchen speaker sound off', 'media_player.kitchen {"muted":true}'],
])

describe('what is told is not done [understanding-2]', () => {
  it.each([
    'the floor lamp turned off',
    'I turned off the floor lamp',
    'I just locked the back door',
    'the back door was locked',
    'my tower fan turns on and off',
    'someone unlocked the back door',
    'could someone have opened the garage door',
    'is the floor lamp turned on',
  ])('%s', (text) => expect(say(richHome, text).kind).not.toBe('commands'))
})

const lights = ['guest', 'kitchen_island', 'kitchen_main', 'main_bedroom'].map(
  (id) => `light.${id} {"state":"off"}`,
)

table('exceptions, and everything', [
  ['turn off all the lights except the floor lamp', ...lights],
  ['turn off the lights but not the lounge', ...lights],
  [
    'turn off every light apart from the floor lamp and the kitchen',
    ...lights.filter((light) => !light.includes('kitchen')),
  ],
  [
    'turn off everything in the lounge',
    `${lamp} {"state":"off"}`,
    'switch.christmas {"state":"off"}',
    'media_player.tv {"state":"off"}',
  ],
  ['turn off the floor lamp and leave the bedside lamp on', `${lamp} {"state":"off"}`],
  ['floor lamp off coffee maker off', `${lamp} {"state":"off"}`, 'switch.coffee {"state":"off"}'],
  ['lock everything up', 'lock.back {"state":"locked"}', 'lock.front {"state":"locked"}'],
])

it('says how many of each kind were turned off', () =>
  expect(say(richHome, 'turn everything off in the lounge').reply).toBe(
    '1 light, 1 switch and 1 player in Lounge are off.',
  ))

table('what is said around an order', [
  [
    'in the lounge turn off the lamp and close the blinds',
    `${lamp} {"state":"off"}`,
    'cover.lounge_blind {"state":"closed"}',
  ],
  ['in the lounge, turn off the lamp', `${lamp} {"state":"off"}`],
  [
    'turn off the lamp and close the blinds in the lounge',
    `${lamp} {"state":"off"}`,
    'cover.lounge_blind {"state":"closed"}',
  ],
  [
    'close the lounge blinds and turn off the light in there',
    `${lamp} {"state":"off"}`,
    'cover.lounge_blind {"state":"closed"}',
  ],
  ["it's too bright in the lounge, turn off the light", `${lamp} {"state":"off"}`],
  ["I don't need the floor lamp anymore, turn it off", `${lamp} {"state":"off"}`],
  [
    'turn on the coffee maker and set the temperature to 21',
    'switch.coffee {"state":"on"}',
    'climate.lounge {"temperature":21}',
  ],
  [
    'turn off every light but the kitchen',
    ...[...lights.filter((light) => !light.includes('kitchen')), `${lamp} {"state":"off"}`],
  ],
  ['open all covers', 'cover.bedroom_curtain {"state":"open"}', 'cover.lounge_blind {"state":"open"}'],
  [
    'set the floor lamp color temperature to four thousand kelvin',
    `${lamp} {"state":"on","color_temp_kelvin":4000}`,
  ],
  ['set the thermostat to 21 and a half degrees', 'climate.lounge {"temperature":21.5}'],
  ['turn the heating up a couple of degrees', 'climate.lounge {"temperature":22}'],
  ['put the heating on 24', 'climate.lounge {"temperature":24}'],
  ['turn on the coffee machine', 'switch.coffee {"state":"on"}'],
  ['turn off the floor lite', `${lamp} {"state":"off"}`],
])

describe('a remark does not order [understanding-2]', () => {
  it.each([
    'turn off the floor lamp, I am only joking',
    'if it is dark, turn on the floor lamp',
    "I'm home when it gets dark, turn on the floor lamp",
    "don't turn on the floor lamp, turn on the coffee maker",
    'turn on the heating at 7',
    'turn off all the lights except the floor lamp tomorrow',
    'turn off all the lights except the floor lamp when I leave',
    'turn off all the lights except not the floor lamp',
    'turn on the floor lamp and not turn off the kitchen lights',
  ])('%s', (text) => expect(say(richHome, text).kind).not.toBe('commands'))
})

table('two lists', [
  [
    'add milk to the shopping list and sweeping to the chores list',
    'todo.shopping {"action":"add_item","item":"milk"}',
    'todo.chores {"action":"add_item","item":"sweeping"}',
  ],
])

table('runs without a verb', [
  ['floor lamp on coffee maker off', `${lamp} {"state":"on"}`, 'switch.coffee {"state":"off"}'],
  ['floor lamp on coffee maker on', `${lamp} {"state":"on"}`, 'switch.coffee {"state":"on"}'],
  ['open the blinds 20 percent more', 'cover.lounge_blind {"position":80}'],
])
