/** What each device may have at a worker. */
import { describe, expect, test } from 'vitest'
import { DeviceShares } from '../../../../gateway/offload/device-shares.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'

const limits = { requestsMax: 8, bytesMax: 1000, requestsPerDeviceMax: 4, bytesPerDeviceMax: 300 }

describe('[offload-8] DeviceShares', () => {
  test('shares shrink as more devices have work, and never below one', () => {
    const shares = new DeviceShares(new VirtualClock(), limits)
    expect(shares.credits()).toEqual({ requests: 4, bytes: 300 })
    for (const device of ['a', 'b', 'c']) shares.enter(device, 1)
    expect(shares.credits().requests).toBe(2)
    for (let n = 0; n < 12; n += 1) shares.enter(`d${n}`, 1)
    expect(shares.credits().requests).toBe(1)
  })

  test('beyond its share a device is refused as often as it may have requests, then ignored, for a second', () => {
    const clock = new VirtualClock()
    const shares = new DeviceShares(clock, limits)
    const entries = Array.from({ length: 12 }, () => shares.enter('mad', 1))
    expect(entries).toEqual([
      ...Array(4).fill('entered'),
      ...Array(4).fill('refused'),
      ...Array(4).fill('dropped'),
    ])
    expect(shares.ignores('mad')).toBe(true)
    expect(shares.ignores('other')).toBe(false)
    expect(shares.enter('other', 1)).toBe('entered')
    clock.advance(1000)
    expect(shares.ignores('mad')).toBe(false)
    expect(shares.enter('mad', 1)).toBe('refused')
    expect([shares.refused, shares.dropped]).toEqual([5, 5])
  })

  test('bytes count as requests do', () => {
    const shares = new DeviceShares(new VirtualClock(), limits)
    expect(shares.enter('a', 200)).toBe('entered')
    expect(shares.enter('a', 200)).toBe('refused')
    shares.leave('a', 200)
    expect(shares.enter('a', 200)).toBe('entered')
    for (const device of ['b', 'c', 'd']) expect(shares.enter(device, 260)).toBe('entered')
    expect(shares.enter('e', 260)).toBe('refused')
  })

  test('what is announced and not here takes from its device, and from nobody else', () => {
    const shares = new DeviceShares(new VirtualClock(), limits)
    for (const device of ['a', 'b', 'c', 'd']) expect(shares.enter(device, 300, 0)).toBe('entered')
    expect(shares.enter('a', 1, 0)).toBe('refused')
    expect(shares.enter('good', 300)).toBe('entered')
    expect([shares.arrive(600), shares.arrive(200), shares.arrive(100)]).toEqual([true, false, true])
    shares.leave('a', 300, 600)
    expect([shares.arrive(601), shares.arrive(600)]).toEqual([false, true])
  })

  test('a device that has nothing here gets a place even when the others have taken all', () => {
    const shares = new DeviceShares(new VirtualClock(), limits)
    for (const device of ['a', 'b']) for (let n = 0; n < 4; n += 1) shares.enter(device, 1)
    expect(shares.enter('c', 1)).toBe('entered')
    expect(shares.enter('c', 1)).toBe('refused')
  })

  test('devices that are gone leave nothing behind', () => {
    const clock = new VirtualClock()
    const shares = new DeviceShares(clock, { ...limits, requestsMax: 1_000_000 })
    for (let n = 0; n < 3000; n += 1) {
      expect(shares.enter(`d${n}`, 0)).toBe('entered')
      shares.leave(`d${n}`, 0)
    }
    for (let n = 0; n < 1024; n += 1) shares.enter(`e${n}`, 0)
    expect(shares.enter('one more', 0)).toBe('dropped')
    shares.leave('e7', 0)
    expect(shares.enter('one more', 0)).toBe('entered')
  })
})
