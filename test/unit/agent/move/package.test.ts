/** An agent as the bytes that go from device to device. */
import { expect, test } from 'vitest'
import { packed, unpacked } from '../../../../runtime/agent/move/package.ts'
import type { Arrival } from '../../../../runtime/agent/store/move-store.ts'

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
  expect(unpacked(packed(arrival(7))).agent).toMatchObject({ name: 'traveller', token: 7, state: 'arriving' })
})

test('with a token after which no others could come is none', () => {
  expect(() => unpacked(packed(arrival(Number.MAX_SAFE_INTEGER)))).toThrow(/is higher than any token/)
})
