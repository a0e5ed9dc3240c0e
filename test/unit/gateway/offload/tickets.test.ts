/** Answers that wait to be fetched are bounded, each device's as well as all together. */
import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { OffloadTickets, TicketError, ticketDefaults } from '../../../../gateway/offload/tickets.ts'
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

test('[offload-8] an upload that falls silent, or finds no room on its way, ends and says what it held', async () => {
  const clock = new VirtualClock()
  using tickets = new OffloadTickets(clock, limits)
  const held: number[] = []
  const upload = (roomFor: number) => {
    let here = 0
    const ticket = tickets.expect({
      bytesMax: 100,
      onBytes: (bytes) => {
        if (here + bytes > roomFor) throw new TicketError('busy', 'no room')
        here += bytes
      },
      onArrived: () => {},
      onGone: () => held.push(here),
    })
    const stream = new PassThrough()
    stream.on('error', () => {})
    return { stream, received: tickets.receive(ticket ?? '', stream) }
  }
  const silent = upload(100)
  silent.stream.write(Buffer.alloc(10))
  const crowded = upload(15)
  crowded.stream.write(Buffer.alloc(10))
  crowded.stream.write(Buffer.alloc(10))
  await expect(crowded.received).rejects.toMatchObject({ code: 'busy' })
  clock.advance(ticketDefaults.silenceMs)
  await expect(silent.received).rejects.toMatchObject({
    code: 'malformed',
    message: 'the upload fell silent',
  })
  expect(held).toEqual([10, 10])
})
