/**
 * Answers of a language model that come in pieces, from a scripted server through a real gateway and a broker to a thought: put
 * together, stopped between two of them all the way back to the server, and counted whatever becomes of them.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { Accounts } from '../../runtime/agent/accounts/accounts.ts'
import type { Charge } from '../../runtime/agent/accounts/usage.ts'
import { type Grant, Scheduler } from '../../runtime/agent/scheduler/scheduler.ts'
import type { Sharing } from '../../runtime/agent/service.ts'
import { chatBy } from '../../runtime/agent/think/chat.ts'
import { type Entry, type Goal, think } from '../../runtime/agent/think/thought.ts'
import { toolsOf } from '../../runtime/agent/think/tools.ts'
import { type Clock, realClock, VirtualClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { events, json } from '../fixtures/scripted-upstream.ts'
import { until } from './broker-raw.ts'
import { openThinking, type Said, type Thinking } from './think-setup.ts'

let thinking: Thinking
beforeAll(async () => {
  thinking = await openThinking()
})
afterAll(() => thinking[Symbol.asyncDispose]())
beforeEach(() => {
  thinking.script = []
  thinking.upstream.received.length = 0
  thinking.upstream.hungUp = 0
})

const chunk = (delta: object, finish: string | null = null) => ({
  choices: [{ index: 0, delta, finish_reason: finish }],
})
const text = (content: string) => chunk({ content })
const toolPiece = (index: number, more: object) => chunk({ tool_calls: [{ index, ...more }] })
const usage = (total_tokens: number) => ({ choices: [], usage: { total_tokens } })
const end = [chunk({}, 'stop'), '[DONE]']
const answer = [text('All '), text('well.'), ...end]
const streams =
  (...list: readonly unknown[]): Said =>
  (response) => {
    events(response, list)
    response.end()
  }
/** Begins, and says when its caller has hung up. */
const begins =
  (...list: readonly unknown[]): Said =>
  (response) =>
    events(response, list)
const hungUp = (times = 1) => until('the server is hung up on', () => thinking.upstream.hungUp >= times)

interface Asking {
  readonly clock?: Clock
  readonly signal?: AbortSignal
  readonly sharing?: Partial<Sharing>
  readonly goal?: Partial<Goal>
}
/** One thought, what it kept and what it spent. */
function asking({ clock = realClock, signal = new AbortController().signal, sharing, goal }: Asking = {}) {
  const entries: Entry[] = []
  const spent: Charge[] = []
  const tools = toolsOf(['light.*:read'])
  if (typeof tools === 'string') throw new Error(tools)
  const thought = think(
    {
      clock,
      chat: chatBy(thinking.router),
      journal: { read: () => [], add: async (_step, entry) => void entries.push(entry) },
      use: async () => ({ ok: true, value: ['light.hall'], privacy: 'site' }),
      sharing: {
        boundary: async () => {},
        draw: async () => () => {},
        spend: (charge) => void spent.push(charge),
        ...sharing,
      },
    },
    {
      ...{ goal: 'Is all well?', tools: tools.tools, schema: undefined, privacy: 'site' },
      ...{ priority: 'background', tokensMax: 16_000, stepsMax: 8, deadlineMs: clock.nowMs() + 30_000 },
      ...goal,
    },
    signal,
  )
  thought.catch(() => {})
  const sum = (what: keyof Charge) => spent.reduce((all, one) => all + (one[what] ?? 0), 0)
  return { thought, entries, spent, sum }
}

