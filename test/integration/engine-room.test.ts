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

test('heat is told where the board has a thermometer that says a number', async () => {
  const supervisor = await openSupervisor({ models: [] })
  const info = { id: 'sensor.board_cpu_temperature' }
  const board = { sensors: [{ info }] } as never
  const registry = (state: string) => ({ get: () => ({ telemetry: { state } }) }) as never
  expect(deviceConditions(board, registry('81.5'), supervisor, 10)).toEqual({ tempC: 81.5, memoryFreeMb: 10 })
  expect(deviceConditions(board, registry('unavailable'), supervisor, 10)).toEqual({ memoryFreeMb: 10 })
  expect(deviceConditions({ sensors: [] }, registry('1'), supervisor, 10)).toEqual({ memoryFreeMb: 10 })
})
