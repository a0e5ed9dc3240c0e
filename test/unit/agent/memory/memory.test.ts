/** What agents remember: kept, found, bounded, labelled, written once, and gone when somebody asks to be forgotten. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Episode, Json } from '../../../../runtime/agent/contract.ts'
import { cosine, type Embed, quantized } from '../../../../runtime/agent/memory/embedding.ts'
import { memoryLimits } from '../../../../runtime/agent/memory/limits.ts'
import { memoryService } from '../../../../runtime/agent/memory/memory.service.ts'
import { MemoryStore } from '../../../../runtime/agent/memory/memory-store.ts'
import type { Outcome } from '../../../../runtime/agent/service.ts'
import type { CallOp } from '../../../../runtime/agent/turn.ts'
import { type Cancel, type Clock, VirtualClock } from '../../../../runtime/base/clock.ts'

let directory: string
let store: MemoryStore
let nextId = 0
const clock = new VirtualClock()

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'memory-'))
  store = (await MemoryStore.open(directory, 1)).store
})
afterEach(async () => {
  await store[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true })
})

interface Asked {
  readonly agent?: string
  readonly id?: number
  readonly resumed?: boolean
  readonly embed?: Embed
}

async function ask(op: CallOp, args: { [name: string]: Json }, asked: Asked = {}): Promise<Outcome> {
  nextId += 1
  const { agent = 'one', id = nextId, resumed = false, embed } = asked
  return memoryService({ clock, store, embed }).perform(
    { caller: { agent, token: 1 }, call: { id, op, args }, resumed, askedMs: 5, emit: () => true },
    AbortSignal.timeout(5_000),
  )
}

async function given(op: CallOp, args: { [name: string]: Json }, asked?: Asked): Promise<Json | undefined> {
  const outcome = await ask(op, args, asked)
  if (!outcome.ok) throw new Error(`${outcome.error.code}: ${outcome.error.message}`)
  return outcome.value
}

async function found(text: string, asked?: Asked): Promise<string[]> {
  return ((await given('memory.search', { text }, asked)) as unknown as Episode[]).map((one) => one.text)
}

async function reopen(): Promise<void> {
  await store[Symbol.asyncDispose]()
  store = (await MemoryStore.open(directory, 2)).store
}

describe('what is remembered', () => {
  it('is there after the file is opened again, each agent its own [memory-1]', async () => {
    await given('memory.set', { key: 'a/b', value: { deep: [1, null] } })
    await given('memory.set', { key: 'c', value: 1 })
    await given('memory.note', { text: 'the cat came home' })
    await reopen()
    expect(await given('memory.get', { key: 'a/b' })).toEqual({ deep: [1, null] })
    expect(await given('memory.keys', { prefix: 'a/' })).toEqual(['a/b'])
    expect(await found('cat')).toEqual(['the cat came home'])
    expect(await given('memory.get', { key: 'a/b' }, { agent: 'two' })).toBeUndefined()
    expect(await given('memory.keys', { prefix: '' }, { agent: 'two' })).toEqual([])
    expect(await found('cat', { agent: 'two' })).toEqual([])
    await given('memory.delete', { key: 'a/b' }, { agent: 'two' })
    expect(await given('memory.get', { key: 'a/b' })).toEqual({ deep: [1, null] })
    await given('memory.delete', { key: 'a/b' })
    expect(await given('memory.keys', { prefix: '' })).toEqual(['c'])
  })

  it('carries its label, the strictest where nobody said [memory-2]', async () => {
    await given('memory.set', { key: 'plain', value: 1 })
    await given('memory.set', { key: 'open', value: 1, privacy: 'cloud' })
    expect(await ask('memory.get', { key: 'plain' })).toMatchObject({ privacy: 'device' })
    expect(await ask('memory.get', { key: 'open' })).toMatchObject({ privacy: 'cloud' })
    await given('memory.note', { text: 'red door', privacy: 'cloud', about: 'Ana' })
    await given('memory.note', { text: 'red lamp', privacy: 'site' })
    const both = await ask('memory.search', { text: 'red' })
    expect(both).toMatchObject({ privacy: 'site' })
    expect((both as unknown as { value: Episode[] }).value).toContainEqual({
      ...{ id: '1', text: 'red door', about: 'Ana', privacy: 'cloud', tsMs: clock.nowMs() },
      score: expect.any(Number),
    })
  })

  it('is written once, also when a call is performed again after a crash [memory-3]', async () => {
    const first = await given('memory.note', { text: 'rain' }, { id: 900 })
    await given('memory.set', { key: 'n', value: 1 }, { id: 901 })
    await given('memory.set', { key: 'n', value: 2 }, { id: 902 })
    await reopen()
    const again = { resumed: true }
    expect(await given('memory.note', { text: 'rain' }, { ...again, id: 900 })).toBe(first)
    await given('memory.set', { key: 'n', value: 1 }, { ...again, id: 901 })
    expect(await given('memory.get', { key: 'n' })).toBe(2)
    expect(await found('rain')).toEqual(['rain'])
    await given('memory.note', { text: 'rain' }, { id: 900, agent: 'two' })
    expect(await found('rain', { agent: 'two' })).toEqual(['rain'])
  })
})

it('that could not be opened is in nobody’s way when it can', async () => {
  await store[Symbol.asyncDispose]()
  const change = (sql: string) => {
    const db = new DatabaseSync(join(directory, 'memory.db'))
    db.exec(sql)
    db.close()
  }
  change('DROP TABLE opened; CREATE VIEW opened AS SELECT 1')
  await expect(MemoryStore.open(directory, 2)).rejects.toThrow('opened')
  change('DROP VIEW opened')
  store = (await MemoryStore.open(directory, 3)).store
  expect(await found('anything')).toEqual([])
})

describe('search', () => {
  it('finds by any of the words, the best first, and takes nothing in the text as syntax', async () => {
    for (const text of [
      'the hall lamp is broken',
      'the garden gate squeaks',
      'café at the corner, lamp bought',
    ])
      await given('memory.note', { text })
    expect((await found('hall lamp'))[0]).toBe('the hall lamp is broken')
    expect(await found('CAFE')).toEqual(['café at the corner, lamp bought'])
    for (const text of ['" OR text:*', 'NEAR(', '-', '*', "'; DROP TABLE episode", '\u0000'])
      expect(await found(text)).toEqual([])
    expect(await given('memory.search', { text: 'the', most: 1 })).toHaveLength(1)
  })

  /** Meaning as a test knows it: light and dark. */
  const embed: Embed = async (texts) =>
    texts.map((text) =>
      Float32Array.of(/lamp|bright/.test(text) ? 1 : 0.1, /gate|creaky/.test(text) ? 1 : 0.1),
    )

  it('finds by meaning where there is a model, also what was noted before it was there [memory-4]', async () => {
    await given('memory.note', { text: 'the lamp' })
    await given('memory.note', { text: 'the gate' })
    expect(await found('something creaky')).toEqual([])
    expect(await found('something creaky', { embed })).toEqual(['the gate', 'the lamp'])
    expect(store.recall.withoutVector('one', 10)).toEqual([])
  })

  it('goes by words when the model fails [memory-4]', async () => {
    await given('memory.note', { text: 'the lamp' })
    const broken: Embed = async () => {
      throw new Error('no engine')
    }
    expect(await found('lamp', { embed: broken })).toEqual(['the lamp'])
  })

  it('makes vectors anew that a model of other dimensions made [memory-4]', async () => {
    for (const text of ['the lamp', 'the gate']) await given('memory.note', { text })
    const wide: Embed = async (texts, signal) =>
      (await embed(texts, signal)).map((vector) => Float32Array.of(...vector, 0, 0))
    await found('something creaky', { embed })
    // What the first search finds to be of another model, the next has made anew.
    expect(await found('something creaky', { embed: wide })).toEqual([])
    expect(await found('something creaky', { embed: wide })).toEqual(['the gate', 'the lamp'])
    expect(store.recall.vectors('one', 0).map(({ vector }) => vector.length)).toEqual([4, 4])
    // A vector of a megabyte is none: search goes by words, and nothing is kept.
    const huge: Embed = async (texts) => texts.map(() => new Float32Array(1_000_000))
    expect(await found('lamp', { embed: huge })).toEqual(['the lamp'])
    expect(store.recall.vectors('one', 0).map(({ vector }) => vector.length)).toEqual([4, 4])
  })

  it('bears whatever is searched for, in any script, and never looks at what another agent noted', async () => {
    const texts = [
      'cafe\u0301 ouvert',
      'Straße gesperrt',
      'η πόρτα',
      '台所の電気',
      'lone \ud800 half',
      'nul \0 inside',
    ]
    for (const text of texts) await given('memory.note', { text })
    await given('memory.note', { text: 'secret of another' }, { agent: 'two' })
    for (const [asked, first] of [
      ['caf\u00e9', texts[0]],
      ['CAFÉ', texts[0]],
      ['straße', texts[1]],
      ['ΠΌΡΤΑ', texts[2]],
      ['台所の電気', texts[3]],
      ['half', 'lone \ufffd half'],
      ['inside', texts[5]],
    ])
      expect((await found(String(asked)))[0], asked).toBe(first)
    for (const asked of [
      'text : secret',
      'agent:two',
      '{text} : secret',
      '^secret',
      'secret*',
      'NOT cafe',
      '"secret',
      "a' OR 1=1 --",
      '\ud800',
      '\u202e',
      '🔥',
      '%',
    ])
      expect(await found(asked).then((all) => all.filter((text) => text.includes('another'))), asked).toEqual(
        [],
      )
    const words = Array.from({ length: 400 }, (_, at) => `w${at}`).join(' ')
    expect(await found(words)).toEqual([])
    expect(await found('x'.repeat(4_096))).toEqual([])
    expect(await ask('memory.search', { text: 'x'.repeat(4_097) })).toMatchObject({
      ok: false,
      error: { code: 'bad-request' },
    })
  })

  it('keeps no vector of what was forgotten while the model thought', async () => {
    await given('memory.note', { text: 'the lamp', about: 'Ana' })
    const slow: Embed = async (texts, signal) => {
      await store.forgetEverywhere('Ana')
      return embed(texts, signal)
    }
    expect(await found('lamp', { embed: slow })).toEqual([])
    expect(store.recall.vectors('one', 0)).toEqual([])
  })

  it('lets everything else go on while much is looked through [memory-8]', async () => {
    const episodes = Array.from({ length: 4_000 }, (_, at) => [
      ...[`the light of the hall, day ${at}`, 'site', null, null, at],
    ])
    await store.unpack('one', { episode: episodes })
    const vector = quantized(Float32Array.of(1, 0.1))
    for (const { seq } of store.recall.withoutVector('one', 4_000)) store.recall.keepVector(seq, vector)
    let rounds = 0
    let searching = true
    const round = () => {
      rounds += 1
      if (searching) setImmediate(round)
    }
    setImmediate(round)
    const all = await given('memory.search', { text: 'the light, the hall; day 77' }, { embed })
    searching = false
    expect((all as unknown as Episode[])[0]?.text).toBe('the light of the hall, day 77')
    // Six words in four slices each, and the vectors in 32.
    expect(rounds).toBeGreaterThan(50)
  })

  it('knows how rare a word is from what the agent itself noted [memory-1]', async () => {
    for (const text of ['the lamp', 'the gate', 'the door']) await given('memory.note', { text })
    const asked = () => given('memory.search', { text: 'lamp the' })
    const before = await asked()
    expect(before).toMatchObject([{ text: 'the lamp', score: 1 }, { text: 'the door' }, { text: 'the gate' }])
    for (let at = 0; at < 20; at += 1) await given('memory.note', { text: 'a lamp' }, { agent: 'two' })
    expect(await asked()).toEqual(before)
  })

  it('keeps angles in 8 bits', () => {
    const a = Float32Array.from({ length: 512 }, (_, at) => Math.sin(at))
    const b = Float32Array.from({ length: 512 }, (_, at) => Math.sin(at + 0.5))
    expect(cosine(quantized(a), quantized(a))).toBeCloseTo(1, 5)
    expect(cosine(quantized(a), quantized(b))).toBeCloseTo(Math.cos(0.5), 2)
    expect(cosine(quantized(a), quantized(new Float32Array(512)))).toBe(0)
  })
})

