/** `ctx.tasks`: what runs when, what it is handed, and what a task that fails or takes too long does to the others. */
import { describe, expect, test } from 'vitest'
import { readEngineFiles } from '../../../../runtime/agent/vm/engine-files.ts'
import { Machine } from '../../../../runtime/agent/vm/machine.ts'
import { beganMs, programOf, tasksOf } from '../../../fixtures/agent/program-turns.ts'

const { guest, wasm: bytes } = readEngineFiles()
const wasm = await WebAssembly.compile(bytes)

test('a task begins when all it comes after have ended, and is handed their results', async () => {
  using tasks = await tasksOf(`
    last: { after: ['left', 'right'], run: async ({ left, right }) => left + right + await ctx.memory.get('last') },
    left: { run: () => ctx.memory.get('left') },
    right: { after: ['left'], run: async ({ left }) => left + await ctx.memory.get('right') },
    alone: { run: () => {} }`)
  expect(tasks.begin()).toEqual(['1 memory.get left'])
  expect(tasks.answer(1, 'L')).toEqual(['2 memory.get right'])
  expect(tasks.answer(2, 'R')).toEqual(['3 memory.get last'])
  const value = { left: 'L', right: 'LR', last: 'LLR!', alone: null }
  expect(tasks.answer(3, '!')).toEqual({ ok: true, value })
})

test('tasks that do not wait for each other go on side by side', async () => {
  using tasks = await tasksOf(`
    one: { run: () => ctx.memory.get('one') },
    two: { run: () => ctx.memory.get('two') },
    both: { after: ['one', 'two'], run: () => ctx.memory.get('both') }`)
  expect(tasks.begin()).toEqual(['1 memory.get one', '2 memory.get two'])
  expect(tasks.answer(2, 'second')).toEqual([])
  expect(tasks.answer(1, 'first')).toEqual(['3 memory.get both'])
})

test('a task that fails is tried again after its wait, and what comes after it has the result of the second try', async () => {
  using tasks = await tasksOf(`
    flaky: { retry: { times: 2, wait: '5s' }, run: () => ctx.memory.get('flaky') },
    after: { after: ['flaky'], run: ({ flaky }) => flaky + ' at last' }`)
  expect(tasks.begin()).toEqual(['1 memory.get flaky'])
  expect(tasks.fail(1, 10)).toEqual(['2 sleep 5010'])
  expect(tasks.wake(2, 5_010)).toEqual(['3 memory.get flaky'])
  expect(tasks.answer(3, 'here', 5_020)).toEqual({
    ok: true,
    value: { flaky: 'here', after: 'here at last' },
  })
})

test('a task that fails once more than it is tried again is what all of them throw, and what comes after never begins', async () => {
  using tasks = await tasksOf(`
    flaky: { retry: { times: 1 }, run: () => ctx.memory.get('flaky') },
    after: { after: ['flaky'], run: () => ctx.memory.get('after') }`)
  tasks.begin()
  expect(tasks.fail(1)).toEqual(['2 sleep 1000'])
  expect(tasks.wake(2, 1_000)).toEqual(['3 memory.get flaky'])
  expect(tasks.fail(3, 1_000)).toEqual({ ok: true, value: ['unavailable', 'not now'] })
})

test('a task that takes longer than within is what all of them throw, one that does not is no different', async () => {
  const graph = `slow: { within: '2s', run: () => ctx.memory.get('slow') }`
  using late = await tasksOf(graph)
  expect(late.begin()).toEqual(['1 memory.get slow', '2 sleep 2000'])
  const words = ['timeout', 'task slow took longer than 2000 ms']
  expect(late.wake(2, 2_000)).toEqual({ ok: true, value: words })
  using inTime = await tasksOf(graph)
  inTime.begin()
  expect(inTime.answer(1, 'done', 1_000)).toEqual({ ok: true, value: { slow: 'done' } })
})

test('within is the time of each try: one that took too long is tried again', async () => {
  using tasks = await tasksOf(
    `slow: { within: '2s', retry: { times: 1, wait: '1s' }, run: () => ctx.memory.get('slow') }`,
  )
  tasks.begin()
  expect(tasks.wake(2, 2_000)).toEqual(['3 sleep 3000'])
  expect(tasks.wake(3, 3_000)).toEqual(['4 memory.get slow', '5 sleep 5000'])
  expect(tasks.answer(4, 'done', 4_000)).toEqual({ ok: true, value: { slow: 'done' } })
})

