/**
 * The router in virtual time, on links and boards that were recorded and on made ones, never mixed: against always here, always
 * there, and an oracle that knows of each request what it would take at either place and sends it where it is quicker (it
 * knows nothing of later requests). The router itself is the real one; board, link and gateway are `router-world.ts`. Each
 * also on stretches, or seeds, that were held out while the router was made.
 */
import { VirtualClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { Redactor } from '../../runtime/inference/redaction/redactor.ts'
import type { Route } from '../../runtime/inference/router/route.ts'
import { Router } from '../../runtime/inference/router/router.ts'
import type { Benchmark, Measurement } from './benchmark.ts'
import { heldOutMadeTraces, type LinkTrace, madeTraces } from './link-traces.ts'
import { quantile } from './quantiles.ts'
import { type LoadTrace, recordedLinks, recordedLoads } from './recorded-traces.ts'
import { type Arrival, arrivals, deadlineMs, World } from './router-world.ts'

/** `present`: knows link and board as they are, and nothing of the future. `oracle`: knows what each request would take. */
const ways = ['router', 'device', 'gateway', 'present', 'oracle'] as const
type Way = (typeof ways)[number]
type Outcomes = Record<Way, Outcome>
const requestsPerS = 2

interface Outcome {
  readonly latenciesMs: number[]
  joules: number
  bytes: number
  missed: number
}

/** What was lived through on some links and loads: by link, and of each seed the router's mean over the oracle's. */
interface Lived {
  readonly byLink: Map<string, Outcomes>
  readonly ratios: number[]
}

export const routerTraces: Benchmark = {
  name: 'router.traces',
  async run({ quick, signal, progress }) {
    // A single seed says little: its ratio strays by a tenth.
    const count = quick ? 3 : 20
    const over = async (
      name: string,
      from: number,
      links: (seed: number) => readonly LinkTrace[],
      loads: readonly LoadTrace[],
    ): Promise<Lived> => {
      const lived: Lived = { byLink: new Map(), ratios: [] }
      for (let seed = from; seed < from + count; seed += 1) {
        progress(`${name}, seed ${seed}`)
        await onLinks(links(seed), loads, seed, lived, signal)
      }
      return lived
    }
    const design = recordedLoads('design')
    const heldOut = recordedLoads('held-out')
    return measurements({
      heldOut: await over('held out', 1001, (seed) => recordedLinks('held-out', seed), heldOut),
      design: await over('recorded', 1, (seed) => recordedLinks('design', seed), design),
      made: await over('made', 1, () => madeTraces, design),
      madeHeldOut: await over('made, held out', 1001, heldOutMadeTraces, heldOut),
    })
  },
}

/** All links and loads with the arrivals of one seed. */
async function onLinks(
  links: readonly LinkTrace[],
  loads: readonly LoadTrace[],
  seed: number,
  lived: Lived,
  signal: AbortSignal,
): Promise<void> {
  const all = outcomes()
  const list = arrivals(requestsPerS, seed)
  for (const link of links) {
    const sums = lived.byLink.get(link.name) ?? outcomes()
    lived.byLink.set(link.name, sums)
    for (const load of loads)
      for (const way of ways) {
        signal.throwIfAborted()
        const outcome = await live(way, link, load, list, seed)
        for (const sum of [sums, all]) add(sum[way], outcome)
      }
  }
  lived.ratios.push(mean(all.router) / mean(all.oracle))
}

/** All requests of one trace by one way. One that is not answered by its deadline counts as that long, and as missed. */
async function live(
  way: Way,
  link: LinkTrace,
  load: LoadTrace,
  list: readonly Arrival[],
  seed: number,
): Promise<Outcome> {
  const clock = new VirtualClock({ seed })
  const world = new World(clock, link, load, list)
  await using router = new Router({
    clock,
    log: silentLog,
    routes: () => [world.device, world.gateway],
    conditions: () => world.conditions(),
    redactor: () => new Redactor(),
  })
  const outcome = none()
  const chosen = (at: number): Pick<Route, 'infer'> => {
    if (way === 'router') return router
    if (way === 'device') return world.device
    if (way === 'gateway') return world.gateway
    const { device, gateway } = way === 'present' ? world.present(at) : world.future(at)
    return device <= gateway ? world.device : world.gateway
  }
  const one = async (at: number) => {
    const startMs = clock.monotonicMs()
    const stop = new AbortController()
    const cancel = clock.after(deadlineMs, () => stop.abort())
    try {
      for await (const _ of chosen(at).infer(world.request(at), stop.signal));
    } catch {
      outcome.missed += 1
    }
    cancel()
    outcome.latenciesMs.push(Math.min(deadlineMs, clock.monotonicMs() - startMs))
  }
  await clock.run(() => {
    const { promise, resolve } = Promise.withResolvers<void>()
    let left = list.length
    for (const [at, { atMs }] of list.entries())
      clock.after(atMs, () => {
        void one(at).then(() => {
          left -= 1
          if (left === 0) resolve()
        })
      })
    return promise
  })
  return { ...outcome, ...world.spent }
}

type Sets = Readonly<Record<'heldOut' | 'design' | 'made' | 'madeHeldOut', Lived>>

const limit =
  'how soon a changed link is noticed: by the answers that come over it, and by copies now and then'

function measurements(sets: Sets): Measurement[] {
  const recorded = sum(sets.heldOut)
  const within = { budget: { of: 'ratio', max: 1.15 } } as const
  const third = { budget: { of: 'ratio', max: 1 / 3 } } as const
  const where =
    'recorded: round trips, stalls, the rates of 4G, load and temperature (traces/README.md); the rates of Wi-Fi are made, energy is a model'
  const made = 'links made from a seed (link-traces.ts), boards recorded'
  return [
    {
      ...row('mean', 'ms', mean, worseOf(recorded), recorded),
      ...third,
      note: `${where}. ${told(sets.heldOut)}`,
    },
    { ...row('mean-oracle', 'ms', mean, 'oracle', recorded), ...within, note: spread(sets.heldOut) },
    row('p95', 'ms', p95, worseOf(recorded), recorded),
    row('p95-oracle', 'ms', p95, 'oracle', recorded),
    {
      ...row('energy', 'J/request', joules, 'device', recorded),
      against: 'always the device',
      note: `1.5 W while a model runs here, 0.9 W while the radio sends; ${each(recorded, (one) => `${joules(one).toFixed(3)} J`)}`,
    },
    {
      ...row('sent', 'kB/request', kilobytes, 'gateway', recorded),
      against: 'always the gateway',
      note: each(recorded, (one) => `${kilobytes(one).toFixed(1)} kB`),
    },
    ...compared('design', sets.design, 'the stretches that the router was made with'),
    ...compared('made', sets.made, made),
    ...compared('made-held-out', sets.madeHeldOut, `${made}; other seeds than the router was made with`),
  ]

  function compared(name: string, lived: Lived, note: string): Measurement[] {
    const all = sum(lived)
    return [
      {
        ...row(`${name}-mean`, 'ms', mean, worseOf(all), all),
        ...third,
        note: `${note}. ${told(lived)}`,
      },
      { ...row(`${name}-mean-oracle`, 'ms', mean, 'oracle', all), ...within, note: spread(lived) },
    ]
  }
}

function row(
  what: string,
  unit: string,
  of: (outcome: Outcome) => number,
  way: Way,
  from: Outcomes,
): Measurement {
  const against =
    way === 'oracle'
      ? 'an oracle that knows what each request would take'
      : `always the ${way}, the worse fixed choice`
  const value = of(from.router)
  return { name: `router.traces-${what}`, value, unit, baseline: of(from[way]), against, limit }
}

function worseOf(all: Outcomes): Way {
  return mean(all.device) > mean(all.gateway) ? 'device' : 'gateway'
}

function sum({ byLink }: Lived): Outcomes {
  const all = outcomes()
  for (const sums of byLink.values()) for (const way of ways) add(all[way], sums[way])
  return all
}

/** By link and way: mean and 95th percentile; and the deadlines that were missed. */
function told(lived: Lived): string {
  const links = [...lived.byLink].map(
    ([name, sums]) => `${name}: ${each(sums, (one) => `${mean(one).toFixed(0)}/${p95(one).toFixed(0)} ms`)}`,
  )
  return `mean/p95: ${links.join('; ')}. deadline of ${deadlineMs} ms missed: ${each(sum(lived), percent)}`
}

function spread(lived: Lived): string {
  const all = sum(lived)
  const { ratios } = lived
  return `${ratios.length} seeds: ${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}; who knows link and board exactly as they are, and nothing of the future, takes ${(mean(all.present) / mean(all.oracle)).toFixed(2)} of the oracle`
}

function each(sums: Outcomes, tell: (one: Outcome) => string): string {
  return ways.map((way) => `${way} ${tell(sums[way])}`).join(', ')
}

const outcomes = (): Outcomes => ({
  ...{ router: none(), device: none(), gateway: none() },
  ...{ present: none(), oracle: none() },
})

const none = (): Outcome => ({ latenciesMs: [], joules: 0, bytes: 0, missed: 0 })

function add(sum: Outcome, one: Outcome): void {
  for (const latencyMs of one.latenciesMs) sum.latenciesMs.push(latencyMs)
  sum.joules += one.joules
  sum.bytes += one.bytes
  sum.missed += one.missed
}

function mean({ latenciesMs }: Outcome): number {
  return latenciesMs.reduce((sum, one) => sum + one, 0) / latenciesMs.length
}

function joules({ joules: spent, latenciesMs }: Outcome): number {
  return spent / latenciesMs.length
}

function kilobytes({ bytes, latenciesMs }: Outcome): number {
  return bytes / latenciesMs.length / 1000
}

function p95({ latenciesMs }: Outcome): number {
  return quantile(latenciesMs, 0.95)
}

function percent({ missed, latenciesMs }: Outcome): string {
  return `${((100 * missed) / latenciesMs.length).toFixed(1)} %`
}
