/**
 * OpenAI's API at a real gateway, asked by the official client. Speech is a real recording, transcribed by the real model; chats,
 * and embeddings where not said otherwise, come from a scripted server on loopback, which is no language model.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import OpenAI, { toFile } from 'openai'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Gateway } from '../../gateway/gateway.ts'
import { chatServer, events, json, ScriptedUpstream } from '../fixtures/scripted-upstream.ts'
import { until } from './broker-raw.ts'
import { ask, openGateway, post } from './gateway-device.ts'

const recording = readFileSync(
  fileURLToPath(new URL('../fixtures/voice/what-time-is-it.wav', import.meta.url)),
)
let gateway: Gateway
let site: ScriptedUpstream
let openai: OpenAI
const client = (url: string, headers: Record<string, string> = {}) =>
  new OpenAI({
    baseURL: `${url}/v1`,
    apiKey: 'not-needed-on-loopback',
    maxRetries: 0,
    defaultHeaders: headers,
  })
const models = [
  'scripted-chat',
  { name: 'scripted-embeddings', task: 'embeddings' },
  { name: 'scripted-whisper', task: 'transcription' },
]
const listed = async () => (await openai.models.list()).data.map(({ id }) => id)

beforeAll(async () => {
  site = await ScriptedUpstream.open(chatServer)
  gateway = await openGateway({
    section: {
      inference: { models: ['moonshine-tiny-en', 'use-lite'], workers: 1 },
      upstreams: [{ id: 'scripted', kind: 'openai', url: `${site.url}/v1`, reach: 'site', models }],
    },
  })
  openai = client(gateway.httpUrl)
  const wanted = ['moonshine-tiny-en', 'use-lite', 'scripted-chat', 'scripted-embeddings', 'scripted-whisper']
  await until('the models are there', async () => {
    const there = await listed()
    return wanted.every((name) => there.includes(name))
  })
})
afterAll(async () => {
  await gateway[Symbol.asyncDispose]()
  await site[Symbol.asyncDispose]()
})
beforeEach(() => {
  site.answer = chatServer
})

const hi = [{ role: 'user' as const, content: 'hello there' }]
const chat = (more: object = {}) => ({ model: 'scripted-chat', messages: hi, ...more })
async function failure(promise: Promise<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> {
  const error = await promise.then(
    () => new Error('it did not fail'),
    (reason: unknown) => reason,
  )
  if (error instanceof OpenAI.APIError) return error
  throw error
}

describe('[openai-1] models', () => {
  test('are listed and found by name', async () => {
    const { data } = await openai.models.list()
    expect(data.find(({ id }) => id === 'moonshine-tiny-en')).toMatchObject({
      object: 'model',
      owned_by: 'pool',
    })
    expect(await openai.models.retrieve('scripted-chat')).toMatchObject({
      id: 'scripted-chat',
      owned_by: 'scripted',
    })
    expect(await failure(openai.models.retrieve('gpt-0'))).toMatchObject({
      status: 404,
      code: 'model_not_found',
      type: 'invalid_request_error',
      param: 'model',
    })
  })
})

describe('[openai-2] chat completions', () => {
  test('are answered whole, with their usage', async () => {
    const answer = await openai.chat.completions.create(chat())
    expect(answer.choices[0]?.message).toEqual({ role: 'assistant', content: 'hello there' })
    expect(answer.usage).toEqual({ prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 })
  })

  test('are streamed piece by piece', async () => {
    const pieces: string[] = []
    const stream = await openai.chat.completions.create({ ...chat(), stream: true })
    for await (const { choices } of stream) pieces.push(choices[0]?.delta.content ?? '')
    expect(pieces).toEqual(['', 'hello ', 'there', ''])
  })

  test('carry tools, JSON schema and whatever else the client says, unchanged', async () => {
    const tools = [
      { type: 'function' as const, function: { name: 'turn_on', parameters: { type: 'object' } } },
    ]
    const called = await openai.chat.completions.create(chat({ tools }))
    expect(called.choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: { tool_calls: [{ function: { name: 'turn_on', arguments: '{"room":"hall"}' } }] },
    })
    const schema = {
      type: 'json_schema' as const,
      json_schema: { name: 'answer', strict: true, schema: { type: 'object' } },
    }
    await openai.chat.completions.create(
      chat({ response_format: schema, seed: 7, temperature: 0.5, logit_bias: { 50256: -100 } }),
    )
    const [first, second] = site
      .of('/v1/chat/completions')
      .slice(-2)
      .map(({ body }) => JSON.parse(String(body)))
    expect(first).toEqual({ model: 'scripted-chat', messages: hi, tools })
    expect(second).toEqual({
      model: 'scripted-chat',
      messages: hi,
      response_format: schema,
      seed: 7,
      temperature: 0.5,
      logit_bias: { 50256: -100 },
    })
  })

  test('tools and JSON schema are streamed too, pieces and usage as they came', async () => {
    const piece = (delta: object, more: object = {}) => ({
      ...{ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'scripted-chat' },
      choices: [{ index: 0, delta, finish_reason: null, ...more }],
    })
    const call = { index: 0, id: 'call-1', type: 'function', function: { name: 'turn_on', arguments: '' } }
    const pieces = [
      piece({ role: 'assistant', content: null, tool_calls: [call] }),
      ...['{"ro', 'om":"ha', 'll"}'].map((text) =>
        piece({ tool_calls: [{ index: 0, function: { arguments: text } }] }),
      ),
      piece({}, { finish_reason: 'tool_calls' }),
      { ...piece({}), choices: [], usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } },
    ]
    site.answer = (request, response) => {
      if (request.path === '/v1/models') return chatServer(request, response)
      events(response, [...pieces, '[DONE]'])
      response.end()
    }
    const tools = [
      { type: 'function' as const, function: { name: 'turn_on', parameters: { type: 'object' } } },
    ]
    const format = { type: 'json_schema' as const, json_schema: { name: 'x', schema: { type: 'object' } } }
    const asked = { tools, response_format: format, stream_options: { include_usage: true } }
    const whole = await openai.chat.completions
      .stream({ model: 'scripted-chat', messages: hi, ...asked })
      .finalChatCompletion()
    expect(whole.choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: { tool_calls: [{ function: { name: 'turn_on', arguments: '{"room":"hall"}' } }] },
    })
    expect(whole.usage?.total_tokens).toBe(5)
    const sent = JSON.parse(String(site.of('/v1/chat/completions').at(-1)?.body))
    expect(sent).toEqual({ model: 'scripted-chat', messages: hi, stream: true, ...asked })
  })

  test('a client that hangs up cancels at the server', async () => {
    const before = site.hungUp
    const stream = await openai.chat.completions.create({
      model: 'scripted-chat',
      messages: [{ role: 'user', content: 'go on for ever' }],
      stream: true,
    })
    for await (const _ of stream) break
    await until('the server was told', async () => site.hungUp === before + 1)
    const gone = new AbortController()
    const waiting = openai.chat.completions.create(
      { model: 'scripted-chat', messages: [{ role: 'user', content: 'hang' }] },
      { signal: gone.signal },
    )
    const seen = site.of('/v1/chat/completions').length
    await until('the server has it', async () => site.of('/v1/chat/completions').length > seen)
    gone.abort()
    await expect(waiting).rejects.toBeInstanceOf(OpenAI.APIUserAbortError)
    await until('the server was told', async () => site.hungUp === before + 2)
  })

  test('a server that vanishes in the middle ends the stream with an error, not with an end', async () => {
    const stream = await openai.chat.completions.create({
      model: 'scripted-chat',
      messages: [{ role: 'user', content: 'break' }],
      stream: true,
    })
    const reading = (async () => {
      for await (const _ of stream);
    })()
    expect((await failure(reading)).message).toMatch(/connection broke/)
  })

  test('a limit of the server is a limit here, with its time', async () => {
    site.answer = ({ path, ...rest }, to) =>
      path === '/v1/models'
        ? chatServer({ path, ...rest }, to)
        : json(to, { error: { message: 'slow down' } }, 429, { 'retry-after': '120' })
    const error = await failure(
      openai.chat.completions.create(chat(), { headers: { 'ganglion-deadline-ms': '5000' } }),
    )
    expect([error.status, error.code, error.type, error.headers?.get('retry-after')]).toEqual([
      429,
      'rate_limit_exceeded',
      'rate_limit_error',
      '120',
    ])
  })

  test.each<[string, object, number, string | null, RegExp]>([
    ['no model', { model: undefined }, 400, null, /model is missing/],
    ['another model', { model: 'gpt-0' }, 404, 'model_not_found', /for chat there are: scripted-chat/],
    ['a model of another task', { model: 'moonshine-tiny-en' }, 400, null, /is for transcription/],
    ['a model of tensors', { model: 'silero-vad' }, 400, null, /works on tensors: ask it at \/v2/],
    ['no messages', { messages: [] }, 400, null, /messages/],
  ])('%s is an error in the shape that clients know', async (_what, more, status, code, line) => {
    const error = await failure(openai.chat.completions.create(chat(more)))
    expect([error.status, error.code ?? null, error.type, error.message]).toEqual([
      status,
      code,
      'invalid_request_error',
      expect.stringMatching(line),
    ])
  })

  test('without a server for it the error says what to configure', async () => {
    await using bare = await openGateway()
    const error = await failure(client(bare.httpUrl).chat.completions.create(chat()))
    expect([error.status, error.code, error.message]).toEqual([
      404,
      'model_not_found',
      expect.stringMatching(/gateway\.upstreams: \{id, kind: openai, url, reach\}/),
    ])
    expect((await client(bare.httpUrl).models.list()).data).toEqual([])
  })

  test('a server that is configured and away is named, not asked for', async () => {
    const gone = { id: 'gone', kind: 'openai', url: 'http://127.0.0.1:9/v1', reach: 'site' }
    await using lonely = await openGateway({ section: { upstreams: [gone] } })
    const api = client(lonely.httpUrl)
    await until('it was found away', async () => {
      const error = await failure(api.chat.completions.create(chat()))
      return (
        error.status === 503 && /gone, which may have model scripted-chat,.*ECONNREFUSED/.test(error.message)
      )
    })
  })
})

describe('[openai-3] labels', () => {
  test('a model that the site has stays there when its server is gone, though a cloud has the name too', async () => {
    const near = await ScriptedUpstream.open(chatServer)
    const both = [
      { id: 'near', kind: 'openai', url: `${near.url}/v1`, reach: 'site', models: ['scripted-chat'] },
      // Nobody is there; whether it was asked is what matters, and https is a rule of the configuration.
      {
        id: 'far',
        kind: 'openai',
        url: 'https://127.0.0.1:9/v1',
        reach: 'cloud',
        models: ['scripted-chat', 'only-far'],
      },
    ]
    await using two = await openGateway({ section: { upstreams: both } })
    const api = client(two.httpUrl)
    await until('near is there', async () => (await api.models.list()).data.length === 1)
    await near[Symbol.asyncDispose]()
    const stays = await failure(api.chat.completions.create(chat()))
    expect(stays.message).not.toMatch(/far/)
    const refused = await failure(
      api.chat.completions.create(chat({ model: 'only-far' }), { headers: { 'ganglion-privacy': 'site' } }),
    )
    expect(refused).toMatchObject({ status: 503 })
    const device = await failure(
      api.chat.completions.create(chat(), { headers: { 'ganglion-privacy': 'device' } }),
    )
    expect([device.status === 403 || device.status === 503, device.message]).toEqual([
      true,
      expect.not.stringMatching(/far/),
    ])
    const wrong = await failure(
      api.chat.completions.create(chat(), { headers: { 'ganglion-priority': 'now' } }),
    )
    expect(wrong).toMatchObject({ status: 400, message: expect.stringMatching(/ganglion-priority/) })
  })
})

describe('[openai-4] embeddings', () => {
  test('one text or several, in their order, as the client asks by default (base 64) or as numbers', async () => {
    const one = await openai.embeddings.create({ model: 'scripted-embeddings', input: 'four' })
    expect(one).toMatchObject({
      object: 'list',
      data: [{ object: 'embedding', index: 0, embedding: [4, 1] }],
      usage: { prompt_tokens: 7, total_tokens: 7 },
    })
    const input = ['a', 'bb', 'ccc']
    const several = await openai.embeddings.create({
      model: 'scripted-embeddings',
      input,
      encoding_format: 'float',
    })
    expect(several.data.map(({ embedding }) => embedding)).toEqual([
      [1, 1],
      [2, 1],
      [3, 1],
    ])
  })

  test('a real model here: sentences of like meaning lie near each other', async () => {
    const input = ['turn on the light', 'switch the lamp on', 'my dog is hungry']
    const { data, usage } = await openai.embeddings.create({ model: 'use-lite', input })
    const [light, lamp, dog] = data.map(({ embedding }) => embedding) as [number[], number[], number[]]
    const alike = (a: number[], b: number[]) => a.reduce((sum, one, at) => sum + one * (b[at] ?? 0), 0)
    expect(alike(light, light)).toBeCloseTo(1, 4)
    expect(alike(light, lamp)).toBeGreaterThan(alike(light, dog) + 0.2)
    expect([light.length, usage.prompt_tokens > 0]).toEqual([512, true])
  })

  test('many texts go in portions and come back whole', async () => {
    const input = Array.from({ length: 300 }, (_, n) => 'x'.repeat(n + 1))
    const { data } = await openai.embeddings.create({ model: 'scripted-embeddings', input })
    expect(data.map(({ embedding }) => embedding[0])).toEqual(input.map(({ length }) => length))
  })

  test.each<[object, RegExp]>([
    [{ input: '' }, /input/],
    [{ input: [] }, /input/],
    [{ input: [1, 2, 3] }, /tokens are not taken/],
    [{ input: 'a', encoding_format: 'morse' }, /encoding_format/],
    [{ input: 'a', dimensions: 5 }, /2 dimensions only/],
  ])('%j is an error that names the field', async (body, line) => {
    const { status, body: answer } = await post(`${gateway.httpUrl}/v1/embeddings`, {
      model: 'scripted-embeddings',
      ...body,
    })
    expect([status, answer.error]).toEqual([
      400,
      expect.objectContaining({ type: 'invalid_request_error', message: expect.stringMatching(line) }),
    ])
  })
})

describe('[openai-5] transcriptions', () => {
  const file = (bytes: Uint8Array = recording, name = 'speech.wav') => toFile(bytes, name)
  const model = 'moonshine-tiny-en'

  test('a real recording becomes the words that were said, in every format', async () => {
    const text = 'What time is it?'
    const plain = await openai.audio.transcriptions.create({ file: await file(), model })
    expect(plain).toEqual({ text, usage: { type: 'duration', seconds: 2 } })
    const verbose = await openai.audio.transcriptions.create({
      file: await file(),
      model,
      response_format: 'verbose_json',
    })
    expect(verbose).toMatchObject({
      task: 'transcribe',
      language: 'english',
      text,
      segments: [{ id: 0, text }],
    })
    expect(verbose.segments?.[0]?.end).toBeGreaterThan(verbose.segments?.[0]?.start ?? 0)
    expect(
      await openai.audio.transcriptions.create({ file: await file(), model, response_format: 'text' }),
    ).toBe(`${text}\n`)
    expect(
      await openai.audio.transcriptions.create({ file: await file(), model, response_format: 'srt' }),
    ).toMatch(/^1\n00:00:0\d,\d{3} --> 00:00:0\d,\d{3}\nWhat time is it\?\n$/)
    expect(
      await openai.audio.transcriptions.create({ file: await file(), model, response_format: 'vtt' }),
    ).toMatch(/^WEBVTT\n\n00:00:0\d\.\d{3} --> /)
  })

  test('words are streamed as they are found; the last event has them all', async () => {
    const deltas: string[] = []
    let whole = ''
    const stream = await openai.audio.transcriptions.create({ file: await file(), model, stream: true })
    for await (const event of stream) {
      if (event.type === 'transcript.text.delta') deltas.push(event.delta)
      if (event.type === 'transcript.text.done') whole = event.text
    }
    expect([deltas.length > 1, deltas.join(''), whole]).toEqual([
      true,
      'What time is it?',
      'What time is it?',
    ])
  })

  test('silence says nothing', async () => {
    const silence = Buffer.from(recording)
    silence.fill(0, 44)
    expect((await openai.audio.transcriptions.create({ file: await file(silence), model })).text).toBe('')
  })

  test.skipIf(spawnSync('ffmpeg', ['-version']).status !== 0)(
    'recordings of other kinds are read where there is ffmpeg',
    async () => {
      for (const [format, name] of [
        ['mp3', 'a.mp3'],
        ['flac', 'a.flac'],
        ['ogg', 'a.ogg'],
      ] as const) {
        const { stdout } = spawnSync(
          'ffmpeg',
          ['-loglevel', 'error', '-i', 'pipe:0', '-f', format, 'pipe:1'],
          { input: recording },
        )
        const { text } = await openai.audio.transcriptions.create({ file: await file(stdout, name), model })
        expect(text).toBe('What time is it?')
      }
      const cut = Buffer.concat([Buffer.from('ID3'), Buffer.alloc(500, 7)])
      expect(
        await failure(openai.audio.transcriptions.create({ file: await file(cut, 'a.mp3'), model })),
      ).toMatchObject({ status: 400, param: 'file' })
    },
  )

  test('a server elsewhere gets the file as it came, with every field', async () => {
    const answer = await openai.audio.transcriptions.create({
      file: await file(),
      model: 'scripted-whisper',
      language: 'en',
      prompt: 'clocks',
    })
    expect(answer.text).toBe('a long file')
    const [{ headers = {}, body = Buffer.alloc(0) } = {}] = site.of('/v1/audio/transcriptions')
    const form = await new Response(new Uint8Array(body), {
      headers: { 'content-type': headers['content-type'] ?? '' },
    }).formData()
    const sent = form.get('file') as File
    expect([form.get('model'), form.get('language'), form.get('prompt'), sent.name]).toEqual([
      'scripted-whisper',
      'en',
      'clocks',
      'speech.wav',
    ])
    expect(Buffer.from(await sent.arrayBuffer()).equals(recording)).toBe(true)
  })

  test.each<[string, Uint8Array, object, RegExp]>([
    [
      'a playlist, which could name other files',
      Buffer.from('#EXTM3U\nfile:///etc/passwd\n'),
      {},
      /no recording that is read here/,
    ],
    ['an empty file', new Uint8Array(), {}, /file is empty/],
    ['a cut WAVE file', recording.subarray(0, 20), {}, /damaged|empty/],
    ['a format that is none', recording, { response_format: 'song' }, /response_format is not one of/],
  ])('%s is an error that says so', async (_what, bytes, more, line) => {
    const error = await failure(
      openai.audio.transcriptions.create({ file: await file(bytes), model, ...more } as never),
    )
    expect([error.status, error.message]).toEqual([400, expect.stringMatching(line)])
  })

  test('what is no form, and a file beyond the limit, are refused', async () => {
    const url = `${gateway.httpUrl}/v1/audio/transcriptions`
    expect((await post(url, { model })).body.error.message).toMatch(/multipart\/form-data/)
    const broken = await ask(url, {
      method: 'POST',
      headers: { 'content-type': 'multipart/form-data; boundary=x' },
      body: 'hello',
    })
    expect([broken.status, broken.body.error.message]).toEqual([
      400,
      expect.stringMatching(/form cannot be read/),
    ])
    const { request } = await import('node:http')
    const status = await new Promise((resolve) => {
      const headers = { 'content-length': 2 ** 30, 'content-type': 'multipart/form-data; boundary=x' }
      const sent = request(url, { method: 'POST', headers }, (response) => {
        resolve(response.statusCode)
        sent.destroy()
      })
      sent.on('error', () => {})
      sent.flushHeaders()
    })
    expect(status).toBe(413)
  })
})
