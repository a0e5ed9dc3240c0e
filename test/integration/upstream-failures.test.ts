/**
 * Servers elsewhere on their worst days (scripted, on loopback): each failure ends as one error of a known kind, in one line,
 * within its time, and nothing that they do reaches the log or an error with our key.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { afterEach, describe, expect, test } from 'vitest'
import type { Backend } from '../../gateway/offload/backends/backend.ts'
import { textTensor } from '../../gateway/offload/tasks.ts'
import { InferError } from '../../runtime/wire/infer.ts'
import { until } from '../conformance/backend.suite.ts'
import { events, json, ScriptedUpstream } from '../fixtures/scripted-upstream.ts'
import {
  ask,
  askFor,
  chatRequest,
  clock,
  type Inference,
  key,
  oipRequest,
  oipServer,
  open,
  openBackend,
} from './upstream-setup.ts'

const y = { name: 'y', datatype: 'FP32', shape: [2], data: [1, 2] }
/** As fast as it is read. */
function endless(to: ServerResponse): void {
  const more = () => {
    while (!to.destroyed && to.write('x'.repeat(65_536)));
    to.once('drain', more)
  }
  more()
}
const text = (response: ServerResponse, body: string, headers: object = {}) =>
  void response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(body)

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
      /more than 68157440 bytes/,
    ],
    [
      'a thousand times as much, packed, which nobody asked for',
      (to) =>
        to
          .writeHead(200, { 'content-encoding': 'gzip' })
          .end(gzipSync(Buffer.from(JSON.stringify({ outputs: [y], more: ' '.repeat(2 ** 20) })))),
      'run',
      /its answer is packed \(gzip\), unasked/,
    ],
    ['500 and a reason without end', (to) => endless(to.writeHead(500)), 'run', /500: no reason/],
    [
      '500 and half a reason',
      (to) => void to.writeHead(500).write('{"err', () => to.destroy()),
      'run',
      /500/,
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

  test('one of whose models is not ready has the others', async () => {
    const server = await ScriptedUpstream.open(({ path }, to) => {
      // A server of which one model is not ready is not ready either: "Server Ready" is about all of them.
      if (path === '/v2/models/ill/ready' || path === '/v2/health/ready')
        return json(to, { error: 'it is loading' }, 503)
      if (path === '/v2/models/m') return json(to, { name: 'm', inputs: [], outputs: [] })
      return json(to, path === '/v2' ? { name: 's' } : {})
    })
    open.push(server)
    const backend = await openBackend('oip', server.url, { models: [{ name: 'ill' }, { name: 'm' }] })
    expect([backend.health().state, backend.models().map(({ name }) => name)]).toEqual(['ok', ['m']])
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
    const opening = openBackend('oip', `http://127.0.0.1:${await stoppedServer()}`)
    const passing = setInterval(() => clock.advance(250), 5)
    const backend = await opening.finally(() => clearInterval(passing))
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
      /it answered with text\/html/,
    ],
    [
      'is packed, unasked',
      (to) =>
        to
          .writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': 'br' })
          .end(brotliCompressSync('data: [DONE]\n\n')),
      0,
      'run',
      /packed \(br\)/,
    ],
    ['is no stream', (to) => json(to, { choices: [] }), 0, 'run', /it answered with application\/json/],
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

  test('whose stream says that there is no error is well', async () => {
    const well = await chatsAs((to) => wholeStream(to, [{ ...delta, error: null }, '[DONE]']))
    const { chunks, error } = await ask(well, chatRequest())
    expect([chunks.length, error]).toEqual([2, undefined])
  })

  test('whose stream leaves it at the ends of its choices is well, where all that were asked for have come', async () => {
    const last = { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }
    const backend = await chatsAs((to) => wholeStream(to, [delta, last]))
    const one = await ask(backend, chatRequest())
    expect([one.chunks.length, one.chunks.at(-1)?.final, one.error]).toEqual([3, true, undefined])
    const body = { stream: true, n: 2, messages: [{ role: 'user', content: 'hi' }] }
    const two = await ask(backend, {
      ...chatRequest(),
      inputs: [textTensor('request', JSON.stringify(body))],
    })
    expect([two.chunks.length, two.error?.code]).toEqual([2, 'engine-lost'])
  })

  test.each<[string, Inference, string, RegExp]>([
    [
      'wants to be paid',
      (to) => json(to, { error: { message: 'no credit' } }, 402),
      'unavailable',
      /no credit/,
    ],
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
    [
      'of one length with one that stands for many',
      { data: [{ embedding: Array(100).fill(0) }, { embedding: [] }] },
    ],
    ['of the same text twice', { data: [0, 0].map((index) => ({ index, embedding: [1] })) }],
    ['of texts that nobody sent', { data: [0, 7].map((index) => ({ index, embedding: [1] })) }],
    ['beyond 32-bit floats', { data: [{ embedding: [1e300] }, { embedding: [1] }] }],
  ])('whose vectors are %s', async (_what, body) => vectorsAs(body))

  test.each([
    ['NaN', '{"data":[{"embedding":[NaN]},{"embedding":[1]}]}'],
    ['infinite', '{"data":[{"embedding":[1e999]},{"embedding":[1]}]}'],
  ])('whose vectors are %s', async (_what, body) => vectorsAs(body))

  async function vectorsAs(body: unknown): Promise<void> {
    const server = await ScriptedUpstream.open(({ path }, to) =>
      text(to, path === '/models' ? '{"data":[]}' : typeof body === 'string' ? body : JSON.stringify(body)),
    )
    open.push(server)
    const models = [{ name: 'm', task: 'embeddings' }]
    const backend = await openBackend('openai', server.url, { models })
    const { error } = await ask(backend, { ...oipRequest, inputs: [textTensor('text', 'a', 'b')] })
    expect(error).toMatchObject({ code: 'run', message: expect.stringMatching(/broke the protocol/) })
  }

  test.each([
    ['that has no text', {}, '{"words":"hi"}'],
    ['that is a page of text', {}, 'hello'],
    ['without its segments', { response_format: 'verbose_json' }, '[]'],
  ])('whose transcript is one %s', async (_what, fields, body) => {
    const server = await ScriptedUpstream.open(({ path }, to) =>
      text(to, path === '/models' ? '{"data":[]}' : body),
    )
    open.push(server)
    const models = [{ name: 'm', task: 'transcription' }]
    const backend = await openBackend('openai', server.url, { models })
    const file = { name: 'file', datatype: 'UINT8', shape: [1], data: new Uint8Array(1) } as const
    const inputs = [file, textTensor('request', JSON.stringify(fields))]
    const { error } = await ask(backend, { ...oipRequest, inputs })
    expect(error).toMatchObject({ code: 'run', message: expect.stringMatching(/a transcript has no text/) })
    const plain = textTensor('request', '{"response_format":"srt"}')
    expect((await ask(backend, { ...oipRequest, inputs: [file, plain] })).error).toBeUndefined()
  })
})
