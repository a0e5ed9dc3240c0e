/** Machines in real threads: each call settles, and what one does to its thread is not the others' fault. */
import { Worker } from 'node:worker_threads'
import { afterEach, describe, expect, test, vi } from 'vitest'
import {
  MachineLost,
  MachinePool,
  type MachinePoolOptions,
  PoolFull,
  ProgramError,
  type ProgramToRun,
} from '../../../../runtime/agent/vm/machine-pool.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { silentLog } from '../../../../runtime/base/log.ts'

const nowMs = 1_800_000_000_000
const hungMsMax = 10_000
const idleMs = 60_000
const start = [{ kind: 'start', device: 'hub' }] as const
const settled = (id: number) => [{ kind: 'settle', id, ok: true, value: undefined }] as const
const program = (body: string): ProgramToRun => ({
  program: {
    entry: './a.js',
    modules: { './a.js': `export default { name: 'a', async run(ctx) { ${body} } }` },
  },
  seed: 7,
})
const counting = program('let n = 0; for (;;) { await ctx.sleep(1); n += 1; ctx.log(n) }')
/** Loops for ever, which nothing inside its thread ends: what a hang of native code is. */
const hanging: ProgramToRun = {
  ...program('await ctx.sleep(1); for (;;);'),
  ticksMax: Number.MAX_SAFE_INTEGER,
  cpuMsMax: Number.MAX_SAFE_INTEGER,
}

const pools: MachinePool[] = []
afterEach(async () => {
  for (const pool of pools.splice(0)) await pool[Symbol.asyncDispose]()
})

function poolOf(options: Partial<MachinePoolOptions> = {}) {
  const clock = new VirtualClock()
  const pool = new MachinePool({ clock, log: silentLog }, { threadsMax: 1, hungMsMax, idleMs, ...options })
  pools.push(pool)
  return { clock, pool }
}

/** In two steps, as answers are read between them. */
function hang(clock: VirtualClock) {
  clock.advance(hungMsMax / 2)
  clock.advance(hungMsMax / 2)
}

describe('a machine in a thread', () => {
  test('is loaded, takes turns, is imaged, dropped, and goes on from its image', async () => {
    const { pool } = poolOf()
    const machine = await pool.create(counting, nowMs)
    expect(JSON.parse(machine.manifest)).toEqual({ name: 'a' })
    await machine.turn(nowMs, start)
    await machine.turn(nowMs, settled(1))
    const image = await machine.image()
    await machine.drop()
    expect(pool.machines).toBe(0)
    const restored = await pool.restore(counting, image)
    expect(await restored.turn(nowMs, settled(2))).toMatchObject({
      ok: true,
      output: { log: [{ text: '2' }], calls: [{ id: 3, op: 'sleep' }] },
    })
  })

  test('is one of several that share threads, of which there are no more than allowed [vm-8]', async () => {
    const { pool } = poolOf({ threadsMax: 2 })
    const machines = await Promise.all([1, 2, 3, 4, 5].map(() => pool.create(counting, nowMs)))
    expect([pool.threads, pool.machines]).toEqual([2, 5])
    for (const machine of machines)
      expect(await machine.turn(nowMs, start)).toMatchObject({ output: { calls: [{ id: 1 }] } })
  })

  test('is refused when there are as many as there may be, and has its place once one is dropped [vm-8]', async () => {
    const { pool } = poolOf({ machinesMax: 2 })
    const [first] = await Promise.all([pool.create(counting, nowMs), pool.create(counting, nowMs)])
    await expect(pool.create(counting, nowMs)).rejects.toThrow(PoolFull)
    await first?.drop()
    await pool.create(counting, nowMs)
    expect(pool.machines).toBe(2)
  })

  test('of a program that is none is an error, and takes no place', async () => {
    const { pool } = poolOf()
    await expect(pool.create(program('syntax error'), nowMs)).rejects.toThrow(ProgramError)
    expect(pool.machines).toBe(0)
  })

  test('of an image that is none is an error, and takes no place', async () => {
    const { pool } = poolOf()
    const image = { bytes: Buffer.from('no image'), sha256: '', take: 0, drain: 0 }
    await expect(pool.restore(counting, image)).rejects.toThrow()
    expect(pool.machines).toBe(0)
  })

  test('that faulted takes no further turn; its neighbours do [vm-1] [vm-7]', async () => {
    const { pool } = poolOf()
    const neighbour = await pool.create(counting, nowMs)
    const endless = await pool.create({ ...program('for (;;);'), ticksMax: 50 }, nowMs)
    expect(await endless.turn(nowMs, start)).toMatchObject({ ok: false, fault: 'cpu' })
    await expect(endless.turn(nowMs, start)).rejects.toThrow(MachineLost)
    await expect(endless.image()).rejects.toThrow(MachineLost)
    expect(await neighbour.turn(nowMs, start)).toMatchObject({ ok: true })
  })

  test('may have more CPU time for one turn than for others', async () => {
    const { pool } = poolOf()
    const loop = 'for (let i = 0; i < 1e6; i++)'
    const machine = await pool.create(program(`${loop}; await ctx.sleep(1); ${loop};`), nowMs)
    expect(await machine.turn(nowMs, start, 60_000)).toMatchObject({ ok: true })
    expect(await machine.turn(nowMs, settled(1), 0)).toMatchObject({ ok: false, fault: 'cpu' })
  })
})

