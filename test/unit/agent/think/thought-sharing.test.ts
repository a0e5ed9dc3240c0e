/** What a thought draws from what all agents share, where it does not come to its end. */
import { expect, test } from 'vitest'
import type { Sharing } from '../../../../runtime/agent/service.ts'
import type { Chat } from '../../../../runtime/agent/think/chat.ts'
import { type Goal, think } from '../../../../runtime/agent/think/thought.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'

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
