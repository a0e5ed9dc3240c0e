/** A stream of events over a real socket, to readers of all kinds; on a virtual clock. */
import { once } from 'node:events'
import { type AddressInfo, connect, type Socket } from 'node:net'
import fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { sendEvents } from '../../../gateway/api/openai-call.ts'
import { VirtualClock } from '../../../runtime/base/clock.ts'
import { silentLog } from '../../../runtime/base/log.ts'

let clock: VirtualClock
let app: FastifyInstance
let socket: Socket
/** Events that were taken from the source. */
let taken: number
let left: boolean
let reply: FastifyReply

async function* endless(): AsyncGenerator<string> {
  try {
    for (;;) {
      taken += 1
      yield 'x'.repeat(65_536)
    }
  } finally {
    left = true
  }
}

beforeEach(async () => {
  clock = new VirtualClock()
  taken = 0
  left = false
  app = fastify({ forceCloseConnections: true })
  app.get('/', async (_request, one) => {
    reply = one
    await sendEvents({ clock, log: silentLog }, one, endless())
    return one
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
})
afterEach(async () => {
  socket.destroy()
  await app.close()
})

/** Until the source is not asked for more. */
async function full(): Promise<void> {
  for (let before = -1; taken === 0 || taken !== before; ) {
    before = taken
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

test('[serving-5] a reader that takes nothing for a minute is hung up on, and the source let go', async () => {
  await full()
  clock.advance(59_999)
  expect([left, reply.raw.destroyed]).toEqual([false, false])
  clock.advance(1)
  await once(reply.raw, 'close')
  await full()
  expect(left).toBe(true)
})

test('[serving-5] a slow reader slows the source, however long it takes, and leaves nothing behind for each wait', async () => {
  const listeners = () => reply.raw.listenerCount('close') + reply.raw.listenerCount('drain')
  await full()
  const atFirst = [taken, listeners()] as const
  for (let n = 0; n < 3; n += 1) {
    socket.resume()
    for (const before = taken; taken <= before + 100; ) await once(socket, 'data')
    socket.pause()
    await full()
    clock.advance(50_000)
  }
  expect([left, listeners(), taken > atFirst[0] + 300]).toEqual([false, atFirst[1], true])
})
