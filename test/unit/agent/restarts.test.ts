/** How often an agent that fails begins anew is what its device says. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { expect, onTestFinished, test } from 'vitest'
import { AgentCalls } from '../../../runtime/agent/agent-calls.ts'
import { contentOf } from '../../../runtime/agent/bundle/bundle.ts'
import { DeviceAgents } from '../../../runtime/agent/device-agents.ts'
import { MachinePool } from '../../../runtime/agent/vm/machine-pool.ts'
import { realClock } from '../../../runtime/base/clock.ts'
import { Identity } from '../../../runtime/base/identity.ts'
import { createLog } from '../../../runtime/base/log.ts'
import { loadDeviceConfig } from '../../../runtime/config/config.ts'
import { DeviceAudit } from '../../../runtime/observe/device-audit.ts'

const { signal } = new AbortController()

test('[agents-7] an agent that fails stays so, unless its device says that one of its name begins anew', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'agent-restarts-'))
  onTestFinished(() => rmSync(stateDir, { recursive: true, force: true }))
  const anew: unknown[] = []
  const failed = Promise.withResolvers<void>()
  let failures = 0
  const write = (line: string) => {
    const { message, agent } = JSON.parse(line)
    if (message === 'an agent that failed begins anew') anew.push(agent)
    if (message === 'an agent has failed') failures += 1
    if (failures === 2 && anew.length > 0) failed.resolve()
  }
  const log = createLog({ level: 'info', json: true, write, nowMs: () => 0 })
  const identity = Identity.open('hub', stateDir)
  const shared = { clock: realClock, log, identity }
  await using audit = new DeviceAudit(shared, stateDir)
  const config = loadDeviceConfig({
    id: 'hub',
    stateDir,
    agents: { byName: { guard: { restartsPerHour: 2 } } },
  })
  const models = { modelsFor: () => [], infer: () => Readable.from([]) }
  const told = { publishApproval: () => {}, publishAgents: () => {} }
  const deps = { ...shared, audit, services: [], models, ...told }
  await using agents = await DeviceAgents.open(deps, config, signal)
  const mover = undefined as never
  const calls = new AgentCalls({ ...shared, agents, audit, mover }, config)
  for (const name of ['lamp', 'guard']) {
    await using pool = new MachinePool(shared, { threadsMax: 1 })
    const program = `export default { name: '${name}', wants: [], async run() { throw new Error('no') } }`
    const { text } = await contentOf(pool, { entry: './a.ts', modules: { './a.ts': program } })
    await calls.answer({ ask: 'run', bundle: text, grants: '[]' }, signal)
  }
  await failed.promise
  expect(anew).toEqual(['guard'])
})
