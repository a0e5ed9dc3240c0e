/** Power cuts: a device killed at random instants, again and again, loses no step of an agent and repeats no effect. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { killedAgents } from '../fixtures/agent/killed-agents.ts'

test('agents killed 25 times lose no step, repeat no effect and are nowhere twice [life-1] [agent-2] [agents-2]', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'agent-kill-'))
  try {
    const { kills, lost, repeated, disordered, mostAtATime, results } = await killedAgents({
      ...{ directory, kills: 25, agents: 3, steps: 150, seed: 11 },
    })
    expect({ lost, repeated, disordered, mostAtATime }).toEqual({
      ...{ lost: 0, repeated: 0, disordered: 0, mostAtATime: 1 },
    })
    expect(kills).toBe(25)
    expect(results).toEqual([0, 1, 2].map((at) => `ended worker-${at} ${(150 * 149) / 2}`))
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}, 120_000)
