/** What a device answers about its agents, asked by several at once and by those who may not. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, onTestFinished, test, vi } from 'vitest'
import { AgentCalls, type AgentCallsDeps } from '../../../runtime/agent/agent-calls.ts'
import { contentOf } from '../../../runtime/agent/bundle/bundle.ts'
import { DeviceAgents } from '../../../runtime/agent/device-agents.ts'
import { sleepService } from '../../../runtime/agent/services/sleep.service.ts'
import { Namesakes } from '../../../runtime/agent/together/namesakes.ts'
import { MachinePool } from '../../../runtime/agent/vm/machine-pool.ts'
import { realClock, VirtualClock } from '../../../runtime/base/clock.ts'
import { Identity } from '../../../runtime/base/identity.ts'
import { silentLog } from '../../../runtime/base/log.ts'
import { hashPassword } from '../../../runtime/base/password.ts'
import { loadDeviceConfig } from '../../../runtime/config/config.ts'
import type { AuditEntry } from '../../../runtime/observe/audit-chain.ts'
import { DeviceAudit } from '../../../runtime/observe/device-audit.ts'
import type { AgentsNow } from '../../../runtime/wire/agents-now.ts'
import { localBytes } from '../../../runtime/wire/person.ts'
import { SimulatedBroker, SimulatedBus } from './board/simulated-broker.ts'

const { signal } = new AbortController()
const source = `import { agent } from 'ganglion'
export default agent({
  name: 'waiter',
  wants: ['light.*:command', 'lock.*:command'],
  async run(ctx) { await ctx.sleep('1d') },
})`
const both = '[{"capability":"light.*:command"},{"capability":"lock.*:command"}]'
const proof = { by: 'Ada', pin: '2468' }

/** A device that knows Ada, or nobody, and runs one agent. `recorded` is told before each line of the audit log. */
async function device(policy?: { allow: string[] } | string, knowsAda = true, recordsAll = false) {
  const stateDir = mkdtempSync(join(tmpdir(), 'agent-calls-'))
  onTestFinished(() => rmSync(stateDir, { recursive: true, force: true }))
  const identity = Identity.open('hub', stateDir)
  const shared = { clock: realClock, log: silentLog, identity }
  const audit = new DeviceAudit(shared, stateDir)
  onTestFinished(() => audit[Symbol.asyncDispose]())
  const people = knowsAda ? [{ name: 'Ada', pin: await hashPassword('2468') }] : []
  const config = loadDeviceConfig({
    id: 'hub',
    stateDir,
    people,
    agents: { ...(policy && { policy }), record: { all: recordsAll } },
  })
  const models = { modelsFor: () => [], infer: () => Readable.from([]) }
  const services = [sleepService(shared)]
  const site: (AgentsNow | undefined)[] = []
  const told = { publishApproval: () => {}, publishAgents: (now?: AgentsNow) => void site.push(now) }
  const heard = new VirtualClock()
  const bus = new SimulatedBus(new SimulatedBroker(heard, { loss: 0, twice: 0, delayMsMax: 1 }))
  const namesakes = new Namesakes({ bus, peers: { known: ['hub', 'attic'], away: new Set() }, own: 'hub' })
  /** What the attic tells of its agents. */
  const atticHas = (...names: string[]) => {
    const agents = names.map((name) => ({ name, state: 'running', startedMs: 1 }))
    bus.setRetained(bus.topics.agents('attic'), JSON.stringify({ agents }))
    heard.advance(5)
  }
  const deviceDeps = { ...shared, audit, services, models, namesakes, ...told }
  const agents = await DeviceAgents.open(deviceDeps, config, signal)
  onTestFinished(() => agents[Symbol.asyncDispose]())
  const entries: AuditEntry[] = []
  const gate = { recorded: async (_entry: AuditEntry) => {} }
  const moved: string[] = []
  const record = async (entry: AuditEntry) => {
    entries.push(entry)
    await gate.recorded(entry)
    await audit.record(entry)
  }
  const mover = { move: async (name: string) => ({ bytes: moved.push(name), pending: false }) }
  const deps = { ...shared, agents, audit: { record }, mover: mover as never } satisfies AgentCallsDeps
  const calls = new AgentCalls(deps, config)
  const text = async (program: string) => {
    await using pool = new MachinePool(shared, { threadsMax: 1 })
    return (await contentOf(pool, { entry: './a.ts', modules: { './a.ts': program } })).text
  }
  const who = knowsAda ? proof : {}
  await calls.answer({ ask: 'run', bundle: await text(source), grants: both, ...who }, signal)
  return { agents, atticHas, calls, entries, gate, identity, moved, site, text }
}

