/** Answers that wait to be fetched are bounded, each device's as well as all together. */
import { expect, test } from 'vitest'
import { OffloadTickets, ticketDefaults } from '../../../../gateway/offload/tickets.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'

const limits = { ...ticketDefaults, answersMax: 5, answersPerDeviceMax: 3, lifeMs: 1_000 }
const body = new Uint8Array(10)

test('a device that fetches nothing leaves room for the answers of others', () => {
  const clock = new VirtualClock()
  using tickets = new OffloadTickets(clock, limits)
  const kept = (device: string) => tickets.keep(device, body) !== undefined
  expect([1, 2, 3, 4].map(() => kept('greedy'))).toEqual([true, true, true, false])
  expect([kept('other'), kept('third'), kept('fourth')]).toEqual([true, true, false])
  clock.advance(limits.lifeMs)
  expect([kept('greedy'), kept('fourth')]).toEqual([true, true])
})

test('an answer that was fetched gives its place back', () => {
  using tickets = new OffloadTickets(new VirtualClock(), { ...limits, answersPerDeviceMax: 1 })
  const ticket = tickets.keep('device', body) ?? ''
  expect(tickets.keep('device', body)).toBeUndefined()
  tickets.fetch(ticket).onSent()
  expect(tickets.keep('device', body)).toBeDefined()
})
