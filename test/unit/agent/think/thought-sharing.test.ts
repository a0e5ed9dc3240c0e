/** What a thought draws from what all agents share, where it does not come to its end. */
import { expect, test } from 'vitest'
import { type Sharing, unshared } from '../../../../runtime/agent/service.ts'
import type { Chat, ChatRequest } from '../../../../runtime/agent/think/chat.ts'
import { type Goal, think } from '../../../../runtime/agent/think/thought.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { InferError } from '../../../../runtime/wire/infer.ts'

const goal: Goal = {
  ...{ goal: 'say hello', tools: [], schema: undefined, priority: 'background', privacy: 'site' },
  ...{ tokensMax: 16_000, stepsMax: 8, deadlineMs: 60_000 },
}

/** One thought that is given up, and what it has drawn, given back and spent. */
async function givenUp(draw: Sharing['draw'], chat: Chat, leaves: AbortController) {
  const spent: object[] = []
  const sharing: Sharing = { boundary: async () => {}, draw, spend: (charge) => void spent.push(charge) }
  const journal = { read: () => [], add: async () => {} }
  const use = () => Promise.reject(new Error('there are no tools'))
  const deps = { clock: new VirtualClock({ startMs: 0 }), chat, use, journal, sharing }
  await expect(think(deps, goal, leaves.signal)).rejects.toThrow('no longer wanted')
  return spent
}

test('[think-5] tokens that were drawn are given back where the bytes cannot be had', async () => {
  const leaves = new AbortController()
  const used: number[] = []
  const spent = await givenUp(
    async (budget) => {
      if (budget === 'tokens') return (tokens) => void used.push(tokens)
      leaves.abort(new Error('no longer wanted'))
      throw leaves.signal.reason
    },
    () => Promise.reject(new Error('nobody is asked')),
    leaves,
  )
  expect([used, spent]).toEqual([[0], []])
})

test('[think-5] who gives up while a model is asked has spent what it was asked', async () => {
  const leaves = new AbortController()
  const spent = await givenUp(
    async () => () => {},
    async () => {
      leaves.abort(new Error('no longer wanted'))
      throw leaves.signal.reason
    },
    leaves,
  )
  expect(spent).toEqual([{ tokens: expect.any(Number), bytes: expect.any(Number), money: 0, engineMs: 0 }])
  expect((spent[0] as { tokens: number }).tokens).toBeGreaterThan(50)
})

test('[think-5] a second try of a question has the tokens that the first one left, and where none are left there is none', async () => {
  const asked = async (tokensMax: number) => {
    const requests: ChatRequest[] = []
    const chat: Chat = async (request, _signal, hear) => {
      requests.push(request)
      hear?.({ tokens: 100, bytes: 0, money: 0, engineMs: 0 })
      throw new InferError('engine-lost', 'it broke off', { retryable: true })
    }
    const clock = new VirtualClock({ startMs: 0 })
    const journal = { read: () => [], add: async () => {} }
    const use = () => Promise.reject(new Error('there are no tools'))
    const deps = { clock, chat, use, journal, sharing: unshared }
    const { signal } = new AbortController()
    await expect(clock.run(() => think(deps, { ...goal, tokensMax }, signal))).rejects.toThrow('it broke off')
    return requests.map((request) => request.tokensMax)
  }
  const [first = 0, second] = await asked(2_000)
  const asking = 2_000 - first
  expect(second).toBe(first - asking - 100)
  expect(await asked(2 * asking + 100)).toEqual([asking + 100])
})

test('[think-5] what no model may see takes nothing of what all share', async () => {
  const used: [string, number][] = []
  const sharing: Sharing = {
    ...unshared,
    draw: async (budget) => (amount) => void used.push([budget, amount]),
  }
  const chat = () => Promise.reject(new InferError('refused', 'no language model may see that'))
  const journal = { read: () => [], add: async () => {} }
  const use = () => Promise.reject(new Error('there are no tools'))
  const deps = { clock: new VirtualClock({ startMs: 0 }), chat, use, journal, sharing }
  await expect(think(deps, goal, new AbortController().signal)).rejects.toMatchObject({ code: 'refused' })
  expect(used).toEqual([
    ['tokens', 0],
    ['gateway', 0],
  ])
})
