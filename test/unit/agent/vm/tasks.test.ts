/** `ctx.tasks`: what runs when, what it is handed, and what a task that fails or takes too long does to the others. */
import { expect, test } from 'vitest'
import { readEngineFiles } from '../../../../runtime/agent/vm/engine-files.ts'
import { Machine } from '../../../../runtime/agent/vm/machine.ts'

const { guest, wasm: bytes } = readEngineFiles()
const wasm = await WebAssembly.compile(bytes)
const nowMs = 1_800_000_000_000
const unavailable = { code: 'unavailable', message: 'not now' } as const

/** An agent that runs one graph of tasks and ends with its results, or with the code and words of what it threw. */
async function tasksOf(graph: string) {
  const source = `export default { name: 'a', async run(ctx) {
    try { return await ctx.tasks({ ${graph} }) } catch ({ code, message }) { return [code, message] }
  } }`
  const program = { entry: './a.js', modules: { './a.js': source } }
  const machine = await Machine.create({ wasm, guest, seed: 7, program }, nowMs)
  const turn = (atMs: number, inputs: Parameters<Machine['turn']>[1]) => {
    const said = machine.turn(nowMs + atMs, inputs)
    if (!said.ok) throw new Error(`the turn has faulted: ${JSON.stringify(said)}`)
    const { calls, end } = said.output
    const asked = calls.map(
      ({ id, op, args }) => `${id} ${op} ${args['key'] ?? Number(args['atMs']) - nowMs}`,
    )
    return end === undefined ? asked : end
  }
  return {
    begin: () => turn(0, [{ kind: 'start', device: 'hub' }]),
    answer: (id: number, value: string, atMs = 0) => turn(atMs, [{ kind: 'settle', id, ok: true, value }]),
    wake: (id: number, atMs: number) => turn(atMs, [{ kind: 'settle', id, ok: true, value: undefined }]),
    fail: (id: number, atMs = 0) => turn(atMs, [{ kind: 'settle', id, ok: false, error: unavailable }]),
    [Symbol.dispose]: () => machine[Symbol.dispose](),
  }
}

test('the priority that tasks of earlier agents have is no error, and has no effect', async () => {
  using tasks = await tasksOf(`
    calm: { priority: 'background', run: () => ctx.memory.get('calm') },
    urgent: { priority: 'control', run: () => ctx.memory.get('urgent') }`)
  expect(tasks.begin()).toEqual(['1 memory.get calm', '2 memory.get urgent'])
})

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
