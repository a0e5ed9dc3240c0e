/** The HTTP API over real sockets with a scripted device; the numbers are those of gateway/api/README.md. */
import { mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Gateway } from '../../gateway/gateway.ts'
import { until } from './broker-raw.ts'
import { ask, eventOf, homeOf, openGateway, post, ScriptedDevice, said } from './gateway-device.ts'

let gateway: Gateway
let device: ScriptedDevice
const api = (path: string) => `${gateway.httpUrl}/api/${path}`

let stateDir: string
beforeEach(async () => {
  stateDir = mkdtempSync(join(tmpdir(), 'ganglion-api-'))
  gateway = await openGateway({
    section: { stateDir },
    deadlines: { sayMs: 400, hearMs: 5_000, statusMs: 400 },
  })
  device = await ScriptedDevice.open(gateway.mqttUrl)
})
afterEach(async () => {
  await device[Symbol.asyncDispose]()
  await gateway[Symbol.asyncDispose]()
})

const entities = async () => (await ask(api('entities'))).body
const known = (count: number) =>
  until(`${count} entities available`, async () => {
    const all = (await entities()).entities as { available: boolean }[]
    return all.filter(({ available }) => available).length === count
  })
async function online(): Promise<void> {
  await device.online()
  await known(2)
}

describe('reading', () => {
  it('entities carry area names, the last state, and whether they are available', async () => {
    await device.online()
    await known(2)
    const { devices, entities: list } = await entities()
    expect(devices).toMatchObject([{ id: 'dev-1', availability: 'online', home: homeOf('dev-1') }])
    expect(list[0]).toMatchObject({
      device: 'dev-1',
      id: 'light.ceiling',
      areaName: 'Kitchen',
      floor: 'Ground',
      state: 'off',
      attributes: { brightness: null },
      simulated: true,
      available: true,
    })
    expect(list[1]).toMatchObject({ id: 'sensor.cpu', unit: '°C', state: 'unknown', simulated: false })
  })

  it('a device whose will is published is offline, and nothing of it is available', async () => {
    await online()
    device.client.stream.destroy()
    await until('offline', async () => (await entities()).devices[0].availability === 'offline')
    expect((await entities()).entities.map((one: { available: boolean }) => one.available)).toEqual([
      false,
      false,
    ])
    const health = (await ask(api('health'))).body
    expect(health.problems).toContain('device dev-1 is offline')
  })

  it('health is ok with a device online and names board and counts', async () => {
    await online()
    const { status, body } = await ask(api('health'))
    expect(status).toBe(200)
    expect(body).toMatchObject({
      status: 'ok',
      version: '0.0.0-test',
      broker: { url: gateway.mqttUrl, connected: true, builtIn: true, clients: 3 },
      devices: [
        { id: 'dev-1', availability: 'online', board: 'virtual-linux', simulated: true, entities: 2 },
      ],
      problems: [],
    })
  })

  it('a removed home takes the device away', async () => {
    await online()
    await device.client.publishAsync(device.topics.home('dev-1'), '', { qos: 1, retain: true })
    await until('gone', async () => (await entities()).devices.length === 0)
  })

  it('[api-1] bad messages are dropped, counted and named in health', async () => {
    await online()
    const { topics } = device
    await device.client.publishAsync(topics.state('dev-1', 'light.ceiling'), 'not json', { qos: 1 })
    await device.retain(topics.state('dev-1', 'light.ceiling'), { v: 2, state: 'on', attributes: {}, ts: 1 })
    await device.retain(topics.home('dev-1'), homeOf('someone-else'))
    await device.client.publishAsync(topics.availability('dev-1'), 'maybe', { qos: 1 })
    await device.client.publishAsync(topics.event('dev-1', 'command'), '{}', { qos: 1 })
    await device.client.publishAsync('ganglion/gateway/reply', 'not cbor \xff', { qos: 0 })
    await until('counted', async () => (await ask(api('health'))).body.badMessages === 6)
    const { problems } = (await ask(api('health'))).body
    expect(problems.join('\n')).toMatch(/dev-1 sent 5 bad messages/)
    expect((await entities()).entities[0]).toMatchObject({ state: 'off', available: true })
  })

  it('[api-2] a device may not have more entities or states than the wire allows', async () => {
    await online()
    const many = Array.from({ length: 501 }, (_, n) => ({
      id: `light.n${n}`,
      kind: 'light',
      name: 'N',
      simulated: true,
    }))
    await device.retain(device.topics.home('dev-1'), homeOf('dev-1', { entities: many }))
    await until('refused', async () => (await ask(api('health'))).body.badMessages === 1)
    expect((await entities()).entities).toHaveLength(2)
  })
})

