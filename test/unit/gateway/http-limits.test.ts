/** What requests over HTTP hold, and for how long: memory for what is made of a body, time for all portions of one request. */
import { once } from 'node:events'
import { request } from 'node:http'
import type { Socket } from 'node:net'
import fastify, { type FastifyInstance } from 'fastify'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { toApiError } from '../../../gateway/api/api-error.ts'
import { BodyBudget } from '../../../gateway/api/body-budget.ts'
import { hungUp } from '../../../gateway/api/infer-call.ts'
import { addEmbeddings } from '../../../gateway/api/openai-embeddings.ts'
import { InferenceService } from '../../../gateway/offload/service.ts'
import { VirtualClock } from '../../../runtime/base/clock.ts'
import { silentLog } from '../../../runtime/base/log.ts'
import { model, ScriptedBackend } from './offload/scripted-backend.ts'

let app: FastifyInstance
beforeEach(() => {
  app = fastify()
})
afterEach(() => app.close())

test('[api-11] what is made of a body counts until the answer is done, less where it turned out to be less', async () => {
  const bodies = new BodyBudget({
    clock: new VirtualClock(),
    bytesMax: 100,
    clientBytesMax: 100,
    bodyMs: 1e3,
  })
  const answered = Promise.withResolvers<void>()
  app.setErrorHandler((error, _request, reply) => reply.code(toApiError(error).status).send())
  app.get<{ Params: { bytes: string; then: string } }>('/:bytes/:then', async ({ params }, reply) => {
    bodies.hold(reply, Number(params.bytes)).shrink(Number(params.then))
    if (params.then !== '0') await answered.promise
    return 'done'
  })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const get = async (path: string) => (await fetch(`${url}${path}`)).status
  const first = get('/90/60')
  while ((await get('/50/0')) === 200) await new Promise((resolve) => setTimeout(resolve, 5))
  expect([await get('/41/0'), await get('/40/0')]).toEqual([429, 200])
  answered.resolve()
  expect(await first).toBe(200)
  expect(await get('/100/0')).toBe(200)
})

test('[api-11] one address takes a part of the room, or more than that with one request alone', async () => {
  const bodies = new BodyBudget({
    clock: new VirtualClock(),
    bytesMax: 200,
    clientBytesMax: 100,
    bodyMs: 1e3,
  })
  const answered = Promise.withResolvers<void>()
  const held: string[] = []
  app.setErrorHandler((error, _request, reply) => reply.code(toApiError(error).status).send())
  app.get<{ Params: { bytes: string } }>('/:bytes', async ({ params, ip }, reply) => {
    bodies.hold(reply, Number(params.bytes))
    held.push(ip)
    await answered.promise
    return 'done'
  })
  const get = async (url: string, remoteAddress: string) =>
    (await app.inject({ url, remoteAddress })).statusCode
  const first = [get('/60', '10.0.0.1'), get('/120', '10.0.0.2')]
  await expect.poll(() => held).toEqual(['10.0.0.1', '10.0.0.2'])
  const refused = await Promise.all([get('/41', '10.0.0.1'), get('/1', '10.0.0.2'), get('/21', '10.0.0.3')])
  const second = [get('/10', '10.0.0.1'), get('/10', '10.0.0.3')]
  await expect.poll(() => held.length).toBe(4)
  answered.resolve()
  expect([refused, await Promise.all([...first, ...second])]).toEqual([
    [429, 429, 429],
    [200, 200, 200, 200],
  ])
  expect(await get('/200', '10.0.0.1')).toBe(200)
})

test('[api-11] a body that comes too slowly to be whole in time gives its room back', async () => {
  const clock = new VirtualClock()
  const bytes = 24 * 2 ** 20
  const bodies = new BodyBudget({ clock, bytesMax: 2 * bytes, clientBytesMax: 2 * bytes, bodyMs: 240_000 })
  app.setErrorHandler((error, _request, reply) => reply.code(toApiError(error).status).send())
  app.register(async (scope) => {
    bodies.guard(scope)
    let read = 0
    scope.addContentTypeParser<Buffer>('*', { parseAs: 'buffer', bodyLimit: bytes }, (_request, body, done) =>
      done(null, body.length),
    )
    scope.post('/', { bodyLimit: bytes }, async ({ body }) => {
      read += body as number
      return { read }
    })
  })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  /** Says that so much comes, and brings it in pieces when told. */
  const bring = () => {
    const status = Promise.withResolvers<number | undefined>()
    const headers = { 'content-length': bytes, 'content-type': 'x/y' }
    const one = request(url, { method: 'POST', headers }, (answer) => {
      answer.resume()
      status.resolve(answer.statusCode)
    })
    one.on('error', () => status.resolve(undefined))
    one.flushHeaders()
    return { one, status: status.promise }
  }
  const small = async () => (await fetch(url, { method: 'POST', body: 'hello' })).status
  const [silent, steady] = [bring(), bring()]
  await expect.poll(small).toBe(429)
  const part = Buffer.alloc(2 ** 20)
  for (let at = 0; at < 24; at += 1) {
    await new Promise((resolve) => steady.one.write(part, resolve))
    await new Promise((resolve) => setTimeout(resolve, 10))
    clock.advance(5_000)
  }
  expect([await silent.status, await steady.status]).toEqual([408, 200])
  expect(await small()).toBe(200)
})

