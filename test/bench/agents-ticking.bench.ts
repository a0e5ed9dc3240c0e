/** Agents, 300 or in a quick run 100, that each react to one event a second, on this machine: how late, and for how much of the processor. */
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { Agents, type AgentsDeps } from '../../runtime/agent/agents.ts'
import { schedulerOf } from '../../runtime/agent/scheduler/device-resources.ts'
import { openSchedule } from '../../runtime/agent/scheduler/device-schedule.ts'
import type { Service } from '../../runtime/agent/service.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { Identity } from '../../runtime/base/identity.ts'
import { silentLog } from '../../runtime/base/log.ts'
import type { Benchmark } from './benchmark.ts'
import { quantile } from './quantiles.ts'

const threads = 2
const budget = { tokensPerMinute: 1e6, gatewayBytesPerMinute: 1e9, radioBytesPerMinute: 1e9 }
const quota = {
  cpuMsPerMinute: 60_000,
  engineMsPerMinute: 1,
  tokensPerDay: 1,
  bytesPerDay: 1e9,
  joulesPerDay: 1e6,
  moneyPerDay: 1,
}
const source = (name: string) => `export default { name: '${name}', wants: [], async run(ctx) {
  for await (const seen of ctx.on('sensor.*')) void ctx.entity('light.a').command({ at: seen.tsMs }).catch(() => {})
} }`

export const agentsTicking: Benchmark = {
  name: 'agents.ticking',
  async run({ quick, progress, signal }) {
    // Beginning an agent takes some 30 ms: a quick run has fewer of them.
    const agents = quick ? 100 : 300
    // Of each agent an image is taken every 64 turns, 32 s of these: all images of a round are in it, whenever the agents began. A
    // quick run has none.
    const measureMs = quick ? 3_000 : 32_000
    const bare = await measured(tickBare(agents), measureMs)
    const directory = mkdtempSync(join(tmpdir(), 'ticking-'))
    try {
      progress(`${agents} agents begin`)
      const ours = await tickAgents(directory, { agents, measureMs }, signal)
      const limit =
        'the disk, to which the loop itself moves what the log has gathered; two threads that take turns'
      const against = 'the same reactions as timers in this process, without machines and without a disk'
      const what = `${agents} agents, ${threads} threads, ${measureMs / 1_000} s; ${ours.late.length} reactions of two turns each, bare ${bare.late.length}`
      const p50 = `p50 ${quantile(ours.late, 0.5).toFixed(1)} ms, bare ${quantile(bare.late, 0.5).toFixed(1)}`
      return [
        {
          ...{ name: 'agents.ticking-lateness-p99', unit: 'ms', against, limit, note: `${p50}; ${what}` },
          ...{ value: quantile(ours.late, 0.99), baseline: quantile(bare.late, 0.99) },
        },
        {
          ...{ name: 'agents.ticking-cpu', unit: 'cores', against, limit, note: what },
          ...{ value: ours.cores, baseline: bare.cores },
        },
      ]
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  },
}

interface Ticked {
  /** From the instant at which the event was due until the command was asked for, milliseconds. */
  readonly late: readonly number[]
  /** Processor time / time. */
  readonly cores: number
}

/** Of all that `begin` reports while it is measured; it gives what ends it. */
async function measured(
  begin: (late: (ms: number) => void) => Promise<() => Promise<void>>,
  measureMs: number,
): Promise<Ticked> {
  const late: number[] = []
  const end = await begin((ms) => late.push(ms))
  // What gathered while they began is worked off first.
  await wait(3_000)
  late.length = 0
  const from = { cpu: process.cpuUsage(), ms: performance.now() }
  await wait(measureMs)
  const { user, system } = process.cpuUsage(from.cpu)
  const cores = (user + system) / 1_000 / (performance.now() - from.ms)
  const kept = [...late]
  await end()
  return { late: kept, cores }
}

/** Calls `tick` once a second, told when that was due, until the signal aborts. */
function everySecond(phaseMs: number, tick: (dueMs: number) => void, signal: AbortSignal): void {
  let dueMs = performance.timeOrigin + performance.now() + phaseMs
  const next = () => {
    if (signal.aborted) return
    tick(dueMs)
    dueMs += 1_000
    timer = setTimeout(next, dueMs - performance.timeOrigin - performance.now())
  }
  let timer = setTimeout(next, phaseMs)
  signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
}

const sinceMs = (dueMs: number) => Math.max(0, performance.timeOrigin + performance.now() - dueMs)

const tickBare = (agents: number) => async (late: (ms: number) => void) => {
  const stop = new AbortController()
  for (let at = 0; at < agents; at += 1)
    everySecond((at * 1_000) / agents, (dueMs) => late(sinceMs(dueMs)), stop.signal)
  return async () => stop.abort()
}

async function tickAgents(
  directory: string,
  { agents, measureMs }: { readonly agents: number; readonly measureMs: number },
  signal: AbortSignal,
): Promise<Ticked> {
  let report: (ms: number) => void = () => {}
  let phase = 0
  const service: Service = {
    ops: ['on', 'command'],
    async perform({ call, emit }, ended) {
      if (call.op === 'command') {
        report(sinceMs(Number((call.args['command'] as { at?: number }).at)))
        return { ok: true, value: null }
      }
      phase += 1
      everySecond(
        (phase * 1_000) / agents,
        (tsMs) => emit({ entity: 'sensor.a', state: 'on', attributes: {}, area: '', tsMs }),
        ended,
      )
      await new Promise((resolve) => ended.addEventListener('abort', resolve, { once: true }))
      return { ok: true }
    },
  }
  const deps = { clock: realClock, log: silentLog }
  const shared = { directory, threads, max: agents, quota, budget, limits: {}, byName: {} }
  const scheduler = schedulerOf(realClock, shared)
  await using schedule = await openSchedule(
    { ...deps, own: 'bench', scheduler, priorityOf: () => 'background', leaseHolder: () => undefined },
    shared,
    signal,
  )
  const agentsDeps: AgentsDeps = {
    ...{ ...deps, services: [service], turns: schedule.turns, revoked: () => undefined },
    identity: Identity.open('bench', directory),
    programOf: (bytes) => JSON.parse(Buffer.from(bytes).toString()),
    decide: async () => ({ allow: true }),
  }
  const limits = { directory, threadsMax: threads, agentsMax: agents, bytesMax: 1e9 }
  await using opened = await Agents.open(agentsDeps, limits, signal)
  for (let at = 0; at < agents; at += 1) {
    const name = `agent-${at}`
    const bytes = Buffer.from(JSON.stringify({ entry: './a.js', modules: { './a.js': source(name) } }))
    await opened.run({ name, bytes, hash: createHash('sha256').update(bytes).digest('hex') }, '')
  }
  return await measured(async (late) => {
    report = late
    return async () => {}
  }, measureMs)
}
