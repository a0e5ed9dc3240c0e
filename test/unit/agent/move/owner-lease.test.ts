/** Whose the lease of a copy is, by its name alone. */
import { expect, test } from 'vitest'
import { ownerIsThere, ownerLease } from '../../../../runtime/agent/move/owner-lease.ts'

test('a device that is there is in the way of its own agents, not of those of one whose name begins alike [lease-14]', () => {
  const known = ['hub', 'hub.cellar']
  const away = new Set(['hub.cellar'])
  expect(ownerIsThere(ownerLease('hub.cellar', 'traveller'), { known, away })).toBe(false)
  expect(ownerIsThere(ownerLease('hub', 'traveller'), { known, away })).toBe(true)
  expect(ownerIsThere(ownerLease('hub', 'traveller'), { known, away: new Set(['hub']) })).toBe(false)
  expect(ownerIsThere('heat-pump', { known, away })).toBe(false)
})

test('also where its name is so long that that of the agent has no room [lease-14]', () => {
  const owner = 'h'.repeat(128)
  expect(ownerIsThere(ownerLease(owner, 'traveller'), { known: [owner], away: new Set() })).toBe(true)
})