test('[api-11] a body in chunks may be small and slow, but it must move', async () => {
  const clock = new VirtualClock()
  const bytes = 24 * 2 ** 20
  const bodies = new BodyBudget({ clock, bytesMax: 2 * bytes, clientBytesMax: 2 * bytes, bodyMs: 240_000 })
  const counted = new Set<string>()
  const sockets: Socket[] = []
  app.server.on('connection', (socket) => sockets.push(socket))
  app.register(async (scope) => {
    bodies.guard(scope)
    scope.addHook('onRequest', async ({ headers }) => {
      counted.add(String(headers['who']))
    })
    scope.addContentTypeParser<Buffer>('*', { parseAs: 'buffer', bodyLimit: bytes }, (_request, body, done) =>
      done(null, body.length),
    )
    scope.post('/', { bodyLimit: bytes }, async ({ body }) => ({ read: body }))
  })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const bring = async (who: string) => {
    const status = Promise.withResolvers<number | undefined>()
    const one = request(url, { method: 'POST', headers: { who, 'content-type': 'x/y' } }, (answer) => {
      answer.resume()
      status.resolve(answer.statusCode)
    })
    one.on('error', () => status.resolve(undefined))
    one.flushHeaders()
    await expect.poll(() => counted.has(who)).toBe(true)
    return { one, status: status.promise, socket: sockets.at(-1) as Socket }
  }
  const silent = await bring('silent')
  const slow = await bring('slow')
  const part = Buffer.alloc(25_000)
  for (let at = 0; at < 20; at += 1) {
    const before = slow.socket.bytesRead
    slow.one.write(part)
    await expect.poll(() => slow.socket.bytesRead).toBeGreaterThan(before + part.length)
    clock.advance(5_000)
  }
  slow.one.end()
  expect([await silent.status, await slow.status]).toEqual([408, 200])
})

test('[serving-5] who hung up while its body was looked at has hung up', async () => {
  const looked = Promise.withResolvers<void>()
  const heard = Promise.withResolvers<boolean>()
  app.get('/', async (_request, reply) => {
    await looked.promise
    heard.resolve(hungUp(reply).aborted)
    return reply.hijack()
  })
  const gone = new AbortController()
  const closed = once(app.server, 'connection').then(([socket]) => once(socket, 'close'))
  const asking = fetch(await app.listen({ port: 0, host: '127.0.0.1' }), { signal: gone.signal })
  const arrived = once(app.server, 'request')
  await arrived
  gone.abort()
  await expect(asking).rejects.toThrow()
  await closed
  looked.resolve()
  expect(await heard.promise).toBe(true)
})

test('[openai-4] the deadline of a request is that of all its portions together', async () => {
  const clock = new VirtualClock()
  const embedding = (texts: number) =>
    ({ name: 'e', datatype: 'FP32', shape: [texts, 1], data: new Float32Array(texts) }) as const
  const backend = new ScriptedBackend('a', {
    models: [model('m', { task: 'embeddings', inputs: [{ name: 'text', datatype: 'BYTES', shape: ['n'] }] })],
    script: ({ inputs }) => {
      clock.advance(400)
      return [{ final: true, outputs: [embedding(inputs[0]?.data.length ?? 0)] }]
    },
  })
  const inference = new InferenceService(
    { clock, log: silentLog, backends: [backend] },
    { queueMax: 1, bytesMax: 1e6 },
  )
  addEmbeddings(app, { clock, log: silentLog, inference })
  const headers = { 'ganglion-deadline-ms': '1000' }
  const payload = { model: 'm', input: Array.from({ length: 600 }, () => 'hi') }
  await app.inject({ method: 'POST', url: '/embeddings', headers, payload })
  expect(backend.requests.map(({ deadlineMs }) => deadlineMs)).toEqual([1000, 600, 200])
})
