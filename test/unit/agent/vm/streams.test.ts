/** Streams of the context: items in order, and how a stream ends. */
import { expect, test } from 'vitest'
import type { TurnInput } from '../../../../runtime/agent/turn.ts'
import { readEngineFiles } from '../../../../runtime/agent/vm/engine-files.ts'
import { Machine } from '../../../../runtime/agent/vm/machine.ts'

const { guest, wasm: bytes } = readEngineFiles()
const wasm = await WebAssembly.compile(bytes)
const nowMs = 1_800_000_000_000
const items = [1, 2, 3, 4].map((n) => ({ kind: 'item', id: 1, value: { n } }) as const)
const over = { kind: 'settle', id: 1, ok: true, value: undefined } as const

/** An agent that listens, and `handles` each item; then these turns. */
async function last(handles: string, ...turns: readonly (readonly TurnInput[])[]) {
  const body = `const seen = []; for await (const { n } of ctx.on('light.*')) { ${handles} } return seen`
  const source = `export default { name: 'a', async run(ctx) { ${body} } }`
  const program = { entry: './a.js', modules: { './a.js': source } }
  using machine = await Machine.create({ wasm, guest, seed: 7, program }, nowMs)
  return [[{ kind: 'start', device: 'hub' }] as const, ...turns]
    .map((inputs) => machine.turn(nowMs, inputs))
    .at(-1)
}

test('the items of a stream are in order, and a turn says when the stream is left', async () => {
  expect(await last('seen.push(n); if (n === 3) break', items)).toMatchObject({
    output: { cancels: [1], end: { ok: true, value: [1, 2, 3] } },
  })
})

test('a stream of which no more comes ends, whether somebody waits or has yet to take what came', async () => {
  const all = { output: { cancels: [], end: { ok: true, value: [1, 2, 3, 4] } } }
  expect(await last('seen.push(n)', items, [over])).toMatchObject(all)
  expect(await last('seen.push(n)', [...items, over])).toMatchObject(all)
})
