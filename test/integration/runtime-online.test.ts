/** A whole device on a real broker: whoever sees it online may command it, however long its models take to be there. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { boards } from '../../boards/index.ts'
import type { Hal } from '../../hal/contract/board.ts'
import { createHal } from '../../hal/index.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { loadDeviceConfig } from '../../runtime/config/config.ts'
import { Runtime } from '../../runtime/runtime.ts'
import { Peer, startAedes } from '../fixtures/broker.ts'
import { smallHome } from '../fixtures/sim-home.ts'

test('a command that comes the instant a device is online is carried out before its models are there', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'runtime-online-'))
  await using stack = new AsyncDisposableStack()
  stack.defer(() => rmSync(dir, { recursive: true }))
  const broker = stack.use(await startAedes())
  const peer = stack.use(await Peer.connect(broker.url))
  peer.client.on('message', (topic, payload) => {
    if (topic === 'ganglion/d1/availability' && String(payload) === 'online')
      void peer.say('ganglion/d1/set/light.hall', '{"id":"at-once","state":"on"}')
  })
  // An accelerator that takes its time holds up all of inference.
  const chip = Promise.withResolvers<void>()
  const hal = createHal(boards)
  const slow: Hal = {
    ...hal,
    openAccelerator: async (...asked) => {
      await chip.promise
      return hal.openAccelerator(...asked)
    },
  }
  const file = join(dir, 'ganglion.yaml')
  const device = {
    ...{ id: 'd1', stateDir: join(dir, 'state'), hostSensors: false, models: { dir: join(dir, 'models') } },
    ...{ broker: { url: broker.url }, voice: { enabled: false } },
    accelerators: [{ adapter: 'npu', command: ['/bin/false'] }],
  }
  writeFileSync(file, JSON.stringify({ device }))
  const deps = { clock: realClock, log: silentLog, hal: slow, home: { name: 'test', yaml: smallHome } }
  const opening = Runtime.open(deps, loadDeviceConfig({}, file), AbortSignal.timeout(30_000))
  const stages = () =>
    peer.json<{ run: string; stage: string }>('ganglion/d1/event/command').map(({ stage }) => stage)
  try {
    await peer.until('it was carried out', () => stages().includes('verified'))
  } finally {
    chip.resolve()
    stack.use(await opening)
  }
  expect(peer.json('ganglion/d1/home')).toHaveLength(0)
})
