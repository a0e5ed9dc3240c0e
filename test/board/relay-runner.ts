/**
 * Takes an agent's machine over from where another process left it, on whatever processor: `node relay-runner.ts FOLDER FROM TO`
 * runs turns FROM to TO - 1 of a fixed agent. It reads FOLDER/FROM.image unless it begins, and writes FOLDER/TO.image and, as
 * JSON on standard output, what each turn said and how many ticks it took.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TurnInput } from '../../runtime/agent/turn.ts'
import { readEngineFiles } from '../../runtime/agent/vm/engine-files.ts'
import { Machine } from '../../runtime/agent/vm/machine.ts'

/** Of all that processors may differ in: floating point, what is no number, order, memory that is given back and used again. */
const source = `
import { agent } from 'ganglion'
export default agent({
  name: 'traveller',
  async run(ctx) {
    const seen = new Map(), zero = 0
    let sum = 0
    for (let round = 1; ; round += 1) {
      await ctx.sleep(1000)
      for (let at = 0; at < 5000; at += 1) sum += Math.sin(at * round) * Math.random() + Math.pow(at, 0.37) / 7
      seen.set('round ' + round, { at: new Date().toISOString(), none: zero / zero, root: Math.sqrt(round), f: Math.fround(sum) })
      if (seen.size > 5) seen.delete(seen.keys().next().value)
      const sorted = [...seen.values()].sort((a, b) => b.root - a.root).map((item) => item.at)
      const deep = (n) => { try { return deep(n + 1) } catch { return n } }
      ctx.log(sum, sorted, deep(0), 'x'.repeat(round).replace(/x+?(x)/g, '$1y'), (2n ** 200n + BigInt(round)).toString(36))
    }
  },
})
`

const startMs = 1_800_000_000_000
const [folder = '', from = '', to = ''] = process.argv.slice(2)
const { wasm, guest } = readEngineFiles()
const options = {
  wasm: await WebAssembly.compile(wasm),
  guest,
  program: { entry: './a.js', modules: { './a.js': source } },
  seed: 11,
  // Emulated, a turn takes longer than a person would wait; what ends a turn here is ticks alone.
  cpuMsMax: 60_000,
}
const file = (turn: string) => join(folder, `${turn}.image`)
using machine = from === '0' ? await Machine.create(options, startMs) : await restored()
const said = []
for (let turn = Number(from); turn < Number(to); turn += 1) {
  const input: TurnInput =
    turn === 0 ? { kind: 'start', device: 'hub' } : { kind: 'settle', id: turn, ok: true, value: undefined }
  const result = machine.turn(startMs + turn * 1000, [input])
  if (!result.ok) throw new Error(`turn ${turn}: ${result.reason}`)
  said.push({ ...result.output, ticks: result.cost.ticks, memoryBytes: result.cost.memoryBytes })
}
const { memory, ...tokens } = machine.image()
writeFileSync(file(to), memory)
writeFileSync(`${file(to)}.json`, JSON.stringify(tokens))
process.stdout.write(JSON.stringify({ arch: process.arch, said }))

async function restored(): Promise<Machine> {
  const { take, drain } = JSON.parse(readFileSync(`${file(from)}.json`, 'utf8'))
  return Machine.restore(options, { memory: readFileSync(file(from)), take, drain })
}
