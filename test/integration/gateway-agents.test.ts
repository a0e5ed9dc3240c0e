/** Agents at the gateway: what devices tell of them, who may answer what they ask, and what is refused. */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Gateway } from '../../gateway/gateway.ts'
import { hashPassword } from '../../runtime/base/password.ts'
import type { AgentsNow } from '../../runtime/wire/agents-now.ts'
import { until } from './broker-raw.ts'
import { ask, openGateway, post, ScriptedDevice } from './gateway-device.ts'
import { Page } from './gateway-page.ts'

const adaToken = 'ada-has-a-token-of-her-own'
const bobToken = 'bob-is-nine-years-old-now'
const graceToken = 'grace-keeps-only-a-hash'

const agentNamed = (name: string, changes: object = {}) => ({
  ...{ name, state: 'running', program: 'a'.repeat(64), token: 1, turns: 3, startedMs: 1_700_000_000_000 },
  ...{
    waiting: [{ op: 'on', count: 1 }],
    inMemory: true,
    grants: ['turn all lights on and off'],
    moreGrants: 0,
  },
  ...changes,
})
const question = {
  ...{
    id: 'q1',
    agent: 'night-watch',
    kind: 'permission',
    words: 'command lock.front_door: state "unlocked"',
  },
  ...{ choices: ['yes', 'no'], askedMs: 1_700_000_000_000, expiresMs: 4_000_000_000_000 },
}
const told = (changes: Partial<Record<keyof AgentsNow, unknown>> = {}) => ({
  ...{ v: 1, ts: 1_700_000_000_000, agents: [agentNamed('night-watch')], more: 0, approvals: [] },
  ...changes,
})
const decided = (changes: object = {}) => ({
  ...{ v: 1, id: `e${Math.random()}`, ts: 1_700_000_000_000, decision: 'd1', kind: 'auction' },
  ...{
    subject: 'heat-pump',
    opener: 'dev-1',
    members: 3,
    quorum: 2,
    decided: true,
    winner: 'dev-2',
    price: 4,
  },
  ...{ reason: 'dev-2 offered most', notes: [], atMs: 1_700_000_000_000 },
  ...changes,
})

let gateway: Gateway
let device: ScriptedDevice
let url: string

async function open(options: Parameters<typeof openGateway>[0] = {}): Promise<void> {
  gateway = await openGateway(options)
  device = await ScriptedDevice.open(gateway.mqttUrl)
  url = gateway.httpUrl
  await device.online()
  await until('seen', () => gateway.health().devices[0]?.availability === 'online')
}
const tell = (now: object) => device.retain(device.topics.agents('dev-1'), now)
const event = (from: ScriptedDevice, kind: string, payload: object) =>
  from.client.publishAsync(from.topics.event(from.id, kind), JSON.stringify(payload), { qos: 1 })
const agents = async () => (await ask(`${url}/api/agents`)).body
const ofDevice = async () => (await agents()).devices[0]

afterEach(async () => {
  await device[Symbol.asyncDispose]()
  await gateway[Symbol.asyncDispose]()
})