describe('an answer in pieces [think-10]', () => {
  it('is put together: text, and calls of tools by their index; the server counts', async () => {
    thinking.script = [
      streams(
        chunk({ role: 'assistant', content: null }),
        chunk({ reasoning_content: 'The lights first.' }),
        toolPiece(0, { id: 'a', type: 'function', function: { name: 'list_entities', arguments: '' } }),
        toolPiece(1, { id: 'b', type: 'function', function: { name: 'list_entities', arguments: '{"pat' } }),
        toolPiece(0, { function: { arguments: '{"pattern":' } }),
        toolPiece(1, { function: { arguments: 'tern":"light.b"}' } }),
        toolPiece(0, { function: { arguments: '"light.a"}' } }),
        chunk({}, 'tool_calls'),
        usage(70),
        '[DONE]',
      ),
      streams(text('All '), text('well.'), chunk({}, 'stop'), usage(90), '[DONE]'),
    ]
    const { thought, entries, sum } = asking()
    expect(await thought).toEqual({ answer: 'All well.', steps: 2, tokens: 160, privacy: 'site' })
    const [first, second] = thinking.requests()
    expect([first.stream, first.stream_options]).toEqual([true, { include_usage: true }])
    const call = (id: string, thing: string) => ({
      ...{ id, type: 'function' },
      function: { name: 'list_entities', arguments: `{"pattern":"${thing}"}` },
    })
    expect(second.messages[2].tool_calls).toEqual([call('a', 'light.a'), call('b', 'light.b')])
    expect(entries.map(({ kind }) => kind)).toEqual(['said', 'gave', 'gave', 'said'])
    expect(sum('tokens')).toBe(160)
  })

  it('is put together where calls have no index, or all the same one', async () => {
    const whole = (id: string, index?: number) =>
      chunk({
        tool_calls: [
          {
            ...(index === undefined ? {} : { index }),
            id,
            function: { name: 'list_entities', arguments: '{}' },
          },
        ],
      })
    for (const index of [undefined, 0]) {
      thinking.script = [streams(whole('a', index), whole('b', index), ...end), streams(...answer)]
      await asking().thought
      const ids = thinking
        .requests()
        .at(-1)
        .messages[2].tool_calls.map(({ id }: { id: string }) => id)
      expect(ids).toEqual(['a', 'b'])
    }
  })

  it.each<[string, unknown[]]>([
    ['no [DONE]', [text('All '), text('well.'), chunk({}, 'stop')]],
    ['no finish_reason', [text('All '), text('well.'), '[DONE]']],
    ['events that say nothing', [{}, { choices: null }, text('All '), chunk({}), text('well.'), ...end]],
    ['a count that is none', [...answer.slice(0, 3), { usage: { total_tokens: 1e300 } }, '[DONE]']],
  ])('is whole with %s; tokens that nobody counted are estimated', async (_what, list) => {
    thinking.script = [streams(...list)]
    const { answer: said, tokens } = await asking().thought
    expect(said).toBe('All well.')
    expect(tokens).toBeGreaterThan(100)
    expect(tokens).toBeLessThan(1_000)
  })

  it('is taken whole from a server that refuses streams, which is asked for one no more', async () => {
    const chat = chatBy(thinking.router)
    const refuses: Said = (response) => json(response, { error: { message: 'no streams' } }, 400)
    const whole = { choices: [{ message: { content: 'All well.' } }] }
    thinking.script = [refuses, whole, whole]
    const request = {
      messages: [{ role: 'user' as const, content: 'Is all well?' }],
      ...{ tools: [], privacy: 'site' as const, priority: 'background' as const },
      ...{ tokensMax: 100, deadlineMs: 20_000 },
    }
    for (let nth = 0; nth < 2; nth += 1)
      expect((await chat(request, new AbortController().signal)).content).toBe('All well.')
    expect(thinking.requests().map(({ stream }) => stream)).toEqual([true, undefined, undefined])
  })
})

describe('a stream that goes wrong [think-10]', () => {
  let shared: Thinking
  // What failed is left alone for a while, by the device and by the gateway: each test has its own.
  beforeEach(async () => {
    shared = thinking
    thinking = await openThinking()
  })
  afterEach(async () => {
    await thinking[Symbol.asyncDispose]()
    thinking = shared
  })
  const breaksOff: Said = (response: ServerResponse) => {
    events(response, [text('All ')])
    setImmediate(() => response.destroy())
  }

  it.each<[string, Said]>([
    ['breaks off', breaksOff],
    ['ends without its end', streams(text('All '))],
    ['has a piece that is no piece', streams(text('All '), { choices: [{ delta: { content: 7 } }] }, ...end)],
    ['has a call at a place that is none', streams(toolPiece(-1, { id: 'a' }), ...end)],
    ['says an error', streams(text('All '), { error: { message: 'no more memory' } })],
  ])('because it %s is asked for once more, and what was heard counts', async (_what, said) => {
    thinking.script = [said, streams(...answer)]
    const { thought, entries, sum } = asking()
    const { answer: told, tokens } = await thought
    expect(told).toBe('All well.')
    expect(entries).toHaveLength(1)
    expect(thinking.requests()).toHaveLength(2)
    expect(sum('tokens')).toBe(tokens)
    // Both questions.
    expect(tokens).toBeGreaterThan(200)
  })

  it.each<[string, () => Said, RegExp]>([
    [
      'a giant piece',
      () => streams(text('x'.repeat(200_000)), ...end),
      /more than 131072 characters|know[s]? no HTTP address/,
    ],
    [
      'endless pieces of arguments',
      () =>
        streams(
          ...Array.from({ length: 40 }, () =>
            toolPiece(0, { id: 'a', function: { arguments: 'x'.repeat(4_000) } }),
          ),
          ...end,
        ),
      /more than 131072 characters|longer than the 4096 tokens/,
    ],
    [
      'a call without an id',
      () => streams(toolPiece(0, { function: { name: 'list_entities', arguments: '{}' } }), ...end),
      /no answer of a chat/,
    ],
    ['a thought and no words', () => streams(chunk({ reasoning: 'Hm.' }), ...end), /said nothing/],
    ['nothing at all', () => streams(...end), /gave no answer/],
  ])('with %s ends the thought with an error', async (_what, said, message) => {
    thinking.script = [said(), said(), said()]
    const { thought, entries } = asking()
    await expect(thought).rejects.toThrow(message)
    expect(entries).toEqual([])
  })

  it('of more calls than a message has gives those that it may have', async () => {
    const calls = Array.from({ length: 300 }, (_, at) =>
      toolPiece(at, { id: `id-${at}`, function: { name: 'list_entities', arguments: '{}' } }),
    )
    thinking.script = [streams(...calls, ...end), streams(...answer)]
    await asking().thought
    expect(thinking.requests()[1].messages[2].tool_calls).toHaveLength(16)
  })
})