describe('say and command', () => {
  it('text reaches the only device that is online and its result comes back', async () => {
    await online()
    device.answer = ({ text }) => ({ result: said(String(text)) })
    const { status, body } = await post(api('say'), { text: 'lamp on', area: 'kitchen' })
    expect([status, body]).toEqual([200, said('lamp on')])
    expect(device.calls[0]).toMatchObject({
      method: 'say',
      text: 'lamp on',
      area: 'kitchen',
      deadlineMs: 400,
    })
  })

  it('without a device the answer says how to start one', async () => {
    const { status, body } = await post(api('say'), { text: 'lamp on' })
    expect(status).toBe(503)
    expect(body.error).toMatchObject({ code: 'no-device', message: expect.stringMatching(/start one/) })
  })

  it('with two devices online the request has to name one', async () => {
    await online()
    await using second = await ScriptedDevice.open(gateway.mqttUrl, 'dev-2')
    await second.online(homeOf('dev-2'))
    await known(4)
    const unnamed = await post(api('say'), { text: 'lamp on' })
    expect(unnamed.status).toBe(400)
    expect(unnamed.body.error.message).toContain('dev-1, dev-2')
    second.answer = () => ({ result: said('x') })
    expect((await post(api('say'), { text: 'x', device: 'dev-2' })).status).toBe(200)
    const both = await post(api('entities/light.ceiling/command'), { command: { state: 'on' } })
    expect(both.status).toBe(400)
  })

  it.each([
    ['a device that is not there', { text: 'x', device: 'nobody' }, 404],
    ['no text', { text: ' ' }, 400],
    ['too much text', { text: 'x'.repeat(501) }, 400],
    ['a wrong type', { text: 7 }, 400],
    ['an unknown field', { text: 'x', volume: 3 }, 400],
  ])('say with %s is refused', async (_name, body, status) => {
    await online()
    expect((await post(api('say'), body)).status).toBe(status)
    expect(device.calls).toEqual([])
  })

  it('[api-3] a device that does not answer is a deadline, and its late answer is ignored', async () => {
    await online()
    let release: () => void = () => {}
    device.answer = () =>
      new Promise((resolve) => {
        release = () => resolve({ result: said('late') })
      })
    const { status, body } = await post(api('say'), { text: 'x' })
    expect([status, body.error.code]).toEqual([504, 'deadline'])
    release()
    device.answer = () => ({ result: said('next') })
    expect((await post(api('say'), { text: 'x' })).body.transcript).toBe('next')
  })

  it('[api-3] a call to a device that just left is not kept for its return', async () => {
    const away = await ScriptedDevice.open(gateway.mqttUrl, 'dev-2', false)
    await away.online(homeOf('dev-2'))
    await known(2)
    await away.client.endAsync()
    expect((await post(api('say'), { text: 'stale', device: 'dev-2' })).status).toBe(504)
    await using back = await ScriptedDevice.open(gateway.mqttUrl, 'dev-2', false)
    back.answer = () => ({ result: said('x') })
    expect((await post(api('say'), { text: 'fresh', device: 'dev-2' })).status).toBe(200)
    expect(back.calls.map(({ text }) => text)).toEqual(['fresh'])
  })

  it('[api-4] an answer of another shape is device-failed', async () => {
    await online()
    device.answer = () => ({ result: { outcome: 'maybe' } })
    expect(await post(api('say'), { text: 'x' })).toMatchObject({
      status: 502,
      body: { error: { code: 'device-failed' } },
    })
  })

  it.each([
    ['bad-request', 400],
    ['not-found', 404],
    ['unsupported', 422],
    ['unavailable', 503],
    ['deadline', 504],
    ['internal', 502],
  ])("the device's error %s is answered with status %i", async (code, status) => {
    await online()
    device.answer = () => ({ error: { code, message: 'the reason' } })
    expect(await post(api('say'), { text: 'x' })).toMatchObject({
      status,
      body: { error: { message: 'the reason' } },
    })
  })

  it('a command goes to the device that has the entity, and a refusal is a report, not an error', async () => {
    await online()
    const report = {
      entity: 'light.ceiling',
      command: { state: 'on' },
      outcome: 'refused',
      evidence: { expected: 'state on', attempts: 0, reason: 'lease taken' },
      latencyMs: 1,
    }
    device.answer = () => ({ result: report })
    const { status, body } = await post(api('entities/light.ceiling/command'), { command: { state: 'on' } })
    expect([status, body]).toEqual([200, report])
    expect(device.calls[0]).toMatchObject({
      method: 'command',
      entity: 'light.ceiling',
      command: { state: 'on' },
    })
    expect((await post(api('entities/light.attic/command'), { command: {} })).status).toBe(404)
  })

  it('[api-9] a fault reaches a simulated entity, and never a real one', async () => {
    await online()
    device.answer = () => ({ result: {} })
    const set = await post(api('entities/light.ceiling/fault'), { fault: { kind: 'stuck' } })
    expect([set.status, set.body]).toEqual([200, { entity: 'light.ceiling', fault: { kind: 'stuck' } }])
    await post(api('entities/light.ceiling/fault'), { fault: null })
    expect(device.calls.map(({ fault }) => fault)).toEqual([{ kind: 'stuck' }, null])
    expect((await post(api('entities/sensor.cpu/fault'), { fault: { kind: 'stuck' } })).status).toBe(409)
    expect((await post(api('entities/light.ceiling/fault'), { fault: { kind: 'rust' } })).status).toBe(400)
    expect(device.calls).toHaveLength(2)
  })

  it('status of a device is checked and passed on', async () => {
    await online()
    const result = {
      device: { id: 'dev-1', board: 'b', recognisedBy: 'r', simulated: true, version: '1', uptimeMs: 1 },
      processes: [],
      models: [],
      link: { connected: true, broker: 'b', outboxEvents: 0, outboxBytes: 0, outboxDropped: 0 },
      problems: [],
    }
    device.answer = () => ({ result })
    expect((await ask(api('devices/dev-1/status'))).body).toEqual(result)
    expect((await ask(api('devices/nobody/status'))).status).toBe(404)
  })
})

