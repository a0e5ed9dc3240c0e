/** A machine is sealed, and a turn is a pure function of its memory and its input. */
import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { readEngineFiles } from '../../../../runtime/agent/vm/engine-files.ts'
import { Machine, type MachineOptions } from '../../../../runtime/agent/vm/machine.ts'
import { ProgramError } from '../../../../runtime/agent/vm/program-error.ts'

const engine = readEngineFiles()
const { guest } = engine
const wasm = await WebAssembly.compile(engine.wasm)
const nowMs = 1_800_000_000_000

const optionsFor = (source: string, more: Partial<MachineOptions> = {}): MachineOptions => ({
  ...{ wasm, guest, seed: 7 },
  program: { entry: './a.js', modules: { './a.js': source } },
  ...more,
})
const running = (body: string) => `export default { name: 'a', async run(ctx) { ${body} } }`
const begun = (body: string, more: Partial<MachineOptions> = {}) =>
  Machine.create(optionsFor(running(body), more), nowMs)
const start = [{ kind: 'start', device: 'hub' }] as const
const digest = (machine: Machine) => createHash('sha256').update(machine.image().memory).digest('hex')

async function firstTurn(body: string, more: Partial<MachineOptions> = {}) {
  using machine = await begun(body, more)
  return machine.turn(nowMs, start)
}

describe('a turn', () => {
  test('asks for what the program waits for, and goes on with the answer', async () => {
    using machine = await begun(
      `const done = await ctx.entity('light.hall').command({ state: 'on' }); return done.shown`,
    )
    const asked = machine.turn(nowMs, start)
    expect(asked).toMatchObject({
      ok: true,
      output: { calls: [{ id: 1, op: 'command', args: { entity: 'light.hall', command: { state: 'on' } } }] },
    })
    const ended = machine.turn(nowMs + 5, [{ kind: 'settle', id: 1, ok: true, value: { shown: 'state on' } }])
    expect(ended).toMatchObject({ ok: true, output: { calls: [], end: { ok: true, value: 'state on' } } })
  })

  test('gives the program an error with its code', async () => {
    using machine = await begun(
      `try { await ctx.memory.get('k') } catch (error) { return [error.code, error.message] }`,
    )
    machine.turn(nowMs, start)
    const error = { code: 'permission', message: 'nobody granted it' } as const
    expect(machine.turn(nowMs, [{ kind: 'settle', id: 1, ok: false, error }])).toMatchObject({
      output: { end: { ok: true, value: ['permission', 'nobody granted it'] } },
    })
  })

  test('sees a clock that stands still, and randomness that its seed decides', async () => {
    const body = `const at = Date.now(); for (let i = 0; i < 1e5; i++); return [Date.now() - at, at, Math.random()]`
    const first = await firstTurn(body)
    expect(first).toEqual({ ...(await firstTurn(body)), cost: expect.anything() })
    expect(first).toMatchObject({ output: { end: { value: [0, nowMs, expect.any(Number)] } } })
    const other = await firstTurn(body, { seed: 8 })
    expect(other.ok && other.output.end).not.toEqual(first.ok && first.output.end)
  })
})

