/**
 * An OpenAI-compatible server of embeddings that takes its time and no processor, as one with an accelerator of its own would.
 * First argument: milliseconds a request. Says its address.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { answerParent } from '../answering.ts'

const takesMs = Number(process.argv[2])
const server = createServer(async (request, response) => {
  const reply = (value: unknown) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
  if (request.method === 'GET') return void reply({ object: 'list', data: [{ id: 'slow', object: 'model' }] })
  const { input } = (await json(request)) as { input: string[] }
  await sleep(takesMs)
  const embedding = (text: string, index: number) => ({
    object: 'embedding',
    index,
    embedding: [text.length],
  })
  reply({
    object: 'list',
    data: input.map(embedding),
    model: 'slow',
    usage: { prompt_tokens: 1, total_tokens: 1 },
  })
})
server.listen(0, '127.0.0.1', () =>
  answerParent(async () => ({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1` })),
)