describe('what a task has under way through its own context', () => {
  const get = (name: string) => `${name}: { run: (_, ctx) => ctx.memory.get('${name}') }`

  test('is given up when another task has failed, and what comes after none of them never begins [vm-11]', async () => {
    using tasks = await programOf(`
      const all = ctx.tasks({ ${get('fails')}, ${get('other')},
        tells: { run: async (_, ctx) => { try { await ctx.sleep('1h') } catch ({ code, message }) { caught = [code, message] } } },
        after: { after: ['other'], run: () => ctx.memory.get('after') } })
      let caught
      const thrown = await all.catch(({ code }) => code)
      await ctx.memory.set('key', 1)
      return [thrown, caught]`)
    expect(tasks.begin()).toEqual(['1 memory.get fails', '2 memory.get other', '3 sleep 3600000'])
    expect(tasks.fail(1)).toEqual(['4 memory.set key', 'left 2', 'left 3'])
    expect(tasks.answer(2, 'nobody waits for it')).toEqual([])
    expect(tasks.wake(4, 1)).toEqual({
      ok: true,
      value: ['unavailable', ['cancelled', 'the tasks ended: CallFailed: not now']],
    })
  })

  test('goes on where that was asked for: the first failure is thrown when all have ended [vm-11]', async () => {
    using tasks = await tasksOf(`${get('fails')}, ${get('other')}`, '{ failFast: false }')
    expect(tasks.begin()).toEqual(['1 memory.get fails', '2 memory.get other'])
    expect(tasks.fail(1)).toEqual([])
    expect(tasks.answer(2, 'heard')).toEqual({ ok: true, value: ['unavailable', 'not now'] })
  })

  test('is thrown as it came: of two failures the one that was first, wherever it stands in the graph', async () => {
    const throws = (name: string) =>
      `${name}: { run: async (_, ctx) => { await ctx.memory.get('${name}'); throw new Error('${name}') } }`
    using tasks = await tasksOf(`${throws('early')}, ${throws('late')}`, '{ failFast: false }')
    tasks.begin()
    expect(tasks.answer(2, 1)).toEqual([])
    expect(tasks.answer(1, 1)).toEqual({ ok: true, value: [null, 'late'] })
  })

  test('is given up when the try takes too long, and the next try has its own; its timer goes with a try that ended [vm-11]', async () => {
    using tasks = await tasksOf(
      `slow: { within: '2s', retry: { times: 1, wait: '1s' }, run: async (_, ctx) => [await ctx.memory.get('a'), await ctx.memory.get('b')] },
       last: { after: ['slow'], run: () => ctx.memory.get('last') }`,
    )
    expect(tasks.begin()).toEqual(['1 memory.get a', '2 sleep 2000'])
    expect(tasks.answer(1, 'A', 500)).toEqual(['3 memory.get b'])
    expect(tasks.wake(2, 2_000)).toEqual(['4 sleep 3000', 'left 3'])
    expect(tasks.wake(4, 3_000)).toEqual(['5 memory.get a', '6 sleep 5000'])
    expect(tasks.answer(5, 'A', 3_100)).toEqual(['7 memory.get b'])
    expect(tasks.answer(7, 'B', 3_200)).toEqual(['8 memory.get last', 'left 6'])
  })

  test('is given up when all together take too long [vm-11]', async () => {
    using tasks = await programOf(`
      const graph = { ${get('one')}, two: { run: (_, ctx) => ctx.tasks({ ${get('inner')} }) } }
      const { code, message } = await ctx.tasks(graph, { within: '5s' }).catch((error) => error)
      await ctx.memory.set(code, message)`)
    expect(tasks.begin()).toEqual(['1 memory.get one', '2 memory.get inner', '3 sleep 5000'])
    expect(tasks.wake(3, 5_000)).toEqual(['4 memory.set timeout', 'left 1', 'left 2'])
  })

  test('is given up when the program cancels, also inside tasks of a task, and after a restore [vm-11] [vm-2]', async () => {
    using tasks = await programOf(`
      const all = ctx.tasks({ ${get('one')}, two: { run: (_, ctx) => ctx.tasks({ ${get('inner')} }) } })
      const report = ctx.on('light.*')
      await report.next()
      all.cancel('somebody came home')
      all.cancel('again')
      const thrown = await all.catch(({ code, message }) => [code, message])
      await ctx.memory.set(thrown.join(': '), 1)`)
    expect(tasks.begin()).toEqual(['1 on NaN', '2 memory.get one', '3 memory.get inner'])
    await tasks.restore()
    expect(tasks.items(1, [{}])).toEqual([
      '4 memory.set cancelled: somebody came home',
      ...['left 2', 'left 3'],
    ])
  })

  test('begins no more once it was given up: what was asked for in the same turn never was, and later calls throw [vm-11]', async () => {
    using tasks = await programOf(`
      let own
      const all = ctx.tasks({ one: { run: (_, ctx) => { own = ctx; return ctx.memory.get('one') } } })
      await 1
      all.cancel()
      const codes = []
      for (const asked of [all, own.sleep(1), own.on('light.*').next(), own.entity('light.hall').read(), own.tasks({ ${get('x')} })])
        codes.push(await asked.catch(({ code }) => code))
      await ctx.memory.set(codes.join(), 1)`)
    expect(tasks.begin()).toEqual(['2 memory.set cancelled,cancelled,cancelled,cancelled,cancelled'])
  })

  test('that nobody awaits any more ends nobody when it is given up, and what a task throws by itself does [vm-10] [vm-11]', async () => {
    const body = (late: string) => `
      const all = ctx.tasks({ one: { run: async (_, ctx) => {
        const left = (async () => { try { await ctx.sleep('1h') } finally { ${late} } })()
        await ctx.memory.get('one')
        await left
      } } })
      await ctx.memory.get('go')
      all.cancel()
      await ctx.memory.set('key', 1)`
    using quiet = await programOf(body(''))
    expect(quiet.begin()).toEqual(['1 memory.get go', '2 sleep 3600000', '3 memory.get one'])
    expect(quiet.answer(1, 'go')).toEqual(['4 memory.set key', 'left 2', 'left 3'])
    using loud = await programOf(body(`throw new Error('of its own')`))
    loud.begin()
    expect(loud.answer(1, 'go')).toMatchObject({ ok: false, error: expect.stringMatching('of its own') })
  })

  test('that only ends something is not given up: a lease is released, a call answered [vm-11]', async () => {
    using tasks = await programOf(`
      const all = ctx.tasks({ one: { run: async (_, ctx) => {
        const held = await ctx.lease('pump')
        try { await ctx.sleep('1h') } finally { await held.release() }
      } } })
      await ctx.memory.get('go')
      all.cancel()
      await ctx.memory.get('more')`)
    expect(tasks.begin()).toEqual(['1 memory.get go', '2 lease NaN'])
    expect(tasks.answer(2, { token: 5 })).toEqual(['3 sleep 3600000'])
    expect(tasks.answer(1, 'go')).toEqual(['4 memory.get more', '5 release NaN', 'left 3'])
  })

  test('goes on where the task has ended well, also an item of a stream that still comes [vm-11]', async () => {
    using tasks = await tasksOf(
      `one: { run: (_, ctx) => { ctx.memory.set('late', 1).catch(() => {}); return 5 } }, ${get('two')}`,
    )
    expect(tasks.begin()).toEqual(['1 memory.set late', '2 memory.get two'])
    expect(tasks.answer(2, 'end')).toEqual({ ok: true, value: { one: 5, two: 'end' } })
  })

  test('of a stream is not handed out any more when it was given up [vm-11]', async () => {
    using tasks = await programOf(`
      const seen = []
      const all = ctx.tasks({ one: { run: async (_, ctx) => {
        for await (const { n } of ctx.on('light.*')) { seen.push(n); if (n === 1) all.cancel() }
      } } })
      await all.catch(() => {})
      await ctx.memory.set(seen.join(), 1)`)
    tasks.begin()
    expect(tasks.items(1, [{ n: 0 }, { n: 1 }, { n: 2 }])).toEqual(['2 memory.set 0,1', 'left 1'])
  })

  test('may be bounded by what is undefined: that is not at all', async () => {
    const never = 'undefined'
    using tasks = await tasksOf(
      `one: { after: ${never}, within: ${never}, retry: { times: 0, wait: ${never} }, run: () => 1 }`,
      `{ within: ${never}, failFast: ${never} }`,
    )
    expect(tasks.begin()).toEqual({ ok: true, value: { one: 1 } })
  })

  test.each([
    [`'all'`, 'options are an object, not a string'],
    [`{ failFast: 'no' }`, 'tasks: failFast is a string, not true or false'],
    [`{ within: 'soon' }`, `not a duration: soon; write 500, '30s', '5m', '2h' or '1d'`],
    [`{ signal: {} }`, 'tasks: nothing is called signal here'],
  ])('options %s are an error before anything runs', async (options, message) => {
    using tasks = await tasksOf(get('one'), options)
    expect(tasks.begin()).toEqual({ ok: true, value: ['bad-request', message] })
  })
})