describe('between two pieces a thought is stopped, as far as the server [think-5]', () => {
  it('by a cancel: what was heard is spent', async () => {
    const stop = new AbortController()
    thinking.script = [begins(text('All '), text('well '), text('so far'))]
    const { thought, entries, sum } = asking({ signal: stop.signal })
    await until('it is heard', () => sum('tokens') === 3)
    stop.abort(new Error('the agent is stopped'))
    await expect(thought).rejects.toThrow('the agent is stopped')
    await hungUp()
    expect(entries).toEqual([])
    expect(sum('tokens')).toBeGreaterThan(100)
    expect(sum('bytes')).toBeGreaterThan(500)
    expect(sum('engineMs')).toBeGreaterThan(0)
  })

  it('by its deadline, when the stream stalls', async () => {
    const clock = new VirtualClock()
    thinking.script = [begins(text('All '), text('well'))]
    const { thought, sum } = asking({ clock })
    await until('it is heard', () => sum('tokens') === 2)
    clock.advance(30_000)
    await expect(thought).rejects.toMatchObject({ code: 'timeout' })
    await hungUp()
    expect(sum('tokens')).toBeGreaterThan(100)
  })

  it('by its budget of tokens, whatever the server was told of it', async () => {
    thinking.script = [begins(...Array.from({ length: 400 }, () => text('word ')))]
    const { thought, entries, sum } = asking({ goal: { tools: [], tokensMax: 200 } })
    await expect(thought).rejects.toMatchObject({ code: 'limit' })
    await hungUp()
    expect(thinking.requests()[0].max_tokens).toBeLessThan(200)
    expect(sum('tokens')).toBeGreaterThan(199)
    expect(sum('tokens')).toBeLessThan(400)
    expect(entries).toEqual([])
  })

  it("by its agent's quota", async () => {
    const directory = mkdtempSync(join(tmpdir(), 'accounts-'))
    onTestFinished(() => rmSync(directory, { recursive: true }))
    const quotas = [{ what: 'tokens', max: 20, perMs: 86_400_000, over: 'refuse' }] as const
    const deps = { clock: realClock, log: silentLog }
    await using accounts = await Accounts.open(deps, { directory, quotas }, new AbortController().signal)
    thinking.script = [begins(...Array.from({ length: 30 }, () => text('word ')))]
    const { thought } = asking({
      sharing: {
        spend: (charge) => accounts.add('talker', charge),
        async boundary(signal) {
          const refused = await accounts.admit('talker', ['tokens'], signal)
          if (refused !== undefined) throw new Error(refused)
        },
      },
    })
    await expect(thought).rejects.toThrow('talker has used its 20 tokens')
    await hungUp()
    expect(accounts.report()[0]?.used.tokens).toBeGreaterThan(100)
  })
})

