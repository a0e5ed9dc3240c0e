/** Power cuts while agents move: two devices killed at random instants, on a broker that loses words, never both have an agent. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { killedMovers } from '../fixtures/agent/killed-movers.ts'

test('agents that move to and fro between two devices that are killed are never in two places, lose no step and repeat no effect [move-1] [move-3]', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'agent-move-kill-'))
  try {
    const options = { directory, kills: 12, agents: 3, steps: 120, loss: 0.05, seed: 7, msMax: 150_000 }
    const { kills, lost, repeated, disordered, twice, moves, results } = await killedMovers(options)
    expect({ lost, repeated, disordered, twice }).toEqual({ lost: 0, repeated: 0, disordered: 0, twice: 0 })
    expect(Math.min(kills, moves)).toBeGreaterThan(2)
    expect(results).toEqual([0, 1, 2].map((at) => `ended worker-${at} ${(120 * 119) / 2}`))
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}, 180_000)