describe('a thread that hangs', () => {
  test('is ended: whose turn it was has a fault, its neighbour is lost and goes on from its image [vm-6] [vm-7]', async () => {
    const { clock, pool } = poolOf()
    const culprit = await pool.create(hanging, nowMs)
    const neighbour = await pool.create(counting, nowMs)
    await culprit.turn(nowMs, start)
    await neighbour.turn(nowMs, start)
    const image = await neighbour.image()
    const turns = [culprit.turn(nowMs, settled(1)), neighbour.turn(nowMs, settled(1))] as const
    const [hung, lost] = [turns[0], expect(turns[1]).rejects.toThrow(MachineLost)]
    hang(clock)
    expect(await hung).toMatchObject({ ok: false, fault: 'hung', reason: expect.stringMatching(/10000 ms/) })
    await lost
    await expect(culprit.turn(nowMs, settled(1))).rejects.toThrow(MachineLost)
    expect(pool.threads).toBe(0)
    const restored = await pool.restore(counting, image)
    expect(await restored.turn(nowMs, settled(1))).toMatchObject({
      ok: true,
      output: { log: [{ text: '1' }] },
    })
  })

  test('is not one whose answer lies there while our own thread stood still', async () => {
    const { clock, pool } = poolOf()
    const machine = await pool.create(counting, nowMs)
    const turn = machine.turn(nowMs, start)
    // All of the time is over before a message can be read.
    clock.advance(hungMsMax / 2)
    await turn
    clock.advance(hungMsMax)
    expect(await machine.turn(nowMs, settled(1))).toMatchObject({ ok: true })
  })
})

test('a thread that dies under a turn is that turn’s fault, as it would die of it again [vm-6]', async () => {
  const posted = vi.spyOn(Worker.prototype, 'postMessage')
  const { pool } = poolOf()
  const machine = await pool.create(hanging, nowMs)
  await machine.turn(nowMs, start)
  const turn = machine.turn(nowMs, settled(1))
  await (posted.mock.contexts[0] as Worker).terminate()
  posted.mockRestore()
  expect(await turn).toMatchObject({
    ok: false,
    fault: 'hung',
    reason: expect.stringMatching(/thread along/),
  })
  expect([pool.threads, pool.machines]).toEqual([0, 0])
})

describe('threads', () => {
  test('start with the first machine, and end when there was none for a while [vm-5]', async () => {
    const { clock, pool } = poolOf()
    expect(pool.threads).toBe(0)
    const machine = await pool.create(counting, nowMs)
    await machine.drop()
    await machine.drop()
    clock.advance(idleMs - 1)
    expect(pool.threads).toBe(1)
    clock.advance(1)
    expect(pool.threads).toBe(0)
  })

  test('that have a machine again do not end, however often the last one was dropped [vm-5]', async () => {
    const { clock, pool } = poolOf()
    const first = await pool.create({ ...program('for (;;);'), ticksMax: 50 }, nowMs)
    await first.turn(nowMs, start)
    await first.drop()
    await first.drop()
    const second = await pool.create(counting, nowMs)
    clock.advance(2 * idleMs)
    expect(await second.turn(nowMs, start)).toMatchObject({ ok: true })
  })

  test('end with the pool: who waits is told, nothing more begins, and ending it again is nothing [vm-6]', async () => {
    const { pool } = poolOf()
    const machine = await pool.create(hanging, nowMs)
    await machine.turn(nowMs, start)
    const waiting = expect(machine.turn(nowMs, settled(1))).rejects.toThrow(MachineLost)
    await pool[Symbol.asyncDispose]()
    await waiting
    await expect(pool.create(counting, nowMs)).rejects.toThrow(MachineLost)
    await pool[Symbol.asyncDispose]()
    expect(pool.threads).toBe(0)
  })
})