describe('a graph', () => {
  test.each([
    [`a: { after: ['a'], run() {} }`, 'cyclic', 'tasks wait for each other: a → a'],
    [
      `a: { after: ['b'], run() {} }, b: { after: ['c'], run() {} }, c: { after: ['a'], run() {} }`,
      'cyclic',
      'tasks wait for each other: a → b → c → a',
    ],
    [
      `a: { run: () => ctx.sleep(1) }, b: { after: ['nobody'], run() {} }`,
      'bad-request',
      'there is no task nobody; b comes after it',
    ],
    [
      `a: { run: () => ctx.sleep(1) }, b: { after: ['toString'], run() {} }`,
      'bad-request',
      'there is no task toString; b comes after it',
    ],
    [
      `...Object.fromEntries(Array.from({ length: 257 }, (_, at) => [at, { run() {} }]))`,
      'limit',
      'tasks: 257 are more than the 256 that one graph may have',
    ],
  ])('of %s is an error before anything runs', async (graph, code, message) => {
    using tasks = await tasksOf(graph)
    expect(tasks.begin()).toEqual({ ok: true, value: [code, message] })
  })

  test('of as many tasks as there may be, each behind the one before, is run whichever comes first in it', async () => {
    const chain = (after: string) =>
      `...Object.fromEntries(Array.from({ length: 256 }, (_, at) => ['t' + at, { after: ${after} in { t0: 1, t256: 1 } ? [] : [${after}], run: () => 1 }]))`
    for (const after of [`'t' + (at + 1)`, `'t' + (at - 1)`]) {
      using tasks = await programOf(
        `return Object.keys(await ctx.tasks({ ${chain(after).replace('in {', 'in { "t-1": 1,').replace(' t0: 1,', '')} })).length`,
      )
      expect(tasks.begin()).toEqual({ ok: true, value: 256 })
    }
  })
})

