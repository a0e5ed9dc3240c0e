/** Backends with scripted servers on loopback: what their tests share. Time is virtual, sockets are real. */
import type { ServerResponse } from 'node:http'
import { afterEach, beforeEach, expect } from 'vitest'
import type { Backend } from '../../gateway/offload/backends/backend.ts'
import type { UpstreamConfig } from '../../gateway/offload/backends/kind.ts'
import { oipKind } from '../../gateway/offload/backends/oip.backend.ts'
import { openAiKind } from '../../gateway/offload/backends/openai.backend.ts'
import { textTensor } from '../../gateway/offload/tasks.ts'
import { VirtualClock } from '../../runtime/base/clock.ts'
import { createLog } from '../../runtime/base/log.ts'
import { type InferChunk, InferError, type InferRequest } from '../../runtime/wire/infer.ts'
import { until } from '../conformance/backend.suite.ts'
import { json, ScriptedUpstream } from '../fixtures/scripted-upstream.ts'
import { f32 } from './served-models.ts'

export const key = 'sk-a-key-that-nobody-may-see'
const never = new AbortController().signal
export let clock: VirtualClock
let logged: string[]
let told: string[]
export const open: AsyncDisposable[] = []
beforeEach(() => {
  clock = new VirtualClock()
  logged = []
  told = []
})
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one[Symbol.asyncDispose]()
  expect([...logged, ...told].join('\n')).not.toContain(key)
})

export const log = createLog({
  level: 'debug',
  json: false,
  write: (line) => logged.push(line),
  nowMs: () => 0,
})
export const config = (kind: 'oip' | 'openai', url: string): UpstreamConfig => ({
  ...{ id: 'server-1', kind, url, key, reach: 'site', priority: false, concurrency: 4 },
  models: [{ name: 'm', task: 'chat', price: 0.002 }],
})
export async function openBackend(
  kind: 'oip' | 'openai',
  url: string,
  more: Partial<UpstreamConfig> = {},
): Promise<Backend> {
  const upstreams = [{ ...config(kind, url), ...more }]
  const { open: opens } = kind === 'oip' ? oipKind : openAiKind
  const [backend] = await opens({ clock, log }, { pool: undefined, upstreams }, never)
  if (!backend) throw new Error(`${kind} opened nothing`)
  open.push(backend)
  await until('it was looked at', () => backend.health().state !== 'starting')
  return backend
}
export const limits = { priority: 'interactive', deadlineMs: 600_000, privacy: 'site' } as const
export const oipRequest: InferRequest = { id: 'mine', model: 'm', ...limits, inputs: [f32('x', 1)] }
export const chatRequest = (stream = true): InferRequest => ({
  ...{ id: 'mine', model: 'm', ...limits },
  inputs: [textTensor('request', JSON.stringify({ stream, messages: [{ role: 'user', content: 'hi' }] }))],
})

interface Outcome {
  readonly chunks: InferChunk[]
  readonly error: InferError | undefined
}
export async function ask(backend: Backend, request: InferRequest, signal = never): Promise<Outcome> {
  const chunks: InferChunk[] = []
  try {
    for await (const chunk of backend.infer(request, signal)) chunks.push(chunk)
    return { chunks, error: undefined }
  } catch (error) {
    if (!(error instanceof InferError)) throw error
    told.push(error.message)
    expect(error.message).not.toContain('\n')
    expect(error.message.length).toBeLessThan(600)
    return { chunks, error }
  }
}
/** Lets virtual time pass until the answer is there. */
export async function askFor(ms: number, backend: Backend, request: InferRequest): Promise<Outcome> {
  let outcome: Outcome | undefined
  const asking = ask(backend, request).then((one) => {
    outcome = one
  })
  const startMs = clock.monotonicMs()
  while (!outcome && clock.monotonicMs() < startMs + ms) {
    await new Promise((resolve) => setTimeout(resolve, 5))
    clock.advance(ms / 20)
  }
  await asking
  return outcome as unknown as Outcome
}

export type Inference = (response: ServerResponse) => void
/** A server of the protocol that is well but for its inference. */
export async function oipServer(infer: Inference): Promise<ScriptedUpstream> {
  const server = await ScriptedUpstream.open(({ path }, response) => {
    const place = { datatype: 'FP32', shape: [-1] }
    if (path === '/v2') json(response, { name: 'scripted', version: '1', extensions: [] })
    else if (path === '/v2/models/m')
      json(response, {
        name: 'm',
        versions: ['1'],
        platform: 'x',
        inputs: [{ name: 'x', ...place }],
        outputs: [{ name: 'y', ...place }],
      })
    else if (path.endsWith('/infer')) infer(response)
    else json(response, {})
  })
  open.push(server)
  return server
}
