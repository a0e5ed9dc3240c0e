/** What goes to servers elsewhere, and over which connection. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { expect, test } from 'vitest'
import { OpenAiBackend } from '../../gateway/offload/backends/openai.backend.ts'
import { until } from '../conformance/backend.suite.ts'
import { json, ScriptedUpstream } from '../fixtures/scripted-upstream.ts'
import { f32 } from './served-models.ts'
import {
  ask,
  chatRequest,
  clock,
  config,
  key,
  log,
  oipRequest,
  oipServer,
  open,
  openBackend,
} from './upstream-setup.ts'

test('[serving-10] an idle connection that the server closes as a request goes out is made anew', async () => {
  let connections = 0
  const server: Server = createServer((socket) => {
    connections += 1
    socket.on('error', () => {})
    let answered = 0
    socket.on('data', (data) => {
      // The second request on a connection meets its end, unread.
      if (answered === 1) return socket.resetAndDestroy()
      answered += 1
      const path = data.toString().split(' ')[1]
      const body = JSON.stringify(
        path === '/v2'
          ? { name: 's' }
          : path === '/v2/models/m'
            ? { name: 'm', inputs: [], outputs: [] }
            : {},
      )
      socket.write(
        `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\nconnection: keep-alive\r\n\r\n${body}`,
      )
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const backend = await openBackend('oip', `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  expect([backend.health().state, connections > 1]).toEqual(['ok', true])
  server.close()
})

test('[serving-10] the key goes to its server in a header, and its priority only where that was asked for', async () => {
  const server = await ScriptedUpstream.open(({ path }, to) => {
    if (path === '/models') return json(to, { data: [] })
    return json(to, { choices: [{ message: { content: 'hi' } }] })
  })
  open.push(server)
  const plain = await openBackend('openai', server.url)
  await ask(plain, { ...chatRequest(false), priority: 'background' })
  const vllm = new OpenAiBackend({ clock, log }, { ...config('openai', server.url), priority: true })
  open.push(vllm)
  await until('it is there', () => vllm.models().length === 1)
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
