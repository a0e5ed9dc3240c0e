/** What is said in the simulated home, through the shipped agent `assistant` and without it. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { boards } from '../../boards/index.ts'
import { createHal } from '../../hal/index.ts'
import { evaluate } from '../../runtime/assistant/evaluation.ts'
import { readHomeTests } from '../../runtime/assistant/home-tests.ts'
import type { ActuationRequest } from '../../runtime/things/actuation.ts'
import { check, commandEvent, sayResult } from '../../runtime/wire/messages.ts'
import { grantsBut, SpokenHomes } from '../fixtures/agent/spoken-home.ts'
import { openSimHome } from '../fixtures/sim-home.ts'

const signal = new AbortController().signal
const atDevice = { principal: 'user' }
const overNetwork = { principal: 'mqtt:user', viaNetwork: true, withinMs: 60_000 }

let homes: SpokenHomes
let given: ActuationRequest[]
beforeAll(async () => {
  homes = await SpokenHomes.open()
  await homes.run()
})
afterAll(() => homes[Symbol.asyncDispose]())
beforeEach(() => {
  given = []
  homes.events.length = 0
  homes.beforeCommand = (request) => {
    given.push(request)
  }
})

/** Begins another assistant in the place of the one that runs. */
async function instead(grants?: string, body?: string): Promise<void> {
  const agents = await homes.agents.get()
  await agents.stop('assistant')
  await homes.run(grants, body)
}

async function say(text: string, options: Parameters<typeof homes.say>[2] = atDevice) {
  const home = await openSimHome()
  const result = await homes.say(home, text, options, signal)
  return { ...home, result, state: (id: string) => home.registry.get(id)?.telemetry.state }
}