describe('limits', () => {
  it('are refused with what is held and what may be [memory-5]', async () => {
    const refused = async (op: CallOp, args: { [name: string]: Json }) => await ask(op, args)
    expect(await refused('memory.note', { text: 'x'.repeat(memoryLimits.textBytesMax + 1) })).toMatchObject({
      error: {
        code: 'limit',
        message: 'memory.note: a text to remember has 4097 bytes, more than the 4096 allowed',
      },
    })
    expect(await refused('memory.set', { key: 'k', value: 'x'.repeat(33_000) })).toMatchObject({
      error: { code: 'limit' },
    })
    for (let at = 0; at < memoryLimits.keysMax; at += 1)
      store.set({ agent: 'one', call: `k${at}` }, `k${at}`, 1, { privacy: 'device' })
    expect(await refused('memory.set', { key: 'one more', value: 1 })).toMatchObject({
      error: { code: 'limit', message: 'memory.set: one would remember 901 keys, more than the 900 it may' },
    })
    await given('memory.set', { key: 'k1', value: 'another' })
    await given('memory.delete', { key: 'k1' })
    await given('memory.set', { key: 'one more', value: 1 })
  })

  it('of bytes count what is there, also after the file was opened again', async () => {
    const value = 'x'.repeat(32_000)
    for (let at = 0; at < 65; at += 1)
      store.set({ agent: 'one', call: `k${at}` }, `k${at}`, value, { privacy: 'device' })
    await reopen()
    expect(await ask('memory.set', { key: 'more', value })).toMatchObject({ error: { code: 'limit' } })
    await given('memory.set', { key: 'more', value }, { agent: 'two' })
    await given('memory.set', { key: 'k0', value: 1 })
    await given('memory.set', { key: 'more', value })
  })

  it('of what is asked are said in one line', async () => {
    for (const [op, args] of [
      ['memory.get', {}],
      ['memory.get', { key: 3 }],
      ['memory.set', { key: 'a\nb', value: 1 }],
      ['memory.set', { key: 'k' }],
      ['memory.set', { key: 'k', value: 1, privacy: 'public' }],
      ['memory.search', { text: 'a', most: 1e9 }],
      ['memory.note', { text: '' }],
      ['memory.note', { text: 'a', about: '  ' }],
    ] as const) {
      const outcome = await ask(op, args)
      expect(outcome).toMatchObject({ ok: false, error: { code: 'bad-request' } })
      expect(JSON.stringify(outcome)).toContain(op)
    }
  })
})

