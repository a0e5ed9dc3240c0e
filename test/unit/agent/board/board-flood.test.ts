/** What anybody who reaches the broker can make a board keep, without being believed by anybody. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Board } from '../../../../runtime/agent/board/board.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { Identity } from '../../../../runtime/base/identity.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import { SimulatedBroker, SimulatedBus, SimulatedDisk } from './simulated-broker.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'board-flood-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

function usedBytes(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  return process.memoryUsage().heapUsed
}

test('messages under keys without end are refused, counted, and no more is kept of them [board-6]', async () => {
  const clock = new VirtualClock()
  const bus = new SimulatedBus(new SimulatedBroker(clock, { loss: 0, twice: 0, delayMsMax: 1 }))
  const signer = Identity.open('attic', join(directory, 'attic'))
  const deps = { clock, log: silentLog, bus, signer, onPeer: () => () => {} }
  await using board = new Board(deps, new SimulatedDisk(), new SimulatedDisk().kept())
  const messages = [Buffer.from('not a fact'), Buffer.alloc(0)]
  const flood = (from: number) => {
    for (let n = from; n < from + 20_000; n += 1)
      for (const message of messages)
        bus.deliver(`ganglion/site/board/k${n}${'x'.repeat(40)}${message.byteLength}`, message)
  }
  flood(0)
  const before = usedBytes()
  flood(20_000)
  // Each would be a hundred bytes and more.
  expect(usedBytes() - before).toBeLessThan(2e6)
  expect(board.refused).toBe(40_000)
})