describe('the assistant', () => {
  it('does what the tests of the home say as it is done without it [assistant-agent-1]', async () => {
    const all = readHomeTests(fileURLToPath(new URL('../fixtures/home/intents', import.meta.url)))
    const some = all.filter((_, at) => at % 12 === 0)
    const through = await evaluate(some, createHal(boards), signal, () => {}, homes.say)
    const direct = await evaluate(some, createHal(boards), signal)
    expect(given.length).toBeGreaterThan(some.length / 2)
    expect(given.every(({ principal }) => principal === 'agent:assistant')).toBe(true)
    expect(through.failures).toEqual(direct.failures)
    expect(through).toMatchObject({ total: some.length, passed: direct.passed })
  })

  it('tells each step as it is told without it, by what was seen [assistant-1]', async () => {
    const { result, state } = await say('turn on the hall light')
    expect(result).toMatchObject({
      ...{ outcome: 'done', transcript: 'turn on the hall light', reading: expect.anything() },
      commands: [{ entity: 'light.hall', outcome: 'done', evidence: { observed: { state: 'on' } } }],
    })
    expect(state('light.hall')).toBe('on')
    const { events } = homes
    expect(events.map(({ stage }) => stage)).toEqual(['heard', 'understood', 'sent', 'verified', 'answered'])
    expect(new Set(events.map(({ run }) => run)).size).toBe(1)
    expect(check(sayResult, result)).toMatchObject({ ok: true })
    for (const event of events) expect(check(commandEvent, event)).toMatchObject({ ok: true })
  })

  it('gives commands to one thing in the order of what was said [assistant-agent-1]', async () => {
    const { result } = await say('turn on the radio and set the radio volume to 20')
    expect(result.commands.map(({ entity, outcome }) => [entity, outcome])).toEqual([
      ['media_player.radio', 'done'],
      ['media_player.radio', 'done'],
    ])
    expect(given.map(({ command }) => Object.keys(command))).toEqual(
      result.commands.map(({ command }) => Object.keys(command)),
    )
  })

  it('fails honestly, answers and asks back as it is done without it [assistant-2]', async () => {
    const home = await openSimHome()
    home.sim.fault('light.hall', { kind: 'stuck' })
    const stuck = await homes.say(home, 'turn on the hall light', atDevice, signal)
    expect(stuck.reply).toMatch(/^Hall Light did not do it: .*state off, not state on/)
    expect(stuck.outcome).toBe('failed')
    given.length = 0
    expect((await say('is the front door locked?')).result).toMatchObject({ outcome: 'done', commands: [] })
    expect((await say('turn on the flux capacitor')).result.outcome).toMatch(/refused|question/)
    expect(given).toEqual([])
  })

  it('commands with the rank of who spoke, over the network as at the device [assistant-8]', async () => {
    await say('turn on the hall light', overNetwork)
    await say('turn on the hall light', atDevice)
    expect(given.map(({ principal, onBehalfOf }) => [principal, onBehalfOf])).toEqual([
      ['agent:assistant', { principal: 'mqtt:user', viaNetwork: true }],
      ['agent:assistant', { principal: 'user', viaNetwork: false }],
    ])
  })

  it('says which grant it lacks, and nobody else does it [assistant-7]', async () => {
    await instead(grantsBut(/^lock\./))
    const { result, state } = await say('unlock the front door')
    expect(result).toMatchObject({ outcome: 'refused', commands: [{ outcome: 'refused' }] })
    expect(result.reply).toContain('lacks the grant lock.front:command')
    expect(state('lock.front')).toBe('locked')
    await instead(grantsBut(/^home:agent/))
    const deaf = await say('turn on the hall light')
    expect(deaf.result.outcome).toBe('failed')
    expect(deaf.result.reply).toContain('lacks the grant agent:home')
    expect(given).toEqual([])
    await instead()
  })

  it('is not told what the policy lets no agent hear, whatever it was granted [policy-2]', async () => {
    await using deaf = await SpokenHomes.open({ never: ['agent:home'] })
    const words = `for await (const { message, reply } of ctx.calls()) await reply({ outcome: 'done', reply: message.text })`
    await deaf.run('[{"capability":"agent:*"}]', words)
    const result = await deaf.say(await openSimHome(), 'turn on the hall light', atDevice, signal)
    expect(result).toMatchObject({ outcome: 'failed', commands: [] })
    expect(result.reply).toMatch(
      /^Nothing was done: the policy of this device lets no agent be told what is said/,
    )
  })

  it('tells in its own words only what was seen to be done [assistant-1]', async () => {
    await instead(
      undefined,
      `for await (const { message: { request }, reply } of ctx.calls()) {
        const { commands } = await ctx.call('home', { request })
        for (const { entity, command } of commands) await ctx.entity(entity).command(command, { request }).catch(() => {})
        await reply({ outcome: 'done', reply: 'It shines.' })
      }`,
    )
    expect((await say('turn on the hall light')).result).toMatchObject({
      outcome: 'done',
      reply: 'It shines.',
    })
    const home = await openSimHome()
    home.sim.fault('light.hall', { kind: 'stuck' })
    const stuck = await homes.say(home, 'turn on the hall light', atDevice, signal)
    expect(stuck.outcome).toBe('failed')
    expect(stuck.reply).toMatch(/^Hall Light did not do it/)
    await instead()
  })

  it('serves no other agent [assistant-agent-2]', async () => {
    const ask = `ctx.call('assistant', { request: 'id', text: 'turn on the hall light' })`
    const lookUp = `ctx.call('home', { request: 'id' }).catch(({ code }) => code)`
    const grants = '[{"capability":"agent:*"}]'
    await homes.run(grants, `return [await ${ask}, await ${lookUp}]`, 'eve')
    const agents = await homes.agents.get()
    const reason = () => agents.list().find(({ name, state }) => name === 'eve' && state === 'ended')?.reason
    await expect.poll(reason, { timeout: 20_000 }).toBeDefined()
    expect(JSON.parse(reason() ?? '')).toMatchObject([{ outcome: 'refused' }, 'refused'])
    expect(given).toEqual([])
  })

  it('leaves no word in a log, the audit record or its memory [assistant-3]', async () => {
    const { result } = await say('add zebulon to the shopping list')
    expect(result.outcome).toBe('done')
    const written = readdirSync(homes.directory, { recursive: true, encoding: 'utf8' })
      .map((name) => join(homes.directory, name))
      .filter((path) => statSync(path).isFile() && !path.includes('agents.db'))
      .map((path) => readFileSync(path, 'latin1'))
    expect(written.length).toBeGreaterThan(3)
    expect([...written, ...homes.lines].join()).not.toContain('zebulon')
  })
})

