/** A run is run once more, offline, also with another program. */
import { expect, test } from 'vitest'
import { type RecordedTurn, type Run, replay } from '../../../../runtime/agent/replay/replay.ts'
import type { TurnInput } from '../../../../runtime/agent/turn.ts'
import { readEngineFiles } from '../../../../runtime/agent/vm/engine-files.ts'
import { Machine } from '../../../../runtime/agent/vm/machine.ts'

const engine = readEngineFiles()
const wasm = await WebAssembly.compile(engine.wasm)
const startedMs = 1_800_000_000_000
const seed = 11

const optionsFor = (body: string) => ({
  ...{ wasm, guest: engine.guest },
  program: {
    entry: './a.js',
    modules: { './a.js': `export default { name: 'a', async run(ctx) { ${body} } }` },
  },
})

const nightWatch = (wait: string, brightness = 255) => `
  for await (const seen of ctx.on('binary_sensor.*_motion', { to: 'on' })) {
    const light = ctx.entity('light.' + seen.area)
    await light.command({ state: 'on', brightness: ${brightness} })
    await ctx.sleep('${wait}')
    await light.command({ state: 'off' })
  }`

const settle = (id: number, value?: object): TurnInput => ({
  kind: 'settle',
  id,
  ok: true,
  value: value as never,
})
const motion = (area: string): TurnInput => ({ kind: 'item', id: 1, value: { area, state: 'on' } })

/** What happened: motion in the hall, the light went on, and off after five minutes; then motion in the kitchen. */
const inputs: readonly (readonly [number, readonly TurnInput[]])[] = [
  [0, [{ kind: 'start', device: 'hub' }]],
  [1_000, [motion('hall')]],
  [1_100, [settle(2, { shown: 'state on' })]],
  [301_100, [settle(3)]],
  [301_200, [settle(4, { shown: 'state off' })]],
  [400_000, [motion('kitchen')]],
]

async function recorded(body: string): Promise<Run> {
  using machine = await Machine.create({ ...optionsFor(body), seed }, startedMs)
  const turns = inputs.map(([afterMs, given]): RecordedTurn => {
    const result = machine.turn(startedMs + afterMs, given)
    if (!result.ok) throw new Error(result.reason)
    return { nowMs: startedMs + afterMs, inputs: given, output: result.output }
  })
  return { seed, startedMs, turns }
}

test('the recorded program says again what it said [replay-1] [replay-2]', async () => {
  const run = await recorded(nightWatch('5m'))
  expect(await replay(run, optionsFor(nightWatch('5m')))).toEqual({
    turns: inputs.length,
    differences: [],
    unanswered: [],
  })
})

test('randomness and time are those of the run', async () => {
  const dice = `await ctx.sleep(1); return [Math.random(), Date.now()]`
  using machine = await Machine.create({ ...optionsFor(dice), seed }, startedMs)
  const given: (readonly TurnInput[])[] = [[{ kind: 'start', device: 'hub' }], [settle(1)]]
  const turns = given.map((one, at) => {
    const result = machine.turn(startedMs + at * 7, one)
    if (!result.ok) throw new Error(result.reason)
    return { nowMs: startedMs + at * 7, inputs: one, output: result.output }
  })
  expect(turns.at(-1)?.output.end).toMatchObject({ ok: true, value: [expect.any(Number), startedMs + 7] })
  expect((await replay({ seed, startedMs, turns }, optionsFor(dice))).differences).toEqual([])
  expect((await replay({ seed: seed + 1, startedMs, turns }, optionsFor(dice))).differences).toHaveLength(1)
})

test('a changed program is told apart where it does something else, and waits for what nobody knows [replay-3]', async () => {
  const run = await recorded(nightWatch('5m'))
  const { differences, unanswered } = await replay(run, optionsFor(nightWatch('5m', 40)))
  expect(differences[0]).toEqual({
    turn: 2,
    nowMs: startedMs + 1_000,
    missing: [{ op: 'command', args: { entity: 'light.hall', command: { state: 'on', brightness: 255 } } }],
    added: [{ op: 'command', args: { entity: 'light.hall', command: { state: 'on', brightness: 40 } } }],
  })
  expect(unanswered).toEqual([differences[0]?.added[0]])
})

test('a program that asks in another order hears the answers of the run all the same', async () => {
  const first = `const [a, b] = await Promise.all([ctx.memory.get('a'), ctx.memory.get('b')]); return [a, b]`
  const other = `const b = await ctx.memory.get('b'); const a = await ctx.memory.get('a'); return [a, b]`
  using machine = await Machine.create({ ...optionsFor(first), seed }, startedMs)
  const given: (readonly TurnInput[])[] = [
    [{ kind: 'start', device: 'hub' }],
    [{ kind: 'settle', id: 1, ok: true, value: 'A' }],
    [{ kind: 'settle', id: 2, ok: true, value: 'B' }],
    [],
    [],
  ]
  const turns = given.map((one, at) => {
    const result = machine.turn(startedMs + at, one)
    if (!result.ok) throw new Error(result.reason)
    return { nowMs: startedMs + at, inputs: one, output: result.output }
  })
  const { differences, unanswered } = await replay({ seed, startedMs, turns }, optionsFor(other))
  expect(unanswered).toEqual([])
  // It has ended with the same, one turn later.
  expect(differences.map(({ turn }) => turn)).toEqual([1, 3])
  expect(differences.at(-1)?.end).toEqual({ was: { ok: true, value: ['A', 'B'] }, is: undefined })
})

test('a changed program that never ends its turn is named as that', async () => {
  const run = await recorded(nightWatch('5m'))
  const report = await replay(run, { ...optionsFor('for (;;);'), ticksMax: 500 })
  expect(report).toMatchObject({ turns: 1, fault: expect.stringMatching(/^cpu: /) })
})
