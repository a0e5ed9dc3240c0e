/** What an agent that comes would find missing on this device. */
import { expect, test } from 'vitest'
import { type Here, lacks } from '../../../../runtime/agent/move/lacks.ts'

const here: Here = {
  device: 'cellar',
  entities: () => ['light.cellar', 'switch.heat_pump', 'lock.gate'],
  runs: (model) => model === 'keyword',
  models: () => ['keyword'],
  tools: ['weather'],
  thinks: () => false,
  refuses: (from, entity) =>
    entity.startsWith('lock.') && from !== 'hub' ? `${entity} is not for ${from}` : undefined,
}
const missing = (...capabilities: string[]) =>
  lacks(here, JSON.stringify(capabilities.map((capability) => ({ capability }))), 'attic')

test.each([
  ['light.*:command', undefined],
  ['light.cellar:read', undefined],
  ['switch.heat_pump@cellar:command', undefined],
  ['light.kitchen:command', 'it has nothing called light.kitchen, which the agent may command'],
  ['light.kitchen@cellar:read', 'it has nothing called light.kitchen@cellar, which the agent may read'],
  ['light.kitchen@hub:command', undefined],
  ['light.*@*:command', undefined],
  ['infer:keyword', undefined],
  ['infer:key*', undefined],
  ['infer:person-detector', 'it cannot run the model person-detector'],
  ['infer:person-*', 'it cannot run the model person-*'],
  // A whole kind of things, of which there is none.
  ['cover.*:command', 'it has nothing called cover.*, which the agent may command'],
  ['binary_sensor.*_motion:read', 'it has nothing called binary_sensor.*_motion, which the agent may read'],
  ['*.kitchen:read', 'it has nothing called *.kitchen, which the agent may read'],
  ['mcp:weather', undefined],
  ['mcp:weather/forecast', undefined],
  ['mcp:calendar', 'it knows no outside tools called calendar (device.agents.mcp)'],
  ['think', 'it reaches no language model'],
  ['memory', undefined],
])('%s', (capability, words) => {
  expect(missing(capability)).toBe(words)
})

test('the first that is missing is named, and grants that nobody can read are none', () => {
  expect(missing('light.*:read', 'think', 'cover.*:read')).toBe('it reaches no language model')
  expect(() => lacks(here, 'no grants', 'attic')).toThrow()
})

test.each([
  ['lock.gate:command', 'lock.gate is not for attic'],
  ['lock.*:command', 'lock.gate is not for attic'],
  ['*.*:command', 'lock.gate is not for attic'],
  ['lock.*@cellar:command', 'lock.gate is not for attic'],
  ['lock.*@*:command', 'lock.gate is not for attic'],
  ['lock.*@c*:command', 'lock.gate is not for attic'],
  // Of another device: that one is asked when it commands.
  ['lock.gate@hub:command', undefined],
  ['lock.gate:read', undefined],
])('an agent does not come to do what its device may not do here: %s [move-8]', (capability, words) => {
  expect(missing(capability)).toBe(words)
  expect(lacks(here, JSON.stringify([{ capability }]), 'hub')).toBeUndefined()
})
