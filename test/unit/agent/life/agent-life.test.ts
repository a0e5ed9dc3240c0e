/** A life goes on: after an idle hour, a lost thread, a clock set back, a full disk; and ends where it must not go on. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, test, vi } from 'vitest'
import { AgentClock } from '../../../../runtime/agent/life/agent-clock.ts'
import { Inbox } from '../../../../runtime/agent/life/inbox.ts'
import { agentsFile } from '../../../../runtime/agent/store/agent-store.ts'
import { turnLimits } from '../../../../runtime/agent/turn.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { AgentsWorld, until } from '../../../fixtures/agent/agents-world.ts'
import { TurnQueue } from '../../../fixtures/agent/turn-queue.ts'

const two = `const first = await ctx.memory.get('a'); const at = Math.random(); const second = await ctx.memory.get('b'); return [first, second, at < 1]`

/** Writes into the file while no device has it. */
function meddle(world: AgentsWorld, sql: string, ...values: Uint8Array[]): void {
  const db = new DatabaseSync(join(world.directory, agentsFile))
  db.prepare(sql).run(...values)
  db.close()
}

/** An agent between its two calls, with an image on the disk, and the device off. */
async function stoppedBetween(world: AgentsWorld): Promise<void> {
  const agents = await world.open()
  await agents.run(world.bundle('one', two), '*')
  ;(await world.service.nth(0)).answer(1)
  await world.service.nth(1)
  await agents[Symbol.asyncDispose]()
}

describe('an agent', () => {
  test('is put away when nothing happens, and comes back for what does', async () => {
    await using world = new AgentsWorld()
    const agents = await world.open()
    await agents.run(world.bundle('one', two), '*')
    const first = await world.service.nth(0)
    expect(agents.list()).toMatchObject([{ inMemory: true }])
    await vi.waitFor(() => {
      world.clock.advance(120_000)
      expect(agents.list()).toMatchObject([{ inMemory: false }])
    })
    first.answer(1)
    ;(await world.service.nth(1)).answer(2)
    expect(await until(agents, 'one', 'ended')).toMatchObject({ reason: '[1,2,true]' })
  })

  test('goes on after its threads were lost [life-5]', async () => {
    await using world = new AgentsWorld()
    const agents = await world.open()
    await agents.run(world.bundle('one', two), '*')
    const first = await world.service.nth(0)
    await agents.run(world.bundle('hangs', `await ctx.memory.get('a'); while (true);`), '*')
    ;(await world.service.nth(1)).answer()
    // Time passes quicker here than the endless turn can be ended by its own limits.
    while (!world.lines.some((line) => line.includes('a thread of agents is gone'))) {
      await new Promise((resolve) => setImmediate(resolve))
      world.clock.advance(10_000)
    }
    await world.said('an agent has failed')
    expect(agents.list()).toMatchObject([
      { name: 'hangs', state: 'failed', reason: expect.stringMatching(/^hung/) },
      { state: 'running' },
    ])
    first.answer(1)
    await world.said('waits and tries again')
    world.clock.advance(250)
    ;(await world.service.nth(2)).answer(2)
    expect(await until(agents, 'one', 'ended')).toMatchObject({ reason: '[1,2,true]' })
  })

  test('fails when its turn does not end, and says so', async () => {
    await using world = new AgentsWorld()
    const agents = await world.open()
    await agents.run(world.bundle('one', `await ctx.memory.get('a'); while (true);`), '*')
    ;(await world.service.nth(0)).answer()
    expect((await until(agents, 'one', 'failed')).reason).toMatch(/^cpu: /)
    // The turn never was: what it waited for it waits for again.
    await world.said('an agent has failed')
    await agents.resume('one')
    expect(await world.service.nth(1)).toMatchObject({ resumed: true, call: { id: 1 } })
  })

  test('fails where it uses the number of a call again, in whatever way it came by it [life-8]', async () => {
    await using world = new AgentsWorld()
    const agents = await world.open()
    const forging = `await ctx.memory.get('a')
      Object.prototype.toJSON = function () { return this.op === undefined ? this : { ...this, id: 1 } }
      await ctx.memory.get('b')`
    await agents.run(world.bundle('one', forging), '*')
    ;(await world.service.nth(0)).answer()
    expect((await until(agents, 'one', 'failed')).reason).toMatch(/^output: call 1 was asked before/)
    expect(world.service.asked).toHaveLength(1)
  })

  test('goes on when the disk has room again: the turn is taken again, no call twice [life-5] [agent-2]', async () => {
    await using world = new AgentsWorld()
    const agents = await world.open({}, { bytesMax: 2 * 1024 * 1024 })
    const writes = (count: number) =>
      `await Promise.all(Array.from({ length: ${count} }, (_, n) => ctx.memory.set('k' + n, 'x'.repeat(50_000)))); return 'kept'`
    await agents.run(world.bundle('one', `await ctx.memory.get('a'); ${writes(10)}`), '*')
    const first = await world.service.nth(0)
    const others = ['f1', 'f2', 'f3', 'f4']
    for (const name of others) await agents.run(world.bundle(name, writes(8)), '*')
    await world.service.nth(32)
    first.answer()
    await world.said('waits and tries again')
    expect(agents.list()[4]).toMatchObject({
      name: 'one',
      state: 'running',
      problem: expect.stringMatching(/full/),
    })
    expect(world.service.asked).toHaveLength(33)
    for (const name of others) await agents.remove(name)
    world.service.atOnce.add('memory.set')
    await vi.waitFor(
      () => {
        world.clock.advance(1_000)
        expect(agents.list()).toMatchObject([{ name: 'one', state: 'ended', reason: '"kept"' }])
      },
      { timeout: 10_000 },
    )
    const ids = world.service.asked.filter(({ caller }) => caller.agent === 'one').map(({ call }) => call.id)
    expect(ids).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
  })

  test('is told in its log what came too fast [life-4]', async () => {
    await using world = new AgentsWorld()
    const turns = new TurnQueue(1)
    const hold = await turns.turn('somebody', new AbortController().signal)
    const agents = await world.open({ turns })
    const body = `let n = 0; for await (const seen of ctx.on('light.*')) { n += 1; if (seen.n === 299) return n }`
    await agents.run(world.bundle('one', body), '*')
    hold({ ticks: 0, cpuMs: 0, memoryBytes: 0 })
    const stream = await world.service.nth(0)
    const again = await turns.turn('somebody', new AbortController().signal)
    const kept = Array.from({ length: 300 }, (_, n) => stream.emit({ n }))
    expect(kept.filter((one) => !one)).toHaveLength(300 - turnLimits.inputsMax)
    again({ ticks: 0, cpuMs: 0, memoryBytes: 0 })
    expect(await until(agents, 'one', 'ended')).toMatchObject({ reason: String(turnLimits.inputsMax) })
    expect(agents.log('one', 99)).toMatchObject([
      { level: 'error', text: '44 reports came too fast and were dropped' },
    ])
  })
})