describe('[api-7] recordings', () => {
  const wav = Buffer.concat([Buffer.from('RIFF\0\0\0\0WAVEfmt '), Buffer.alloc(100_000, 7)])
  const upload = (body: Buffer, type = 'audio/wav', query = '') =>
    ask(api(`hear${query}`), {
      method: 'POST',
      headers: { 'content-type': type },
      body: new Uint8Array(body),
    })

  const ticketUrl = (call: Record<string, unknown>) => api(`tickets/${call['ticket']}`)

  it('the device fetches the recording by its ticket, which ends with the call', async () => {
    await online()
    let url = ''
    let fetched: Buffer | undefined
    device.answer = async (call) => {
      url = ticketUrl(call)
      fetched = Buffer.from(await (await fetch(url)).arrayBuffer())
      return { result: said('lamp on') }
    }
    const { status, body } = await upload(wav, 'audio/wav', '?area=kitchen')
    expect([status, body.transcript]).toEqual([200, 'lamp on'])
    expect(fetched?.equals(wav)).toBe(true)
    expect(device.calls[0]).toMatchObject({ method: 'hear', area: 'kitchen' })
    expect((await ask(url)).status).toBe(404)
    expect(readdirSync(join(stateDir, 'recordings'))).toEqual([])
  })

  it('a ticket is good for three fetches', async () => {
    await online()
    const statuses: number[] = []
    device.answer = async (call) => {
      for (let n = 0; n < 4; n += 1) statuses.push((await ask(ticketUrl(call))).status)
      return { result: said('x') }
    }
    await upload(wav)
    expect(statuses).toEqual([200, 200, 200, 404])
  })

  it.each([
    ['not WAV', Buffer.alloc(1000, 1), 'audio/wav', 400],
    ['empty', Buffer.alloc(0), 'audio/wav', 400],
    ['of another type', wav, 'audio/mpeg', 415],
  ])('a recording that is %s is refused', async (_name, body, type, status) => {
    await online()
    expect((await upload(body, type)).status).toBe(status)
    expect(device.calls).toEqual([])
  })

  it('an upload that announces too much is refused before it is read', async () => {
    await online()
    const status = await new Promise<number>((resolve, reject) => {
      const headers = { 'content-type': 'audio/wav', 'content-length': String(257 * 1024 * 1024) }
      const sent = request(api('hear'), { method: 'POST', headers }, (response) => {
        resolve(response.statusCode ?? 0)
        sent.destroy()
      })
      sent.on('error', reject)
      sent.write(wav)
    })
    expect(status).toBe(413)
  })
})

