/**
 * A device with agents that is killed at random instants, again and again: how soon its agents go on, against a bare program that
 * opens its database and says so. That no step was lost, no effect repeated and no agent in two places is counted on the way;
 * anything else is no measurement.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { killedAgents } from '../fixtures/agent/killed-agents.ts'
import type { Benchmark } from './benchmark.ts'
import { median, quantile } from './quantiles.ts'

const agents = 3
const steps = 400
const bare = `
  const { DatabaseSync } = require('node:sqlite')
  const db = new DatabaseSync(process.argv[1])
  db.exec('PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS step (n); INSERT INTO step VALUES (1)')
  process.stdout.write('ready')`

export const agentsCrash: Benchmark = {
  name: 'agents.crash',
  async run({ quick, signal, progress }) {
    const killsWanted = quick ? 20 : 1_000
    const directory = mkdtempSync(join(tmpdir(), 'ganglion-bench-crash-'))
    const ours: number[] = []
    const theirs: number[] = []
    let kills = 0
    let stepsTaken = 0
    try {
      for (let round = 1; kills < killsWanted; round += 1) {
        signal.throwIfAborted()
        const home = join(directory, String(round))
        mkdirSync(home)
        const left = killsWanted - kills
        const killed = await killedAgents({ directory: home, kills: left, agents, steps, seed: round })
        const { lost, repeated, disordered, mostAtATime, startMs } = killed
        if (lost + repeated + disordered > 0 || mostAtATime !== 1)
          throw new Error(
            `${lost} steps were lost, ${repeated} effects repeated, ${disordered} in disorder, ${mostAtATime} devices at a time`,
          )
        kills += killed.kills
        stepsTaken += agents * steps
        ours.push(...startMs)
        for (let time = 0; time < 5; time += 1) theirs.push(await bareStartMs(join(home, 'bare.db')))
        progress(`${kills} of ${killsWanted} kills`)
        rmSync(home, { recursive: true, force: true })
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
        note: `${kills} kills at random instants over ${stepsTaken} steps of ${agents} agents at a time: 0 steps lost, 0 effects repeated, 0 agents in two places; p95 ${quantile(ours, 0.95).toFixed(0)} ms`,
      },
    ]
  },
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