describe('an image', () => {
  test('goes on in the middle of an await as the machine it was taken from [vm-2]', async () => {
    const body = `let sum = 0; for (let i = 0; i < 3; i++) { await ctx.sleep('1s'); sum += Math.random() } return sum`
    using machine = await begun(body)
    machine.turn(nowMs, start)
    using restored = await Machine.restore(optionsFor(running(body)), machine.image())
    for (const id of [1, 2, 3]) {
      const input = [{ kind: 'settle', id, ok: true, value: undefined }] as const
      const { cost: _, ...said } = restored.turn(nowMs + id, input)
      expect(machine.turn(nowMs + id, input)).toMatchObject(said)
    }
  })

  test('of a machine that was restored on the way is, byte for byte, that of one that stayed [vm-2]', async () => {
    const body =
      'const all = []; for (;;) { await ctx.sleep(10); all.push({ at: Date.now(), text: String(Math.random()) }) }'
    using stayed = await begun(body)
    stayed.turn(nowMs, start)
    let image = stayed.image()
    for (let id = 1; id < 10; id++) {
      const input = [{ kind: 'settle', id, ok: true, value: undefined }] as const
      using restored = await Machine.restore(optionsFor(running(body)), image)
      const { cost, ...said } = stayed.turn(nowMs + id, input)
      expect(restored.turn(nowMs + id, input)).toMatchObject({ ...said, cost: { ticks: cost.ticks } })
      image = restored.image()
      expect(Buffer.compare(image.memory, stayed.image().memory)).toBe(0)
    }
  })

  test('is taken between turns: before the first, and after each [vm-3]', async () => {
    const body = 'await ctx.sleep(1); return 5'
    using machine = await begun(body)
    const before = machine.image()
    machine.turn(nowMs, start)
    for (const [image, inputs] of [
      [before, [...start, { kind: 'settle', id: 1, ok: true, value: undefined }]],
      [machine.image(), [{ kind: 'settle', id: 1, ok: true, value: undefined }]],
    ] as const) {
      using restored = await Machine.restore(optionsFor(running(body)), image)
      expect(restored.turn(nowMs, inputs)).toMatchObject({ output: { end: { ok: true, value: 5 } } })
    }
  })

  test('of the same turns has the same bytes', async () => {
    const body = `for (;;) { await ctx.sleep(10); ctx.log(Math.random(), new Date().toISOString()) }`
    const digests = []
    for (let times = 0; times < 2; times++) {
      using machine = await begun(body)
      machine.turn(nowMs, start)
      for (let id = 1; id < 20; id++)
        machine.turn(nowMs + id, [{ kind: 'settle', id, ok: true, value: undefined }])
      digests.push(digest(machine))
    }
    expect(digests[0]).toBe(digests[1])
  })
})

