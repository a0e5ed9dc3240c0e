/** Labels of a thought where it touches what the agent remembers: in its goal, and by its tools. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest'
import type { Json, Privacy } from '../../../../runtime/agent/contract.ts'
import { memoryService } from '../../../../runtime/agent/memory/memory.service.ts'
import { MemoryStore } from '../../../../runtime/agent/memory/memory-store.ts'
import type { Chat } from '../../../../runtime/agent/think/chat.ts'
import { labelOfGoal } from '../../../../runtime/agent/think/goal-label.ts'
import { thinkService } from '../../../../runtime/agent/think/think.service.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'

const agent = 'nurse'
const pill = 'Ana takes a pill for her heart at nine'
let directory: string
let store: MemoryStore
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'labels-'))
  store = (await MemoryStore.open(directory, 1)).store
})
afterEach(async () => {
  await store[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true })
})
const remember = (key: string, value: Json, privacy: Privacy, who = agent) =>
  store.set({ agent: who, call: key }, key, value, { privacy })

describe('a goal that says what is remembered [think-9]', () => {
  const label = (goal: string, said: Privacy = 'cloud') => labelOfGoal(store, agent, goal, said)

  it.each<[string, Json, string]>([
    ['a value', pill, `What of this? ${pill}.`],
    ['a text within a value', { people: [{ name: 'Ana', needs: pill }] }, `Sum it up: ${pill}`],
    [
      'a value as JSON',
      [7, 8.5, { at: [1, 2, 3], on: true }],
      'Of [7,8.5,{"at":[1,2,3],"on":true}] the sum?',
    ],
  ])('has the label of %s', async (_what, value, goal) => {
    remember('k', value, 'site')
    expect(await label(goal)).toBe('site')
    expect(await label(goal, 'device')).toBe('device')
    remember('l', value, 'device')
    expect(await label(goal, 'site')).toBe('device')
  })

  it('has the label that the agent said where it holds nothing stricter', async () => {
    remember('open', pill, 'cloud')
    remember('short', 'Ana', 'device')
    remember('other', `${pill}, and at ten`, 'device')
    remember('theirs', pill, 'device', 'another')
    expect(await label(`Ana: ${pill}`)).toBe('cloud')
    expect(await label(`Ana: ${pill}`, 'site')).toBe('site')
  })

  it('has it after a move as well: labels go along [memory-2]', async () => {
    remember('k', pill, 'device')
    await store.unpack(agent, store.pack(agent))
    expect(await label(pill)).toBe('device')
  })

  it('is taken to hold what begins alike where there is too much of that to look for each', async () => {
    const alike = (count: number) => Array.from({ length: count }, (_, at) => `${'x'.repeat(30)}${at}`)
    remember('few', alike(64), 'device')
    expect(await label('x'.repeat(60_000))).toBe('cloud')
    store.set({ agent, call: 'more' }, 'more', alike(65), { privacy: 'device' })
    expect(await label('x'.repeat(60_000))).toBe('device')
  })

  it('lets others go on while much is looked at, also what is too large or too small to be in it', async () => {
    const letters = Array.from({ length: 6_000 }, () => 'ab')
    for (let at = 0; at < 30; at += 1) remember(`large ${at}`, letters, 'device')
    let rounds = 0
    let running = setImmediate(function round() {
      rounds += 1
      running = setImmediate(round)
    })
    expect(await label(`What of this? ${pill}.`)).toBe('cloud')
    clearImmediate(running)
    expect(rounds).toBeGreaterThanOrEqual(25)
  })

  it('holds values that are nested as deep as they may be', async () => {
    const depth = 16_000
    remember('deep', JSON.parse(`${'['.repeat(depth)}"${pill}"${']'.repeat(depth)}`), 'device')
    expect(await label(pill)).toBe('device')
  })
})

test('[think-7] what a thought finds in memory makes the rest of it stricter, and what it notes', async () => {
  store.note({ agent, call: 'n' }, pill, { privacy: 'device' }, 1)
  const clock = new VirtualClock()
  const uses = [
    { id: 'a', name: 'search_memory', arguments: '{"text":"pill"}' },
    { id: 'b', name: 'note', arguments: '{"text":"remind her in the morning"}' },
  ]
  const asked: Privacy[] = []
  // A language model of this device: it may see everything.
  const chat: Chat = async ({ privacy }) => {
    asked.push(privacy)
    const use = uses[asked.length - 1]
    const content = use ? null : 'Noted.'
    return { content, toolCalls: use ? [use] : [], tokens: 1, privacy }
  }
  const memory = memoryService({ clock, store })
  const service = thinkService({
    ...{ clock, chat, store },
    perform: (caller, call, resumed, signal) =>
      memory.perform({ caller, call, resumed, askedMs: call.askedMs, emit: () => true }, signal),
  })
  const call = {
    id: 1,
    op: 'think' as const,
    args: { goal: 'What now?', tools: ['memory'], privacy: 'cloud' },
  }
  const outcome = await service.perform(
    { caller: { agent, token: 1 }, call, resumed: false, askedMs: clock.nowMs(), emit: () => true },
    AbortSignal.timeout(5_000),
  )
  expect(outcome).toMatchObject({ ok: true, privacy: 'device', value: { answer: 'Noted.' } })
  expect(asked).toEqual(['cloud', 'device', 'device'])
  expect(store.recall.episode(2)).toMatchObject({ text: 'remind her in the morning', privacy: 'device' })
})
