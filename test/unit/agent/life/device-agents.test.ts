import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { DeviceAgents } from '../../../../runtime/agent/device-agents.ts'
import type { ChatModels } from '../../../../runtime/agent/think/chat.ts'
import { realClock } from '../../../../runtime/base/clock.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import { loadDeviceConfig } from '../../../../runtime/config/config.ts'

test('a device without agents opens nothing for them, one that had some opens them [agents-5]', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'ganglion-agents-'))
  try {
    const { signal } = new AbortController()
    // No model is asked for anything here.
    const models: ChatModels = { modelsFor: () => [], infer: () => Readable.from([]) }
    const deps = { clock: realClock, log: silentLog, services: [], models, publishApproval: () => {} }
    const config = loadDeviceConfig({ id: 'hub', stateDir })
    {
      await using first = await DeviceAgents.open(deps, config, signal)
      expect(await first.known()).toBeUndefined()
      expect(readdirSync(stateDir)).toEqual([])
      expect((await first.get()).list()).toEqual([])
      expect(existsSync(join(stateDir, 'agents', 'agents.db'))).toBe(true)
    }
    await using second = await DeviceAgents.open(deps, config, signal)
    expect((await second.known())?.list()).toEqual([])
  } finally {
    rmSync(stateDir, { recursive: true, force: true })
  }
})
