/** An agent in a real machine asks the people of the home, over power cuts and with real permissions and their files. */
import { expect, it, vi } from 'vitest'
import { Approvals } from '../../runtime/agent/permissions/approvals.ts'
import { askService } from '../../runtime/agent/permissions/ask.service.ts'
import { Permissions } from '../../runtime/agent/permissions/permissions.ts'
import { noPolicy } from '../../runtime/agent/permissions/policy.ts'
import { Uses } from '../../runtime/agent/permissions/uses.ts'
import { silentLog } from '../../runtime/base/log.ts'
import type { ApprovalEvent } from '../../runtime/wire/approvals.ts'
import { AgentsWorld, until } from '../fixtures/agent/agents-world.ts'

async function device(world: AgentsWorld) {
  const { clock } = world
  const stack = new AsyncDisposableStack()
  const { uses } = Uses.open(`${world.directory}/used.db`, clock.nowMs())
  stack.use(uses)
  const events: ApprovalEvent[] = []
  const approvals = new Approvals({ clock, answers: uses, publish: (event) => events.push(event) })
  const audit = { append: () => {}, durable: async () => {} }
  const permissions = new Permissions({
    clock,
    log: silentLog,
    audit,
    uses,
    approvals,
    timezone: 'UTC',
    policy: noPolicy,
  })
  const agents = stack.use(
    await world.open({
      services: [askService({ clock, approvals })],
      decide: (...asked) => permissions.decide(...asked),
      revoked: permissions.revoked,
    }),
  )
  return { agents, approvals, events, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}
const asking = JSON.stringify([{ capability: 'ask' }])
const waiting = async ({ approvals }: { approvals: Approvals }) => {
  await vi.waitFor(() => expect(approvals.waiting()).toHaveLength(1), { timeout: 10_000 })
  return approvals.waiting()[0]
}

it('[permit-11] a question is the same after a restart, and its answer reaches who asked', async () => {
  await using world = new AgentsWorld()
  let id: string | undefined
  {
    await using before = await device(world)
    const body = `return await ctx.ask('Is it\\u202e too\\n warm?', { choices: ['warmer', 'colder'], within: '1h' })`
    await before.agents.run(world.bundle('comfort', body), asking)
    const question = await waiting(before)
    id = question?.id
    // Shown as one line of text, whatever the agent put in.
    expect(question).toMatchObject({ kind: 'question', words: 'Is it  too  warm?', agent: 'comfort' })
    expect(question?.choices).toEqual(['warmer', 'colder'])
  }
  world.clock.advance(1_800_000)
  await using after = await device(world)
  expect(await waiting(after)).toMatchObject({ id, words: 'Is it  too  warm?' })
  expect(() => after.approvals.answer(id ?? '', 'hot', 'Ada')).toThrow('none of the answers: warmer, colder')
  after.approvals.answer(id ?? '', 'warmer', 'Ada')
  expect((await until(after.agents, 'comfort', 'ended')).reason).toBe('"warmer"')
  // The answer is the agent's: the event says that there is one, and of whom.
  expect(after.events.at(-1)).toMatchObject({ state: 'answered', by: 'Ada' })
  expect(JSON.stringify(after.events.at(-1))).not.toContain('"answer"')
})

it('a question that nobody answers throws a timeout, one that nobody may ask a permission', async () => {
  await using world = new AgentsWorld()
  await using home = await device(world)
  const body = `return await ctx.ask('Shall I?', { within: '30s' }).catch((error) => error.code)`
  await home.agents.run(world.bundle('patient', body), asking)
  await waiting(home)
  world.clock.advance(30_000)
  expect((await until(home.agents, 'patient', 'ended')).reason).toBe('"timeout"')
  await home.agents.run(world.bundle('impudent', body), '[]')
  expect((await until(home.agents, 'impudent', 'ended')).reason).toBe('"permission"')
  const wrong = `return await ctx.ask('x'.repeat(401)).catch((error) => error.message)`
  await home.agents.run(world.bundle('windy', wrong), asking)
  expect((await until(home.agents, 'windy', 'ended')).reason).toContain('has more than 400 characters')
})

it('[permit-13] an agent asks no more than twelve times an hour where nobody has said how often', async () => {
  await using world = new AgentsWorld()
  await using home = await device(world)
  const body = `for (let at = 0; at < 12; at += 1) await ctx.ask('again ' + at, { within: 1000 }).catch(() => 0)
    return await ctx.ask('once more').catch((error) => error.message)`
  await home.agents.run(world.bundle('pest', body), asking)
  for (let at = 0; at < 12; at += 1) {
    await vi.waitFor(() => expect(home.approvals.waiting()[0]?.words).toBe(`again ${at}`), {
      timeout: 10_000,
    })
    world.clock.advance(1_000)
  }
  expect((await until(home.agents, 'pest', 'ended')).reason).toContain('12/h are allowed')
})
