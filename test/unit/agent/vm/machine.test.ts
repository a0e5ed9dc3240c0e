/** A machine is sealed, and a turn is a pure function of its memory and its input. */
import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { readEngineFiles } from '../../../../runtime/agent/vm/engine-files.ts'
import { Machine, type MachineOptions, ProgramError } from '../../../../runtime/agent/vm/machine.ts'

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

  test('keeps the items of a stream in order, and says when the stream is left', async () => {
    using machine = await begun(
      `const seen = []; for await (const item of ctx.on('light.*')) { seen.push(item.n); if (seen.length === 3) break } return seen`,
    )
    machine.turn(nowMs, start)
    const items = [1, 2, 3, 4].map((n) => ({ kind: 'item', id: 1, value: { n } }) as const)
    expect(machine.turn(nowMs, items)).toMatchObject({
      output: { cancels: [1], end: { ok: true, value: [1, 2, 3] } },
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
      'a million timers',
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

describe('a program', () => {
  const wrong: [string, string, RegExp][] = [
    ['that is no JavaScript', 'export default 1 +', /unexpected/i],
    ['that is no agent', 'export default { name: "x" }', /no agent here/],
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
