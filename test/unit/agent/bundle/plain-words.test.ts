/** What an agent wants is said so that a person knows what they grant. */
import { expect, test } from 'vitest'
import { plainWords } from '../../../../runtime/agent/bundle/plain-words.ts'
import type { Want } from '../../../../runtime/agent/contract.ts'
import { grantsOfWants } from '../../../../runtime/agent/permissions/grant.ts'

const said = (want: Want) => grantsOfWants([want]).map(plainWords).join()

test.each<[Want, string]>([
  ['light.*:command', 'turn all lights on and off, and set how bright and which colour'],
  ['lock.front_door:command', 'lock and unlock lock.front_door'],
  ['cover.garage_*:command', 'open and close everything called cover.garage_*'],
  ['robot.*:command', 'command everything called robot.*'],
  ['*.*:command', 'command everything in the home'],
  ['constructor.*:command', 'command everything called constructor.*'],
  ['binary_sensor.*_motion:read', 'see everything called binary_sensor.*_motion and what changes there'],
  ['sensor.*:read', 'see all sensors and what changes there'],
  ['think', 'have a language model think'],
  ['memory', 'keep and search memories of its own'],
  ['infer:person-detector', 'run the model person-detector'],
  [
    { want: 'think', limits: { rate: '10/h', times: ['22:00-06:00'] } },
    'have a language model think (only 22:00-06:00; at most 10 times an hour)',
  ],
  ['agent:comfort', 'call the agent comfort'],
  [
    {
      want: 'lock.*:command',
      limits: { values: { state: ['locked'] }, times: ['22:00-06:00'], rate: '10/h', ask: true },
    },
    'lock all locks (only 22:00-06:00; at most 10 times an hour; only after a person’s yes, each time)',
  ],
])('%j', (want, words) => {
  expect(said(want)).toBe(words)
})

const limited = (want: string, values: object, more = {}) =>
  said({ want, limits: { values, ...more } as never })

test.each<[string, object, string]>([
  ['lock.*:command', { state: ['locked'] }, 'lock all locks'],
  ['lock.front_door:command', { state: ['unlocked'] }, 'unlock lock.front_door'],
  ['lock.*:command', { state: ['unlocked', 'locked'] }, 'lock and unlock all locks'],
  ['light.*:command', { state: ['off'] }, 'turn all lights off'],
  ['light.*:command', { state: ['on'] }, 'turn all lights on'],
  ['light.*:command', { state: ['on', 'off'] }, 'turn all lights on and off'],
  ['light.*:command', { state: ['off'], brightness: [0] }, 'turn all lights off'],
  ['switch.*:command', { state: ['off'] }, 'turn all switches off'],
  ['fan.*:command', { percentage: [0] }, 'turn all fans off'],
  ['cover.*:command', { state: ['open'] }, 'open all covers'],
  ['valve.*:command', { state: ['closed'] }, 'close all valves'],
  ['valve.*main*:command', { state: ['closed'], position: [0] }, 'close everything called valve.*main*'],
  ['valve.*:command', { state: ['open'], position: [0] }, 'open and close all valves'],
  ['climate.*:command', { state: ['off'] }, 'turn all thermostats off'],
  ['water_heater.*:command', { state: ['off'] }, 'turn all water heaters off'],
  ['media_player.*:command', { state: ['paused'] }, 'pause all media players'],
  ['media_player.*:command', { state: ['off'] }, 'turn off all media players'],
  ['vacuum.*:command', { action: ['start', 'return_to_base'] }, 'start and send home all vacuum cleaners'],
  ['siren.*:command', { state: ['off'] }, 'silence all sirens'],
  ['alarm_control_panel.*:command', { state: ['disarmed'] }, 'disarm all alarms'],
  ['lock.*@attic:command', { state: ['locked'] }, 'lock all locks of the device attic'],
])('of %s with %j only what it may do is said', (want, values, words) => {
  expect(limited(want, values)).toBe(words)
})

test('what else limits it is said as well', () => {
  expect(limited('lock.*:command', { state: ['locked'] }, { ask: true })).toBe(
    'lock all locks (only after a person’s yes, each time)',
  )
})

const lights = 'turn all lights on and off, and set how bright and which colour'
test.each<[string, object, object, string]>([
  // Each of these opens, or turns on, what its states alone would not.
  [
    'cover.garage:command',
    { state: ['closed'], position: { min: 0 } },
    {},
    'open and close cover.garage (state only closed; position at least 0; nothing else)',
  ],
  [
    'valve.*:command',
    { state: ['closed'], position: [0, 100] },
    {},
    'open and close all valves (state only closed; position only 0 or 100; nothing else)',
  ],
  [
    'light.*:command',
    { state: ['off'] },
    { others: true },
    `${lights} (state only off; whatever it says besides)`,
  ],
  ['light.*:command', { brightness: { max: 128 } }, {}, `${lights} (brightness at most 128; nothing else)`],
  [
    'lock.*:command',
    { state: ['locked', 'open'] },
    {},
    'lock and unlock all locks (state only locked or open; nothing else)',
  ],
  [
    'lock.*:command',
    { state: ['constructor'] },
    {},
    'lock and unlock all locks (state only constructor; nothing else)',
  ],
])('of %s with %j %j nothing is kept silent', (want, values, more, words) => {
  expect(limited(want, values, more)).toBe(words)
})