test('[agent-calls-5] what is taken back stays so, also where another change is under way that was judged before', async () => {
  const { agents, calls, gate } = await device()
  const begun = Promise.withResolvers<void>()
  const goesOn = Promise.withResolvers<void>()
  gate.recorded = async ({ kind, by }) => {
    if (kind !== 'asked-for' || by !== 'claimed:Eve') return
    begun.resolve()
    await goesOn.promise
  }
  // Changes nothing, and so needs nobody's leave.
  const same = calls.answer({ ask: 'grant', name: 'waiter', set: both, by: 'Eve' }, signal)
  await begun.promise
  const less = calls.answer({ ask: 'grant', name: 'waiter', deny: ['lock.*:command'], ...proof }, signal)
  // Either it waits for the other, or it is made before that goes on.
  await Promise.race([less, pause(500)])
  goesOn.resolve()
  await Promise.all([same, less])
  expect((await agents.get()).grantsOf('waiter')).toBe('[{"capability":"light.*:command"}]')
})

test('[agent-calls-4] nobody but a person of the device sends an agent elsewhere, or takes one back from there', async () => {
  const { calls, moved } = await device()
  for (const ask of [
    { ask: 'move', name: 'waiter', to: 'cellar', by: 'Ada' },
    { ask: 'resume', name: 'waiter', here: true, by: 'Ada' },
  ])
    await expect(calls.answer(ask, signal)).rejects.toThrow('only a person of this device may: Ada')
  expect(moved).toEqual([])
  await calls.answer({ ask: 'move', name: 'waiter', to: 'cellar', ...proof }, signal)
  expect(moved).toEqual(['waiter'])
})

test('[agent-calls-4] anybody stops an agent; nobody but a person of the device lets it go on', async () => {
  const { agents, calls, text } = await device()
  const bundle = await text(source)
  await calls.answer({ ask: 'stop', name: 'waiter', by: 'Eve' }, signal)
  for (const ask of [
    { ask: 'resume', name: 'waiter' },
    // From its beginning, with as little as can be granted.
    { ask: 'run', bundle, grants: '[]' },
  ])
    await expect(calls.answer({ ...ask, by: 'Ada' }, signal)).rejects.toThrow('only a person of this device')
  expect((await agents.get()).list()).toMatchObject([{ name: 'waiter', state: 'stopped' }])
  await calls.answer({ ask: 'resume', name: 'waiter', ...proof }, signal)
  expect((await agents.get()).list()).toMatchObject([{ name: 'waiter', state: 'running' }])
})

test('what an agent may do and what it asks for besides is said in words, each with what gives it or takes it back', async () => {
  const { calls } = await device()
  const may = (ask: object) => calls.answer({ name: 'waiter', ...ask, ...proof }, signal)
  expect(await may({ ask: 'grant', deny: ['lock.*:command'] })).toMatchObject({
    lines: [
      { capability: 'light.*:command', words: expect.stringContaining('turn all lights on and off') },
      { words: 'lock and unlock all locks', allow: '[{"capability":"lock.*:command"}]' },
    ],
  })
  const given = await may({ ask: 'grant', allow: '[{"capability":"lock.*:command"}]' })
  expect(given).toMatchObject({ lines: [{}, { capability: 'lock.*:command' }] })
  expect(JSON.stringify(given)).not.toContain('"allow"')
})

