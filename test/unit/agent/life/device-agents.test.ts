import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { DeviceAgents } from '../../../../runtime/agent/device-agents.ts'
import type { ChatModels } from '../../../../runtime/agent/think/chat.ts'
import { realClock } from '../../../../runtime/base/clock.ts'
import { Identity } from '../../../../runtime/base/identity.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import { loadDeviceConfig } from '../../../../runtime/config/config.ts'
import { DeviceAudit } from '../../../../runtime/observe/device-audit.ts'

test('a device without agents opens nothing for them, one that had some opens them [agents-5]', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'ganglion-agents-'))
  try {
    const { signal } = new AbortController()
    // No model is asked for anything here.
    const models: ChatModels = { modelsFor: () => [], infer: () => Readable.from([]) }
    const identity = Identity.open('hub', mkdtempSync(join(stateDir, 'key-')))
    await using audit = new DeviceAudit({ clock: realClock, log: silentLog, identity }, stateDir)
    const shared = { clock: realClock, log: silentLog, identity, audit }
    const deps = { ...shared, services: [], models, publishApproval: () => {}, publishAgents: () => {} }
    const before = readdirSync(stateDir)
    const config = loadDeviceConfig({ id: 'hub', stateDir })
    {
      await using first = await DeviceAgents.open(deps, config, signal)
      expect(await first.known()).toBeUndefined()
      expect(readdirSync(stateDir)).toEqual(before)
      expect((await first.get()).list()).toEqual([])
      expect(existsSync(join(stateDir, 'agents', 'agents.db'))).toBe(true)
    }
    await using second = await DeviceAgents.open(deps, config, signal)
    expect((await second.known())?.list()).toEqual([])
  } finally {
    rmSync(stateDir, { recursive: true, force: true })
  }
})