describe('a hostile program', () => {
  const faults: [string, string, string][] = [
    ['an endless loop', 'for (;;);', 'cpu'],
    ['an endless loop that catches everything', 'for (;;) try { for (;;); } catch {}', 'cpu'],
    ['an endless loop in finally', 'try { for (;;); } finally { for (;;); }', 'cpu'],
    ['a regular expression that backtracks for ever', `/^(a+)+$/.test('a'.repeat(40) + 'b')`, 'cpu'],
    ['jobs that never end', 'const job = () => queueMicrotask(job); job(); await 1', 'cpu'],
    ['a million timers', 'for (let i = 0; i < 1e6; i++) ctx.sleep("1h").catch(() => {}); await 1', 'memory'],
    ['a log of a megabyte', `ctx.log('x'.repeat(1e6))`, 'output'],
    [
      'a value nested a thousand deep',
      'let d = {}; for (let i = 0; i < 1000; i++) d = { d }; await ctx.memory.set("k", d)',
      'output',
    ],
    [
      'a key that would reach a prototype',
      `await ctx.memory.set('k', JSON.parse('{"__proto__":{"x":1}}'))`,
      'output',
    ],
    ['an own notion of JSON', 'Object.prototype.toJSON = () => 1; await ctx.sleep(1)', 'output'],
  ]
  test.each(faults)('with %s is ended', async (_, body, fault) => {
    expect(await firstTurn(body, { ticksMax: 500 })).toMatchObject({
      ok: false,
      fault,
      reason: expect.not.stringContaining('\n'),
    })
  })

  const errors: [string, string, RegExp][] = [
    ['a call that never ends', '(function deep() { return 1 + deep() })()', /call stack/],
    ['memory without end', 'const all = []; for (;;) all.push(new Array(1e4).fill(1))', /out of memory/],
    ['an array of 2 GB', 'new ArrayBuffer(2 ** 31)', /invalid array buffer|out of memory/],
    ['a text that doubles for ever', `let text = 'x'; for (;;) text += text`, /too long|out of memory/],
    [
      'a million timers that it waits for',
      'for (let i = 0; i < 1e6; i++) await Promise.all([...Array(1e3)].map(() => ctx.sleep(1)))',
      /too many calls/,
    ],
    ['an argument of 70 KB', `await ctx.memory.set('k', 'x'.repeat(70_000))`, /more than the 65536 allowed/],
    [
      'an argument that JSON cannot say',
      'const x = {}; x.x = x; await ctx.memory.set("k", x)',
      /what JSON can say/,
    ],
    ['an import of what it has not', `await import('node:fs')`, /no module node:fs/],
    ['a duration that is none', `await ctx.sleep('soon')`, /not a duration/],
    [
      'tasks that wait for each other',
      `await ctx.tasks({ a: { after: ['b'], run() {} }, b: { after: ['a'], run() {} } })`,
      /a → b → a/,
    ],
  ]
  test.each(errors)('with %s sees an error and has ended by it', async (_, body, message) => {
    expect(await firstTurn(body)).toMatchObject({
      ok: true,
      output: { end: { ok: false, error: expect.stringMatching(message) } },
    })
  })

  test('finds nothing of the host', async () => {
    const found = `return ['process', 'require', 'globalThis.Deno', 'fetch', 'setTimeout', 'console', 'WebAssembly'].filter((name) => { try { return eval(name) !== undefined } catch { return false } })`
    expect(await firstTurn(found)).toMatchObject({ output: { end: { ok: true, value: [] } } })
  })

  test('learns no path of the host from an error', async () => {
    const said = await firstTurn(
      `try { await import('./x.js') } catch (error) { return error.stack + error.message }`,
    )
    expect(JSON.stringify(said)).not.toMatch(/file:|\/runtime\/|node_modules/)
  })

  test('that changes its built-ins changes nothing but its own', async () => {
    const spoilt = `Array.prototype.push = null; Map = null; JSON.stringify = () => '{}'; Object.keys = null; Date.now = () => 0; await ctx.sleep(1000)`
    expect(await firstTurn(spoilt)).toMatchObject({
      output: { calls: [{ op: 'sleep', args: { atMs: nowMs + 1000 } }] },
    })
  })
})