test('[agent-calls-4] a wrong PIN keeps nobody from stopping an agent, nor from taking back what it may do', async () => {
  const { agents, calls, entries } = await device()
  const wrong = { by: 'Ada', pin: '1111' }
  const change = (more: object) => calls.answer({ name: 'waiter', ...more, ...wrong }, signal)
  await change({ ask: 'grant', deny: ['all'] })
  await expect(change({ ask: 'grant', allow: both })).rejects.toThrow('not the PIN of Ada')
  await change({ ask: 'stop' })
  await expect(change({ ask: 'resume' })).rejects.toThrow('not the PIN of Ada')
  expect((await agents.get()).list()).toMatchObject([{ state: 'stopped', grants: '[]' }])
  expect(entries.findLast(({ ask }) => ask === 'stop')).toMatchObject({ kind: 'done' })
  expect(entries.findLast(({ ask, kind }) => ask === 'stop' && kind === 'asked-for')).toMatchObject({
    by: 'claimed:Ada',
  })
})

test('[policy-3] a policy that is read anew takes back at once, also from what waits; one with a mistake changes nothing', async () => {
  const file = join(mkdtempSync(join(tmpdir(), 'policy-')), 'policy.yaml')
  onTestFinished(() => rmSync(dirname(file), { recursive: true }))
  const write = (policy: object) => writeFileSync(file, JSON.stringify(policy))
  write({ allow: ['ask'] })
  const { agents, calls, text, entries } = await device(file)
  const asker = source
    .replace("'waiter'", "'asker'")
    .replace("'light.*:command', 'lock.*:command'", "'ask'")
    .replace("await ctx.sleep('1d')", "return await ctx.ask('may I?').catch((error) => error.code)")
  expect(await calls.answer({ ask: 'run', bundle: await text(asker) }, signal)).toMatchObject({
    grants: '[{"capability":"ask","from":"policy"}]',
  })
  const approvals = await agents.approvals()
  await expect.poll(() => approvals?.waiting().length, { timeout: 20_000 }).toBe(1)
  const reload = () => calls.answer({ ask: 'policy', ...proof }, signal)
  writeFileSync(file, '{"allow": ["ask"], "never": [')
  await expect(reload()).rejects.toThrow('policy.yaml')
  write({ allow: ['ask'], nevr: [] })
  await expect(reload()).rejects.toThrow('nevr')
  expect(approvals?.waiting()).toHaveLength(1)
  write({ allow: ['light.*:read'], never: ['lock.*:command'] })
  for (const eve of [{ by: 'Eve' }, { by: 'Ada', pin: '1111' }, { by: 'Ada', gateway: 'Ada' }])
    await expect(calls.answer({ ask: 'policy', ...eve }, signal)).rejects.toMatchObject({ code: 'forbidden' })
  expect(agents.policy.never).toEqual([])
  expect(await reload()).toEqual({ allow: 1, never: 1, priority: 'background', agents: 2 })
  await expect.poll(() => approvals?.waiting(), { timeout: 20_000 }).toEqual([])
  const stateOf = async (name: string) => (await agents.get()).list().find((one) => one.name === name)
  await expect
    .poll(() => stateOf('asker'), { timeout: 20_000 })
    .toMatchObject({ state: 'ended', reason: '"permission"' })
  expect(entries.findLast(({ ask }) => ask === 'policy')).toMatchObject({ kind: 'done', outcome: 'ok' })
  // What a person granted and nobody may any more is in the way of no other change.
  expect(
    await calls.answer({ ask: 'grant', name: 'waiter', deny: ['light.*:command'] }, signal),
  ).toMatchObject({ grants: '[]' })
})

