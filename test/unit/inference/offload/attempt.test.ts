/** One sending of a request: when its worker is taken for silent. */
import { expect, test } from 'vitest'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { Attempt } from '../../../../runtime/inference/offload/attempt.ts'
import { encodeMessage, silentMsMax } from '../../../../runtime/wire/offload.ts'

test('[offload-5] what waits on a slow link to be sent is not held against the worker; silence after that is', async () => {
  const clock = new VirtualClock()
  const broker = Promise.withResolvers<void>()
  const attempt = new Attempt(
    {
      clock,
      publish: () => broker.promise,
      address: () => undefined,
      findAddress: async () => undefined,
      meter: undefined,
    },
    {
      ...{ id: 'r-1', worker: 'w1', model: 'm', replyTo: 'ganglion/d1/reply/k' },
      ...{ bytes: 100, large: false, envelope: () => encodeMessage({}) },
    },
    { onChunk: () => {}, onEnd: () => {} },
  )
  attempt.start()
  clock.advance(10 * silentMsMax)
  expect(attempt.silent).toBe(false)
  broker.resolve()
  await broker.promise
  clock.advance(silentMsMax)
  expect(attempt.silent).toBe(false)
  clock.advance(1)
  expect(attempt.silent).toBe(true)
  attempt.heard()
  expect(attempt.silent).toBe(false)
})
