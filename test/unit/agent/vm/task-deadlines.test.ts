/** Deadlines and urgency of `ctx.tasks`: what is asked for in them says it, and one timer tells of all. */
import { expect, test } from 'vitest'
import { beganMs, programOf, tasksOf } from '../../../fixtures/agent/program-turns.ts'

test('what a task asks for says how urgent it is: by when the task is wanted, and never more urgent than what it is in', async () => {
  using tasks = await programOf(
    `
      const get = (name) => (_, ctx) => ctx.memory.get(name)
      await ctx.tasks({
        calm: { priority: 'background', run: get('calm') },
        soon: { within: '2s', priority: 'interactive', run: get('soon') },
        late: { within: '9s', run: get('late') },
        inner: { priority: 'interactive', run: (_, own) => own.tasks({
          higher: { priority: 'control', run: get('higher') },
          lower: { priority: 'background', within: '1s', run: get('lower') },
        }, { within: '20s' }) },
        around: { run: () => ctx.memory.get('around') },
      }, { within: '5s' })`,
    ({ urgency }) => JSON.stringify(urgency, (_, value) => (value > beganMs ? value - beganMs : value)),
  )
  expect(tasks.begin()).toEqual([
    '1 memory.get calm {"priority":"background","dueMs":5000}',
    '2 memory.get soon {"priority":"interactive","dueMs":2000}',
    '3 memory.get late {"dueMs":5000}',
    '4 memory.get around undefined',
    '5 memory.get higher {"priority":"interactive","dueMs":5000}',
    '6 memory.get lower {"priority":"background","dueMs":1000}',
    '7 sleep 1000 undefined',
  ])
})

test('of each try what it asks for is wanted by the end of that try', async () => {
  using tasks = await programOf(
    `await ctx.tasks({ slow: { within: '2s', retry: { times: 1, wait: 1 }, run: (_, ctx) => ctx.memory.get('slow') } })`,
    ({ urgency }) => `${Number((urgency as { dueMs?: number } | undefined)?.dueMs) - beganMs}`,
  )
  expect(tasks.begin()).toEqual(['1 memory.get slow 2000', '2 sleep 2000 NaN'])
  expect(tasks.fail(1, 500)).toEqual(['3 sleep 501 NaN', 'left 2'])
  expect(tasks.wake(3, 501)).toEqual(['4 memory.get slow 2501', '5 sleep 2501 NaN'])
})

test.each([[`'urgent'`], ['3'], ['null']])(
  'priority %s of a task is an error before anything runs',
  async (one) => {
    using tasks = await tasksOf(`one: { priority: ${one}, run: () => ctx.memory.get('one') }`)
    expect(tasks.begin()).toMatchObject({
      ok: true,
      value: ['bad-request', expect.stringContaining('priority is')],
    })
  },
)

test('as many tasks as there may be begin in one turn, each with a call and its own within [vm-12]', async () => {
  using tasks = await programOf(`
    const graph = Object.fromEntries(Array.from({ length: 256 }, (_, at) => ['t' + at, {
      within: 1000 + (at * 7) % 256, run: (_, ctx) => ctx.memory.get('t' + at) }]))
    const results = await ctx.tasks(graph, { within: '1h' })
    return Object.keys(results).length`)
  const begun = tasks.begin()
  expect(begun).toHaveLength(257)
  expect(Object.values(begun)[256]).toBe('257 sleep 1000')
  for (let id = 2; id <= 256; id += 1) expect(tasks.answer(id, 1)).toEqual([])
  // What it was set to is over; the next is that of all together.
  expect(tasks.answer(1, 1)).toEqual({ ok: true, value: 256 })
})

test('deadlines share one timer, set to the earliest that there is when a turn ends [vm-12]', async () => {
  using tasks = await programOf(`
    const late = []
    const one = (name, within) => ctx.tasks({ [name]: { within, run: (_, ctx) => ctx.memory.get(name) } }).catch(({ message }) => late.push(message))
    const all = [one('a', 3000), one('b', 1000), one('c', 2000), one('d', 2000)]
    await 1; await 2; await 3
    await ctx.memory.get('go')
    all.push(one('e', 500))
    await Promise.all(all)
    return late`)
  expect(tasks.begin()).toEqual([
    ...[
      '1 memory.get a',
      '2 memory.get b',
      '3 memory.get c',
      '4 memory.get d',
      '5 memory.get go',
      '6 sleep 1000',
    ],
  ])
  expect(tasks.answer(5, 'go', 100)).toEqual(['7 memory.get e', '8 sleep 600', 'left 6'])
  expect(tasks.answer(7, 1, 200)).toEqual(['9 sleep 1000', 'left 8'])
  // It is told of an instant, whatever its own clock says then: that was set back.
  expect(tasks.wake(9, 400)).toEqual(['10 sleep 2000', 'left 2'])
  await tasks.restore()
  expect(tasks.wake(10, 2_000)).toEqual(['11 sleep 3000', 'left 3', 'left 4'])
  expect(tasks.answer(1, 1, 2_500)).toEqual({
    ok: true,
    value: ['b', 'c', 'd'].map((name) => `task ${name} took longer than ${name === 'b' ? 1000 : 2000} ms`),
  })
})

test('of two deadlines at one instant the outer is kept, and the inner one is cancelled with it', async () => {
  using tasks = await tasksOf(
    `one: { within: '2s', retry: { times: 3 }, run: (_, ctx) => ctx.memory.get('one') }`,
    `{ within: '2s' }`,
  )
  expect(tasks.begin()).toEqual(['1 memory.get one', '2 sleep 2000'])
  expect(tasks.wake(2, 2_000)).toEqual({ ok: true, value: ['timeout', 'the tasks took longer than 2000 ms'] })
})

test('a task finds no deadline where too many calls wait already, and one for it is kept free of those that come later', async () => {
  const fill = (most: number) => `
    const some = async (ctx, n) => { for (let at = 0; at < n; at += 1) ctx.memory.get('x').catch(() => {}) }
    let left = ${most}
    for (; left > 250; left -= 250) { some(ctx, 250); await ctx.memory.get('next') }
    some(ctx, left)`
  const words = (at: string) => `.catch(({ code, message }) => '${at} ' + code + ': ' + message)`
  const run = async (body: string, filled: number) => {
    const tasks = await programOf(`${fill(filled)}; ${body}`)
    let said = tasks.begin()
    while (Array.isArray(said) && said.some((line) => line.includes(' next')))
      said = tasks.answer(Number(said.find((line) => line.includes(' next'))?.split(' ')[0]), 1)
    tasks[Symbol.dispose]()
    return said
  }
  const timed = `ctx.tasks({ one: { within: '1s', run: (_, own) => new Promise(() => {}) } })`
  expect(await run(`return await ${timed}${words('timed')}`, 1_024)).toEqual({
    ok: true,
    value: 'timed limit: within: too many calls wait for an answer already',
  })
  const last = await run(
    `${timed}; await 1; await 2; await 3; return await ctx.memory.get('last')${words('last')}`,
    1_023,
  )
  expect(last).toEqual({
    ok: true,
    value: 'last limit: memory.get: too many calls wait for an answer already',
  })
})
