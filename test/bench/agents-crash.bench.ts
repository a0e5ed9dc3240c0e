/**
 * A device with agents that is killed at random instants, again and again: how soon its agents go on, against a bare program that
 * opens its database and says so. Then two devices between which agents move, over a broker that loses words, either of them killed. That
 * no step was lost, no effect repeated and no agent in two places is counted in both; anything else is no measurement.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { killedAgents } from '../fixtures/agent/killed-agents.ts'
import { type KilledMovers, killedMovers } from '../fixtures/agent/killed-movers.ts'
import type { Benchmark } from './benchmark.ts'
import { median, quantile } from './quantiles.ts'

const agents = 3
/** Of each agent. */
const steps = { full: 400, quick: 80 } as const
/** Of a thousand kills: of one device whose agents stay, and of two between which they move. */
const wanted = { full: { still: 700, moving: 300 }, quick: { still: 8, moving: 3 } } as const
/** Of what is said about moves nobody hears so much. */
const loss = 0.05
const bare = `
  const { DatabaseSync } = require('node:sqlite')
  const db = new DatabaseSync(process.argv[1])
  db.exec('PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS step (n); INSERT INTO step VALUES (1)')
  process.stdout.write('ready')`

export const agentsCrash: Benchmark = {
  name: 'agents.crash',
  async run({ quick, signal, progress }) {
    const { still: killsWanted, moving: movingWanted } = wanted[quick ? 'quick' : 'full']
    const each = steps[quick ? 'quick' : 'full']
    const directory = mkdtempSync(join(tmpdir(), 'ganglion-bench-crash-'))
    const ours: number[] = []
    const theirs: number[] = []
    let kills = 0
    let stepsTaken = 0
    const moved = { kills: 0, moves: 0, steps: 0 }
    try {
      for (let round = 1; kills < killsWanted; round += 1) {
        signal.throwIfAborted()
        const home = join(directory, String(round))
        mkdirSync(home)
        const left = killsWanted - kills
        const killed = await killedAgents({ directory: home, kills: left, agents, steps: each, seed: round })
        const { lost, repeated, disordered, mostAtATime, startMs } = killed
        if (lost + repeated + disordered > 0 || mostAtATime !== 1)
          throw new Error(
            `${lost} steps were lost, ${repeated} effects repeated, ${disordered} in disorder, ${mostAtATime} devices at a time`,
          )
        kills += killed.kills
        stepsTaken += agents * each
        ours.push(...startMs)
        for (let time = 0; time < 5; time += 1) theirs.push(await bareStartMs(join(home, 'bare.db')))
        progress(`${kills} of ${killsWanted} kills`)
        rmSync(home, { recursive: true, force: true })
      }
      for (let round = 1; moved.kills < movingWanted; round += 1) {
        signal.throwIfAborted()
        const site = join(directory, `site-${round}`)
        mkdirSync(site)
        const left = movingWanted - moved.kills
        const killed = await movingRound({ directory: site, seed: round, kills: left, steps: each })
        moved.kills += killed.kills
        moved.moves += killed.moves
        moved.steps += agents * each
        progress(`${moved.kills} of ${movingWanted} kills of devices between which agents move`)
        rmSync(site, { recursive: true, force: true })
      }
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
    return [
      {
        name: 'agents.crash',
        value: median(ours),
        unit: 'ms',
        baseline: median(theirs),
        against: 'a bare Node program that opens a database of node:sqlite, writes a row and says so',
        limit:
          'the start of Node, of a thread and of the engine in it; each agent’s turns since its last image',
        note: [
          `${kills} kills at random instants over ${stepsTaken} steps of ${agents} agents at a time on one device`,
          `${moved.kills} of either of two devices over ${moved.steps} steps, while agents went to the other ${moved.moves} times`,
          `0 steps lost, 0 effects repeated, 0 agents in two places; p95 ${quantile(ours, 0.95).toFixed(0)} ms`,
        ].join('; '),
      },
    ]
  },
}

/** Until the agents have come to their end. Throws where a step was lost, an effect repeated, or an agent in two places. */
async function movingRound(
  options: Pick<KilledMovers, 'directory' | 'seed' | 'kills' | 'steps'>,
): Promise<{ readonly kills: number; readonly moves: number }> {
  const { steps } = options
  const killed = await killedMovers({ ...options, agents, loss, pauseMsMax: 400, msMax: 150_000 })
  const { lost, repeated, disordered, twice, results } = killed
  const end = ` ${(steps * (steps - 1)) / 2}`
  const whole = results.every((line) => line.startsWith('ended ') && line.endsWith(end))
  if (lost + repeated + disordered + twice > 0 || !whole)
    throw new Error(
      `${lost} steps were lost, ${repeated} effects repeated, ${disordered} in disorder, ${twice} times an agent was in two places: ${results.join(', ')}`,
    )
  return killed
}

async function bareStartMs(database: string): Promise<number> {
  const begunMs = performance.now()
  const child = spawn(process.execPath, ['-e', bare, database], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  await once(child.stdout, 'data')
  const tookMs = performance.now() - begunMs
  await exited
  return tookMs
}