describe('without the assistant', () => {
  it('that a person stopped, it is done by the device itself [assistant-7]', async () => {
    const agents = await homes.agents.get()
    await agents.stop('assistant')
    expect((await say('turn on the hall light')).result.outcome).toBe('done')
    expect(given.map(({ principal }) => principal)).toEqual(['user'])
    await agents.resume('assistant')
    await homes.waits()
    expect((await say('turn on the hall light')).result.outcome).toBe('done')
    expect(given.map(({ principal }) => principal)).toEqual(['user', 'agent:assistant'])
  })

  it('that has failed nothing is done, and what to do is said [assistant-7]', async () => {
    await instead(undefined, 'for await (const call of ctx.calls()) throw new Error("tired")')
    const failing = await say('turn on the hall light')
    expect(failing.result).toMatchObject({ outcome: 'uncertain', commands: [] })
    const after = await say('turn on the hall light')
    expect(after.result.outcome).toBe('failed')
    expect(after.result.reply).toMatch(
      /^Nothing was done: assistant has failed: .*tired.*agent resume assistant/,
    )
    expect(given).toEqual([])
    await homes.run()
  })
})

describe('a command', () => {
  it('under way when the agent ends is told as uncertain, and not given again [assistant-6]', async () => {
    const agents = await homes.agents.get()
    let stopped: Promise<void> | undefined
    homes.beforeCommand = (request) => {
      given.push(request)
      stopped = agents.stop('assistant')
    }
    const { result } = await say('turn on the hall light')
    expect(result.outcome).toBe('uncertain')
    expect(result.reply).toMatch(/^Nobody can tell what became of it: .*not tried again/)
    await stopped
    homes.beforeCommand = (request) => {
      given.push(request)
    }
    await agents.resume('assistant')
    await homes.waits()
    expect((await say('turn on the pump')).result.outcome).toBe('done')
    expect(given.map(({ entity }) => entity)).toEqual(['light.hall', 'switch.pump'])
  })

  it('under way when the device ends is looked for when it is back, and not given again [assistant-6]', async () => {
    let ended: Promise<void> | undefined
    homes.beforeCommand = (request) => {
      given.push(request)
      ended ??= homes.cutPower()
    }
    const { result } = await say('turn on the hall light and the pump')
    expect(result.outcome).toBe('uncertain')
    await ended
    const before = given.length
    await homes.start()
    await homes.waits()
    homes.beforeCommand = (request) => {
      given.push(request)
    }
    expect((await say('turn on the fan')).result.outcome).toBe('done')
    expect(given.slice(before).map(({ entity }) => entity)).toEqual(['fan.hall'])
  })

  it('that was not asked for, or was given already, is not given for who spoke [assistant-5]', async () => {
    await instead(
      undefined,
      `for await (const { message: { request }, reply } of ctx.calls()) {
        const give = (id, command) => ctx.entity(id).command(command, { request }).then(() => 'done', ({ message }) => message)
        await ctx.call('home', { request })
        const first = await give('light.hall', { state: 'on' })
        const told = [first, await give('light.hall', { state: 'on' }), await give('light.hall', { state: 'off' })]
        await reply({ reply: told.join(' | ') })
        const late = await give('light.hall', { state: 'on' })
        ctx.log(late)
      }`,
    )
    const { result, state } = await say('turn on the hall light')
    const refused = 'it was not asked for, or was given already'
    expect(result).toMatchObject({ outcome: 'done', reply: ['done', refused, refused].join(' | ') })
    expect(state('light.hall')).toBe('on')
    const agents = await homes.agents.get()
    await expect
      .poll(() => agents.log('assistant', 10).map(({ text }) => text), { timeout: 20_000 })
      .toEqual(['nobody waits any more for what was asked for'])
    expect(given).toHaveLength(1)
  })
})
