/** Inference at gateways over real brokers: aedes (MQTT 3.1.1) and mosquitto (MQTT 5). */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { InferError } from '../../runtime/wire/infer.ts'
import { encodeMessage, parseAdvert } from '../../runtime/wire/offload.ts'
import { mosquittoPath, Peer, type StartBroker, startAedes, startMosquitto } from '../fixtures/broker.ts'
import { echo, final, floats, never, part, ScriptedServing } from '../fixtures/serving.ts'
import {
  all,
  anySignal,
  asked,
  eventually,
  failure,
  offered,
  openDevice,
  openWorker,
} from './offload-setup.ts'

const brokers: { name: string; start: StartBroker; present: boolean }[] = [
  { name: 'aedes', start: startAedes, present: true },
  {
    name: 'mosquitto',
    start: startMosquitto,
    present: mosquittoPath !== undefined || Boolean(process.env['CI']),
  },
]
const small = floats(
  'x',
  Float32Array.from({ length: 100 }, (_, n) => n / 3),
)
const large = floats(
  'x',
  Float32Array.from({ length: 300_000 }, (_, n) => n),
)

describe.each(brokers)('offload over $name', ({ name, start, present }) => {
  let stack: AsyncDisposableStack

  beforeEach(({ skip }) => {
    skip(!present, `${name} is not installed`)
    stack = new AsyncDisposableStack()
  })
  afterEach(() => stack.disposeAsync())

  async function site(serving: ScriptedServing, withHttp = true) {
    const broker = stack.use(await start())
    const worker = stack.use(await openWorker(broker.url, 'w1', serving))
    const device = stack.use(
      await openDevice(broker.url, 'd1', { gatewayUrls: withHttp ? [worker.http] : [] }),
    )
    return { broker, worker, device }
  }

  test('two workers of one id each say so, until one of them is gone; a worker alone does not', async () => {
    const broker = stack.use(await start())
    const serving = new ScriptedServing({ echo: { answer: echo } })
    const first = stack.use(await openWorker(broker.url, 'same', serving))
    // It hears its own advert, as it does everybody's.
    const device = stack.use(await openDevice(broker.url, 'd1'))
    await offered(device, 'echo')
    expect(first.listener.problem).toBeUndefined()
    await using second = await openWorker(broker.url, 'same', serving)
    await eventually(() =>
      expect(first.listener.problem).toMatch(/^another gateway on this broker is named same too.*--id/),
    )
    await eventually(() => expect(second.listener.problem).toContain('named same too'))
  })

  test('of a worker named gateway a route names the backend alone', async () => {
    const broker = stack.use(await start())
    const answer = async function* () {
      yield { ...final(small), route: 'pool' }
    }
    const serving = new ScriptedServing({ echo: { answer } })
    for (const [worker, route] of [
      ['gateway', 'gateway/pool'],
      ['second', 'gateway/second/pool'],
    ] as const) {
      await using _worker = await openWorker(broker.url, worker, serving)
      await using device = await openDevice(broker.url, `d-${worker}`)
      await offered(device, 'echo')
      const chunks = await all(device.client.infer(asked('echo', [small]), anySignal()))
      expect(chunks.at(-1)?.route).toBe(route)
    }
  })

  test('[offload-1] a small request is answered over MQTT, bit for bit, and says where it ran', async () => {
    const serving = new ScriptedServing({ echo: { answer: echo } })
    const { device } = await site(serving, false)
    await offered(device, 'echo')
    const chunks = await all(
      device.client.infer(asked('echo', [small], { parameters: { top: 3 } }), anySignal()),
    )
    expect(chunks).toMatchObject([{ final: true, route: 'gateway/w1', modelMs: 1 }])
    expect(chunks[0]?.outputs).toEqual([small])
    expect(serving.began).toMatchObject([{ caller: 'd1', model: 'echo', parameters: { top: 3 } }])
  })

  test('[offload-1] a large request and a large answer go by ticket', async () => {
    const { device } = await site(new ScriptedServing({ echo: { answer: echo } }))
    await offered(device, 'echo')
    const chunks = await all(device.client.infer(asked('echo', [large]), anySignal()))
    expect(chunks[0]?.outputs).toEqual([large])
  })

  test('a stream arrives in order, large parts between small ones', async () => {
    const sizes = [1, 60_000, 2, 70_000, 3]
    const serving = new ScriptedServing({
      parts: {
        async *answer() {
          for (const size of sizes) yield part(floats('y', new Float32Array(size)))
          yield final()
        },
      },
    })
    const { device } = await site(serving)
    await offered(device, 'parts')
    const chunks = await all(device.client.infer(asked('parts', [small]), anySignal()))
    expect(chunks.map(({ outputs }) => outputs[0]?.data.length)).toEqual([...sizes, undefined])
    expect(chunks.map((chunk) => chunk.final)).toEqual([false, false, false, false, false, true])
  })

  test('a broker that restarts costs time, not the request', async () => {
    const serving = new ScriptedServing({ echo: { answer: echo }, hold: { answer: never } })
    const { broker, device } = await site(serving)
    await offered(device, 'hold')
    const held = failure(device.client.infer(asked('hold', [small], { deadlineMs: 4_000 }), anySignal()))
    await eventually(() => expect(serving.running).toBe(1))
    await broker.stop()
    // Nobody could hear its answer: the backend is free again.
    await eventually(() => expect(serving.aborted).toBe(1))
    expect(device.client.offer('echo', 'site')).toMatchObject({ usable: false })
    stack.use(await start(broker.port))
    await offered(device, 'echo')
    expect(await all(device.client.infer(asked('echo', [small]), anySignal()))).toHaveLength(1)
    expect((await held).code).toBe('deadline')
    expect(serving.began.filter(({ model }) => model === 'hold').length).toBe(2)
  })

  test('[offload-2] the advert is retained while the worker is there, and gone with it', async () => {
    const { broker, worker, device } = await site(new ScriptedServing({ echo: { answer: echo } }))
    await offered(device, 'echo')
    const topic = 'ganglion/gateway/w1/advert'
    const early = stack.use(await Peer.connect(broker.url, [topic]))
    const heard = await early.hear('the retained advert', (m) => m.packet.retain)
    expect(parseAdvert(heard.payload)).toMatchObject({ ok: true, value: { worker: 'w1' } })
    await worker[Symbol.asyncDispose]()
    await early.hear('its end', (m) => m.payload.length === 0)
    await eventually(() => expect(device.client.offer('echo', 'site')).toMatchObject({ usable: false }))
    const lateComer = stack.use(await Peer.connect(broker.url, [topic, 'ganglion/mark']))
    await lateComer.say('ganglion/mark', 'x')
    await lateComer.hear('the mark', (m) => m.topic === 'ganglion/mark')
    expect(lateComer.heard.filter((m) => m.topic === topic)).toEqual([])
  })

  test('[offload-3] aborting frees the backend; so does a device that goes away', async () => {
    const serving = new ScriptedServing({ hold: { answer: never } })
    const { device } = await site(serving)
    await offered(device, 'hold')
    const abort = new AbortController()
    const first = failure(device.client.infer(asked('hold', [small]), abort.signal))
    await eventually(() => expect(serving.running).toBe(1))
    abort.abort()
    expect((await first).code).toBe('cancelled')
    await eventually(() => expect([serving.running, serving.aborted]).toEqual([0, 1]))
    const second = failure(device.client.infer(asked('hold', [small]), anySignal()))
    await eventually(() => expect(serving.running).toBe(1))
    await device[Symbol.asyncDispose]()
    expect((await second).code).toBe('cancelled')
    await eventually(() => expect([serving.running, serving.aborted]).toEqual([0, 2]))
  })

  test('[offload-4] the deadline travels as time left, and ends both sides', async () => {
    const serving = new ScriptedServing({ hold: { answer: never } })
    const { device } = await site(serving)
    await offered(device, 'hold')
    const error = await failure(device.client.infer(asked('hold', [small], { deadlineMs: 300 }), anySignal()))
    expect(error.code).toBe('deadline')
    expect(serving.began[0]?.deadlineMs).toBeGreaterThan(0)
    expect(serving.began[0]?.deadlineMs).toBeLessThanOrEqual(300)
    await eventually(() => expect(serving.running).toBe(0))
  })

  test('errors of the model arrive as they are', async () => {
    const serving = new ScriptedServing({
      picky: {
        // biome-ignore lint/correctness/useYield: it fails before its first chunk
        async *answer() {
          throw new InferError('bad-input', 'input x has shape [100], not [1,2]')
        },
      },
    })
    const { device } = await site(serving)
    await offered(device, 'picky')
    const error = await failure(device.client.infer(asked('picky', [small]), anySignal()))
    expect(error).toMatchObject({ code: 'bad-input', message: 'input x has shape [100], not [1,2]' })
  })

  test('[offload-9] what is no request of ours is counted against its sender and dropped', async () => {
    const serving = new ScriptedServing({ echo: { answer: echo } })
    const { broker, worker } = await site(serving)
    const peer = stack.use(await Peer.connect(broker.url, ['ganglion/d9/reply/#']))
    const ask = (message: Uint8Array | string) => peer.say('ganglion/gateway/w1/infer/d9', message)
    const request = {
      id: 'a-request-of-d9',
      replyTo: 'ganglion/d9/reply/k',
      model: 'echo',
      priority: 'interactive',
      deadlineMs: 5000,
      privacy: 'site',
      inputs: [small],
    }
    await ask('garbage')
    await ask(encodeMessage({ ...request, priority: 'royal' }))
    await ask(encodeMessage({ ...request, replyTo: 'ganglion/d1/reply/k' }))
    await ask(encodeMessage({ ...request, replyTo: 'ganglion/d9/set/light.a' }))
    await ask(encodeMessage({ ...request, v: 2 }))
    // A redelivery, and a field that this version does not know.
    await ask(encodeMessage({ ...request, hue: 3 }))
    await ask(encodeMessage(request))
    await peer.hear('the answer', (m) => m.topic === request.replyTo)
    await ask(encodeMessage({ ...request, id: 'another-of-d9', inputs: [{ ...small, shape: [7] }] }))
    await peer.until('the refusal', () => peer.heard.length === 2)
    expect(serving.began).toHaveLength(1)
    expect(worker.bad).toHaveLength(5)
    expect(worker.bad.every((line) => line.startsWith('d9: '))).toBe(true)
  })

  test('[offload-9] a gigabyte is refused where it is, and a packet too large for us is never collected', async () => {
    const { broker, worker, device } = await site(new ScriptedServing({ echo: { answer: echo } }))
    await offered(device, 'echo')
    // Zeroes that were never written take no memory.
    const gigabyte = floats('x', new Float32Array(256 * 1024 * 1024))
    const error = await failure(device.client.infer(asked('echo', [gigabyte]), anySignal()))
    expect(error.code).toBe('bad-input')
    expect(error.message).toContain('bytes')
    if (name === 'aedes' || name === 'mosquitto') {
      const peer = stack.use(await Peer.connect(broker.url, []))
      await peer.say('ganglion/gateway/w1/infer/d9', new Uint8Array(1024 * 1024))
      await eventually(() => expect(worker.bad).toHaveLength(1))
    }
    expect(await all(device.client.infer(asked('echo', [small]), anySignal()))).toHaveLength(1)
  })
})
