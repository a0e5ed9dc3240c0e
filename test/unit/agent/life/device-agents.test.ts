import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { CallsAcross } from '../../../../runtime/agent/calling/across.ts'
import { DeviceAgents } from '../../../../runtime/agent/device-agents.ts'
import type { ChatModels } from '../../../../runtime/agent/think/chat.ts'
import { realClock, VirtualClock } from '../../../../runtime/base/clock.ts'
import { Identity } from '../../../../runtime/base/identity.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import { loadDeviceConfig } from '../../../../runtime/config/config.ts'
import type { Audit } from '../../../../runtime/observe/audit.ts'
import type { AuditEntry } from '../../../../runtime/observe/audit-chain.ts'
import { DeviceAudit } from '../../../../runtime/observe/device-audit.ts'
import { SimulatedBroker, SimulatedBus } from '../board/simulated-broker.ts'

test('a device without agents opens nothing for them, one that had some opens them [agents-5]', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'ganglion-agents-'))
  try {
    const { signal } = new AbortController()
    // No model is asked for anything here.
    const models: ChatModels = { modelsFor: () => [], infer: () => Readable.from([]) }
    const identity = Identity.open('hub', mkdtempSync(join(stateDir, 'key-')))
    await using audit = new DeviceAudit({ clock: realClock, log: silentLog, identity }, stateDir)
    const shared = { clock: realClock, log: silentLog, identity, audit }
    const told = { publishApproval: () => {}, publishAgents: () => {} }
    const deps = { ...shared, ...told, services: [], models }
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

test('a policy that cannot be put on record does not hold: what is shown is the one that does [policy-3]', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'ganglion-agents-'))
  try {
    const { signal } = new AbortController()
    const models: ChatModels = { modelsFor: () => [], infer: () => Readable.from([]) }
    const identity = Identity.open('hub', mkdtempSync(join(stateDir, 'key-')))
    await using audit = new DeviceAudit({ clock: realClock, log: silentLog, identity }, stateDir)
    let full = false
    const append = (log: Audit) => (entry: AuditEntry) => {
      if (full) throw new Error('the audit log cannot be written')
      log.append(entry)
    }
    const filling = async () =>
      new Proxy(await audit.get(), {
        get(log, property) {
          const value = property === 'append' ? append(log) : Reflect.get(log, property, log)
          return typeof value === 'function' ? value.bind(log) : value
        },
      })
    const told = { publishApproval: () => {}, publishAgents: () => {} }
    const shared = { clock: realClock, log: silentLog, identity, audit: { get: filling } }
    const policy = join(stateDir, 'policy.yaml')
    writeFileSync(policy, "never: ['lock.*:command']")
    const config = loadDeviceConfig({ id: 'hub', stateDir, agents: { policy } })
    await using agents = await DeviceAgents.open({ ...shared, ...told, services: [], models }, config, signal)
    await agents.get()
    writeFileSync(policy, 'never: []')
    full = true
    await expect(agents.readPolicy()).rejects.toThrow('cannot be written')
    expect(agents.policy.never).toHaveLength(1)
    full = false
    await agents.readPolicy()
    expect(agents.policy.never).toEqual([])
  } finally {
    rmSync(stateDir, { recursive: true, force: true })
  }
})

test.each([
  ['without agents', () => {}],
  // Where a file should be there is a folder: what agents remember is opened before, and is closed again.
  [
    'whose agents cannot be read',
    (stateDir: string) => mkdirSync(join(stateDir, 'agents', 'agents.db'), { recursive: true }),
  ],
])('a device %s says so at once to an agent of another that calls one [calling-5]', async (_, spoil) => {
  const stateDir = mkdtempSync(join(tmpdir(), 'ganglion-agents-'))
  try {
    const { signal } = new AbortController()
    const clock = new VirtualClock()
    const broker = new SimulatedBroker(clock, { loss: 0, twice: 0, delayMsMax: 1 })
    const [hub, attic] = ['hub', 'attic'].map((name) => Identity.open(name, join(stateDir, name)))
    if (!hub || !attic) throw new Error('there are two')
    hub.trust('attic', attic.publicKey)
    attic.trust('hub', hub.publicKey)
    const onBus = (signer: Identity) =>
      new CallsAcross({ clock, log: silentLog, bus: new SimulatedBus(broker), signer })
    using calls = onBus(attic)
    await using audit = new DeviceAudit({ clock, log: silentLog, identity: hub }, stateDir)
    const models: ChatModels = { modelsFor: () => [], infer: () => Readable.from([]) }
    const deps = { clock, log: silentLog, identity: hub, audit, services: [], models, across: onBus(hub) }
    const told = { publishApproval: () => {}, publishAgents: () => {} }
    const config = loadDeviceConfig({ id: 'hub', stateDir })
    spoil(stateDir)
    await using agents = await DeviceAgents.open({ ...deps, ...told }, config, signal)
    expect(await agents.known()).toBeUndefined()
    const call = { device: 'hub', key: 'k', from: 'asker', to: 'keeper', message: null, resumed: false }
    const asked = calls.call({ ...call, askedMs: clock.nowMs(), leftMs: 60_000 }, signal)
    for (let at = 0; at < 100; at += 1) {
      clock.advance(10)
      await new Promise((resolve) => setImmediate(resolve))
    }
    const late = { ok: false, error: { code: 'timeout' } }
    expect(await Promise.race([asked, late])).toMatchObject({ error: { code: 'not-found' } })
  } finally {
    rmSync(stateDir, { recursive: true, force: true })
  }
})
