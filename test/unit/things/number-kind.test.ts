/** What proves that a number was set. */
import { expect, test } from 'vitest'
import type { ComponentInfo } from '../../../hal/contract/component.ts'
import { isShown } from '../../../runtime/things/effect.ts'
import { numberKind } from '../../../runtime/things/kinds/number.ts'

const info: ComponentInfo = {
  id: 'number.motor',
  kind: 'number',
  name: 'Motor',
  simulated: true,
  range: { min: 0, max: 360, step: 1.8 },
}

function done(wanted: number, before: string, after: string): boolean {
  const effect = numberKind.effect({ value: wanted }, info, { state: before, attributes: {}, tsMs: 0 })
  return isShown(effect, { state: after, attributes: {}, tsMs: 0 })
}

test('a value that is less than half a step away is where the device is already', () => {
  expect(done(90, '90.1', '90.1')).toBe(true)
  expect(done(5.4 + 1e-15, '5.4', '5.4')).toBe(true)
})

test('standing still proves nothing for a value further away', () => {
  expect(done(92, '90', '90')).toBe(false)
  expect(done(92, '90', '91.8')).toBe(true)
  expect(done(200, '90', '100')).toBe(false)
})
