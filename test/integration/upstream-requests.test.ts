/** What goes to servers elsewhere, and over which connection. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { expect, test } from 'vitest'
import { InferError } from '../../runtime/wire/infer.ts'
import { until } from '../conformance/backend.suite.ts'
import { json, ScriptedUpstream } from '../fixtures/scripted-upstream.ts'
import { f32 } from './served-models.ts'
import { ask, chatRequest, key, oipRequest, oipServer, open, openBackend } from './upstream-setup.ts'

/** Each connection takes one request; the second on it meets its end, read or not: nobody can tell. */
async function closing(): Promise<{ readonly url: string; readonly asked: string[] }> {
  const asked: string[] = []
  const server: Server = createServer((socket) => {
    socket.on('error', () => {})
    let answered = 0
    socket.on('data', (data) => {
      const path = data.toString().split(' ')[1] ?? ''
      asked.push(path)
      if (answered === 1) return socket.resetAndDestroy()
      answered += 1
      const model = { name: 'm', inputs: [], outputs: [] }
      const body = JSON.stringify({ '/v2': { name: 's' }, '/v2/models/m': model }[path] ?? { outputs: [] })
      socket.write(
        `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\nconnection: keep-alive\r\n\r\n${body}`,
      )
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push({ [Symbol.asyncDispose]: async () => void server.close() })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

test('[serving-10] an idle connection that the server closes as a request goes out is made anew', async () => {
  const { url, asked } = await closing()
  const backend = await openBackend('oip', url)
  expect([backend.health().state, asked.filter((path) => path === '/v2').length]).toEqual(['ok', 2])
})

test('[serving-3] a request that may have been read goes out again only where the model bears it', async () => {
  for (const idempotent of [false, true]) {
    const { url, asked } = await closing()
    const backend = await openBackend('oip', url, { models: [{ name: 'm', idempotent }] })
    const { error } = await ask(backend, oipRequest)
    const sent = asked.filter((path) => path.endsWith('/infer')).length
    expect([error?.code, sent]).toEqual(idempotent ? [undefined, 2] : ['engine-lost', 1])
  }
})

test('as many requests as its configuration says are with a server at once', async () => {
  const server = await oipServer(() => {})
  const backend = await openBackend('oip', server.url, { concurrency: 160 })
  const gone = new AbortController()
  const asking = Array.from({ length: 160 }, () => ask(backend, oipRequest, gone.signal))
  await until('all are there', () => server.of('/v2/models/m/infer').length === 160)
  gone.abort(new InferError('cancelled', 'gone'))
  await Promise.all(asking)
})

test('[serving-10] the key goes to its server in a header, and its priority only where that was asked for', async () => {
  const server = await ScriptedUpstream.open(({ path }, to) => {
    if (path === '/models') return json(to, { data: [] })
    return json(to, { choices: [{ message: { content: 'hi' } }] })
  })
  open.push(server)
  const plain = await openBackend('openai', server.url)
  await ask(plain, { ...chatRequest(false), priority: 'background' })
  const vllm = await openBackend('openai', server.url, { priority: true })
  await ask(vllm, { ...chatRequest(false), priority: 'control' })
  const [first, second] = server.of('/chat/completions')
  expect(first?.headers.authorization).toBe(`Bearer ${key}`)
  expect(JSON.parse(String(first?.body))).not.toHaveProperty('priority')
  expect(JSON.parse(String(second?.body))).toMatchObject({ model: 'm', priority: -10 })
})

test('[serving-10] binary tensors, priority and time go along where the metadata says so', async () => {
  const server = await ScriptedUpstream.open(({ path, headers, body }, to) => {
    if (path === '/v2') return json(to, { name: 't', extensions: ['binary_tensor_data', 'schedule_policy'] })
    const place = { name: 'y', datatype: 'FP32', shape: [-1] }
    if (path === '/v2/models/m')
      return json(to, { name: 'm', inputs: [{ ...place, name: 'x' }], outputs: [place] })
    if (!path.endsWith('/infer')) return json(to, {})
    const jsonBytes = Number(headers['inference-header-content-length'])
    const answer = Buffer.from(
      JSON.stringify({ outputs: [{ ...place, shape: [1], parameters: { binary_data_size: 4 } }] }),
    )
    to.writeHead(200, { 'inference-header-content-length': answer.length })
    to.end(Buffer.concat([answer, body.subarray(jsonBytes)]))
  })
  open.push(server)
  const backend = await openBackend('oip', server.url)
  const { chunks } = await ask(backend, { ...oipRequest, priority: 'background', deadlineMs: 1500 })
  expect(chunks[0]?.outputs).toEqual([f32('y', 1)])
  const [{ body = Buffer.alloc(0), headers = {} } = {}] = server.of('/v2/models/m/infer')
  const head = JSON.parse(body.subarray(0, Number(headers['inference-header-content-length'])).toString())
  expect(head.parameters).toEqual({ priority: 3, timeout: 1_500_000, binary_data_output: true })
})

test.each(['oip', 'openai'] as const)(
  '%s: a model has the price that the configuration gives it',
  async (kind) => {
    const server = await oipServer((response) => json(response, {}))
    const backend = await openBackend(kind, server.url)
    expect(backend.models()).toMatchObject([{ name: 'm', price: 0.002 }])
  },
)
