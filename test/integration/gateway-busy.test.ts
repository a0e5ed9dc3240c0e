/** A gateway that has too much to do, seen from outside: who is turned away, when, and with what time. Chats are scripted. */
import { type ClientRequest, request } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Gateway } from '../../gateway/gateway.ts'
import { chatServer, ScriptedUpstream } from '../fixtures/scripted-upstream.ts'
import { until } from './broker-raw.ts'
import { ask, openGateway, post, type Reply } from './gateway-device.ts'

let server: ScriptedUpstream
let gateway: Gateway
beforeAll(async () => {
  server = await ScriptedUpstream.open(chatServer)
  const upstream = { id: 'one', kind: 'openai', url: `${server.url}/v1`, reach: 'site', concurrency: 1 }
  gateway = await openGateway({ section: { inference: { queueMax: 1 }, upstreams: [upstream] } })
  await until('it is there', async () => (await ask(`${gateway.httpUrl}/v1/models`)).body.data.length > 0)
})
afterAll(async () => {
  await gateway[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

const queued = async () => (await ask(`${gateway.httpUrl}/api/health`)).body.inference.queued
const chat = (content: string, priority = 'interactive', signal?: AbortSignal): Promise<Reply> =>
  ask(`${gateway.httpUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'ganglion-priority': priority },
    body: JSON.stringify({ model: 'scripted-chat', messages: [{ role: 'user', content }] }),
    ...(signal && { signal }),
  })

test('[serving-2] background work loses its place to a person, who waits; the next is told when to come again', async () => {
  const gone = new AbortController()
  const running = chat('hang', 'interactive', gone.signal).catch(() => undefined)
  await until('one runs', async () => server.of('/v1/chat/completions').length === 1)
  const background = chat('tidy up', 'background')
  await until('one waits', async () => (await queued()) === 1)
  const person = chat('hello')
  const shed = await background
  expect([shed.status, shed.body.error]).toEqual([
    429,
    expect.objectContaining({ type: 'rate_limit_error', code: 'rate_limit_exceeded' }),
  ])
  const second = await chat('me too')
  expect([second.status, Number(second.headers.get('retry-after'))]).toEqual([
    429,
    expect.toSatisfy((s) => s >= 1),
  ])
  const health = (await ask(`${gateway.httpUrl}/api/health`)).body
  expect(health.inference).toMatchObject({ queued: 1, backends: [{ id: 'one', state: 'ok', running: 1 }] })
  gone.abort()
  expect((await person).body.choices[0].message.content).toBe('hello')
  await running
})

test('[serving-5] who hangs up in the middle of a stream gives its place to the next one, at the server too', async () => {
  const before = server.hungUp
  const gone = new AbortController()
  const stream = await fetch(`${gateway.httpUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      ...{ model: 'scripted-chat', stream: true },
      messages: [{ role: 'user', content: 'go on for ever' }],
    }),
    signal: gone.signal,
  })
  expect((await stream.body?.getReader().read())?.done).toBe(false)
  const next = chat('hello')
  await until('the next one waits', async () => (await queued()) === 1)
  gone.abort()
  expect((await next).body.choices[0].message.content).toBe('hello')
  await until('the server was told', async () => server.hungUp === before + 1)
  const { backends } = (await ask(`${gateway.httpUrl}/api/health`)).body.inference
  expect(backends).toMatchObject([{ running: 0 }])
})

test('[api-11] large bodies at once hold 256 MB together: the next is turned away before it is read', async () => {
  const url = `${gateway.httpUrl}/v2/models/scripted-chat/infer`
  const held: ClientRequest[] = []
  /** Announces 60 MB and sends nothing; again where it came as another one was just being read. */
  const hold = (at: number): void => {
    const one = request(url, { method: 'POST', headers: { 'content-length': 60 * 2 ** 20 } }, () => {
      one.destroy()
      hold(at)
    })
    one.on('error', () => {})
    one.flushHeaders()
    held[at] = one
  }
  for (const at of [0, 1, 2, 3]) hold(at)
  const large = { inputs: 'x'.repeat(17 * 2 ** 20) }
  await until('there is no room', async () => {
    const { status, headers } = await post(url, large)
    return status === 429 && headers.get('retry-after') !== null
  })
  for (const one of held) one.destroy()
  await until('there is room again', async () => (await post(url, large)).status === 400)
})
