/** The call `infer`: outputs that fit go in its reply, larger ones where its caller keeps a place for them, or it says why not. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { inferCall } from '../../../runtime/assistant/infer-call.ts'
import { realClock } from '../../../runtime/base/clock.ts'
import type { Tensor } from '../../../runtime/wire/infer.ts'
import { parseOutputs } from '../../../runtime/wire/offload.ts'

const ticket = 'A'.repeat(32)
const outputsOf = (length: number): Tensor[] => [
  { name: 'y', datatype: 'UINT8', shape: [length], data: new Uint8Array(length).fill(7) },
]

/** Asks for an answer of so many bytes. */
function call(bytes: number, options: { readonly gateway?: string; readonly answerTicket?: string }) {
  const inference = {
    async *infer() {
      yield { id: 'x', final: true, outputs: outputsOf(bytes) }
    },
  }
  const { gateway, answerTicket } = options
  const params = { model: 'm', priority: 'interactive', privacy: 'device', deadlineMs: 5000 } as const
  const deps = { clock: realClock, inference, gateway }
  return inferCall(deps, { ...params, ...(answerTicket && { answerTicket }) }, new AbortController().signal)
}

async function gatewayThatAnswers(status: number) {
  const bodies: { readonly path: string | undefined; readonly body: Buffer }[] = []
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    bodies.push({ path: request.url, body: Buffer.concat(parts) })
    response.writeHead(status).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url, bodies, [Symbol.dispose]: () => void server.close() }
}

test('outputs that fit go in the reply', async () => {
  using gateway = await gatewayThatAnswers(202)
  const reply = await call(100_000, { gateway: gateway.url, answerTicket: ticket })
  expect(reply.outputs?.[0]?.data).toHaveLength(100_000)
  expect(gateway.bodies).toEqual([])
})

test('larger outputs go to the gateway of this device, under the ticket of the call', async () => {
  using gateway = await gatewayThatAnswers(202)
  const reply = await call(200_000, { gateway: gateway.url, answerTicket: ticket })
  expect(reply).toMatchObject({ route: 'engine', privacy: 'device' })
  expect(reply).not.toHaveProperty('outputs')
  expect(gateway.bodies.map(({ path }) => path)).toEqual([`/api/tickets/${ticket}`])
  const uploaded = parseOutputs(gateway.bodies[0]?.body ?? Buffer.of())
  const [output] = uploaded.ok ? uploaded.value : []
  expect([output?.name, output?.shape, output?.data.at(-1)]).toEqual(['y', [200_000], 7])
})

test.each([
  ['no ticket came with the call', 200_000, {}, /^the answer of m has 2000\d\d bytes.*through the gateway$/],
  ['this device has no gateway', 200_000, { answerTicket: ticket }, /given no gateway.*--gateway$/],
  ['nobody takes so much', 9_000_000, { answerTicket: ticket, gateway: 'http://x' }, /more than the 8388608/],
])('where %s the caller is told', async (_, bytes, options, message) => {
  await expect(call(bytes, options)).rejects.toMatchObject({
    code: 'unsupported',
    message: expect.stringMatching(message),
  })
})

test('a gateway that has no room for an answer, or is gone, is said', async () => {
  using gateway = await gatewayThatAnswers(429)
  const full = call(200_000, { gateway: gateway.url, answerTicket: ticket })
  await expect(full).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('429') })
  const gone = call(200_000, { gateway: 'http://127.0.0.1:1', answerTicket: ticket })
  await expect(gone).rejects.toMatchObject({ code: 'unavailable' })
})
