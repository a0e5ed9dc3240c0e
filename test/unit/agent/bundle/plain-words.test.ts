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
    {
      want: 'lock.*:command',
      limits: { values: { state: ['locked'] }, times: ['22:00-06:00'], rate: '10/h', ask: true },
    },
    'lock and unlock all locks (state only locked; nothing else; only 22:00-06:00; at most 10 times an hour; only after a person’s yes, each time)',
  ],
])('%j', (want, words) => {
  expect(said(want)).toBe(words)
})