test('[agent-calls-4] what the policy grants begins without a person, and not again what somebody has stopped', async () => {
  const { agents, calls, text } = await device({ allow: ['light.*:command'] })
  const bundle = await text(source.replace("'waiter'", "'of-the-fleet'"))
  const run = () => calls.answer({ ask: 'run', bundle }, signal)
  expect(await run()).toMatchObject({ name: 'of-the-fleet' })
  await expect(calls.answer({ ask: 'policy', ...proof }, signal)).rejects.toThrow('in its configuration')
  await calls.answer({ ask: 'stop', name: 'of-the-fleet' }, signal)
  await expect(run()).rejects.toThrow('only a person of this device')
  expect((await agents.get()).list()).toMatchObject([{ name: 'of-the-fleet', state: 'stopped' }, {}])
})

test('[agent-calls-4] nobody but a person of the device erases what an agent remembers', async () => {
  const { agents, calls } = await device()
  await calls.answer({ ask: 'stop', name: 'waiter', by: 'Eve' }, signal)
  await expect(calls.answer({ ask: 'remove', name: 'waiter', by: 'Eve' }, signal)).rejects.toThrow(
    'only a person of this device may: Ada',
  )
  expect((await agents.get()).list()).toMatchObject([{ name: 'waiter', state: 'stopped' }])
  await calls.answer({ ask: 'remove', name: 'waiter', ...proof }, signal)
  expect((await agents.get()).list()).toEqual([])
})

test('[agent-calls-4] nobody but a person of the device puts another program in the place of one that remembers', async () => {
  const { calls, text } = await device()
  const run = async (program: string, more: object = {}) => {
    const bundle = await text(program)
    return await calls.answer({ ask: 'run', bundle, grants: '[]', by: 'Eve', ...more }, signal)
  }
  await calls.answer({ ask: 'stop', name: 'waiter', by: 'Eve' }, signal)
  const other = source.replace("'1d'", "'2d'")
  await expect(run(other)).rejects.toThrow('only a person of this device may: Ada')
  expect(await run(other, proof)).toMatchObject({ name: 'waiter' })
})

/** Something that waits on the device for an answer. */
async function waits(agents: DeviceAgents, kind: 'permission' | 'question', id: string) {
  const approvals = await agents.approvals()
  const times = { askedMs: realClock.nowMs(), expiresMs: realClock.nowMs() + 600_000 }
  const asked = { id, agent: 'waiter', kind, words: 'to unlock', choices: ['yes', 'no'], ...times }
  return { waiting: () => approvals?.waiting().map((one) => one.id), answer: approvals?.ask(asked, signal) }
}

test('[agent-calls-6] a yes to what an agent wants is taken of nobody who is not known, also where nobody is', async () => {
  const { agents, calls, entries, identity } = await device(undefined, false)
  const one = await waits(agents, 'permission', 'q1')
  const yes = (who: object) => calls.answer({ ask: 'approve', approval: 'q1', answer: 'yes', ...who }, signal)
  const todo = /say "ganglion approve q1 yes" on the device itself, or .*"ganglion person NAME"$/
  const local = (key: Identity, signed: string[]) => {
    const atMs = realClock.nowMs()
    const sig = key.sign(localBytes('hub', 'root', atMs, signed)).toString('base64')
    return { by: 'root', local: { atMs, sig } }
  }
  const other = Identity.open('hub', mkdtempSync(join(tmpdir(), 'other-')))
  const signedYes = ['approve', 'q1', 'yes']
  for (const who of [{ by: 'Ada' }, {}, local(other, signedYes), local(identity, ['approve', 'q1', 'no'])])
    await expect(yes(who)).rejects.toThrow(todo)
  await expect(yes({ by: 'Ada', pin: '2468' })).rejects.toThrow('Ada is no person of this device')
  // The gateway knows its people, and this is none of those who may answer.
  await expect(yes({ by: 'Bob', gateway: 'Bob', prove: true })).rejects.toThrow('log in at the gateway')
  expect(one.waiting()).toEqual(['q1'])
  expect(entries.filter(({ kind }) => kind === 'answered')).toEqual([])
  // Many who are sent away at once are one line: nobody fills the log.
  expect(entries.filter(({ kind }) => kind === 'sent-away')).toEqual([
    { kind: 'sent-away', ask: 'approve', approval: 'q1', by: 'claimed:Ada', reason: 'unproven' },
  ])
  await yes(local(identity, signedYes))
  expect(await one.answer).toMatchObject({ answer: 'yes', by: 'local:root' })
  const two = await waits(agents, 'permission', 'q2')
  await calls.answer({ ask: 'approve', approval: 'q2', answer: 'yes', by: 'Ada', gateway: 'Ada' }, signal)
  expect(await two.answer).toMatchObject({ answer: 'yes', by: 'gateway:Ada' })
})