describe('what devices tell', () => {
  beforeEach(() => open())

  it('[api-12] is there at once for a page that comes, and told to those that listen', async () => {
    using page = await Page.open(url)
    await tell(told())
    await until('told', () => page.of('agents').length === 1)
    expect(page.of('agents')[0]?.data).toMatchObject({ device: 'dev-1', agents: [{ name: 'night-watch' }] })
    await tell(told({ agents: [agentNamed('night-watch', { state: 'failed', reason: 'it threw' })] }))
    await until('told', () => page.of('agents').length === 2)
    expect(await ofDevice()).toMatchObject({
      device: 'dev-1',
      agents: [{ state: 'failed', reason: 'it threw', grants: ['turn all lights on and off'] }],
    })
  })

  it('[api-12] stays known of a device that is gone, until the device takes it back', async () => {
    using page = await Page.open(url)
    await tell(told({ approvals: [question] }))
    await device.availability('offline')
    await until('gone', () => gateway.health().devices[0]?.availability === 'offline')
    expect(await ofDevice()).toMatchObject({ agents: [{ name: 'night-watch' }], approvals: [{ id: 'q1' }] })
    expect(await post(`${url}/api/devices/dev-1/approvals/q1`, { answer: 'yes', by: 'Ada' })).toMatchObject({
      ...{ status: 503, body: { error: { code: 'no-device' } } },
    })
    await device.client.publishAsync(device.topics.agents('dev-1'), '', { qos: 1, retain: true })
    await until('taken back', () => page.of('agents').some(({ data }) => !('agents' in data)))
    expect((await agents()).devices).toEqual([])
  })

  it('[api-1] of the wrong shape, or too much of it, is dropped and counted', async () => {
    for (const bad of [
      told({ agents: [agentNamed('x', { state: 'asleep' })] }),
      told({ agents: Array.from({ length: 101 }, (_, n) => agentNamed(`a${n}`)) }),
      told({ agents: [agentNamed('x', { grants: ['x'.repeat(70_000)] })] }),
      { v: 2 },
    ])
      await tell(bad)
    await event(device, 'approval', { state: 'yes' })
    await event(device, 'decision', { v: 1, decided: 'perhaps' })
    await until('counted', () => gateway.health().badMessages >= 6)
    expect((await agents()).devices).toEqual([])
  })

  it('how a question ended is told once, with who answered', async () => {
    using page = await Page.open(url)
    const { id: approval, ...rest } = question
    const ended = {
      v: 1,
      id: 'e1',
      ts: 1_700_000_000_500,
      approval,
      ...rest,
      state: 'yes',
      by: 'gateway:Ada',
    }
    await event(device, 'approval', { ...ended, id: 'e0', state: 'asked', by: undefined })
    for (const _ of [1, 2]) await event(device, 'approval', ended)
    await event(device, 'approval', { ...ended, approval: 'q2', state: 'expired', by: undefined })
    await until('both told', () => page.of('approval').length === 2)
    expect(page.of('approval').map(({ data }) => [data.approval, data.state, data.by])).toEqual([
      ['q1', 'yes', 'gateway:Ada'],
      ['q2', 'expired', undefined],
    ])
    expect((await agents()).over.map((one: { approval: string }) => one.approval)).toEqual(['q2', 'q1'])
  })

  it('a decision that several devices tell is one, as its opener tells it, and who differs is named', async () => {
    using page = await Page.open(url)
    await using second = await ScriptedDevice.open(gateway.mqttUrl, 'dev-2')
    const lie = { decided: false, winner: undefined, price: undefined, reason: 'no quorum' }
    await event(second, 'decision', decided(lie))
    await until('told', () => page.of('decision').length === 1)
    for (const _ of [1, 2]) await event(device, 'decision', decided())
    await until('told', () => page.of('decision').length === 2)
    const { decisions } = (await ask(`${url}/api/decisions`)).body
    expect(decisions).toHaveLength(1)
    expect(decisions[0]).toMatchObject({
      ...{ decision: 'd1', winner: 'dev-2', reason: 'dev-2 offered most', toldBy: ['dev-2', 'dev-1'] },
      differing: [{ device: 'dev-2', decided: false, reason: 'no quorum' }],
    })
    expect(page.of('decision')[1]?.data).toEqual(decisions[0])
  })

  it('[api-2] keeps a hundred decisions, the newest', async () => {
    for (let n = 0; n < 105; n += 1) await event(device, 'decision', decided({ decision: `d${n}` }))
    await until('the last', async () => {
      const { decisions } = (await ask(`${url}/api/decisions`)).body
      return decisions[0]?.decision === 'd104' && decisions.length === 100
    })
  })

  it('shared facts are asked of a device that has a board, and a change of one is told', async () => {
    using page = await Page.open(url)
    const fact = { key: 'heat.wish', value: 21, version: 1, author: 'dev-1', tsMs: 1, untilMs: 4e12 }
    device.answer = ({ method }) =>
      method === 'board' ? { result: { facts: [fact], more: false, count: 1, refused: 0 } } : undefined
    await device.client.publishAsync(device.topics.board('heat.wish'), 'anything', { qos: 1 })
    await until('told', () => page.of('board').length === 1)
    expect((await ask(`${url}/api/board`)).body).toEqual({ device: 'dev-1', facts: [fact], more: false })
    device.answer = () => ({ error: { code: 'unsupported', message: 'no board here' } })
    expect((await ask(`${url}/api/board`)).body).toEqual({ facts: [], more: false })
    device.answer = () => ({ result: { facts: 'many' } })
    expect((await ask(`${url}/api/board`)).status).toBe(502)
  })
})

