/** How agents share what is scarce, on a simulated device. */
import { VirtualClock } from '../../runtime/base/clock.ts'
import { type Discipline, disciplines } from './agent-disciplines.ts'
import { agents, type Outcome, play, traceOf } from './agent-trace.ts'
import { playWired } from './agent-wired.ts'
import type { Benchmark, Measurement } from './benchmark.ts'
import { median } from './quantiles.ts'

export const agentsSchedule: Benchmark = {
  name: 'agents.schedule',
  async run({ quick, progress }) {
    const seeds = quick ? 3 : 15
    const lengthMs = quick ? 30_000 : 60_000
    const played = await playAll(seeds, lengthMs, progress)
    return ratiosOf(played, `${seeds} seeds, ${agents} agents for ${lengthMs / 1_000} s, simulated`)
  },
}

/** What a device does otherwise: `runtime/agent/scheduler/README.md`. */
const unlike =
  'unlike on a device every step has a deadline and a known cost, models do one thing at a time, texts pause every 8 tokens'

const like =
  'limits, slots and knowledge of a device: calls and turns are due when their task is, a first turn as its class; models are given 8 at a time and thoughts 4'
const wired = 'as a device wires it'
type Way = Discipline | typeof wired
const names: readonly Way[] = [...(Object.keys(disciplines) as Discipline[]), wired]
type Played = Readonly<Record<Way, readonly Outcome[]>>

async function playAll(seeds: number, lengthMs: number, progress: (line: string) => void): Promise<Played> {
  const played = Object.fromEntries(names.map((name) => [name, [] as Outcome[]])) as Record<Way, Outcome[]>
  for (let seed = 1; seed <= seeds; seed += 1) {
    progress(`trace ${seed} of ${seeds}`)
    const trace = traceOf(seed, lengthMs)
    for (const name of names) {
      const clock = new VirtualClock({ seed })
      const playing = name === wired ? playWired(trace, clock) : play(trace, clock, disciplines[name](clock))
      played[name].push(await playing)
    }
  }
  return played
}

function ratiosOf(played: Played, what: string): Measurement[] {
  const of = (name: Way, field: keyof Outcome) => median(played[name].map((outcome) => outcome[field]))
  const all = (field: keyof Outcome, digits: number) =>
    names.map((name) => `${name} ${of(name, field).toFixed(digits)}`).join(', ')
  const against =
    'the same trace on the same simulated processor, engine and language model with no scheduler'
  const limit = 'how much work comes: waiting is shared out, not done away with'
  const row = (way: Way, field: keyof Outcome, name: string, unit: string, note: string): Measurement => ({
    name: `agents.schedule-${name}`,
    value: of(way, field),
    unit,
    baseline: of('all at once', field),
    ...{ against, limit, note: `${note}; ${what}` },
  })
  return [
    row('ours', 'p50Ms', 'turnaround-p50', 'ms', `${all('p50Ms', 0)}; ${unlike}`),
    row(
      ...(['ours', 'p95Ms', 'turnaround-p95', 'ms'] as const),
      `${all('p95Ms', 0)}; of what controls something: ${all('controlP95Ms', 0)}`,
    ),
    row('ours', 'missed', 'deadlines-missed', 'share', all('missed', 3)),
    row('ours', 'fairness', 'fairness-jain', 'index', all('fairness', 3)),
    row('ours', 'totalMs', 'total', 'ms', all('totalMs', 0)),
    row(wired, 'p50Ms', 'device-turnaround-p50', 'ms', like),
    row(wired, 'p95Ms', 'device-turnaround-p95', 'ms', like),
    row(wired, 'missed', 'device-deadlines-missed', 'share', like),
    row(wired, 'fairness', 'device-fairness-jain', 'index', like),
    row(wired, 'totalMs', 'device-total', 'ms', like),
  ]
}