test('[agent-calls-6] anybody says no; a question is answered by a name where nobody is known', async () => {
  const nobody = await device(undefined, false)
  const asked = await waits(nobody.agents, 'question', 'q1')
  const answer = (of: typeof nobody, approval: string, text: string, who: object) =>
    of.calls.answer({ ask: 'approve', approval, answer: text, ...who }, signal)
  await expect(answer(nobody, 'q1', 'yes', {})).rejects.toThrow('must say who answers')
  await answer(nobody, 'q1', 'yes', { by: 'Grace' })
  expect(await asked.answer).toMatchObject({ answer: 'yes', by: 'claimed:Grace' })
  const known = await device()
  for (const [id, who, by] of [
    ['q2', { by: 'Ada', pin: '1111' }, 'claimed:Ada'],
    ['q3', {}, 'claimed:nobody'],
    ['q4', { by: 'Bob', gateway: 'Bob', prove: true }, 'gateway:Bob'],
  ] as const) {
    const wanted = await waits(known.agents, 'permission', id)
    await expect(answer(known, id, 'yes', who)).rejects.toMatchObject({ code: 'forbidden' })
    await answer(known, id, 'no', who)
    expect(await wanted.answer).toMatchObject({ answer: 'no', by })
  }
  const question = await waits(known.agents, 'question', 'q5')
  await expect(answer(known, 'q5', 'no', { by: 'Grace' })).rejects.toThrow('only a person of this device')
  await answer(known, 'q5', 'no', proof)
  expect(await question.answer).toMatchObject({ answer: 'no', by: 'Ada' })
})

test('[agent-calls-3] of two answers at once one is on record, and what is no answer is not', async () => {
  const { agents, calls, entries } = await device()
  const approvals = await agents.approvals()
  const times = { askedMs: realClock.nowMs(), expiresMs: realClock.nowMs() + 600_000 }
  const question = {
    id: 'q1',
    agent: 'waiter',
    kind: 'permission' as const,
    words: 'to unlock',
    choices: ['yes', 'no'],
  }
  const answered = approvals?.ask({ ...question, ...times }, signal)
  const answer = (text: string) =>
    calls.answer({ ask: 'approve', approval: 'q1', answer: text, ...proof }, signal)
  await expect(answer('perhaps')).rejects.toThrow('none of the answers: yes, no')
  const results = await Promise.allSettled([answer('no'), answer('yes')])
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
  expect(await answered).toMatchObject({ answer: 'no', by: 'Ada' })
  expect(entries.filter(({ kind }) => kind === 'answered').map(({ answer: text }) => text)).toEqual(['no'])
})

