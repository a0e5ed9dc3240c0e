/**
 * A thought that uses outside tools: the agent's call, a scripted model, the permissions of an agent, and a real child process that speaks
 * the Model Context Protocol, and behaves as the test says.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Json, Thought } from '../../runtime/agent/contract.ts'
import { MemoryStore } from '../../runtime/agent/memory/memory-store.ts'
import { parseGrants } from '../../runtime/agent/permissions/grant.ts'
import { judge } from '../../runtime/agent/permissions/judge.ts'
import { type Caller, failed, type Outcome } from '../../runtime/agent/service.ts'
import type { Chat, ChatAnswer, ChatRequest } from '../../runtime/agent/think/chat.ts'
import { type ThinkServiceDeps, thinkService } from '../../runtime/agent/think/think.service.ts'
import { ToolServers } from '../../runtime/agent/tool-servers/tool-servers.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import type { ToolServersConfig } from '../../runtime/config/tool-servers.ts'
import { scripted } from '../fixtures/tool-server/config.ts'

let directory: string
let calls: string
let store: MemoryStore
let servers: ToolServers | undefined
let script: Partial<ChatAnswer>[]
let asked: ChatRequest[]
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tools-'))
  calls = join(directory, 'calls')
  store = (await MemoryStore.open(directory, 1)).store
  asked = []
})
afterEach(async () => {
  await servers?.[Symbol.asyncDispose]()
  servers = undefined
  await store[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true })
})

const chat: Chat = async (request) => {
  asked.push(structuredClone(request))
  const next = script.shift()
  if (!next) throw new Error('the script is at its end')
  return { content: null, toolCalls: [], tokens: 10, privacy: request.privacy, ...next }
}
const use = (name: string, args: object) => ({
  toolCalls: [{ id: `id-${name}`, name, arguments: JSON.stringify(args) }],
})
const told = () => JSON.parse(String(asked.at(-1)?.messages.at(-1)?.content))

interface Asking {
  readonly grants?: readonly string[]
  readonly id?: number
  readonly resumed?: boolean
  readonly signal?: AbortSignal
  readonly before?: (op: string) => void
}
const caller: Caller = { agent: 'night-watch', token: 1 }
const askedMs = realClock.nowMs()

async function think(args: { readonly [name: string]: Json }, asking: Asking = {}): Promise<Outcome> {
  const { grants = ['think', 'mcp:weather'], id = 1, resumed = false, signal, before } = asking
  const held = parseGrants(JSON.stringify(grants.map((capability) => ({ capability }))))
  const outside = servers as ToolServers
  const perform: ThinkServiceDeps['perform'] = async (one, call, again, until) => {
    const judged = judge(call, held, { nowMs: 1, timezone: 'UTC', used: () => [] })
    if (judged.verdict === 'deny') return failed(judged.code, judged.reason)
    before?.(call.op)
    const performing = { caller: one, call, resumed: again, askedMs: call.askedMs, emit: () => true }
    return outside.service.perform(performing, until)
  }
  const service = thinkService({ clock: realClock, chat, store, perform, outside })
  const call = { id, op: 'think' as const, args: { goal: 'Do it.', tools: ['mcp:weather'], ...args } }
  const judged = judge(call, held, { nowMs: 1, timezone: 'UTC', used: () => [] })
  if (judged.verdict === 'deny') return failed(judged.code, judged.reason)
  const performing = { caller, call, resumed, askedMs, emit: () => true }
  return await service.perform(performing, signal ?? new AbortController().signal)
}
async function thought(args: { readonly [name: string]: Json } = {}, asking?: Asking): Promise<Thought> {
  const outcome = await think(args, asking)
  if (!outcome.ok) throw new Error(`${outcome.error.code}: ${outcome.error.message}`)
  return outcome.value as unknown as Thought
}
const configured = (config: ToolServersConfig) => {
  servers = new ToolServers({ clock: realClock, log: silentLog }, config)
}
const timesUsed = () => readFileSync(calls, 'utf8').trim().split('\n').length

describe('a thought with outside tools', () => {
  it('is shown them, uses one, and is told what it gave [tool-servers-1]', async () => {
    configured(scripted('', {}, calls))
    script = [use('weather__echo', { say: 'rain' }), { content: 'It rains.' }]
    expect(await thought()).toMatchObject({ answer: 'It rains.', steps: 2, privacy: 'site' })
    expect(asked[0]?.tools.map(({ name }) => name)).toEqual(['weather__echo', 'weather__count'])
    expect(asked[0]?.tools[0]?.description).toBe('Of the outside server weather, which says: Does echo.')
    expect(told()).toEqual({ result: '"rain"' })
    expect(timesUsed()).toBe(1)
  })

  it('has only the tool that the agent named', async () => {
    configured(scripted())
    script = [use('weather__count', {}), { content: 'No.' }]
    await thought({ tools: ['mcp:weather/echo'] })
    expect(asked[0]?.tools.map(({ name }) => name)).toEqual(['weather__echo'])
    expect(told().error.code).toBe('not-found')
  })

  it('is refused where the server was not granted, and nothing is started [tool-servers-2]', async () => {
    configured(scripted('', {}, calls))
    script = []
    expect(await think({}, { grants: ['think', 'mcp:calendar'] })).toMatchObject({
      error: {
        code: 'permission',
        message: 'nobody has allowed it to use every outside tool of weather',
      },
    })
    expect(asked).toEqual([])
  })

  it('uses the one tool that was granted, and may not name the others [tool-servers-2]', async () => {
    configured(scripted('', {}, calls))
    const grants = ['think', 'mcp:weather/echo']
    script = [use('weather__echo', {}), { content: 'Done.' }]
    await thought({ tools: ['mcp:weather/echo'] }, { grants })
    expect(told()).toEqual({ result: '1' })
    expect(await think({}, { id: 2, grants })).toMatchObject({ error: { code: 'permission' } })
  })

  it('ends where the server does not offer the tool that the agent named', async () => {
    configured(scripted())
    script = []
    expect(await think({ tools: ['mcp:weather/fly'] })).toMatchObject({
      error: { code: 'not-found', message: 'think: the tool server weather offers no fly' },
    })
    expect(asked).toEqual([])
  })

  it('ends where the server is not configured', async () => {
    configured({})
    script = []
    expect(await think({})).toMatchObject({
      error: { code: 'unavailable', message: expect.stringContaining('device.agents.mcp') },
    })
  })

  it('sends nothing to a server further away than its label allows [tool-servers-4]', async () => {
    configured(scripted('', { reach: 'cloud' }, calls))
    script = [use('weather__echo', { say: 'private' }), { content: 'Refused.' }]
    await thought()
    expect(told().error.code).toBe('refused')
    expect(() => timesUsed()).toThrow('ENOENT')
    script = [use('weather__echo', { say: 'public' }), { content: 'Sent.' }]
    await thought({ privacy: 'cloud' }, { id: 2 })
    expect(told()).toEqual({ result: '"public"' })
  })
})

describe('a thought that was cut off while a tool was used [tool-servers-5]', () => {
  const cutOff = async (config: ToolServersConfig) => {
    configured(config)
    const stop = new AbortController()
    script = [use('weather__count', {}), { content: 'Done.' }]
    const before = () => stop.abort(new Error('the power went'))
    expect(await think({}, { signal: stop.signal, before })).toMatchObject({ error: { code: 'cancelled' } })
    await thought({}, { resumed: true })
  }

  it('does not use it again', async () => {
    await cutOff(scripted('idempotent', {}, calls))
    expect(told().error.code).toBe('uncertain')
    expect(() => timesUsed()).toThrow('ENOENT')
  })

  it('uses it again where the server says that this is as once, and is believed', async () => {
    await cutOff(scripted('idempotent', { trusted: true }, calls))
    expect(told()).toEqual({ result: '1' })
    expect(timesUsed()).toBe(1)
  })
})