describe('who may answer', () => {
  let people: object[]
  beforeAll(async () => {
    const dir = mkdtempSync(join(tmpdir(), 'ganglion-people-'))
    const file = (name: string, token: string) => {
      writeFileSync(join(dir, name), token)
      return join(dir, name)
    }
    people = [
      { name: 'Ada', tokenFile: file('ada', adaToken) },
      { name: 'Bob', tokenFile: file('bob', bobToken), answers: false },
      { name: 'Grace', tokenHash: await hashPassword(graceToken) },
    ]
  })
  beforeEach(() => open({ section: { people } }))

  const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
  const answer = (body: object, headers: Record<string, string> = {}) =>
    post(`${url}/api/devices/dev-1/approvals/q1`, body, headers)
  const takes = () => {
    device.answer = ({ approval, answer, by }) => ({
      result: { approval, answer, agent: 'night-watch', words: 'to unlock', by: by ?? 'nobody' },
    })
  }

  it('[api-13] a person with a token of their own, whose name the device is told by the gateway', async () => {
    takes()
    for (const [token, name] of [
      [adaToken, 'Ada'],
      [graceToken, 'Grace'],
    ] as const) {
      expect(await answer({ answer: 'yes' }, bearer(token))).toMatchObject({ status: 200 })
      expect(device.calls.at(-1)).toMatchObject({
        ...{ method: 'agent', ask: 'approve', approval: 'q1', answer: 'yes' },
        ...{ by: name, gateway: name },
      })
    }
    await post(`${url}/api/devices/dev-1/agents/night-watch/stop`, {}, bearer(adaToken))
    expect(device.calls.at(-1)).toMatchObject({ ask: 'stop', gateway: 'Ada' })
  })

  it('[api-13] nobody else: one line says why, and the device hears nothing of it', async () => {
    takes()
    const refused = [
      [await answer({ answer: 'yes' }), 401, 'unauthorized', /^only a person of this household may answer/],
      [await answer({ answer: 'yes', by: 'Ada' }), 401, 'unauthorized', /log in with your own token$/],
      [await answer({ answer: 'yes' }, bearer('not-a-token-of-anybody')), 401, 'unauthorized', /own token$/],
      [await answer({ answer: 'yes' }, bearer(bobToken)), 403, 'forbidden', /^Bob may not answer/],
      [await answer({ answer: 'yes', gateway: 'Ada' }), 400, 'bad-request', /gateway/],
      [await answer({ answer: '' }, bearer(adaToken)), 400, 'bad-request', /answer/],
      [await answer({ answer: 'y'.repeat(65) }, bearer(adaToken)), 400, 'bad-request', /answer/],
      [await answer({ answer: 'y'.repeat(70_000) }, bearer(adaToken)), 413, 'too-large', /too large/],
    ] as const
    for (const [{ status, body }, expected, code, line] of refused) {
      expect([status, body.error.code]).toEqual([expected, code])
      expect(body.error.message).toMatch(line)
      expect(body.error.message).not.toContain('\n')
      expect(body.error.message).not.toContain('token-of-anybody')
    }
    expect(device.calls).toEqual([])
  })

  it('[api-13] a no needs nobody who is known: the device says whether it is one to what an agent wants', async () => {
    takes()
    expect(await answer({ answer: 'no' })).toMatchObject({ status: 200 })
    expect(await answer({ answer: 'no' }, bearer(bobToken))).toMatchObject({ status: 200 })
    expect(device.calls).toMatchObject([
      { ask: 'approve', answer: 'no', prove: true },
      { ask: 'approve', answer: 'no', prove: true, gateway: 'Bob' },
    ])
  })

  it('[api-13] what the device itself can check is passed on for it to check', async () => {
    takes()
    expect(await answer({ answer: 'no', by: 'Ada', pin: '1234' })).toMatchObject({ status: 200 })
    expect(device.calls[0]).toMatchObject({ by: 'Ada', pin: '1234' })
    expect(device.calls[0]).not.toHaveProperty('gateway')
    // A device that knows nobody must not take a signature that proves nothing for a claim that will do.
    const local = { atMs: 0, sig: `${'A'.repeat(86)}==` }
    await answer({ answer: 'yes', by: 'Ada', local }, bearer(bobToken))
    await post(`${url}/api/devices/dev-1/agents/night-watch/stop`, { by: 'Ada' })
    expect(device.calls.slice(1)).toMatchObject([
      { ask: 'approve', local, prove: true },
      { ask: 'stop', prove: true },
    ])
    device.answer = () => ({ error: { code: 'forbidden', message: 'that is not the PIN of Ada' } })
    expect(await answer({ answer: 'no', by: 'Ada', pin: '9999' })).toMatchObject({
      ...{ status: 403, body: { error: { code: 'forbidden', message: 'that is not the PIN of Ada' } } },
    })
  })

  it('a page logs in as a person, knows who it is, and logs out', async () => {
    takes()
    const session = (cookie?: string) => ask(`${url}/api/session`, cookie ? { headers: { cookie } } : {})
    expect((await session()).body).toMatchObject({ answers: false })
    expect((await post(`${url}/api/session`, { token: 'wrong-wrong-wrong' })).status).toBe(401)
    const login = await post(`${url}/api/session`, { token: graceToken })
    const cookie = login.headers.get('set-cookie')?.split(';')[0] ?? ''
    expect(login.headers.get('set-cookie')).toMatch(/HttpOnly; SameSite=Strict/)
    expect((await session(cookie)).body).toEqual({ person: 'Grace', answers: true })
    expect(await answer({ answer: 'yes' }, { cookie })).toMatchObject({ status: 200 })
    expect(device.calls[0]).toMatchObject({ gateway: 'Grace' })
    const [name = '', proof = ''] = cookie.slice('ganglion_session='.length).split('.')
    const forged = `ganglion_session=${Buffer.from('Ada').toString('base64url')}.${proof}`
    expect(name).toBe(Buffer.from('Grace').toString('base64url'))
    expect((await session(forged)).body).toMatchObject({ answers: false })
    const out = await ask(`${url}/api/session`, { method: 'DELETE' })
    expect(out.headers.get('set-cookie')).toMatch(/^ganglion_session=; .*Max-Age=0/)
  })

  it('[api-14] who shows many wrong tokens is not listened to for a while, also with the right one', async () => {
    takes()
    const guess = (n: number) => answer({ answer: 'yes' }, bearer(`guess-number-${n}-of-many`))
    const seen: number[] = []
    for (let n = 0; n < 80 && seen.at(-1) !== 429; n += 1) seen.push((await guess(n)).status)
    expect(seen.slice(0, 20)).toEqual(Array.from({ length: 20 }, () => 401))
    expect(seen.at(-1)).toBe(429)
    expect((await answer({ answer: 'yes' }, bearer(adaToken))).body.error).toMatchObject({ code: 'busy' })
    expect(device.calls).toEqual([])
  })
})

describe('without people who are known by name', () => {
  it('[api-13] a name is passed on as what it is: a claim', async () => {
    await open()
    device.answer = () => ({
      result: { approval: 'q1', answer: 'yes', agent: 'a', words: 'w', by: 'claimed:Ada' },
    })
    const said = await post(`${url}/api/devices/dev-1/approvals/q1`, { answer: 'yes', by: 'Ada' })
    expect(said.body).toMatchObject({ by: 'claimed:Ada' })
    expect(device.calls[0]).toMatchObject({ by: 'Ada' })
    expect(device.calls[0]).not.toHaveProperty('gateway')
    expect((await ask(`${url}/api/session`)).body).toEqual({ answers: true })
  })

  it('[api-3] a device that does not answer in time is a deadline, and the answer is not sent later', async () => {
    await open({ deadlines: { agentMs: 200 } })
    const late = await post(`${url}/api/devices/dev-1/approvals/q1`, { answer: 'yes', by: 'Ada' })
    expect([late.status, late.body.error.code]).toEqual([504, 'deadline'])
    expect(device.calls).toHaveLength(1)
  })
})