describe('what an answer used [think-5]', () => {
  it('of a model in the home is the time it took, and of the way there and back the bytes', async () => {
    for (const said of [streams(...answer), { choices: [{ message: { content: 'All well.' } }] }]) {
      thinking.script = [said]
      const { thought, sum } = asking()
      await thought
      const sent = Number(thinking.upstream.received.at(-1)?.body.byteLength)
      expect(sum('bytes')).toBeGreaterThan(sent)
      expect(sum('engineMs')).toBeGreaterThan(0)
      expect(sum('money')).toBe(0)
    }
  })

  it('is the price too, also where it was stopped', async () => {
    const near = thinking
    thinking = await openThinking({ price: 0.25 })
    try {
      thinking.script = [streams(...answer)]
      const whole = asking()
      await whole.thought
      expect(whole.sum('money')).toBe(0.25)
      const stop = new AbortController()
      thinking.script = [begins(text('All '))]
      const cut = asking({ signal: stop.signal })
      await until('it is heard', () => cut.sum('tokens') === 1)
      stop.abort(new Error('the agent is stopped'))
      await expect(cut.thought).rejects.toThrow('the agent is stopped')
      expect(cut.sum('money')).toBe(0.25)
      await hungUp()
    } finally {
      await thinking[Symbol.asyncDispose]()
      thinking = near
    }
  })
})

it('a more urgent thought begins while a less urgent one is in the middle of its answer [think-5]', async () => {
  const scheduler = new Scheduler(realClock, { resources: [{ name: 'thoughts', capacity: 1, queueMax: 8 }] })
  const held = async (agent: string, priority: 'control' | 'background') => {
    const grant = await scheduler.acquire('thoughts', { agent, priority }, new AbortController().signal)
    return { grant, sharing: { boundary: (signal: AbortSignal) => grant.pause(signal) } }
  }
  let reader: ServerResponse | undefined
  thinking.script = [
    (response) => {
      events(response, [text('All ')])
      reader = response
    },
    streams(...answer),
  ]
  const slow = await held('talker', 'background')
  const talks = asking({ sharing: slow.sharing })
  await until('it has begun', () => reader !== undefined && talks.sum('tokens') > 0)
  const urgent = held('alarm', 'control')
  // It gives way at its next piece; its server says that one when the alarm waits.
  await until('the alarm waits', () => scheduler.waitsOf('alarm').length === 1)
  moreEvents(reader, [text('well')])
  const alarm = await urgent
  expect((await asking({ sharing: alarm.sharing }).thought).answer).toBe('All well.')
  // What the other one's server said meanwhile is heard, and it goes on when the alarm is done.
  moreEvents(reader, [text('.'), ...end])
  reader?.end()
  await until('its message is whole', () => talks.entries.length === 1)
  let isOver = false
  void talks.thought.then(() => {
    isOver = true
  })
  expect([isOver, scheduler.waitsOf('talker')]).toEqual([false, ['thoughts']])
  alarm.grant.release()
  expect((await talks.thought).answer).toBe('All well.')
  slow.grant.release()
  expect(scheduler.loads()[0]).toMatchObject({ used: 0, waiting: 0 })
})

describe('who gives way and is stopped then', () => {
  it('holds nothing and waits for nothing [think-5]', async () => {
    const scheduler = new Scheduler(realClock, {
      resources: [{ name: 'thoughts', capacity: 1, queueMax: 8 }],
    })
    const never = new AbortController().signal
    const grant = await scheduler.acquire('thoughts', { agent: 'talker', priority: 'background' }, never)
    let alarm: Grant | undefined
    let reader: ServerResponse | undefined
    thinking.script = [
      (response) => {
        events(response, [text('All ')])
        reader = response
      },
    ]
    const { thought, sum } = asking({
      goal: { tools: [] },
      sharing: { boundary: (signal) => grant.pause(signal) },
    })
    await until('it has begun', () => reader !== undefined && sum('tokens') > 0)
    void scheduler.acquire('thoughts', { agent: 'alarm', priority: 'control' }, never).then((granted) => {
      alarm = granted
    })
    moreEvents(reader, [text('well')])
    await until('the alarm has its turn', () => alarm !== undefined)
    expect(scheduler.waitsOf('talker')).toEqual(['thoughts'])
    moreEvents(reader, [{ choices: 'none' }])
    reader?.end()
    await expect(thought).rejects.toThrow()
    expect(scheduler.waitsOf('talker')).toEqual([])
    grant.release()
    alarm?.release()
    expect(scheduler.loads()[0]).toMatchObject({ used: 0, waiting: 0 })
  })
})

/** More events of a response that has begun. */
function moreEvents(response: ServerResponse | undefined, list: readonly unknown[]): void {
  for (const one of list) response?.write(`data: ${typeof one === 'string' ? one : JSON.stringify(one)}\n\n`)
}
