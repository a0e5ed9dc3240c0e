/** An agent of a whole device that thinks with an outside tool: its machine, permissions, audit log, and a real child process. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { expect, onTestFinished, test } from 'vitest'
import { AgentCalls, type AgentCallsDeps } from '../../runtime/agent/agent-calls.ts'
import { contentOf } from '../../runtime/agent/bundle/bundle.ts'
import { DeviceAgents } from '../../runtime/agent/device-agents.ts'
import type { ChatModels } from '../../runtime/agent/think/chat.ts'
import { MachinePool } from '../../runtime/agent/vm/machine-pool.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { Identity } from '../../runtime/base/identity.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { loadDeviceConfig } from '../../runtime/config/config.ts'
import { DeviceAudit } from '../../runtime/observe/device-audit.ts'
import { scripted } from '../fixtures/tool-server/config.ts'
import { until } from './broker-raw.ts'

const { signal } = new AbortController()
const source = `import { agent } from 'ganglion'
export default agent({
  name: 'porter',
  wants: ['think', 'mcp:weather'],
  async run(ctx) {
    const { answer } = await ctx.think('Do I need an umbrella?', { tools: ['mcp:weather'] })
    ctx.log(answer)
  },
})`
const useTool = {
  content: null,
  tool_calls: [{ id: 'a', function: { name: 'weather__echo', arguments: '{"say":"umbrella weather"}' } }],
}

/** A language model that says these messages, one after the other; what it was asked last. */
function scriptedModels(said: readonly object[]) {
  const script = [...said]
  const asked: string[] = []
  const models: ChatModels = {
    modelsFor: () => [{ name: 'scripted', reach: 'site' }],
    infer: ({ inputs: [request] }) => {
      asked.push(String(request?.data[0]))
      const text = JSON.stringify({ choices: [{ message: script.shift() }], usage: { total_tokens: 10 } })
      const outputs = [{ name: 'response', datatype: 'BYTES' as const, shape: [1], data: [text] }]
      return Readable.from([{ id: '1', seq: 0, final: true, outputs }]) as never
    },
  }
  return { models, asked }
}

const written = (directory: string): string =>
  readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => join(directory, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => readFileSync(path, 'utf8'))
    .join('\n')

test('an agent thinks with a tool as often as it was granted, and the record names the tool alone [tool-servers-2]', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'agent-tool-'))
  onTestFinished(() => rmSync(stateDir, { recursive: true, force: true }))
  const calls = join(stateDir, 'calls')
  const shared = { clock: realClock, log: silentLog, identity: Identity.open('hub', stateDir) }
  await using audit = new DeviceAudit(shared, stateDir)
  const agentsConfig = { mcp: scripted('', {}, calls) }
  const config = loadDeviceConfig({ id: 'hub', stateDir, agents: agentsConfig })
  const { models, asked } = scriptedModels([useTool, useTool, { content: 'Take it.' }])
  const told = { publishApproval: () => {}, publishAgents: () => {} }
  await using agents = await DeviceAgents.open(
    { ...shared, audit, services: [], models, ...told },
    config,
    signal,
  )
  const deps: AgentCallsDeps = { ...shared, agents, audit, mover: {} as never }
  await using pool = new MachinePool(shared, { threadsMax: 1 })
  const { text } = await contentOf(pool, { entry: './a.ts', modules: { './a.ts': source } })
  const grants = '[{"capability":"think"},{"capability":"mcp:weather","limits":{"rate":"1/h"}}]'
  await new AgentCalls(deps, config).answer({ ask: 'run', bundle: text, grants, by: 'Ada' }, signal)
  const known = await agents.get()
  await until('it has ended', async () =>
    known.list().some(({ state }) => state === 'ended' || state === 'failed'),
  )
  expect(known.log('porter', 10).map((line) => line.text)).toEqual(['Take it.'])
  const gave = asked.map((request) => JSON.parse(request).messages.at(-1).content)
  expect(gave[1]).toBe('{"result":"\\"umbrella weather\\""}')
  expect(gave[2]).toContain('it was done 1 times already')
  expect(readFileSync(calls, 'utf8')).toBe('called\n')
  const record = written(join(stateDir, 'audit'))
  expect(record).toContain('"mcp:weather/echo"')
  expect(record).not.toContain('umbrella')
})
