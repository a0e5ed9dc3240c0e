/** Agents that failed and begin anew, where that cannot be done at once. */
import { expect, test } from 'vitest'
import { Restarts } from '../../../../runtime/agent/life/restarts.ts'
import { type StoredAgent, StoreError } from '../../../../runtime/agent/store/agent-store.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { silentLog } from '../../../../runtime/base/log.ts'

const agent = { name: 'one', restartsMax: 2, restarts: [] } as unknown as StoredAgent
const full = () => new StoreError('full', 'the disk takes no more', { retryable: true })
const settled = () => new Promise((resolve) => setImmediate(resolve))

/** One whose beginnings end like this, in order; `tried` counts them. */
function failing(...ends: (() => Error)[]) {
  const clock = new VirtualClock()
  const told = { tried: 0 }
  const anew = async () => {
    const error = ends[told.tried]?.()
    told.tried += 1
    if (error) throw error
  }
  const restarts = new Restarts({ clock, log: silentLog, anew })
  expect(restarts.later(agent)).toBe(true)
  const pass = async () => {
    clock.advance(600_000)
    await settled()
    return told.tried
  }
  return { pass, restarts }
}

test('an agent that could not begin anew, as the disk was full, does so later [agents-7]', async () => {
  const { pass } = failing(full, full)
  expect([await pass(), await pass(), await pass(), await pass()]).toEqual([1, 2, 3, 3])
})

test('it does not where that cannot pass, where somebody forgot it, and where the device stops [agents-7]', async () => {
  const broken = failing(() => new Error('its program is not on the disk'))
  expect([await broken.pass(), await broken.pass()]).toEqual([1, 1])
  const forgotten = failing(full)
  expect(await forgotten.pass()).toBe(1)
  forgotten.restarts.forget('one')
  expect(await forgotten.pass()).toBe(1)
  const stopping = failing(full)
  expect(await stopping.pass()).toBe(1)
  stopping.restarts[Symbol.dispose]()
  expect(await stopping.pass()).toBe(1)
})