test('[names-1] an agent whose name another device’s has is not begun, and the line says where that one is', async () => {
  const { atticHas, calls, entries, site, text } = await device(undefined, false)
  await calls.answer({ ask: 'stop', name: 'waiter' }, signal)
  atticHas('waiter')
  const before = entries.length
  const line =
    'an agent called waiter runs on attic, and a home has one of a name: stop that one, or run this one under another name with --as'
  const begun = { ask: 'run', bundle: await text(source), grants: both }
  await expect(calls.answer(begun, signal)).rejects.toThrow(line)
  await expect(calls.answer({ ask: 'resume', name: 'waiter' }, signal)).rejects.toThrow('stop that one first')
  expect(entries).toHaveLength(before)
  atticHas()
  await calls.answer({ ask: 'resume', name: 'waiter' }, signal)
  // Begun there before that device heard of it.
  atticHas('waiter')
  expect(await calls.answer({ ask: 'list' }, signal)).toMatchObject({
    agents: [
      { state: 'running', problem: expect.stringContaining('another agent called waiter runs on attic') },
    ],
  })
  // Told to all who look, with the next that changes here.
  await calls.answer({ ask: 'grant', name: 'waiter', deny: ['lock.*:command'] }, signal)
  const problem = expect.stringContaining('another agent called waiter runs on attic')
  await vi.waitFor(() => expect(site.at(-1)?.agents).toMatchObject([{ problem }]), 20_000)
})

test('[agent-calls-3] it is on record whether what happens to an agent is recorded, also where that is so of all', async () => {
  for (const recordsAll of [false, true]) {
    const { entries } = await device(undefined, false, recordsAll)
    expect(entries).toContainEqual(expect.objectContaining({ ask: 'run', record: recordsAll }))
  }
})

test('what cannot be done now is told in words of its own', async () => {
  const { agents, calls } = await device(undefined, false)
  await agents[Symbol.asyncDispose]()
  const told = { code: 'unavailable', message: 'the device is stopping' }
  await expect(calls.answer({ ask: 'list' }, signal)).rejects.toMatchObject(told)
})

test('[agent-calls-3] what a full disk takes no record of is not done, and says what to do, but what makes an agent do less', async () => {
  const { agents, calls, gate } = await device()
  const full = async () => {
    throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
  }
  gate.recorded = full
  const waiter = { name: 'waiter', ...proof }
  const more = { ask: 'grant', allow: '[{"capability":"lock.*:command"}]' }
  const unrecorded = expect.stringMatching(/ENOSPC.*free some space on it$/)
  expect(await calls.answer({ ask: 'grant', deny: ['lock.*:command'], ...waiter }, signal)).toMatchObject({
    grants: '[{"capability":"light.*:command"}]',
    unrecorded,
  })
  for (const ask of [{ ask: 'remove' }, { ask: 'resume' }, more])
    await expect(calls.answer({ ...ask, ...waiter }, signal)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/^nothing was done: .*ENOSPC.*free some space on it and try again$/),
    })
  expect((await agents.get()).list()).toMatchObject([{ state: 'running' }])
  expect(await calls.answer({ ask: 'stop', ...waiter }, signal)).toEqual({ name: 'waiter', unrecorded })
  expect((await agents.get()).list()).toMatchObject([
    { state: 'stopped', grants: '[{"capability":"light.*:command"}]' },
  ])
})

test('[agent-calls-3] a no is taken also where a full disk takes no record of it, and a yes is not', async () => {
  const { agents, calls, gate } = await device()
  const approvals = await agents.approvals()
  const id = 'waiter-1'
  const asked = { id, agent: 'waiter', kind: 'permission', words: 'unlock the door' } as const
  const times = { askedMs: Date.now(), expiresMs: Date.now() + 60_000 }
  const answer = approvals?.ask({ ...asked, ...times, choices: ['yes', 'no'] }, signal)
  gate.recorded = async () => {
    throw new Error('ENOSPC: no space left on device, write')
  }
  const said = (what: string) =>
    calls.answer({ ask: 'approve', approval: id, answer: what, ...proof }, signal)
  await expect(said('yes')).rejects.toThrow(/^nothing was done: .*ENOSPC/)
  expect(await said('no')).toMatchObject({ answer: 'no', unrecorded: expect.stringContaining('ENOSPC') })
  expect(await answer).toMatchObject({ state: 'answered', answer: 'no' })
})
