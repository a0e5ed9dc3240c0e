import { expect, test } from 'vitest'
import { lines } from '../../../runtime/cli/commands/decisions.ts'
import type { DecisionEvent } from '../../../runtime/wire/decide.ts'

const plain = { style: (_: unknown, text: string) => text }
const ended: DecisionEvent = {
  ...{
    decision: '1',
    kind: 'auction',
    subject: 'heat-pump',
    opener: 'attic',
    members: 3,
    quorum: 2,
    atMs: 0,
  },
  ...{ decided: true, winner: 'bath', price: 6, reason: 'bath bid 9, the highest of 3', notes: [] },
}
const { winner: _winner, price: _price, ...open } = ended
const stuck: DecisionEvent = {
  ...{ ...open, kind: 'vote', subject: 'mode', decided: false, notes: ['the ballot of bath came late'] },
  reason: 'no quorum: 1 of 3 devices took part, 2 are needed',
}

test('decisions are shown with who won and why, and with what was odd', () => {
  const together = {
    devices: ['attic', 'bath', 'cellar'].map((device) => ({ device, key: 'x' })),
    decisions: [ended, stuck],
    leases: [{ name: 'boiler', holder: 'cellar', token: 7, leftMs: 1_200 }],
  }
  const shown = lines('attic', together, plain).map((line) => line.replace(/^\d\d:\d\d:\d\d/, 'TIME'))
  expect(shown).toEqual([
    'attic decides with bath, cellar',
    'TIME  ✓ auction heat-pump  bath for 6: bath bid 9, the highest of 3',
    'TIME  – vote mode  no quorum: 1 of 3 devices took part, 2 are needed',
    '            the ballot of bath came late',
    'cellar holds boiler, for another 2 s at least',
  ])
})

test('what another device gives as its reason moves no cursor', () => {
  const reason = 'bath bid 9\u001b[2J\u009b1A\u202e\r\nganglion: all is well'
  const together = { devices: [], decisions: [{ ...ended, reason, notes: ['\u001b]52;c;x'] }], leases: [] }
  const text = lines('attic', together, plain).join('\n')
  expect(text).not.toMatch(/[\p{Cf}\u2028]|(?!\n)\p{Cc}/u)
  expect(text).toContain('\n    ganglion: all is well')
})

test('a device alone says so', () => {
  const devices = [{ device: 'hub', key: 'x' }]
  expect(lines('hub', { devices, decisions: [], leases: [] }, plain)).toEqual([
    'hub knows no other device',
    'nothing was decided since it started',
  ])
})
