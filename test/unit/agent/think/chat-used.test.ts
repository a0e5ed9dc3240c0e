/** What a question to a language model used, by where it was answered. */
import { expect, test } from 'vitest'
import { type ChatRequest, chatBy } from '../../../../runtime/agent/think/chat.ts'
import type { InferChunk, Privacy } from '../../../../runtime/wire/infer.ts'

const request: ChatRequest = {
  ...{ messages: [], tools: [], tokensMax: 100, deadlineMs: 1_000 },
  privacy: 'cloud',
  priority: 'background',
}
const response = JSON.stringify({ choices: [{ message: { content: 'Hm.' } }] })

async function usedBy(reach: Privacy, final: Partial<InferChunk>) {
  async function* infer(): AsyncGenerator<InferChunk> {
    const outputs = [{ name: 'response', datatype: 'BYTES' as const, shape: [1], data: [response] }]
    yield { id: 'x', final: true, outputs, ...final }
  }
  const models = { infer, modelsFor: () => [{ name: 'model', reach }] }
  return (await chatBy(models)(request, new AbortController().signal)).used
}
const served = { backend: 'llm', failed: [], cached: false, queueMs: 5, runMs: 70 }

test('[think-5] a model of this device takes its time and no bytes', async () => {
  expect(await usedBy('device', { modelMs: 40 })).toEqual({ tokens: 0, bytes: 0, money: 0, engineMs: 40 })
})

test('[think-5] a model of the home takes what the gateway says, and bytes there and back', async () => {
  const used = await usedBy('site', { away: true, served })
  expect(used).toEqual({ tokens: 0, bytes: expect.any(Number), money: 0, engineMs: 70 })
  expect(used?.bytes).toBeGreaterThan(response.length)
})

test('[think-5] a model of a cloud takes money and bytes, and no time of anything here', async () => {
  const used = await usedBy('cloud', { away: true, served, price: 0.25 })
  expect(used).toEqual({ tokens: 0, bytes: expect.any(Number), money: 0.25, engineMs: 0 })
})
