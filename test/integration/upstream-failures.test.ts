/**
 * Servers elsewhere on their worst days (scripted, on loopback): each failure ends as one error of a known kind, in one line,
 * within its time, and nothing that they do reaches the log or an error with our key.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import type { Backend } from '../../gateway/offload/backends/backend.ts'
import { OipBackend } from '../../gateway/offload/backends/oip.backend.ts'
import { OpenAiBackend } from '../../gateway/offload/backends/openai.backend.ts'
import { textTensor } from '../../gateway/offload/tasks.ts'
import { InferError } from '../../runtime/wire/infer.ts'
import { until } from '../conformance/backend.suite.ts'
import { events, json, ScriptedUpstream } from '../fixtures/scripted-upstream.ts'
import {
  ask,
  askFor,
  chatRequest,
  clock,
  config,
  type Inference,
  key,
  log,
  oipRequest,
  oipServer,
  open,
  openBackend,
} from './upstream-setup.ts'

const y = { name: 'y', datatype: 'FP32', shape: [2], data: [1, 2] }
const text = (response: ServerResponse, body: string, headers: object = {}) =>
  response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(body)

describe('[serving-9] a server of the Open Inference Protocol', () => {
  const answers: readonly (readonly [string, Inference, string, RegExp])[] = [
    ['500 with a reason', (to) => json(to, { error: 'out of\nmemory' }, 500), 'run', /500: out of memory/],
    [
      '500 with a page',
      (to) => to.writeHead(500, { 'content-type': 'text/html' }).end('<html>oh</html>'),
      'run',
      /500: no reason/,
    ],
    ['a page', (to) => text(to, '<html>hello</html>', { 'content-type': 'text/html' }), 'run', /no JSON/],
    ['nothing', (to) => text(to, ''), 'run', /broke the protocol/],
    ['half JSON', (to) => text(to, '{"outputs":['), 'run', /no JSON/],
    [
      'another type',
      (to) => json(to, { outputs: [{ ...y, datatype: 'INT32' }] }),
      'run',
      /y is INT32 \[2\], its metadata says FP32/,
    ],
    [
      'another rank',
      (to) => json(to, { outputs: [{ ...y, shape: [1, 2] }] }),
      'run',
      /output y is FP32 \[1,2\]/,
    ],
    ['another output', (to) => json(to, { outputs: [{ ...y, name: 'z' }] }), 'run', /output y is missing/],
    [
      'fewer elements than its shape',
      (to) => json(to, { outputs: [{ ...y, data: [1] }] }),
      'run',
      /1 elements/,
    ],
    [
      'NaN, which is no JSON',
      (to) => text(to, '{"outputs":[{"name":"y","datatype":"FP32","shape":[1],"data":[NaN]}]}'),
      'run',
      /no JSON/,
    ],
    [
      'null for a number',
      (to) => json(to, { outputs: [{ ...y, data: [1, null] }] }),
      'run',
      /null is not FP32/,
    ],
    [
      'the answer to another request',
      (to) => json(to, { id: 'yours', outputs: [y] }),
      'run',
      /another request/,
    ],
    [
      'binary data beyond its body',
      (to) => json(to, { outputs: [{ ...y, data: undefined, parameters: { binary_data_size: 2 ** 40 } }] }),
      'run',
      /not in the body/,
    ],
    [
      'a header that lies about the JSON',
      (to) => json(to, { outputs: [y] }, 200, { 'inference-header-content-length': '99999' }),
      'run',
      /no length of JSON/,
    ],
    [
      'a length that is too long',
      (to) => void to.writeHead(200, { 'content-length': '500' }).write('{"outputs":[]}', () => to.destroy()),
      'engine-lost',
      /connection broke/,
    ],
    [
      'a length that is too short',
      (to) => {
        to.socket?.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"outputs":[]}')
      },
      'run',
      /no JSON/,
    ],
    [
      'a body of a terabyte',
      (to) => void to.writeHead(200, { 'content-length': String(2 ** 40) }).write('{'),
      'run',
      /more than 268435456 bytes/,
    ],
    ['no answer but a closed connection', (to) => to.destroy(), 'engine-lost', /connection broke/],
    [
      'what is no HTTP',
      (to) => {
        to.socket?.end('I am no server\r\n\r\n')
      },
      'engine-lost',
      /connection broke/,
    ],
    ['a missing model', (to) => json(to, { error: 'unknown model' }, 404), 'model-unknown', /unknown model/],
    [
      'a wrong input',
      (to) => json(to, { error: 'input x has the wrong shape' }, 400),
      'bad-input',
      /input x has the wrong shape/,
    ],
    [
      'our key, said back',
      (to) => json(to, { error: `your key ${key} is for others` }, 400),
      'bad-input',
      /your key … is for others/,
    ],
    ['a refused key', (to) => json(to, { error: key }, 401), 'unavailable', /refuses the gateway's key/],
  ]

  test.each(answers)('that answers with %s', async (_what, infer, code, line) => {
    const backend = await openBackend('oip', (await oipServer(infer)).url)
    const { error, chunks } = await ask(backend, oipRequest)
    expect([error?.code, error?.message]).toEqual([code, expect.stringMatching(line)])
    expect([chunks, backend.health().running]).toEqual([[], 0])
  })

  test('that is full says when to come again', async () => {
    const full = await oipServer((to) => json(to, { error: 'busy' }, 429, { 'retry-after': '7' }))
    const { error } = await ask(await openBackend('oip', full.url), oipRequest)
    expect(error).toMatchObject({ code: 'overloaded', retryable: true, retryAfterMs: 7_000 })
  })

  test('that redirects: nothing is sent to the other place', async () => {
    const other = await ScriptedUpstream.open((_request, to) => json(to, { outputs: [y] }))
    open.push(other)
    for (const status of [301, 302, 303, 307, 308]) {
      const server = await oipServer((to) =>
        to.writeHead(status, { location: `${other.url}/v2/models/m/infer` }).end(),
      )
      const { error } = await ask(await openBackend('oip', server.url), oipRequest)
      expect(error).toMatchObject({
        code: 'run',
        retryable: false,
        message: expect.stringMatching(/redirects elsewhere/),
      })
    }
    expect(other.received).toEqual([])
  })

  test('that falls silent within its answer is given up after a minute', async () => {
    const server = await oipServer((to) => void to.writeHead(200).write('{"outputs":'))
    const { error } = await askFor(70_000, await openBackend('oip', server.url), oipRequest)
    expect(error).toMatchObject({ code: 'engine-lost', message: expect.stringMatching(/silent for 60 s/) })
  })

  test.each<[string, Inference]>([
    ['never answers', () => {}],
    [
      'sends one byte at a time, for ever',
      (to) => {
        to.writeHead(200)
        const timer = setInterval(() => to.write(' '), 2)
        to.on('close', () => clearInterval(timer))
      },
    ],
  ])('that %s is left at once by who gives up, and hears of it', async (_what, infer) => {
    const server = await oipServer(infer)
    const backend = await openBackend('oip', server.url)
    const gone = new AbortController()
    const asking = ask(backend, oipRequest, gone.signal)
    await until('it has the request', () => server.of('/v2/models/m/infer').length === 1)
    gone.abort(new InferError('deadline', 'm did not answer within 1 ms'))
    expect((await asking).error?.code).toBe('deadline')
    await until('it was told', () => server.hungUp === 1)
  })

  test('whose metadata has no end is away, and says why', async () => {
    const endless = await ScriptedUpstream.open(async ({ path }, to) => {
      if (path !== '/v2') return json(to, {})
      to.writeHead(200)
      while (!to.destroyed && !to.writableNeedDrain) to.write('x'.repeat(65_536))
      const timer = setInterval(() => to.write('x'.repeat(65_536)), 1)
      to.on('close', () => clearInterval(timer))
    })
    open.push(endless)
    const backend = await openBackend('oip', endless.url)
    expect(backend.health()).toMatchObject({
      state: 'away',
      reason: 'server-1 sends more than 1048576 bytes',
    })
  })

  test('that comes back is used again', async () => {
    let ill = true
    const server = await ScriptedUpstream.open(({ path }, to) => {
      if (ill) return json(to, { error: 'starting' }, 503)
      if (path === '/v2/models/m') return json(to, { name: 'm', inputs: [], outputs: [] })
      return json(to, path === '/v2' ? { name: 's' } : {})
    })
    open.push(server)
    const backend = await openBackend('oip', server.url)
    expect([backend.health().state, backend.models(), backend.knows('m')]).toEqual(['away', [], true])
    ill = false
    while (backend.models().length === 0) {
      clock.advance(200)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    expect(backend.health().state).toBe('ok')
  })
})

describe('[serving-9] a server with whom no connection comes about', () => {
  let child: ChildProcess
  const fillers: Socket[] = []
  afterEach(() => {
    for (const socket of fillers.splice(0)) socket.destroy()
    child.kill('SIGKILL')
  })

  /** Listens, accepts nobody (stopped), and has no room for more who wait. */
  async function stoppedServer(): Promise<number> {
    const program =
      'require("net").createServer().listen({port:0,host:"127.0.0.1",backlog:1},function(){console.log(this.address().port)})'
    child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [line] = (await once(child.stdout as NonNullable<ChildProcess['stdout']>, 'data')) as [Buffer]
    child.kill('SIGSTOP')
    const port = Number(line.toString())
    for (let n = 0; n < 8; n += 1) fillers.push(connect(port, '127.0.0.1').on('error', () => {}))
    await until('the first of those who wait are taken', () => fillers.some((one) => !one.connecting))
    return port
  }

  test('is away after five seconds, not after the minutes that the system would wait', async () => {
    const backend = new OipBackend({ clock, log }, config('oip', `http://127.0.0.1:${await stoppedServer()}`))
    open.push(backend)
    while (backend.health().state === 'starting') {
      await new Promise((resolve) => setTimeout(resolve, 5))
      clock.advance(250)
    }
    expect(backend.health()).toMatchObject({
      state: 'away',
      reason: expect.stringMatching(/no connection within 5 s/),
    })
  })
})