describe('forgetting', () => {
  /** Every file of the directory as bytes. */
  const onDisk = () =>
    readdirSync(directory)
      .map((name) => readFileSync(join(directory, name), 'latin1'))
      .join('')

  it('erases what is about a person from values, episodes, index, file and log [memory-6]', async () => {
    for (let at = 0; at < 300; at += 1) {
      await given('memory.note', {
        text: `zebulon${at} walked quixotically`,
        about: at % 2 ? 'Zoë' : ' ZOË ',
      })
      await given('memory.note', { text: `the weather of day ${at}` })
      store.set({ agent: 'two', call: `s${at}` }, `day${at}`, `wednesbury ${at}`, {
        privacy: 'device',
        about: 'zoë',
      })
    }
    expect(onDisk()).toContain('zebulon')
    expect(onDisk()).toContain('quixot')
    expect(await given('memory.forget', { about: 'zoë' })).toBe(300)
    expect(onDisk()).not.toMatch(/zebulon|ebulon1|quixot|uixotic/i)
    expect(onDisk()).toContain('wednesbury')
    expect(await store.forgetEverywhere('ZOË')).toBe(300)
    expect(onDisk()).not.toMatch(/zebulon|quixot|wednesbury|zo(ë|\xc3\xab)/i)
    expect(await found('zebulon1')).toEqual([])
    expect(await found('weather')).toHaveLength(5)
    await given('memory.note', { text: 'zebulon is back' })
    await reopen()
    expect(await found('zebulon')).toEqual(['zebulon is back'])
  })

  it('knows a person by what is seen of the name [memory-6]', async () => {
    for (const about of ['Ana Maria', ' ana  maria', 'A\u200bna\u00a0Maria\ufeff', '\uff21na Maria'])
      await given('memory.note', { text: 'zebulon', about })
    expect(await given('memory.forget', { about: 'ANA MARIA' })).toBe(4)
    expect(await ask('memory.forget', { about: '\u200b' })).toMatchObject({ error: { code: 'bad-request' } })
  })

  it('takes along what thoughts held, also where nothing else was about the person [memory-6]', async () => {
    const writer = { agent: 'one', call: '7@5' }
    store.keepThought(writer, 0, { kind: 'gave', content: 'zebulon came' })
    store.endThought({ agent: 'one', call: '6@5' }, { answer: 'quixotic' })
    store.keepReply('one', 'k', 'wednesbury')
    expect(await store.forgetEverywhere('Ana')).toBe(0)
    expect(onDisk()).not.toMatch(/zebulon|quixotic|wednesbury/)
    // It is under way still: what it goes on with has no beginning, and is not taken for all of it after a crash.
    store.keepThought(writer, 1, { kind: 'said' })
    expect(store.thought(writer)).toEqual([])
    store.keepThought(writer, 0, { kind: 'anew' })
    expect(store.thought(writer)).toEqual([{ kind: 'anew' }])
  })

  it('is said again when the call is performed again, and a note from before does not come back [memory-3]', async () => {
    await given('memory.note', { text: 'zebulon sang', about: 'Ana' }, { id: 800 })
    expect(await given('memory.forget', { about: 'Ana' }, { id: 801 })).toBe(1)
    await given('memory.note', { text: 'zebulon sang', about: 'Ana' }, { id: 800, resumed: true })
    expect(await given('memory.forget', { about: 'Ana' }, { id: 801, resumed: true })).toBe(1)
    expect(onDisk()).not.toContain('zebulon')
  })

  it('erases files that were put aside, and all of an agent that is removed [memory-6] [memory-7]', async () => {
    await given('memory.note', { text: 'zebulon', about: 'Ana' })
    await given('memory.set', { key: 'wednesbury', value: 1 })
    await given('memory.note', { text: 'kept' }, { agent: 'two' })
    await store[Symbol.asyncDispose]()
    const path = join(directory, 'memory.db')
    const whole = readFileSync(path)
    writeFileSync(path, 'no database')
    const opened = await MemoryStore.open(directory, 3)
    store = opened.store
    writeFileSync(String(opened.recoveredFrom), whole)
    await given('memory.note', { text: 'zebulon', about: 'Ana' })
    await given('memory.note', { text: 'kept' }, { agent: 'two' })
    await store.remove('one')
    expect(onDisk()).not.toMatch(/zebulon|wednesbury/)
    expect(await found('kept', { agent: 'two' })).toEqual(['kept'])
  })

  it('lets everything else go on while much is erased [memory-8]', async () => {
    const episodes = Array.from({ length: 400 }, (_, at) => [`zebulon${at} sang`, 'site', 'Ana', 'ana', at])
    await store.unpack('one', { episode: episodes })
    let rounds = 0
    let erasing = true
    const round = () => {
      rounds += 1
      if (erasing) setImmediate(round)
    }
    setImmediate(round)
    expect(await store.forgetEverywhere('Ana')).toBe(400)
    erasing = false
    expect(rounds).toBeGreaterThan(90)
    expect(onDisk()).not.toContain('zebulon')
  })

  /** One service for all that is asked of it. */
  function forgetting(own: Clock) {
    const service = memoryService({ clock: own, store })
    return (id: number, about: string, signal = AbortSignal.timeout(20_000)) =>
      service.perform(
        {
          ...{ caller: { agent: 'one', token: 1 }, resumed: false, askedMs: 5, emit: () => true },
          call: { id, op: 'memory.forget', args: { about } },
        },
        signal,
      )
  }

  it('makes a large file anew for no agent while all else runs, but for a person, and when it is opened [memory-8]', async () => {
    const agents = ['a', 'b', 'c', 'd', 'e', 'f']
    for (const agent of agents)
      for (let at = 0; at < 60; at += 1)
        store.set({ agent, call: `${at}` }, `k${at}`, 'x'.repeat(30_000), { privacy: 'device' })
    const size = () => statSync(join(directory, 'memory.db')).size
    await store.remove('a')
    await store.remove('b')
    const large = size()
    expect(large).toBeGreaterThan(8 * 1024 * 1024)
    await store.remove('c')
    await store.clear()
    expect(size()).toBe(large)
    await store.forgetEverywhere('Ada')
    expect(size()).toBeLessThan(large / 1.5)
  })
  it('that cannot be opened leaves no file to the collector of garbage, which would end the process', async () => {
    await store[Symbol.asyncDispose]()
    const db = new DatabaseSync(join(directory, 'memory.db'))
    db.exec('DROP TABLE erasure; CREATE TABLE erasure (other TEXT)')
    db.close()
    const before = readdirSync('/proc/self/fd').length
    await expect(MemoryStore.open(directory, 1)).rejects.toThrow()
    expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before)
  })
  it('clears the file once a minute at most, however often agents ask; nobody is answered before [memory-9]', async () => {
    const forget = forgetting(clock)
    expect(await forget(700, 'Ana')).toMatchObject({ value: 0 })
    await given('memory.note', { text: 'zebulon sang', about: 'Ana' })
    const answered: number[] = []
    const both = [701, 702].map((id) => forget(id, 'Ana').finally(() => answered.push(id)))
    const leaves = new AbortController()
    const left = forget(703, 'Ana', leaves.signal)
    leaves.abort(new Error('the agent is stopped'))
    await expect(left).rejects.toThrow('the agent is stopped')
    expect(await found('zebulon')).toEqual([])
    clock.advance(59_000)
    await store.durable()
    expect(answered).toEqual([])
    clock.advance(1_000)
    expect((await Promise.all(both)).map((one) => one.ok)).toEqual([true, true])
    expect(onDisk()).not.toContain('zebulon')
  })

  it('waits for the next clearing no longer than the file is open', async () => {
    const timers = new Set<Cancel>()
    class CountingClock extends VirtualClock {
      override after(delayMs: number, fn: () => void): Cancel {
        const cancel = super.after(delayMs, fn)
        timers.add(cancel)
        return () => {
          timers.delete(cancel)
          cancel()
        }
      }
    }
    const forget = forgetting(new CountingClock())
    await forget(700, 'Ana')
    const leaves = new AbortController()
    const left = forget(701, 'Ana', leaves.signal)
    await expect.poll(() => timers.size).toBe(1)
    leaves.abort(new Error('the agent is stopped'))
    await expect(left).rejects.toThrow('the agent is stopped')
    await store[Symbol.asyncDispose]()
    expect(timers.size).toBe(0)
  })
})
