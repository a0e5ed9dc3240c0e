/** One engine process from its parent's side: what cannot start is told, and it takes as much as it was told to. */
import { expect, test } from 'vitest'
import { realClock } from '../../../runtime/base/clock.ts'
import { silentLog } from '../../../runtime/base/log.ts'
import { EngineChild, type EngineChildOptions } from '../../../runtime/inference/supervisor/engine-child.ts'
import { supervisorDefaults } from '../../../runtime/inference/supervisor/supervisor-options.ts'
import type { FromEngine } from '../../../runtime/wire/engine-protocol.ts'
import { slowModel } from '../../fixtures/onnx.ts'
import { f32, tensorModel, write } from './engine-bench.ts'

const { entry } = supervisorDefaults

/** A process whose messages are collected; `until` resolves with the reason once it has ended, or when `done` says so. */
function started(options: Partial<EngineChildOptions>, done: (messages: readonly FromEngine[]) => boolean) {
  const messages: FromEngine[] = []
  const { promise: until, resolve } = Promise.withResolvers<string>()
  const child = EngineChild.start(
    { entry, execArgv: [], intraOpThreads: 1, queueMax: 64, ...options },
    {
      onMessage: (message) => {
        messages.push(message)
        if (done(messages)) resolve('done')
      },
      onDrain: () => {},
      onExit: resolve,
    },
    silentLog,
  )
  return { child, messages, until }
}

test('[inference-1] a process that the system refuses to make is told as one that ended, and can be stopped', async () => {
  // Longer than any argument may be: as when memory is short, spawn() throws.
  const { child, until } = started({ execArgv: ['x'.repeat(2 ** 20)] }, () => false)
  expect(child.pid).toBeUndefined()
  expect(child.send({ t: 'status' })).toBe(false)
  expect(await until).toBe('could not start: spawn E2BIG')
  child.kill('not ready')
  await child.stop(realClock, 1000)
})

const answers = (messages: readonly FromEngine[]) =>
  messages.flatMap((message) => (message.t === 'response' ? [message.response] : []))

test('[inference-5] an engine holds as many requests as its supervisor may send it, one model three quarters of them', async () => {
  await write('slow', slowModel())
  const sent = 100
  const { child, messages, until } = started({ queueMax: 120 }, (all) => answers(all).length === sent)
  child.send({ t: 'models', models: [tensorModel('slow')] })
  for (let id = 0; id < sent; id += 1) {
    // The first runs until all others have come.
    const rounds = BigInt64Array.of(id === 0 ? 20_000n : 1n)
    const inputs = [{ name: 'rounds', datatype: 'INT64', shape: [], data: rounds }, f32('x', 7)]
    const more = { priority: 'interactive', deadlineMs: 60_000, privacy: 'device' } as const
    child.send({ t: 'infer', request: { id: `${id}`, model: 'slow', inputs, ...more } })
  }
  expect(await until).toBe('done')
  const codes = answers(messages).flatMap((response) => ('error' in response ? [response.error.code] : []))
  expect(codes).toEqual(Array(10).fill('overloaded'))
  child.kill('the test is over')
})
