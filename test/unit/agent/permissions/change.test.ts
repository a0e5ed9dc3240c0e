/** Which changes of what an agent may do need nobody's leave: those that allow nothing more. */
import { expect, it } from 'vitest'
import { narrows } from '../../../../runtime/agent/permissions/change.ts'
import { parseGrants } from '../../../../runtime/agent/permissions/grant.ts'

const narrow = (before: readonly object[], after: readonly object[]) =>
  narrows(parseGrants(JSON.stringify(before)), parseGrants(JSON.stringify(after)))
const rarely = { rate: '1/d' }

it('[agent-calls-4] less of the same is less, and something else is more', () => {
  const lights = { capability: 'light.*:command' }
  expect(narrow([lights], [])).toBe(true)
  expect(narrow([lights], [{ capability: 'light.hall:command', limits: rarely }])).toBe(true)
  expect(narrow([lights], [{ capability: 'lock.hall:command' }])).toBe(false)
  expect(narrow([{ ...lights, limits: rarely }], [lights])).toBe(false)
})

it('[policy-3] [policy-4] what the policy granted does not become what a person granted', () => {
  const byPolicy = { capability: 'light.*:read', from: 'policy' }
  expect(narrow([byPolicy], [{ capability: 'light.hall:read', from: 'policy' }])).toBe(true)
  expect(narrow([byPolicy], [{ capability: 'light.*:read' }])).toBe(false)
  expect(narrow([byPolicy], [{ capability: 'light.hall:read' }])).toBe(false)
})

it('[agent-calls-4] parts of a grant that has a rate would have a rate each: that is more', () => {
  const lock = { capability: 'lock.*:command', limits: rarely }
  expect(narrow([lock], [lock])).toBe(true)
  expect(narrow([lock], [{ ...lock, limits: { ...rarely, ask: true } }])).toBe(true)
  const parts = ['lock.front:command', 'lock.back:command'].map((capability) => ({
    capability,
    limits: rarely,
  }))
  expect(narrow([lock], parts)).toBe(false)
  expect(narrow([lock], [lock, ...parts])).toBe(false)
})
