/** What the router is told of the engine's memory: what can be unloaded is room. */
import { expect, test } from 'vitest'
import { deviceConditions, roomMb } from '../../runtime/inference/device-conditions.ts'
import { add, openSupervisor, sum, value } from './engine-setup.ts'

test('loaded models count as room, since they make it; pinned ones do not', async () => {
  const free = { ...add, name: 'free', memoryMb: 40 }
  const pinned = { ...add, name: 'pinned', memoryMb: 30, pin: true }
  const supervisor = await openSupervisor({ models: [free, pinned], budgetMb: 100 })
  expect(roomMb(supervisor, 100)).toBe(100)
  await value(supervisor, { ...sum(1, 1), model: 'free' })
  expect(roomMb(supervisor, 100)).toBe(100)
  await value(supervisor, { ...sum(1, 1), model: 'pinned' })
  const held = supervisor.outlook('pinned')?.memoryMb ?? 0
  expect(held).toBeGreaterThan(0)
  expect(roomMb(supervisor, 100)).toBe(100 - held)
  expect(roomMb(supervisor, 0)).toBe(0)
})

test('heat, throttling, mains and charge are told where a sensor of the machine says them, and nothing else is', async () => {
  const supervisor = await openSupervisor({ models: [] })
  const conditions = { temperature: 't', throttled: 'h', mains: 'm', battery: 'b' }
  const told = (states: Readonly<Record<string, string>>, board: object = { conditions }) =>
    deviceConditions(
      board as never,
      { get: (id: string) => ({ telemetry: { state: states[id] } }) } as never,
      supervisor,
      10,
    )
  expect(told({ t: '81.5', h: 'on', m: 'off', b: '17.3' })).toEqual({
    ...{ tempC: 81.5, throttled: true, power: 'battery', batteryPercent: 17.3, memoryFreeMb: 10 },
  })
  expect(told({ t: '40', h: 'off', m: 'on', b: '100' })).toEqual({
    ...{ tempC: 40, throttled: false, power: 'mains', batteryPercent: 100, memoryFreeMb: 10 },
  })
  const silent = 'unavailable'
  expect(told({ t: silent, h: silent, m: silent, b: silent })).toEqual({ memoryFreeMb: 10 })
  expect(told({ t: '1' }, { conditions: {} })).toEqual({ memoryFreeMb: 10 })
})
