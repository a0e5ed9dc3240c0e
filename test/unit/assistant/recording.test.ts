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

const signal = AbortSignal.timeout(20_000)

it('fetches a recording from its gateway', async () => {
  const origin = await serve((_, response) => response.end('RIFF'))
  expect(Buffer.from(await fetchRecording(`${origin}/api/tickets/x`, origin, 10, signal)).toString()).toBe(
    'RIFF',
  )
})

it.each(['http://127.0.0.1:1/x', 'https://example.invalid/x', 'http://169.254.169.254/latest/meta-data'])(
  'refuses %s: this device is nobody’s proxy [assistant-4]',
  async (url) => {
    await expect(fetchRecording(url, 'http://127.0.0.1:2', 10, signal)).rejects.toMatchObject({
      code: 'foreign-origin',
    })
  },
)

it('does not follow a redirect to another origin [assistant-4]', async () => {
  const origin = await serve((_, response) =>
    response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
  )
  await expect(fetchRecording(`${origin}/x`, origin, 10, signal)).rejects.toMatchObject({
    code: 'unreachable',
  })
})

it('stops reading beyond the limit, whatever the gateway announced', async () => {
  const origin = await serve((_, response) => response.end(Buffer.alloc(100_000)))
  await expect(fetchRecording(`${origin}/x`, origin, 1000, signal)).rejects.toMatchObject({
    code: 'too-large',
  })
})

it('says what the gateway answered', async () => {
  const origin = await serve((_, response) => response.writeHead(410).end())
  await expect(fetchRecording(`${origin}/x`, origin, 10, signal)).rejects.toThrow('answered 410')
})

it('is retryable when nobody answers', async () => {
  await expect(
    fetchRecording('http://127.0.0.1:1/x', 'http://127.0.0.1:1', 10, signal),
  ).rejects.toMatchObject({
    code: 'unreachable',
    retryable: true,
  })
})
