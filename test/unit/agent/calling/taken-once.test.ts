/** A machine knows the calls that it took: one handed over again after a crash is not taken a second time. */
import { expect, it } from 'vitest'
import { readEngineFiles } from '../../../../runtime/agent/vm/engine-files.ts'
import { Machine } from '../../../../runtime/agent/vm/machine.ts'

const engine = readEngineFiles()
const wasm = await WebAssembly.compile(engine.wasm)
const nowMs = 1_800_000_000_000

it('takes a call of the same key once, also in another loop [calling-4]', async () => {
  const source = `export default { name: 'a', async run(ctx) {
    for await (const { reply } of ctx.calls()) { await reply('first'); break }
    for await (const { message, reply } of ctx.calls()) await reply(message)
  } }`
  const program = { entry: './a.js', modules: { './a.js': source } }
  using machine = await Machine.create({ wasm, guest: engine.guest, seed: 7, program }, nowMs)
  machine.turn(nowMs, [{ kind: 'start', device: 'hub' }])
  const item = (id: number, key: string) =>
    ({ kind: 'item', id, value: { key, from: 'b', message: key } }) as const
  expect(machine.turn(nowMs, [item(1, 'k'), item(1, 'k')])).toMatchObject({
    output: { calls: [{ id: 2, op: 'reply', args: { key: 'k', answer: 'first' } }] },
  })
  machine.turn(nowMs, [{ kind: 'settle', id: 2, ok: true, value: undefined }])
  expect(machine.turn(nowMs, [item(3, 'k'), item(3, 'l')])).toMatchObject({
    output: { calls: [{ id: 4, op: 'reply', args: { key: 'l', answer: 'l' } }] },
  })
})
