/** Every kind of backend in the gateway's list, against real engines and servers on loopback. */
import { mkdirSync, readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { backendKinds } from '../../gateway/offload/backends/index.ts'
import type { BackendsConfig, UpstreamConfig } from '../../gateway/offload/backends/kind.ts'
import { textTensor } from '../../gateway/offload/tasks.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { chatServer, ScriptedUpstream } from '../fixtures/scripted-upstream.ts'
import { openGateway } from '../integration/gateway-device.ts'
import { addRequest, f32, isSum, modelsFolder, slowRequest } from '../integration/served-models.ts'
import { type BackendFixture, backendSuite, until } from './backend.suite.ts'

const folder = modelsFolder()
const deps = { clock: realClock, log: silentLog }
const never = new AbortController().signal

async function open(kind: string, config: Partial<BackendsConfig>) {
  const found = backendKinds.find((one) => one.kind === kind)
  const [backend] = (await found?.open(deps, { pool: undefined, upstreams: [], ...config }, never)) ?? []
  if (!backend) throw new Error(`${kind} opened nothing`)
  return backend
}
const upstream = (
  kind: 'oip' | 'openai',
  url: string,
  more: Partial<UpstreamConfig> = {},
): UpstreamConfig => ({
  id: `${kind}-1`,
  kind,
  url,
  reach: 'site',
  priority: false,
  concurrency: 16,
  ...more,
})
/** Port 9 of loopback, "discard": nobody listens there. */
const nobody = 'http://127.0.0.1:9'
const pool = (folders: readonly string[]) => ({
  models: [],
  folders,
  workers: 1,
  threads: 1,
  budgetMb: 500,
})
const tensors = {
  known: addRequest,
  isRight: ([chunk]: readonly { readonly outputs: readonly (typeof addRequest.inputs)[number][] }[]) =>
    isSum(chunk?.outputs[0]),
  wrong: { model: 'add', inputs: [f32('a', 1, 2)] },
  wrongName: /\bb\b/,
  slow: slowRequest,
}

const fixtures: Readonly<Record<string, BackendFixture>> = {
  pool: {
    async open() {
      const backend = await open('pool', { pool: pool([folder]) })
      return { ...tensors, backend, [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose]() }
    },
    async openAway() {
      // The store is one of its own, and where packages come from nobody listens.
      process.env['npm_config_registry'] = nobody
      return open('pool', { pool: { ...pool([]), models: ['silero-vad'] } })
    },
    absent: 'silero-vad',
  },
  // Another gateway is a server of the protocol like any other.
  oip: {
    async open() {
      const server = await openGateway({ section: { inference: { folders: [folder], workers: 1 } } })
      const backend = await open('oip', { upstreams: [upstream('oip', server.httpUrl)] })
      const close = async () => {
        await backend[Symbol.asyncDispose]()
        await server[Symbol.asyncDispose]()
      }
      return { ...tensors, backend, [Symbol.asyncDispose]: close }
    },
    openAway: () => open('oip', { upstreams: [upstream('oip', nobody, { models: [{ name: 'absent' }] })] }),
    absent: 'absent',
  },
  openai: {
    async open() {
      const server = await ScriptedUpstream.open(chatServer)
      const backend = await open('openai', { upstreams: [upstream('openai', `${server.url}/v1`)] })
      const chat = (request: unknown) => ({
        model: 'scripted-chat',
        inputs: [textTensor('request', JSON.stringify(request))],
      })
      const said = (content: string) => ({ stream: true, messages: [{ role: 'user', content }] })
      return {
        backend,
        known: chat(said('one two')),
        isRight: (chunks) => chunks.length === 5 && JSON.stringify(chunks).includes('two'),
        wrong: chat('no object'),
        wrongName: /input request/,
        slow: chat(said('go on for ever')),
        async [Symbol.asyncDispose]() {
          await backend[Symbol.asyncDispose]()
          await server[Symbol.asyncDispose]()
        },
      }
    },
    openAway: () =>
      open('openai', {
        upstreams: [upstream('openai', nobody, { models: [{ name: 'absent', task: 'chat' }] })],
      }),
    absent: 'absent',
  },
}

test('[serving-8] every kind of the list is tested here', () => {
  expect(Object.keys(fixtures)).toEqual(backendKinds.map(({ kind }) => kind))
})

for (const [kind, fixture] of Object.entries(fixtures)) backendSuite(kind, fixture)

test('the gateway’s own engines say what loading a model took, once they did', async () => {
  await using backend = await open('pool', { pool: pool([folder]) })
  const shown = () => backend.models().find(({ name }) => name === addRequest.model)
  await until('it is known', () => shown() !== undefined)
  expect(shown()).toMatchObject({ loaded: false, loadMs: undefined })
  const limits = { id: 'one', priority: 'interactive', deadlineMs: 60_000, privacy: 'site' } as const
  for await (const chunk of backend.infer({ ...addRequest, ...limits }, never)) expect(chunk.final).toBe(true)
  expect(shown()).toMatchObject({ loaded: true, loadMs: expect.any(Number) })
})

test('what was added on this machine is served by the pool too, and examined once for device and gateway', async () => {
  const dir = join(modelsFolder(), '..')
  const store = process.env['GANGLION_MODELS_DIR'] ?? ''
  mkdirSync(join(store, 'added'), { recursive: true })
  renameSync(join(dir, 'models', 'add'), join(store, 'added', 'add'))
  await using backend = await open('pool', { pool: pool([join(dir, 'models')]) })
  await until('both are served', () => backend.models().length === 2)
  expect(
    backend
      .models()
      .map(({ name }) => name)
      .sort(),
  ).toEqual(['add', 'slow'])
  expect(readdirSync(join(store, 'checked'))).toHaveLength(2)
})