function wholeStream(to: ServerResponse, list: readonly unknown[]): void {
  events(to, list)
  to.end()
}
function endlessEvent(to: ServerResponse): void {
  to.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: ')
  to.write('x'.repeat(2 ** 20 + 10))
}
function brokenStream(to: ServerResponse, list: readonly unknown[]): void {
  events(to, list)
  setImmediate(() => to.destroy())
}

describe("[serving-9] a server with OpenAI's API", () => {
  const delta = { choices: [{ index: 0, delta: { content: 'a' }, finish_reason: null }] }
  async function chatsAs(answer: Inference): Promise<Backend> {
    const server = await ScriptedUpstream.open(({ path }, to) =>
      path === '/models' ? json(to, { data: [] }) : answer(to),
    )
    open.push(server)
    return openBackend('openai', server.url)
  }

  test.each<[string, Inference, number, string, RegExp]>([
    ['ends without its end', (to) => wholeStream(to, [delta, delta]), 2, 'engine-lost', /before the end/],
    ['breaks off', (to) => brokenStream(to, [delta]), 1, 'engine-lost', /connection broke/],
    [
      'says an error, and our key',
      (to) => wholeStream(to, [delta, { error: { message: `no more memory for ${key}` } }]),
      1,
      'run',
      /no more memory for …/,
    ],
    ['sends what is no JSON', (to) => wholeStream(to, [delta, '<html>']), 1, 'run', /an event is no JSON/],
    ['sends an event without end', endlessEvent, 0, 'run', /more than 1048576 characters/],
    [
      'is a page',
      (to) => text(to, '<html>', { 'content-type': 'text/html' }),
      0,
      'run',
      /asked for a stream/,
    ],
    ['is no stream', (to) => json(to, { choices: [] }), 0, 'run', /asked for a stream/],
    [
      'is an error with a page',
      (to) => to.writeHead(502, { 'content-type': 'text/html' }).end('<html>'),
      0,
      'run',
      /502: no reason/,
    ],
  ])('whose stream %s', async (_what, answer, streamed, code, line) => {
    const { chunks, error } = await ask(await chatsAs(answer), chatRequest())
    expect([chunks.length, error?.code, error?.message]).toEqual([
      streamed,
      code,
      expect.stringMatching(line),
    ])
  })

  test.each<[string, Inference, string, RegExp]>([
    ['is a page', (to) => text(to, '<html>', { 'content-type': 'text/html' }), 'run', /text\/html/],
    ['is no JSON', (to) => text(to, 'hello'), 'run', /no choices/],
    ['has no choices', (to) => json(to, { id: 1 }), 'run', /no choices/],
    [
      'refuses the request',
      (to) => json(to, { error: { message: 'tools are not known' } }, 400),
      'bad-input',
      /tools are not known/,
    ],
    [
      'has a limit',
      (to) => json(to, { error: { message: 'slow down' } }, 429, { 'retry-after': '2' }),
      'overloaded',
      /slow down/,
    ],
  ])('whose answer %s', async (_what, answer, code, line) => {
    const { error } = await ask(await chatsAs(answer), chatRequest(false))
    expect([error?.code, error?.message]).toEqual([code, expect.stringMatching(line)])
  })

  test.each<[string, unknown]>([
    ['too few', { data: [] }],
    ['of several lengths', { data: [{ embedding: [1] }, { embedding: [1, 2] }] }],
    ['without numbers', { data: [{ embedding: ['a'] }, { embedding: [1] }] }],
    ['that are none', 'hello'],
  ])('whose vectors are %s', async (_what, body) => {
    const server = await ScriptedUpstream.open(({ path }, to) =>
      json(to, path === '/models' ? { data: [] } : body),
    )
    open.push(server)
    const backend = new OpenAiBackend(
      { clock, log },
      { ...config('openai', server.url), models: [{ name: 'm', task: 'embeddings' }] },
    )
    open.push(backend)
    await until('it is there', () => backend.models().length === 1)
    const { error } = await ask(backend, { ...oipRequest, inputs: [textTensor('text', 'a', 'b')] })
    expect(error).toMatchObject({ code: 'run', message: expect.stringMatching(/broke the protocol/) })
  })
})
