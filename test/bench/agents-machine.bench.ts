/**
 * Machines of agents: how many there may be, and what making one, keeping it, bringing it back and a turn of it cost. Beside
 * them what Node itself has for the same: a thread an agent, and the same code run by Node without any wall.
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import type { TurnInput } from '../../runtime/agent/turn.ts'
import { readEngineFiles } from '../../runtime/agent/vm/engine-files.ts'
import { Machine } from '../../runtime/agent/vm/machine.ts'
import { pssMb } from '../../runtime/observe/memory.ts'
import { alternate } from './alternate.ts'
import type { Benchmark, Measurement } from './benchmark.ts'
import { median, quantile } from './quantiles.ts'

/** Waits, looks at what it has seen, keeps a little, waits again: what most turns of most agents are. */
const source = `export default { name: 'a', async run(ctx) {
  const seen = []
  for (let turn = 1; ; turn += 1) {
    await ctx.sleep(1000)
    seen.push({ turn, state: turn % 2 ? 'on' : 'off', area: 'hall' })
    if (seen.length > 100) seen.shift()
    let on = 0
    for (const item of seen) if (item.state === 'on') on += 1
    ctx.log('on', on, JSON.stringify(seen.at(-1)))
  }
} }`
const machines = 300
const start: TurnInput[] = [{ kind: 'start', device: 'hub' }]
const settled = (id: number): TurnInput[] => [{ kind: 'settle', id, ok: true, value: undefined }]
const limit =
  'QuickJS interprets; every machine is one WebAssembly memory of at least 1.5 MB, most of it never touched'

export const agentsMachine: Benchmark = {
  name: 'agents.machine',
  async run({ quick, signal, progress }) {
    const { wasm: bytes, guest } = readEngineFiles()
    const wasm = await WebAssembly.compile(bytes)
    const options = { wasm, guest, seed: 7, program: { entry: './a.js', modules: { './a.js': source } } }
    progress(`${machines} machines at a time`)
    const many = await together(() => Machine.create(options, 0), quick ? 4 : 12)
    signal.throwIfAborted()
    progress('one after the other')
    const ways = await alternate(
      {
        create: () => timed(async () => (await Machine.create(options, 0))[Symbol.dispose]()),
        thread: () => timed(() => threadOnce()),
      },
      { rounds: quick ? 10 : 40, warmUps: 2 },
    )
    using machine = await Machine.create(options, 0)
    machine.turn(0, start)
    for (let id = 1; id <= 100; id += 1) machine.turn(id, settled(id))
    const { memory, ...tokens } = machine.image()
    const packed = zstdCompressSync(memory)
    const kept = await alternate(
      {
        image: () => timed(() => zstdCompressSync(machine.image().memory)),
        compress: () => timed(() => zstdCompressSync(memory)),
        restore: () =>
          timed(async () => {
            using restored = await Machine.restore(options, { memory: zstdDecompressSync(packed), ...tokens })
            return restored.manifest
          }),
        create: () => timed(async () => (await Machine.create(options, 0))[Symbol.dispose]()),
      },
      { rounds: quick ? 20 : 200, warmUps: 3 },
    )
    signal.throwIfAborted()
    const turns = await turnsOf(machine, quick ? 20 : 100)
    return [
      {
        name: 'agents.machine-per-100-mb',
        value: Math.floor(100 / many.machineMb),
        unit: 'agents',
        baseline: 100 / many.threadMb,
        against: 'threads of Node that wait, one an agent',
        limit,
        note: `${machines} made in ${many.createdMs.toFixed(0)} ms; ${many.machineMb.toFixed(2)} MB each (PSS), a thread ${many.threadMb.toFixed(1)} MB`,
      },
      row('create', ways.create, ways.thread, 'a thread of Node started until it says something'),
      {
        ...row('image', kept.image, kept.compress, 'zstd of the same memory alone'),
        note: `p95 ${quantile(kept.image, 0.95).toFixed(2)} ms; ${memory.length} bytes, ${packed.length} compressed`,
      },
      row('restore', kept.restore, kept.create, 'creating one, which runs none of its past'),
      row('turn', turns.machine, turns.node, 'the same code in Node, its promises settled by hand'),
    ]
  },
}

function row(what: string, ours: readonly number[], bare: readonly number[], against: string): Measurement {
  return {
    name: `agents.machine-${what}`,
    value: median(ours),
    unit: 'ms',
    baseline: median(bare),
    against,
    limit,
    note: `p95 ${quantile(ours, 0.95).toFixed(3)} ms, baseline ${quantile(bare, 0.95).toFixed(3)} ms`,
  }
}

async function timed(work: () => unknown): Promise<number> {
  const startMs = performance.now()
  await work()
  return performance.now() - startMs
}

const waits = `const { parentPort } = require('node:worker_threads'); parentPort.on('message', () => {}); parentPort.postMessage('here')`

async function thread(): Promise<Worker> {
  const worker = new Worker(waits, { eval: true })
  await once(worker, 'message')
  return worker
}

async function threadOnce(): Promise<void> {
  await (await thread()).terminate()
}

/** What each of many takes, while all of them are there. */
async function together(create: () => Promise<Machine>, threadsMax: number) {
  const own = async () => (await pssMb(process.pid)) ?? Number.NaN
  const before = await own()
  const startMs = performance.now()
  const all = []
  for (let made = 0; made < machines; made += 1) all.push(await create())
  const createdMs = performance.now() - startMs
  for (const machine of all) machine.turn(0, start)
  const machineMb = ((await own()) - before) / machines
  const between = await own()
  const threads = await Promise.all(Array.from({ length: threadsMax }, thread))
  const threadMb = ((await own()) - between) / threadsMax
  for (const machine of all) machine[Symbol.dispose]()
  await Promise.all(threads.map((worker) => worker.terminate()))
  return { machineMb, threadMb, createdMs }
}

/** Turns of the machine and of Node, by hundreds in alternation; milliseconds of one turn. */
async function turnsOf(machine: Machine, rounds: number) {
  const perRound = 100
  let id = 101
  let settle = () => {}
  let logged = 0
  let woken = 0
  const context = {
    sleep: () => new Promise<void>((resolve) => (settle = resolve)),
    log: (...parts: unknown[]) => {
      logged += 1
      return parts.join(' ')
    },
  }
  const { default: agent } = await import(`data:text/javascript,${encodeURIComponent(source)}`)
  void agent.run(context)
  const { machine: ours, node } = await alternate(
    {
      machine: () =>
        timed(() => {
          for (let turn = 0; turn < perRound; turn += 1, id += 1) machine.turn(id, settled(id))
        }),
      node: () =>
        timed(async () => {
          for (let turn = 0; turn < perRound; turn += 1) {
            settle()
            woken += 1
            // Its continuation is before ours, and waits again.
            await null
          }
        }),
    },
    { rounds, warmUps: 2 },
  )
  if (logged !== woken) throw new Error(`Node took ${logged} turns of ${woken}`)
  const each = (list: readonly number[]) => list.map((ms) => ms / perRound)
  return { machine: each(ours), node: each(node) }
}
