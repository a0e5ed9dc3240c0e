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