describe('[api-5] other sites', () => {
  const raw = (headers: Record<string, string>, method = 'GET', path = '/api/health') =>
    new Promise<number>((resolve, reject) => {
      const sent = request(`${gateway.httpUrl}${path}`, { method, headers }, (response) => {
        response.resume()
        resolve(response.statusCode ?? 0)
      })
      sent.on('error', reject)
      sent.end(method === 'POST' ? '{"text":"x"}' : undefined)
    })
  const json = { 'content-type': 'application/json' }

  it.each(['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example:80'])(
    'the host name %o is not ours',
    async (host) => {
      expect(await raw({ host })).toBe(403)
      expect(await raw({ host }, 'GET', '/')).toBe(403)
    },
  )

  it.each(['localhost', '127.0.0.1:1', '[::1]:80', '192.168.1.5:8080'])('the host %o is', async (host) => {
    expect(await raw({ host })).toBe(200)
  })

  it("another site's page may not change anything, our own may", async () => {
    const say = (headers: Record<string, string>) => raw({ ...json, ...headers }, 'POST', '/api/say')
    expect(await say({ origin: 'http://evil.example' })).toBe(403)
    expect(await say({ origin: 'null' })).toBe(403)
    expect(await say({ 'sec-fetch-site': 'cross-site' })).toBe(403)
    // 503: past the gate, no device is online.
    expect(await say({ origin: gateway.httpUrl, 'sec-fetch-site': 'same-origin' })).toBe(503)
    expect(await say({})).toBe(503)
  })

  it('a form may not post', async () => {
    expect(await raw({ 'content-type': 'text/plain' }, 'POST', '/api/say')).toBe(415)
    expect(await raw({ 'content-type': 'application/x-www-form-urlencoded' }, 'POST', '/api/say')).toBe(415)
  })

  it('every answer carries the security headers, errors and pages too', async () => {
    for (const path of ['/api/health', '/api/nothing', '/']) {
      const { headers } = await ask(`${gateway.httpUrl}${path}`)
      expect(headers.get('content-security-policy')).toContain("default-src 'none'")
      expect(headers.get('x-content-type-options')).toBe('nosniff')
    }
  })

  it.each([
    ['a body that is not JSON', '{', 400],
    ['a body that is too large', JSON.stringify({ text: 'x'.repeat(70_000) }), 413],
  ])('%s is one line', async (_name, body, status) => {
    const reply = await ask(api('say'), { method: 'POST', headers: json, body })
    expect(reply.status).toBe(status)
    expect(reply.body.error.message).not.toContain('\n')
  })
})

