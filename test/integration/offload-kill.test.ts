/** Real gateways as processes, killed with SIGKILL while they work for a device. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { textTensor } from '../../gateway/offload/tasks.ts'
import { freePort, startAedes, type TestBroker } from '../fixtures/broker.ts'
import { chatServer, ScriptedUpstream } from '../fixtures/scripted-upstream.ts'
import { all, anySignal, asked, eventually, openDevice, type TestDevice } from './offload-setup.ts'

let stack: AsyncDisposableStack
let folder: string
let broker: TestBroker
let upstream: ScriptedUpstream
let release: () => void

beforeEach(async () => {
  stack = new AsyncDisposableStack()
  folder = mkdtempSync(join(tmpdir(), 'offload-kill-'))
  stack.defer(() => rmSync(folder, { recursive: true, force: true }))
  broker = stack.use(await startAedes())
  const { promise: released, resolve } = Promise.withResolvers<void>()
  release = resolve
  upstream = stack.use(
    await ScriptedUpstream.open(async (request, response) => {
      if (request.path === '/v1/embeddings') await released
      if (!response.destroyed) await chatServer(request, response)
    }),
  )
})
afterEach(() => stack.disposeAsync())

/** A second process of the same program on another's broker is a second worker. */
async function startGateway(id: string, httpPort: number): Promise<ChildProcess> {
  const config = join(folder, `${id}.yaml`)
  const models = [
    { name: 'scripted-embeddings', task: 'embeddings' },
    { name: 'scripted-chat', task: 'chat' },
  ]
  const upstreams = [{ id: 'up', kind: 'openai', url: `${upstream.url}/v1`, reach: 'site', models }]
  writeFileSync(config, JSON.stringify({ gateway: { upstreams } }))
  const own = [
    '--config',
    config,
    '--id',
    id,
    '--http-port',
    String(httpPort),
    '--state-dir',
    join(folder, id),
  ]
  const args = [...own, '--broker', broker.url, '--log-level', 'warn', '--json', '--supervised']
  const child = spawn(process.execPath, ['gateway/main.ts', ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  stack.defer(() => void child.kill('SIGKILL'))
  await once(createInterface(child.stdout), 'line')
  return child
}

async function killed(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

const offeredBy = (device: TestDevice, model: string, workers: readonly string[]) =>
  eventually(() => {
    expect(device.client.stats().workers.toSorted()).toEqual(workers)
    expect(device.client.offer(model, 'site')).toMatchObject({ usable: true })
  })

test('[offload-5] a gateway that is killed loses no request: another one on the same broker answers', async () => {
  const ports = [await freePort(), await freePort()] as const
  const gatewayUrls = ports.map((port) => `http://127.0.0.1:${port}`)
  const first = await startGateway('w1', ports[0])
  const device = stack.use(await openDevice(broker.url, 'd1', { gatewayUrls }))
  await offeredBy(device, 'scripted-embeddings', ['w1'])
  const texts = Array.from({ length: 12 }, (_, n) => 'x'.repeat(n + 1))
  // The last one is too large for MQTT.
  texts.push('y'.repeat(200_000))
  const answers = Promise.all(
    texts.map((text) =>
      all(device.client.infer(asked('scripted-embeddings', [textTensor('text', text)]), anySignal())),
    ),
  )
  await eventually(() => expect(upstream.of('/v1/embeddings').length).toBe(13))
  await startGateway('w2', ports[1])
  await offeredBy(device, 'scripted-embeddings', ['w1', 'w2'])
  expect(device.client.stats()).toMatchObject({ unanswered: 13, answered: 0 })
  await killed(first)
  release()
  const read = (await answers).map((chunks) => ({
    route: chunks[0]?.route,
    of: chunks[0]?.outputs[0]?.data[0],
  }))
  expect(read).toEqual(texts.map(({ length }) => ({ route: 'gateway/w2/up', of: length })))
  expect(device.client.stats()).toMatchObject({ answered: 13, failed: 0, moved: 13 })
})

test('[offload-6] a gateway that is killed in the middle of an answer is an honest error', async () => {
  const child = await startGateway('w1', 0)
  const device = stack.use(await openDevice(broker.url, 'd1'))
  await offeredBy(device, 'scripted-chat', ['w1'])
  const body = JSON.stringify({ stream: true, messages: [{ role: 'user', content: 'go on for ever' }] })
  const chunks = device.client.infer(asked('scripted-chat', [textTensor('request', body)]), anySignal())
  const read: string[] = []
  const ended = (async () => {
    for await (const { outputs } of chunks) {
      const [event] = outputs
      read.push(String(event?.data))
      if (read.length === 2) await killed(child)
    }
  })()
  await expect(ended).rejects.toMatchObject({ code: 'engine-lost' })
  expect(read.length).toBeGreaterThan(1)
  expect(device.client.offer('scripted-chat', 'site')).toMatchObject({ usable: false })
})