/** Whatever an agent hands to whatever it is given: a call that is as it should be, or an error that it can catch. */
describe('every method of the context', () => {
  test('takes no harm from arguments of any kind, and asks for nothing that the host refuses', async () => {
    const body = `
      const loop = {}; loop.loop = loop
      const throws = new Proxy({}, { get() { throw new Error('of its own') }, ownKeys() { throw new Error('of its own') } })
      const odd = [undefined, null, 0, -1, NaN, Infinity, 1e300, 5n, '', 'x', 'x'.repeat(70_000), Symbol('s'), () => 1, [], [[]], {}, loop, throws,
        new Date(NaN), new Map(), new Uint8Array(3), JSON.parse('{"__proto__": {"polluted": 1}}'), { get a() { throw new Error('of its own') } }]
      const methods = []
      const walk = (holder, path) => {
        for (const key of Object.keys(holder)) {
          const value = Object.getOwnPropertyDescriptor(holder, key).value
          if (typeof value === 'function') methods.push([path + key, value])
          else if (typeof value === 'object') walk(value, path + key + '.')
        }
      }
      const walked = (own) => {
        methods.length = 0
        walk(own, '')
        walk(own.entity('light.hall'), 'entity().')
        return methods
      }
      const wrong = []
      const heard = (name, error) => {
        const closed = ['bad-request', 'limit', 'cyclic', 'cancelled'].includes(error?.code) && error instanceof Error
        if (!closed && error?.message !== 'of its own') wrong.push(name + ': ' + error)
      }
      const tried = ([name, method]) => {
        for (const first of odd)
          for (const second of [undefined, ...odd]) {
            try {
              const given = method(first, second, second)
              const one = given?.next ? given.next() : given
              if (typeof one?.then === 'function') one.then(() => {}, (error) => heard(name, error))
            } catch (error) { heard(name, error) }
          }
      }
      const count = walked(ctx).length
      for (let at = 0; at < count; at += 1) {
        if (methods[at][0] === 'log') continue
        const all = ctx.tasks({ one: { run: (_, own) => { tried(walked(own)[at]); return own.sleep(1) } } })
        await 1; await 2; await 3
        all.cancel()
        await all.catch(() => {})
      }
      ctx.log(String(methods.length)); ctx.log(...wrong.slice(0, 5)); ctx.log(String(({}).polluted))
      await new Promise(() => {})`
    const source = `export default { name: 'a', async run(ctx) { ${body} } }`
    const program = { entry: './a.js', modules: { './a.js': source } }
    using machine = await Machine.create(
      { wasm, guest, seed: 7, program, ticksMax: 1e6, cpuMsMax: 60_000 },
      beganMs,
    )
    const said = machine.turn(beganMs, [{ kind: 'start', device: 'hub' }])
    if (!said.ok) throw new Error(JSON.stringify(said))
    expect(said.output.calls.filter(({ op }) => op !== 'reply' && op !== 'release')).toEqual([])
    const [methods, wrong, polluted] = said.output.log.slice(-3).map(({ text }) => text)
    expect([wrong, polluted]).toEqual(['', 'undefined'])
    expect(Number(methods)).toBeGreaterThan(30)
  })
})
