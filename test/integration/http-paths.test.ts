/** Paths that no route can be found for: answered in the shape of the API that they are below, like everything else. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Gateway } from '../../gateway/gateway.ts'
import { ask, openGateway } from './gateway-device.ts'

let gateway: Gateway
beforeAll(async () => {
  gateway = await openGateway()
})
afterAll(() => gateway[Symbol.asyncDispose]())

const long = 'x'.repeat(300)
test.each([
  ['/v2/models/%ff', { error: expect.any(String) }],
  [`/v2/models/${long}/ready`, { error: expect.any(String) }],
  [
    '/v1/models/%ff',
    {
      error: { message: expect.any(String), type: 'invalid_request_error', param: null, code: 'bad-request' },
    },
  ],
  ['/api/devices/%ff/status', { error: { code: 'bad-request', message: expect.any(String) } }],
  [`/api/tickets/${long}`, { error: { code: 'bad-request', message: expect.any(String) } }],
])('%s', async (path, body) => {
  const answer = await ask(`${gateway.httpUrl}${path}`)
  expect([answer.status, answer.body]).toEqual([400, body])
  expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
})