describe('what is on the disk', () => {
  test('goes on where it is as it was', async () => {
    await using world = new AgentsWorld()
    await stoppedBetween(world)
    const agents = await world.open()
    ;(await world.service.nth(2)).answer(2)
    expect(await until(agents, 'one', 'ended')).toMatchObject({ reason: '[1,2,true]' })
  })

  test.each([
    ['was changed', `UPDATE image SET sealed = CAST(replace(sealed, x'28B52FFD', x'28B52FFE') AS BLOB)`],
    ['is no image', `UPDATE image SET sealed = x'0102'`],
    [
      'is of another agent’s program',
      `UPDATE agent SET program = (SELECT hash FROM program WHERE hash <> program LIMIT 1)`,
    ],
  ])('is refused where the image %s', async (_what, sql) => {
    await using world = new AgentsWorld()
    await stoppedBetween(world)
    if (sql.includes('UPDATE agent')) meddle(world, `INSERT INTO program SELECT 'other', bytes FROM program`)
    meddle(world, sql.replace('hash <> program', `hash = 'other'`))
    const agents = await world.open()
    ;(await world.service.nth(2)).answer(2)
    expect((await until(agents, 'one', 'failed')).reason).toMatch(/image/)
  })

  test('is refused where another device made the image', async () => {
    await using world = new AgentsWorld()
    await stoppedBetween(world)
    rmSync(join(world.directory, 'identity.key'))
    const agents = await world.open()
    ;(await world.service.nth(2)).answer(2)
    expect((await until(agents, 'one', 'failed')).reason).toMatch(/not as hub signed it/)
  })

  test('is refused where turns are missing', async () => {
    await using world = new AgentsWorld()
    await stoppedBetween(world)
    meddle(world, `DELETE FROM image`)
    const agents = await world.open()
    ;(await world.service.nth(2)).answer(2)
    expect((await until(agents, 'one', 'failed')).reason).toMatch(/turns are not on the disk/)
  })
})

describe('the clock of an agent', () => {
  class SetClock extends VirtualClock {
    setByMs = 0
    override nowMs(): number {
      return super.nowMs() + this.setByMs
    }
  }

  test('is the wall clock’s, and never goes back, nor stands still, when that is set back a day [life-3]', () => {
    const clock = new SetClock()
    const own = new AgentClock(clock, 0)
    const beforeMs = own.now()
    expect(beforeMs).toBe(clock.nowMs())
    clock.setByMs = -86_400_000
    expect(own.now()).toBe(beforeMs)
    clock.advance(1_000)
    expect(own.now()).toBe(beforeMs + 500)
    clock.advance(2 * 86_400_000)
    expect(own.now()).toBe(clock.nowMs())
    clock.setByMs = 0
    expect(own.now()).toBe(clock.nowMs())
  })

  test('goes on from the latest that the agent has seen [life-3]', () => {
    const clock = new VirtualClock()
    const own = new AgentClock(clock, clock.nowMs() + 5_000)
    expect(own.now()).toBe(clock.nowMs() + 5_000)
  })
})

describe('what waits for a turn', () => {
  test('is given back where the turn never was, in its order, whatever came meanwhile [life-4]', () => {
    const inbox = new Inbox()
    for (let n = 0; n < turnLimits.inputsMax; n += 1) inbox.item(1, n)
    inbox.settle(2, { ok: true, value: 'answer' })
    const taken = inbox.take()
    expect(taken).toHaveLength(32)
    inbox.item(1, 'late')
    inbox.back()
    expect(inbox.take()).toEqual(taken)
    inbox.kept()
    const rest = [...inbox.take(), ...[1, 2, 3, 4, 5, 6, 7].flatMap(() => inbox.take())]
    expect(rest.filter(({ kind }) => kind === 'settle')).toHaveLength(1)
  })

  test('is an error where an answer is too large, or nothing that JSON can say', () => {
    const inbox = new Inbox()
    inbox.settle(1, { ok: true, value: 'x'.repeat(turnLimits.inputBytesMax) })
    inbox.settle(2, { ok: true, value: 1n as never })
    expect(inbox.item(3, 'x'.repeat(turnLimits.inputBytesMax))).toBe(false)
    expect(inbox.take()).toMatchObject([
      { id: 1, ok: false, error: { code: 'limit' } },
      { id: 2, ok: false, error: { code: 'failed' } },
    ])
  })
})