describe('a promise that is rejected and that nothing waits for', () => {
  const lost: [string, string, RegExp][] = [
    ['a call that is not awaited', `ctx.sleep('soon')`, /not a duration: soon/],
    ['an own error', `Promise.reject(new TypeError('lost'))`, /TypeError: lost\n.*a\.js:1/s],
    ['a text', `Promise.reject('only words')`, /: "only words"$/],
    ['nothing at all', 'Promise.reject()', /nothing awaits or catches what failed: /],
    [
      'an async function that throws late',
      `(async () => { await 1; throw new Error('late') })()`,
      /Error: late/,
    ],
    ['what a handler threw', `Promise.resolve().then(() => { throw new Error('then') })`, /Error: then/],
    ['the end of run in the same turn', `Promise.reject(new Error('behind')); return 5`, /Error: behind/],
    ['what has no words', 'Promise.reject({ toJSON() { throw 1 } })', /cannot be shown/],
    [
      'many others',
      `for (let i = 0; i < 2e3; i++) Promise.reject(new Error('n' + i))`,
      /\(and 1023 more\): Error: n0/,
    ],
  ]
  test.each(lost)('ends the agent, and its log says so: %s [vm-10]', async (_, body, message) => {
    const said = await firstTurn(`${body}; await ctx.sleep(1)`)
    const text = expect.stringMatching(message)
    expect(said).toMatchObject({
      output: { end: { ok: false, error: text }, log: [{ level: 'error', text }] },
    })
  })

  test('in a later turn ends it as well, also after a restore [vm-2] [vm-10]', async () => {
    const body = `(async () => { await ctx.memory.get('k'); throw new Error('later') })(); for (;;) await ctx.sleep(1)`
    using machine = await begun(body)
    expect(machine.turn(nowMs, start)).toMatchObject({ output: { log: [] } })
    using restored = await Machine.restore(optionsFor(running(body)), machine.image())
    const input = [{ kind: 'settle', id: 1, ok: true, value: 1 }] as const
    for (const one of [machine, restored])
      expect(one.turn(nowMs, input)).toMatchObject({
        output: { end: { ok: false, error: expect.stringMatching('Error: later') } },
      })
    expect(Buffer.compare(restored.image().memory, machine.image().memory)).toBe(0)
  })

  test('is forgiven where something waits for it before the turn is over [vm-10]', async () => {
    const body = `const late = Promise.reject(new Error('late')); await 1; await 2; await late.catch(() => {})
      const both = await Promise.allSettled([Promise.reject(1), ctx.sleep('soon')])
      await Promise.race([ctx.sleep('never'), 5]).catch(() => {}); return both.length`
    expect(await firstTurn(body)).toMatchObject({ output: { end: { ok: true, value: 2 }, log: [] } })
  })

  test('of tasks is what `ctx.tasks` throws, once [vm-10]', async () => {
    const body = `const fails = async () => { throw new Error('no') }
      try { await ctx.tasks({ a: { run: fails }, b: { after: ['a'], run() {} }, c: { after: ['a', 'b'], run: fails }, d: { run: fails, within: '5s' } }) }
      catch (error) { return error.message }`
    expect(await firstTurn(body)).toMatchObject({ output: { end: { ok: true, value: 'no' } } })
  })

  test('while the program is loaded is why it is not [vm-10]', async () => {
    const source = `Promise.reject(new Error('at the top')); ${running('')}`
    await expect(Machine.create(optionsFor(source), nowMs)).rejects.toThrow(/at the top/)
    const caught = `Promise.reject(1).catch(() => {}); await Promise.reject(2).catch(() => {}); ${running('')}`
    using machine = await Machine.create(optionsFor(caught), nowMs)
    expect(machine.turn(nowMs, start)).toMatchObject({ output: { end: { ok: true } } })
  })
})

