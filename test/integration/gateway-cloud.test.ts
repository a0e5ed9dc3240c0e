/**
 * Text through a real gateway to a server that counts as a cloud, asked by the official client. The server is scripted and on
 * loopback: it says back what it was told, which shows what it saw.
 */
import OpenAI from 'openai'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { GatewayConfig } from '../../gateway/config.ts'
import type { Gateway } from '../../gateway/gateway.ts'
import { chatServer, events, json, ScriptedUpstream } from '../fixtures/scripted-upstream.ts'
import { until } from './broker-raw.ts'
import { ask, homeOf, openGateway, ScriptedDevice } from './gateway-device.ts'

const said = 'Is anna@mail.example or +49 170 1234567 near the Reading lamp in the Blue room?'
const hidden = 'Is [EMAIL_1] or [PHONE_1] near the [DEVICE_1] in the [AREA_1]?'
const personal = /anna|1234567|reading|blue/i
let upstream: ScriptedUpstream
let gateway: Gateway
let device: ScriptedDevice
let openai: OpenAI

const models = (prefix: string) => [`${prefix}chat`, { name: `${prefix}embeddings`, task: 'embeddings' }]
/** A file may name a cloud by https only. */
const far = (config: GatewayConfig): GatewayConfig => {
  const upstreams = config.inference.upstreams.map((one) =>
    one.id === 'far' ? { ...one, reach: 'cloud' as const, redact: true } : one,
  )
  return { ...config, inference: { ...config.inference, upstreams } }
}

beforeAll(async () => {
  upstream = await ScriptedUpstream.open(chatServer)
  const server = { kind: 'openai', url: `${upstream.url}/v1`, reach: 'site' }
  gateway = await openGateway({
    section: {
      upstreams: [
        { ...server, id: 'near', models: models('near-') },
        { ...server, id: 'far', models: models('far-') },
      ],
    },
    change: far,
  })
  openai = new OpenAI({ baseURL: `${gateway.httpUrl}/v1`, apiKey: 'not-needed-on-loopback', maxRetries: 0 })
  device = await ScriptedDevice.open(gateway.mqttUrl)
  const [light, ...rest] = homeOf(device.id).entities
  if (!light) throw new Error('a home has no light')
  await device.online(
    homeOf(device.id, {
      areas: [{ id: 'kitchen', name: 'Blue room', floor: 'Ground' }],
      entities: [{ ...light, name: 'Reading lamp' }, ...rest],
    }),
  )
  await until('the gateway knows the home', async () => {
    const { body } = await ask(`${gateway.httpUrl}/api/entities`)
    return JSON.stringify(body).includes('Reading lamp')
  })
  await until('the models are there', async () => (await openai.models.list()).data.length === 4)
})
afterAll(async () => {
  await device[Symbol.asyncDispose]()
  await gateway[Symbol.asyncDispose]()
  await upstream[Symbol.asyncDispose]()
})

beforeEach(() => {
  upstream.answer = chatServer
})

const chat = (model: string) => ({ model, messages: [{ role: 'user' as const, content: said }] })
const seen = () => JSON.parse(String(upstream.received.findLast(({ method }) => method === 'POST')?.body))

test('[serving-11] a cloud never sees the address, the number and the names; the caller sees them back', async () => {
  const { choices } = await openai.chat.completions.create(chat('far-chat'))
  expect(choices[0]?.message.content).toBe(said)
  expect(seen().messages).toEqual([{ role: 'user', content: hidden }])
})

test('[serving-11] streaming too, where pieces of the answer cut placeholders', async () => {
  let content = ''
  const stream = await openai.chat.completions.create({ ...chat('far-chat'), stream: true })
  for await (const { choices } of stream) content += choices[0]?.delta.content ?? ''
  expect(content).toBe(said)
  const piece = (delta: object, finish: string | null = null) => ({
    ...{ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'x' },
    choices: [{ index: 0, delta, finish_reason: finish }],
  })
  const part = (text: string) => piece({ tool_calls: [{ index: 0, function: { arguments: text } }] })
  upstream.answer = (request, response) => {
    if (!request.path.endsWith('/chat/completions')) return chatServer(request, response)
    const call = { index: 0, id: 'call-1', type: 'function', function: { name: 'mail', arguments: '' } }
    events(response, [
      piece({ role: 'assistant', content: '' }),
      ...[...'to [EMAIL_1]'].map((character) => piece({ content: character })),
      piece({ tool_calls: [call] }),
      ...[...'{"to":"[EMAIL_1]"}'].map(part),
      piece({}, 'tool_calls'),
      '[DONE]',
    ])
    response.end()
  }
  const { choices } = await openai.chat.completions.stream(chat('far-chat')).finalChatCompletion()
  expect(choices[0]?.message.content).toBe('to anna@mail.example')
  const [call] = choices[0]?.message.tool_calls ?? []
  expect(call?.type === 'function' && call.function.arguments).toBe('{"to":"anna@mail.example"}')
})

test('[serving-11] arguments of a tool in a whole answer', async () => {
  upstream.answer = (request, response) => {
    if (!request.path.endsWith('/chat/completions')) return chatServer(request, response)
    const call = { name: 'mail', arguments: '{"to":"[EMAIL_1]","near":"[DEVICE_1]"}' }
    const message = {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'c', type: 'function', function: call }],
    }
    json(response, {
      object: 'chat.completion',
      choices: [{ index: 0, message, finish_reason: 'tool_calls' }],
    })
  }
  const { choices } = await openai.chat.completions.create(chat('far-chat'))
  const [call] = choices[0]?.message.tool_calls ?? []
  expect(call?.type === 'function' && JSON.parse(call.function.arguments)).toEqual({
    to: 'anna@mail.example',
    near: 'Reading lamp',
  })
})

test('[serving-11] embeddings in a cloud are those of the hidden text', async () => {
  const { data } = await openai.embeddings.create({ model: 'far-embeddings', input: [said, 'lights on'] })
  expect(seen().input).toEqual([hidden, 'lights on'])
  expect(data.map(({ embedding }) => embedding[0])).toEqual([hidden.length, 'lights on'.length])
})

test('[serving-11] nothing that a cloud was sent says who', () => {
  const posts = upstream.received.filter(({ method }) => method === 'POST')
  expect(posts.length).toBeGreaterThan(3)
  for (const { body } of posts) expect(String(body)).not.toMatch(personal)
})

test('[serving-11] a server of the site gets the text as it is', async () => {
  const { choices } = await openai.chat.completions.create(chat('near-chat'))
  expect(choices[0]?.message.content).toBe(said)
  expect(seen().messages[0].content).toBe(said)
  await openai.embeddings.create({ model: 'near-embeddings', input: said })
  expect(seen().input).toEqual([said])
})
