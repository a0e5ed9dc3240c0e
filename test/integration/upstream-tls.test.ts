/** A server elsewhere behind TLS, as every cloud is: who it is is known before anything is said to it. */
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { loopbackTls } from '../fixtures/loopback-tls.ts'
import { ask, chatRequest, key, openBackend } from './upstream-setup.ts'

let server: Server
/** Authorization of each request that arrived. */
let heard: (string | undefined)[]
const trusted = getCACertificates()
const url = (host: string) => `https://${host}:${(server.address() as AddressInfo).port}/v1`

beforeEach(async () => {
  heard = []
  server = createServer(loopbackTls, (request, response) => {
    heard.push(request.headers.authorization)
    const answer = request.method === 'GET' ? { data: [] } : { choices: [{ message: { content: 'hi' } }] }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
afterEach(() => {
  setDefaultCACertificates(trusted)
  server.closeAllConnections()
  server.close()
})

test('[serving-10] one whose certificate nobody vouches for hears neither a request nor the key', async () => {
  const backend = await openBackend('openai', url('127.0.0.1'), { reach: 'cloud' })
  expect(backend.health()).toMatchObject({
    state: 'away',
    reason: expect.stringMatching(/cannot be reached: self-signed certificate/),
  })
  expect([(await ask(backend, chatRequest(false))).error?.code, heard]).toEqual(['model-unknown', []])
})

test('[serving-10] one that is somebody else hears nothing either', async () => {
  setDefaultCACertificates([...trusted, loopbackTls.cert])
  const backend = await openBackend('openai', url('localhost'), { reach: 'cloud' })
  expect(backend.health()).toMatchObject({ state: 'away', reason: expect.stringMatching(/localhost/) })
  expect(heard).toEqual([])
})

test('[serving-10] one that is who it says is asked, with the key', async () => {
  setDefaultCACertificates([...trusted, loopbackTls.cert])
  const backend = await openBackend('openai', url('127.0.0.1'), { reach: 'cloud' })
  expect((await ask(backend, chatRequest(false))).chunks).toHaveLength(1)
  expect(heard).toEqual([`Bearer ${key}`, `Bearer ${key}`])
})
