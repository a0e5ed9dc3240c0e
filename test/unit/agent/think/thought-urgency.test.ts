/** A thought that a task has asked for: wanted when the task is, and so is what it does on its way. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Json } from '../../../../runtime/agent/contract.ts'
import { MemoryStore } from '../../../../runtime/agent/memory/memory-store.ts'
import type { Chat } from '../../../../runtime/agent/think/chat.ts'
import { thinkService } from '../../../../runtime/agent/think/think.service.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'

const askedMs = 1_000_000
const command = { name: 'command', arguments: '{"entity":"light.hall","command":{"state":"on"}}' }

async function thought(args: { readonly [name: string]: Json }) {
  const directory = mkdtempSync(join(tmpdir(), 'thought-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const { store } = await MemoryStore.open(directory, 1)
  await using _closing = store
  const lefts: number[] = []
  const used: Json[] = []
  let asked = 0
  const chat: Chat = async ({ deadlineMs, tools }) => {
    lefts.push(deadlineMs)
    asked += 1
    const [tool] = tools
    const call = { id: 'c', name: tool?.name ?? '', arguments: command.arguments }
    return { content: 'done', toolCalls: asked === 1 ? [call] : [], tokens: 5, privacy: 'site' }
  }
  const service = thinkService({
    ...{ clock: new VirtualClock({ startMs: askedMs }), chat, store },
    perform: async (_caller, call) => {
      used.push(call.args)
      return { ok: true, privacy: 'site' }
    },
  })
  const call = { id: 1, op: 'think' as const, args: { goal: 'light', tools: ['light.*:command'], ...args } }
  const performing = { caller: { agent: 'a', token: 1 }, call, resumed: false, askedMs, emit: () => true }
  const outcome = await service.perform(performing, new AbortController().signal)
  return { outcome, lefts, used }
}

const light = { entity: 'light.hall', command: { state: 'on' } }

test('[sched-17] it is given up when its task is, and its tools say what it said', async () => {
  const urgency = { dueMs: askedMs + 5_000, priority: 'background' }
  const { outcome, lefts, used } = await thought({ urgency, deadlineMs: askedMs + 9_000 })
  expect(outcome).toMatchObject({ ok: true })
  expect([lefts, used]).toEqual([[5_000, 5_000], [{ ...light, urgency }]])
})

test('[sched-17] its own time counts where that ends sooner, and of no task it says nothing', async () => {
  const urgency = { dueMs: askedMs + 50_000 }
  expect(await thought({ urgency, deadlineMs: askedMs + 9_000 })).toMatchObject({ lefts: [9_000, 9_000] })
  expect(await thought({})).toMatchObject({ lefts: [120_000, 120_000], used: [light] })
})