describe('a wrong argument', () => {
  const wrong: [string, RegExp][] = [
    ['ctx.entity(5)', /entity's id is a text, not a number/],
    ['ctx.entity(null)', /entity's id is a text, not null/],
    ['ctx.entity("light.a").command("on")', /command: command is a string, not an object/],
    ['ctx.entity("light.a").command({ state: "on" }, 5)', /options are an object, not a number/],
    ['ctx.entity("light.a").command({ state: "on" }, { within: [] })', /not a duration: a list/],
    ['ctx.entity("light.a").until({ to: 5 })', /until: filter is an object, not an object of to, from, area/],
    ['ctx.on(null).next()', /on: pattern is null, not a text/],
    ['ctx.on("light.*", null).next()', /on: filter is null/],
    ['ctx.on("light.*", { too: "on" }).next()', /on: filter is an object, not an object of to, from, area/],
    ['ctx.sleep({})', /not a duration: an object/],
    ['ctx.sleep(Symbol())', /not a duration: a symbol/],
    ['ctx.sleep(-1)', /not a duration: -1/],
    ['ctx.sleepUntil(NaN)', /sleep: atMs is null, not a number/],
    ['ctx.every("* * * * *", { timezone: 2 }).next()', /cron: timezone is a number, not a text/],
    ['ctx.infer("m", new Float32Array(3))', /infer: inputs is an object, not a list of tensors/],
    ['ctx.infer("m", [{ name: "x" }])', /infer: inputs is a list, not a list of tensors/],
    ['ctx.infer("m", [], { privacy: "none" })', /privacy is a string, not one of device, site, cloud/],
    ['ctx.think()', /think: goal is missing: a text/],
    [
      'ctx.think("x", { budget: { money: 5 } })',
      /think: budget is an object, not an object of tokens, steps/,
    ],
    ['ctx.think("x", { tool: ["memory"] })', /think: nothing is called tool here/],
    ['ctx.ask("x", { choices: "yes" })', /ask: choices is a string, not a list of texts/],
    ['ctx.call(5, "hi")', /call: agent is a number, not a text/],
    ['ctx.call("other", () => 1)', /call: message is missing: what JSON can say/],
    ['ctx.memory.get()', /memory.get: key is missing: a text/],
    ['ctx.memory.set("k", undefined)', /memory.set: value is missing/],
    ['ctx.memory.set("k", 1, null)', /options are an object, not null/],
    ['ctx.memory.set("k", 1n)', /memory.set takes what JSON can say/],
    ['ctx.memory.search("x", { most: -1 })', /most is a number, not a whole number from 0/],
    ['ctx.board.compareAndSet("k", undefined, 1)', /version is a undefined, not a whole number from 0/],
    ['ctx.board.set("k", 1, { ttl: "long" })', /not a duration: long/],
    ['ctx.decide.vote("x", "yes")', /decide.vote: choices is a string, not a list of texts/],
    ['ctx.decide.vote("x", ["a"], { quorum: "many" })', /quorum is a string, not a whole number from 0/],
    ['ctx.decide.vote("x", ["a"], { mine: [1] })', /mine is a list, not a list of texts/],
    ['ctx.decide.vote(["x"], ["a"])', /subject is a list, not a text/],
    ['ctx.decide.auction("x", { bid: Infinity })', /bid is null, not a number/],
    ['ctx.decide.auction("x", { price: "third" })', /price is a string, not one of first, second/],
    ['ctx.decide.agree("x", 1, { faulty: 0.5 })', /faulty is a number, not a whole number from 0/],
    ['ctx.lease(5)', /lease: name is a number, not a text/],
    ['ctx.lease("pump", { ttl: {} })', /not a duration: an object/],
    ['ctx.tasks(null)', /tasks are an object of tasks, not null/],
    ['ctx.tasks({ a: 5 })', /task a: it is a number, not an object/],
    ['ctx.tasks({ a: { after: [] } })', /task a: run is missing: a function/],
    ['ctx.tasks({ a: { after: 5, run() {} } })', /task a: after is a number, not a list of texts/],
    ['ctx.tasks({ a: { after: ["constructor"], run() {} } })', /there is no task constructor/],
    ['ctx.tasks({ a: { retry: { times: "x" }, run() {} } })', /task a: retry is an object, not/],
  ]
  test.each(wrong)('in %s is a bad request, and nothing is asked for', async (code, message) => {
    const said = await firstTurn(
      `try { await ${code}; return 'nothing' } catch (e) { return [e.code, e.message] }`,
    )
    expect(said).toMatchObject({ ok: true, output: { calls: [] } })
    expect(said.ok && said.output.end).toMatchObject({
      ok: true,
      value: ['bad-request', expect.stringMatching(message)],
    })
  })

  test('is no other where options are left out, or undefined', async () => {
    const body = `ctx.memory.set('k', null, undefined); ctx.memory.keys(); ctx.ask('who?', { within: undefined }); ctx.board.set('k', 1); ctx.think('x', { budget: { tokens: 5, within: '1m' } }); await ctx.lease('pump')`
    expect(await firstTurn(body)).toMatchObject({
      output: {
        calls: [
          { args: { key: 'k', value: null } },
          { args: { prefix: '' } },
          { args: { question: 'who?' } },
          { args: { key: 'k', value: 1 } },
          { args: { goal: 'x', budget: { tokens: 5 }, deadlineMs: nowMs + 60_000 } },
          { args: { name: 'pump', ttlMs: 30_000 } },
        ],
      },
    })
  })
})

describe('the border', () => {
  test('keeps what pollutes prototypes inside: the host and the next machine know nothing of it [vm-4]', async () => {
    const pollute = `Object.prototype.polluted = 1; Array.prototype.polluted = 1; Function.prototype.polluted = 1; Object.prototype.stream = true; ({}).constructor.prototype.ok = false; Object.defineProperty(Object.prototype, 'end', { value: 1 }); await ctx.sleep(1)`
    expect(await firstTurn(pollute)).toMatchObject({ ok: true, output: { calls: [{ id: 1, op: 'sleep' }] } })
    for (const value of [{}, [], () => {}]) expect('polluted' in value || 'stream' in value).toBe(false)
    expect(await firstTurn('return [({}).polluted, [].polluted]')).toMatchObject({
      output: { end: { value: [null, null] } },
    })
  })

  test('gives nobody a prototype: an answer may name __proto__ and constructor [vm-4]', async () => {
    using machine = await begun(
      `const got = await ctx.memory.get('k'); return [got.x, ({}).x, typeof got.constructor]`,
    )
    machine.turn(nowMs, start)
    const value = JSON.parse('{"__proto__": {"x": 1}, "constructor": 5}')
    expect(machine.turn(nowMs, [{ kind: 'settle', id: 1, ok: true, value }])).toMatchObject({
      output: { end: { ok: true, value: [null, null, 'number'] } },
    })
  })

  const forged: [string, string][] = [
    ['calls of its own making', `[{ id: 1, op: 'command', args: {} }, { id: 1, op: 'command', args: {} }]`],
    ['an op that there is not', `[{ id: 1, op: 'eval', args: {} }]`],
    ['arguments that are none', `[{ id: 1, op: 'read', args: [] }]`],
    ['an id that is none', `[{ id: -1, op: 'read', args: {} }]`],
    ['more than a call has', `[{ id: 1, op: 'read', args: {}, token: 9 }]`],
    ['no list', `'all'`],
  ]
  test.each(forged)('refuses an output with %s [vm-4]', async (_, calls) => {
    const body = `Object.prototype.toJSON = function () { return 'cancels' in this ? { calls: ${calls}, cancels: [], log: [] } : this }; await new Promise(() => {})`
    expect(await firstTurn(body)).toMatchObject({ ok: false, fault: 'output' })
  })

  test.each(['constructor', '__proto__', 'toString', 'ganglion:guest', 'ganglion:guest-checks', 'node:fs'])(
    'has no module %s, and names no file of the host',
    async (name) => {
      const said = await firstTurn(`try { await import('${name}') } catch (e) { return e.message + e.stack }`)
      expect(said).toMatchObject({ output: { end: { value: expect.stringMatching(/^there is no module/) } } })
      expect(JSON.stringify(said)).not.toMatch(/file:|wasm|node_modules|\/runtime\//)
    },
  )
})

describe('a program that ends badly', () => {
  const ends: [string, string, RegExp][] = [
    [
      'an error whose stack throws',
      'const e = new Error("x"); Object.defineProperty(e, "stack", { get() { throw 1 } }); throw e',
      /^Error: x$/,
    ],
    [
      'an error whose name is a symbol',
      'const e = new Error("x"); e.name = Symbol(); throw e',
      /^a value that cannot be shown/,
    ],
    ['nothing', 'throw undefined', /^undefined$/],
    [
      'a job of its own that throws',
      'queueMicrotask(() => { throw new Error("late") }); await ctx.sleep(1)',
      /^Error: late/,
    ],
    ['a function as its result', 'return () => 1', /JSON cannot say/],
    ['a number that JSON has not', 'return 5n', /BigInt/],
    ['an error of a megabyte', 'throw new Error("x".repeat(1e6))', /^Error: x{3000,4000}$/],
  ]
  test.each(ends)('by %s has ended, and says why', async (_, body, message) => {
    expect(await firstTurn(body)).toMatchObject({
      ok: true,
      output: { end: { ok: false, error: expect.stringMatching(message) } },
    })
  })

  test('shows where in its own text, and nothing of the guest', async () => {
    const said = await firstTurn('await 1; const nothing = null; nothing.x')
    expect(said).toMatchObject({ output: { end: { error: expect.stringMatching(/at run \(\.\/a\.js:1:/) } } })
    expect(JSON.stringify(said)).not.toMatch(/ganglion:guest/)
  })
})

describe('what could tell two machines apart', () => {
  test('is the same in each: no zone, no language, no collector, no second clock, no shared memory', async () => {
    const body = `
      const names = ['Intl', 'WeakRef', 'FinalizationRegistry', 'SharedArrayBuffer', 'Atomics', 'performance']
      return [
        names.filter((name) => name in globalThis),
        new Date(2026, 6, 1, 12).getTimezoneOffset(), new Date(2026, 6, 1, 12).toISOString(),
        new Date('2026-07-01T00:00').getTime(), new Date(1782864000000).toString(),
        new Date(1782864000000).toLocaleString('de-DE', { timeZone: 'Asia/Tokyo' }), (1234.5).toLocaleString('de-DE'),
        ['ä', 'z', 'a', 'Z'].sort((a, b) => a.localeCompare(b)).join(''), 'I'.toLocaleLowerCase('tr'),
      ]`
    const said = await firstTurn(body)
    expect(said).toMatchObject({
      output: {
        end: {
          value: [
            [],
            ...[0, '2026-07-01T12:00:00.000Z', 1782864000000, 'Wed Jul 01 2026 00:00:00 GMT+0000'],
            ...['07/01/2026, 12:00:00 AM', '1234.5', 'Zazä', 'i'],
          ],
        },
      },
    })
  })

  test('is not how a list is sorted: equals keep their order', async () => {
    const body = `const list = Array.from({ length: 2000 }, (_, at) => ({ at, key: (at * 7919) % 5 })); list.sort((a, b) => a.key - b.key); return list.every((item, at) => at === 0 || list[at - 1].key < item.key || list[at - 1].at < item.at)`
    expect(await firstTurn(body)).toMatchObject({ output: { end: { value: true } } })
  })

  test('is not the bits of a number that is none, nor where they lie in memory', async () => {
    const body = `let z = 0, i = Infinity; const f = new Float64Array([z / z, i - i, Math.sqrt(z - 1), -(z / z), Math.pow(z - 1, 0.5), +'x']); return [...new Uint8Array(f.buffer)].map((byte) => byte.toString(16)).join('')`
    expect(await firstTurn(body)).toMatchObject({ output: { end: { value: '000000f87f'.repeat(6) } } })
  })
})

describe('a program', () => {
  const wrong: [string, string, RegExp][] = [
    ['that is no JavaScript', 'export default 1 +', /unexpected/i],
    ['that is no agent', 'export default "x"', /no agent here/],
    ['that does nothing', 'export default { name: "x" }', /run is missing/],
    ['that throws while it loads', 'throw new Error("no")', /no/],
    ['that waits for ever while it loads', 'await new Promise(() => {})', /top level/],
    ['that loops while it loads', 'for (;;);', /ticks/],
    ['with a module that is missing', 'import "./b.js"; export default 1', /no module \.\/b\.js/],
  ]
  test.each(wrong)('%s is refused', async (_, source, message) => {
    const loading = Machine.create(optionsFor(source, { ticksMax: 500 }), nowMs)
    await expect(loading).rejects.toThrow(ProgramError)
    await expect(loading).rejects.toThrow(message)
  })

  test('may have modules of its own, and imports the SDK by its name', async () => {
    const modules = {
      './a.js': `import { agent } from 'ganglion'; import { two } from './lib/two.js'; export default agent({ name: 'a', wants: ['think'], run: async () => two })`,
      './lib/two.js': `import { one } from '../one.js'; export const two = one + one`,
      './one.js': 'export const one = 1',
    }
    using machine = await Machine.create(optionsFor('', { program: { entry: './a.js', modules } }), nowMs)
    expect(JSON.parse(machine.manifest)).toEqual({ name: 'a', wants: ['think'] })
    expect(machine.turn(nowMs, start)).toMatchObject({ output: { end: { ok: true, value: 2 } } })
  })
})
