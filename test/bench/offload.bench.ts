/**
 * What it costs to have inference done at a gateway: the round trip of a small request over MQTT and of a large one by ticket,
 * beside the least that the same wires can do.
 */
import { Agent, request } from 'node:http'
import type { MqttClient } from 'mqtt'
import type { Tensor } from '../../runtime/wire/infer.ts'
import { alternate } from './alternate.ts'
import type { Benchmark, Measurement } from './benchmark.ts'
import { openPromptAedes } from './brokers.ts'
import { type OffloadDevice, openDevice, untilOffered } from './offload-devices.ts'
import { promptClient } from './prompt-client.ts'
import { median, quantile } from './quantiles.ts'
import { Worker } from './worker.ts'

const smallBytes = 16 * 1024
const largeBytes = 1_200_000
const answerMsMax = 10_000

export const offloadRoundTrip: Benchmark = {
  name: 'offload.round-trip',
  async run({ quick, signal }) {
    await using broker = await openPromptAedes()
    await using worker = await Worker.open(new URL('programs/offload-worker.ts', import.meta.url), [
      String(broker.port),
    ])
    await using _echo = await Worker.open(new URL('programs/echo.ts', import.meta.url), [String(broker.port)])
    const { http } = await worker.ask<{ http: string }>({})
    await using device = await openDevice(broker.port, 'd1', [http])
    await untilOffered(device, 'echo', 1, signal)
    const client = await promptClient(broker.port)
    const agent = new Agent({ keepAlive: true })
    await client.subscribeAsync('bench/answer', { qos: 1 })
    try {
      const small = await alternate(
        { ours: () => inferMs(device, smallBytes), bare: () => mqttMs(client, smallBytes) },
        { rounds: quick ? 100 : 1000, warmUps: 20 },
      )
      const large = await alternate(
        { ours: () => inferMs(device, largeBytes), bare: () => httpMs(agent, http, largeBytes, signal) },
        { rounds: quick ? 20 : 200, warmUps: 5 },
      )
      return [
        measurement('inline-16-kb', small, {
          against:
            'the same bytes there and back in MQTT messages between two bare clients, QoS 1, the same broker, no Nagle delays',
          limit: 'CBOR, schemas and credits on both sides, in the same processes as the MQTT clients',
        }),
        measurement('ticket-1.2-mb', large, {
          against:
            'the same bytes there and back in one HTTP request to the same server, on a connection that is kept',
          limit:
            'asking for the ticket over MQTT before the upload, telling the answer’s ticket after it, the download as a request of its own, and CBOR with its checks on both sides',
        }),
      ]
    } finally {
      agent.destroy()
      await client.endAsync(true)
    }
  },
}

function measurement(
  name: string,
  ms: { readonly ours: readonly number[]; readonly bare: readonly number[] },
  words: Pick<Measurement, 'against' | 'limit'>,
): Measurement {
  const p95 = (values: readonly number[]) => quantile(values, 0.95).toFixed(1)
  return {
    name: `offload.round-trip-${name}`,
    value: median(ms.ours),
    unit: 'ms',
    baseline: median(ms.bare),
    ...words,
    note: `the model gives its inputs back at once; three processes on this machine; p95 ${p95(ms.ours)} ms, bare ${p95(ms.bare)} ms`,
  }
}

async function inferMs({ client }: OffloadDevice, bytes: number): Promise<number> {
  const data = new Uint8Array(bytes)
  const input: Tensor = { name: 'x', datatype: 'UINT8', shape: [bytes], data }
  const startMs = performance.now()
  const chunks = client.infer(
    { model: 'echo', priority: 'interactive', deadlineMs: answerMsMax, privacy: 'site', inputs: [input] },
    new AbortController().signal,
  )
  for await (const { outputs } of chunks)
    if (outputs[0]?.data.length !== bytes) throw new Error('the answer is not what was sent')
  return performance.now() - startMs
}

async function mqttMs(client: MqttClient, bytes: number): Promise<number> {
  const payload = Buffer.alloc(bytes)
  const startMs = performance.now()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(() => reject(new Error(`no echo within ${answerMsMax} ms`)), answerMsMax)
  client.once('message', () => resolve())
  client.publish('bench/question', payload, { qos: 1 })
  await promise.finally(() => clearTimeout(timer))
  return performance.now() - startMs
}

/** As the device has it: node:http. `fetch` would make the baseline slower than it need be. */
async function httpMs(agent: Agent, http: string, bytes: number, signal: AbortSignal): Promise<number> {
  const body = new Uint8Array(bytes)
  const headers = { 'content-type': 'application/octet-stream', 'content-length': bytes }
  const startMs = performance.now()
  const answered = await new Promise<number>((resolve, reject) => {
    const asked = request(`${http}/echo`, { agent, method: 'POST', headers, signal }, (response) => {
      let read = 0
      response.on('data', (chunk: Buffer) => {
        read += chunk.byteLength
      })
      response.on('end', () => resolve(read))
      response.on('error', reject)
    })
    asked.on('error', reject)
    asked.end(body)
  })
  if (answered !== bytes) throw new Error('the echo is not what was sent')
  return performance.now() - startMs
}
