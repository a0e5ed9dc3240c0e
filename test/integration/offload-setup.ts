/** A site for tests: workers of gateways with scripted models, and devices, around one broker. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fastify from 'fastify'
import { vi } from 'vitest'
import { addOffloadApi, sendAnswer } from '../../gateway/api/offload-api.ts'
import { OffloadListener, type OffloadListenerOptions } from '../../gateway/offload/listener.ts'
import type { Serving } from '../../gateway/offload/serving.ts'
import { type Clock, realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { OffloadClient, type OffloadOptions } from '../../runtime/inference/offload/offload-client.ts'
import { Outbox } from '../../runtime/link/outbox.ts'
import { Link } from '../../runtime/link/session.ts'
import type { InferChunk, InferError, InferRequest, Tensor } from '../../runtime/wire/infer.ts'

export const eventually = (assertion: () => void) => vi.waitFor(assertion, { timeout: 20_000, interval: 10 })

export interface TestWorker extends AsyncDisposable {
  readonly listener: OffloadListener
  readonly http: string
  /** Complaints, as `device: reason`. */
  readonly bad: string[]
}

export async function openWorker(
  brokerUrl: string,
  worker: string,
  serving: Serving,
  options: Partial<OffloadListenerOptions> = {},
): Promise<TestWorker> {
  await using stack = new AsyncDisposableStack()
  const bad: string[] = []
  const listener = stack.use(
    await OffloadListener.open(
      {
        clock: realClock,
        log: silentLog,
        serving,
        bad: (device, reason) => bad.push(`${device}: ${reason}`),
      },
      { worker, base: 'ganglion', url: brokerUrl, clientId: `worker-${worker}`, ...options },
    ),
  )
  const app = fastify({ forceCloseConnections: true })
  stack.defer(() => app.close())
  addOffloadApi(app, { worker, tickets: listener.tickets })
  app.get('/api/tickets/:id', (request, reply) =>
    sendAnswer(listener.tickets, (request.params as { id: string }).id, reply),
  )
  const http = await app.listen({ host: '127.0.0.1', port: 0 })
  await eventually(() => {
    if (!listener.connected) throw new Error(`${worker} is not connected`)
  })
  const opened = stack.move()
  return { listener, http, bad, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

export interface TestDevice extends AsyncDisposable {
  readonly client: OffloadClient
  readonly link: Link
}

export async function openDevice(
  brokerUrl: string,
  deviceId: string,
  options: Partial<OffloadOptions> & { readonly clock?: Clock } = {},
): Promise<TestDevice> {
  await using stack = new AsyncDisposableStack()
  const directory = mkdtempSync(join(tmpdir(), 'offload-'))
  stack.defer(() => rmSync(directory, { recursive: true, force: true }))
  const deps = { clock: realClock, log: silentLog }
  const outbox = stack.use(await Outbox.open(deps, { directory, groupMs: 1 }))
  const link = stack.use(
    await Link.open(
      { ...deps, outbox },
      { brokerUrl, deviceId, base: 'ganglion', backoff: { firstMs: 20, maxMs: 100 } },
    ),
  )
  const { clock = realClock, ...rest } = options
  const client = stack.use(
    await OffloadClient.open({ ...deps, clock, link }, { deviceId, gatewayUrls: [], ...rest }),
  )
  const opened = stack.move()
  return { client, link, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

/** Resolves when the device may have the model run there. */
export const offered = (device: TestDevice, model: string) =>
  eventually(() => {
    const offer = device.client.offer(model, 'site')
    if (!offer.usable) throw new Error(offer.whyNot)
  })

export const asked = (
  model: string,
  inputs: readonly Tensor[],
  changes: Partial<InferRequest> = {},
): Omit<InferRequest, 'id'> => ({
  model,
  inputs,
  priority: 'interactive',
  deadlineMs: 20_000,
  privacy: 'site',
  ...changes,
})

export async function all(chunks: AsyncIterable<InferChunk>): Promise<InferChunk[]> {
  const read: InferChunk[] = []
  for await (const chunk of chunks) read.push(chunk)
  return read
}

/** The error that a request ends with. */
export async function failure(chunks: AsyncIterable<InferChunk>): Promise<InferError> {
  try {
    await all(chunks)
  } catch (error) {
    return error as InferError
  }
  throw new Error('it did not fail')
}

export const anySignal = () => new AbortController().signal
