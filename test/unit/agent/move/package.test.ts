/** An agent as the bytes that go from device to device. */
import { expect, test } from 'vitest'
import { packed, recordingStays, unpacked } from '../../../../runtime/agent/move/package.ts'
import type { Arrival } from '../../../../runtime/agent/store/move-store.ts'
import { moveLimits } from '../../../../runtime/wire/move.ts'

const arrival = (token: number): Arrival => ({
  agent: {
    ...{ name: 'traveller', program: '0'.repeat(64), grants: '[]', state: 'running', reason: undefined },
    ...{ token, seed: 1, turn: 0, nowMs: 1, startedMs: 1, restartsMax: 0, restarts: [] },
    ...{ device: '', lastCall: 0 },
  },
  ...{ was: 'running', bundle: Buffer.from('bundle'), guest: '{}', image: undefined },
  ...{ turns: [], calls: [], log: [], luggage: Buffer.alloc(0) },
})

test('is the same on the other side, and comes there first', () => {
  expect(unpacked(packed(arrival(7), 1)).agent).toMatchObject({
    name: 'traveller',
    token: 7,
    state: 'arriving',
  })
})

test('with a token after which no others could come is none', () => {
  expect(() => unpacked(packed(arrival(Number.MAX_SAFE_INTEGER), 1))).toThrow(/is higher than any token/)
})

test('with more recorded than can go along leaves that behind, and says so; what else is too large does not go', () => {
  const half = Buffer.alloc(moveLimits.agentBytesMax / 2)
  const line = { atMs: 1, level: 'info', text: 'good morning' }
  const much = { ...arrival(7), log: [line], luggage: half, recording: half }
  const there = unpacked(packed(much, 5))
  expect(there.recording).toBeUndefined()
  expect(there.log).toEqual([line, { atMs: 5, level: 'info', text: recordingStays }])
  const more = { ...much, luggage: Buffer.alloc(moveLimits.agentBytesMax) }
  expect(() => packed(more, 5)).toThrow(/more than the \d+ that can move/)
})
