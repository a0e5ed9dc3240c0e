/** Adapters that a person configured, as the device shows them in its status. */
import { expect, test } from 'vitest'
import { boards } from '../../boards/index.ts'
import { createHal } from '../../hal/index.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { createLog } from '../../runtime/base/log.ts'
import { loadDeviceConfig } from '../../runtime/config/config.ts'
import { Accelerators } from '../../runtime/inference/accelerators.ts'
import { EngineSupervisor } from '../../runtime/inference/supervisor/engine-supervisor.ts'
import { engineCommand } from './accelerator-models.ts'

const never = new AbortController().signal
const log = createLog({ level: 'error', json: false, write: () => {}, nowMs: () => 0 })

async function configured(accelerators: Parameters<typeof loadDeviceConfig>[0]['accelerators']) {
  const config = loadDeviceConfig({ accelerators })
  const engines = await EngineSupervisor.open({ clock: realClock, log }, { models: [] }, never)
  const deps = { clock: realClock, log, hal: createHal(boards), engines }
  return Accelerators.open(deps, config.accelerators, never)
}

/** The status once this adapter is well. */
async function statusWhenWell(list: Accelerators, adapter: string) {
  const limit = Date.now() + 25_000
  for (;;) {
    const status = await list.status()
    if (status.some(({ id, state }) => id === adapter && state === 'ok')) return status
    if (Date.now() > limit) throw new Error(`still ${JSON.stringify(status)}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

test('adapters start by themselves; one that cannot is shown with its reason and holds up nothing', async () => {
  const broken = ['/bin/sh', '-c', 'echo "no such chip" >&2; exit 3']
  await using list = await configured([
    { adapter: 'engine', command: engineCommand, memoryMbMax: 4096 },
    { adapter: 'broken', command: broken },
  ])
  const [well, ill] = await statusWhenWell(list, 'engine')
  expect(well).toEqual({ id: 'engine', state: 'ok', restarts: 0, memoryCap: expect.anything() })
  expect(ill).toMatchObject({ id: 'broken', reason: expect.stringContaining('no such chip') })
  expect(ill?.state).not.toBe('ok')
})

test('a device without adapters has none, and starts nothing', async () => {
  await using list = await configured([])
  expect(await list.status()).toEqual([])
})

test('an adapter without a program, and a name that no board has, are refused by their place', () => {
  const load = (adapter: string, command: string[]) =>
    loadDeviceConfig({ accelerators: [{ adapter, command }] })
  expect(() => load('npu', [])).toThrow('device.accelerators.0.command: must name a program')
  expect(() => load('N P U', ['x'])).toThrow('device.accelerators.0.adapter: must be lower case')
})