describe('the command timeline', () => {
  it('recent runs have each event once, newest run first, in the order of their times', async () => {
    await device.event(eventOf('e2', 'r1', { stage: 'understood', sinceMs: 5 }))
    await device.event(eventOf('e1', 'r1', { stage: 'heard', sinceMs: 0, text: 'lamp on' }))
    await device.event(eventOf('e1', 'r1', { stage: 'heard', sinceMs: 0, text: 'lamp on' }))
    await device.event(eventOf('e3', 'r2'))
    await until('both runs', async () => (await ask(api('commands'))).body.runs.length === 2)
    const { runs } = (await ask(api('commands'))).body
    expect(runs.map(({ run, device: of }: { run: string; device: string }) => [run, of])).toEqual([
      ['r2', 'dev-1'],
      ['r1', 'dev-1'],
    ])
    expect(runs[1].events.map(({ id }: { id: string }) => id)).toEqual(['e1', 'e2'])
    expect((await ask(api('commands?limit=1'))).body.runs).toHaveLength(1)
    expect((await ask(api('commands?limit=0'))).status).toBe(400)
  })
})

describe('[api-6] beyond loopback', () => {
  const env = { GANGLION_GATEWAY_TOKEN: 'a-long-enough-token' }
  beforeEach(async () => {
    await device[Symbol.asyncDispose]()
    await gateway[Symbol.asyncDispose]()
    gateway = await openGateway({ env })
    device = await ScriptedDevice.open(gateway.mqttUrl)
  })

  it('the API needs the token, as a header or as the cookie of a session', async () => {
    expect((await ask(api('health'))).status).toBe(401)
    expect((await ask(api('health'), { headers: { authorization: 'Bearer wrong' } })).status).toBe(401)
    const right = { authorization: `Bearer ${env.GANGLION_GATEWAY_TOKEN}` }
    expect((await ask(api('health'), { headers: right })).status).toBe(200)
    expect((await post(api('session'), { token: 'wrong' })).status).toBe(401)
    const session = await post(api('session'), { token: env.GANGLION_GATEWAY_TOKEN })
    const cookie = session.headers.get('set-cookie') ?? ''
    expect(cookie).toMatch(/HttpOnly; SameSite=Strict/)
    expect(cookie).not.toContain(env.GANGLION_GATEWAY_TOKEN)
    expect((await ask(api('health'), { headers: { cookie: cookie.split(';')[0] as string } })).status).toBe(
      200,
    )
    expect((await ask(gateway.httpUrl)).status).toBe(200)
  })
})

describe('the dashboard', () => {
  it('not built, the page says how to build it', async () => {
    expect((await ask(gateway.httpUrl)).body).toContain('npm run build')
  })

  it('built, it is served with its assets for ever and its page fresh', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ganglion-dist-'))
    mkdirSync(join(folder, 'assets'))
    writeFileSync(join(folder, 'index.html'), '<p>dash</p>')
    writeFileSync(join(folder, 'assets', 'app-1.js'), '1')
    await using built = await openGateway({ dashboard: folder })
    expect(await ask(built.httpUrl)).toMatchObject({ status: 200, body: '<p>dash</p>' })
    const asset = await ask(`${built.httpUrl}/assets/app-1.js`)
    expect(asset.headers.get('cache-control')).toContain('immutable')
    expect((await ask(`${built.httpUrl}/..%2f..%2fetc/passwd`)).status).toBeGreaterThanOrEqual(400)
  })
})

it('recordings of an earlier run are gone after a start', async () => {
  stateDir = mkdtempSync(join(tmpdir(), 'ganglion-left-'))
  mkdirSync(join(stateDir, 'recordings'))
  writeFileSync(join(stateDir, 'recordings', 'old.wav'), 'left behind')
  await using _again = await openGateway({ section: { stateDir } })
  expect(readdirSync(join(stateDir, 'recordings'))).toEqual([])
})
