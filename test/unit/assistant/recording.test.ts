import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { fetchRecording } from '../../../runtime/assistant/recording.ts'

let server: Server | undefined
afterEach(() => server?.close())

async function serve(listener: RequestListener): Promise<string> {
  server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const ticket = 'a-ticket-of-some-length'
const signal = AbortSignal.timeout(20_000)

it('fetches a recording from its gateway', async () => {
  const origin = await serve((_, response) => response.end('RIFF'))
  expect(Buffer.from(await fetchRecording(origin, ticket, 10, signal)).toString()).toBe('RIFF')
})

it('asks its own gateway for whatever it is told: a ticket is no address [assistant-4]', async () => {
  const asked: (string | undefined)[] = []
  const origin = await serve((request, response) => {
    asked.push(request.url)
    response.writeHead(404).end()
  })
  for (const hostile of ['http://example.invalid/x', '//example.invalid/x', '../../api/health', 'x?y#z']) {
    await expect(fetchRecording(origin, hostile, 10, signal)).rejects.toMatchObject({ code: 'unreachable' })
  }
  expect(asked.every((url) => /^\/api\/tickets\/[^/?#]+$/.test(url ?? ''))).toBe(true)
  expect(asked).toHaveLength(4)
})

it('does not follow a redirect to another origin [assistant-4]', async () => {
  const origin = await serve((_, response) =>
    response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
  )
  await expect(fetchRecording(origin, ticket, 10, signal)).rejects.toMatchObject({
    code: 'unreachable',
  })
})

it('stops reading beyond the limit, whatever the gateway announced', async () => {
  const origin = await serve((_, response) => response.end(Buffer.alloc(100_000)))
  await expect(fetchRecording(origin, ticket, 1000, signal)).rejects.toMatchObject({
    code: 'too-large',
  })
})

it('says what the gateway answered', async () => {
  const origin = await serve((_, response) => response.writeHead(410).end())
  await expect(fetchRecording(origin, ticket, 10, signal)).rejects.toThrow('answered 410')
})

it('is retryable when nobody answers', async () => {
  await expect(fetchRecording('http://127.0.0.1:1', ticket, 10, signal)).rejects.toMatchObject({
    code: 'unreachable',
    retryable: true,
  })
})
