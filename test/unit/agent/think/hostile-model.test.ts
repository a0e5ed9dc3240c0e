/** What a model, or whoever it is, may not do to a thought by what it writes; and what tools may not tell by how they fail. */
import { describe, expect, it } from 'vitest'
import type { Json, Privacy } from '../../../../runtime/agent/contract.ts'
import { failed, type Outcome, unshared } from '../../../../runtime/agent/service.ts'
import { type Chat, type ChatRequest, chatBy } from '../../../../runtime/agent/think/chat.ts'
import { type Entry, think } from '../../../../runtime/agent/think/thought.ts'
import { toolsOf } from '../../../../runtime/agent/think/tools.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import type { InferChunk } from '../../../../runtime/wire/infer.ts'

const depth = 20_000
const deep = `${'['.repeat(depth)}${']'.repeat(depth)}`

interface Asked {
  readonly schema?: Json
  readonly tools?: readonly string[]
  readonly privacy?: Privacy
  readonly outcome?: Outcome
}
/** A thought whose model says these things in order: an answer, or the use of a tool. */
async function thought(says: readonly (string | [string, string])[], asked: Asked = {}) {
  const { schema, tools: names = ['light.*:command', 'memory', 'agent:cook'], privacy = 'site' } = asked
  const { outcome = { ok: true } } = asked
  const entries: Entry[] = []
  const labels: Privacy[] = []
  const used: string[] = []
  const script = [...says]
  const chat: Chat = async (request) => {
    labels.push(request.privacy)
    const next = script.shift()
    if (next === undefined) throw new Error('the script is at its end')
    const [name, args] = typeof next === 'string' ? [] : next
    return {
      content: typeof next === 'string' ? next : null,
      toolCalls: name === undefined ? [] : [{ id: 'a', name, arguments: args ?? '' }],
      ...{ tokens: 10, privacy: request.privacy },
    }
  }
  const tools = toolsOf(names)
  if (typeof tools === 'string') throw new Error(tools)
  const ended = await think(
    {
      ...{ clock: new VirtualClock(), chat, sharing: unshared },
      journal: { read: () => [], add: async (_step, entry) => void entries.push(entry) },
      use: async ({ op }) => {
        used.push(op)
        return outcome
      },
    },
    {
      ...{ goal: 'Do it.', tools: tools.tools, schema, privacy, priority: 'background' },
      ...{ tokensMax: 16_000, stepsMax: 4, deadlineMs: Number.MAX_SAFE_INTEGER },
    },
    new AbortController().signal,
  )
  const told = entries.flatMap((entry) => (entry.kind === 'gave' ? [JSON.parse(entry.content)] : []))
  return { ended, entries, labels, used, told }
}

describe('JSON nested 20,000 deep', () => {
  it.each([
    ['command_entity', `{"entity":"light.hall","command":{"state":${deep}}}`],
    ['search_memory', `{"text":${deep}}`],
    ['note', deep],
  ])('as arguments of %s is told to the model, and nothing is done [think-3]', async (name, args) => {
    const { ended, told, used } = await thought([[name, args], 'I could not.'])
    expect(ended.answer).toBe('I could not.')
    expect(told).toMatchObject([{ error: { code: 'bad-request' } }])
    expect(used).toEqual([])
  })

  it('is no answer by a schema [think-4]', async () => {
    const { ended, entries } = await thought([`{"a":${deep}}`, '{"a":"]}[{\\"[[["}'], {
      schema: { type: 'object' },
    })
    expect(ended.answer).toEqual({ a: ']}[{"[[[' })
    expect(entries[1]).toMatchObject({ kind: 'wrong', reason: expect.stringContaining('nested too deep') })
  })
})

describe('how a tool failed [think-7]', () => {
  const secret = failed('uncertain', 'light.hall shows that Ana is at home')

  it('is labelled as what things of the home report', async () => {
    const command = ['command_entity', '{"entity":"light.hall","command":{"state":"on"}}'] as [string, string]
    const { labels, ended } = await thought([command, 'Hm.'], { outcome: secret, privacy: 'cloud' })
    expect(labels).toEqual(['cloud', 'site'])
    expect(ended.privacy).toBe('site')
  })

  it('is told in no words of another agent, which may be anything', async () => {
    const { told, labels } = await thought([['call_agent', '{"agent":"cook","message":"?"}'], 'Hm.'], {
      ...{ outcome: secret, privacy: 'cloud' },
    })
    expect(told).toEqual([{ error: { code: 'uncertain', message: 'it gave no answer' } }])
    expect(labels).toEqual(['cloud', 'cloud'])
  })
})

describe('an answer of a chat [think-10]', () => {
  const asking: ChatRequest = {
    ...{ messages: [], tools: [], tokensMax: 100, deadlineMs: 1_000 },
    privacy: 'site',
    priority: 'background',
  }
  const answered = (name: 'event' | 'response', ...texts: string[]) => {
    async function* infer(): AsyncGenerator<InferChunk> {
      for (const [at, text] of texts.entries())
        yield {
          ...{ id: 'x', final: name === 'response' && at === texts.length - 1 },
          outputs: [{ name, datatype: 'BYTES', shape: [1], data: [text] }],
        }
      if (name === 'event') yield { id: 'x', final: true, outputs: [] }
    }
    const models = { infer, modelsFor: () => [{ name: 'liar', reach: 'site' as const }] }
    return chatBy(models)(asking, new AbortController().signal)
  }
  const call = { id: 'a', function: { name: 'note', arguments: '{}' } }

  it('of 100,000 calls of tools is not read', async () => {
    const message = { tool_calls: Array.from({ length: 100_000 }, () => call) }
    await expect(answered('response', JSON.stringify({ choices: [{ message }] }))).rejects.toThrow(
      'more than 131072 characters',
    )
  })

  it('of many calls has those that a message may have', async () => {
    const message = { tool_calls: Array.from({ length: 5_000 }, () => call) }
    expect((await answered('response', JSON.stringify({ choices: [{ message }] }))).toolCalls).toHaveLength(
      16,
    )
  })

  it('whose count is nested 20,000 deep says no count', async () => {
    const said = JSON.stringify({ choices: [{ index: 0, delta: { content: 'Hm.' } }] })
    expect(await answered('event', said, `{"choices":[],"usage":${deep}}`)).toMatchObject({
      content: 'Hm.',
      tokens: undefined,
    })
    const whole = `{"choices":[{"message":{"content":"Hm."}}],"usage":{"total_tokens":1e300}}`
    expect(await answered('response', whole)).toMatchObject({ content: 'Hm.', tokens: undefined })
  })
})
