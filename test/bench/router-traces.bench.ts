/**
 * The router in virtual time, on made links: against always here, always there, and an oracle that knows of each
 * request what it would take at either place and sends it where it is quicker (it knows nothing of later requests). The
 * router itself is the real one; board, link and gateway are `router-world.ts`. And the same on links that were held out.
 */
import { VirtualClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { Redactor } from '../../runtime/inference/redaction/redactor.ts'
import type { Route } from '../../runtime/inference/router/route.ts'
import { Router } from '../../runtime/inference/router/router.ts'
import type { Benchmark, Measurement } from './benchmark.ts'
import { heldOutTraces, type LinkTrace, linkTraces } from './link-traces.ts'
import { quantile } from './quantiles.ts'
import { type Arrival, arrivals, deadlineMs, type LoadTrace, loadTraces, World } from './router-world.ts'

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

export const routerTraces: Benchmark = {
  name: 'router.traces',
  async run({ quick, signal, progress }) {
    // A single seed says little: its ratio strays by a tenth.
    const count = quick ? 6 : 20
    const seeds = (from: number) => Array.from({ length: count }, (_, at) => from + at)
    const byLink = new Map<string, Outcomes>()
    const ratios: number[] = []
    for (const seed of seeds(1)) {
      progress(`seed ${seed}`)
      const sums = await onLinks(linkTraces, seed, ways, byLink, signal)
      ratios.push(mean(sums.router) / mean(sums.oracle))
    }
    const heldOut = outcomes()
    for (const seed of seeds(1001)) {
      progress(`held out ${seed}`)
      const sums = await onLinks(
        heldOutTraces(seed),
        seed,
        ['router', 'present', 'oracle'],
        new Map(),
        signal,
      )
      for (const way of ways) add(heldOut[way], sums[way])
    }
    return measurements(byLink, heldOut, ratios)
  },
}

/** All links and loads with the arrivals of one seed; added to what is known by link. */
async function onLinks(
  links: readonly LinkTrace[],
  seed: number,
  asked: readonly Way[],
  byLink: Map<string, Outcomes>,
  signal: AbortSignal,
): Promise<Outcomes> {
  const all = outcomes()
  const list = arrivals(requestsPerS, seed)
  for (const link of links) {
    const sums = byLink.get(link.name) ?? outcomes()
    byLink.set(link.name, sums)
    for (const load of loadTraces)
      for (const way of asked) {
        signal.throwIfAborted()
        const outcome = await live(way, link, load, list, seed)
        for (const sum of [sums, all]) add(sum[way], outcome)
      }
  }
  return all
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

function measurements(
  byLink: ReadonlyMap<string, Outcomes>,
  heldOut: Outcomes,
  ratios: readonly number[],
): Measurement[] {
  const all = outcomes()
  for (const sums of byLink.values()) for (const way of ways) add(all[way], sums[way])
  const worse = mean(all.device) > mean(all.gateway) ? 'device' : 'gateway'
  const limit =
    'how soon a changed link is noticed: by the answers that come over it, and by copies now and then'
  const link = (name: string, sums: Outcomes) =>
    `${name}: ${ways.map((way) => `${way} ${mean(sums[way]).toFixed(0)}/${p95(sums[way]).toFixed(0)} ms`).join(', ')}`
  const note = [
    'links, losses, the board and its heat are made, not recorded (link-traces.ts, router-world.ts)',
    `mean/p95: ${[...byLink].map(([name, sums]) => link(name, sums)).join('; ')}`,
    `deadline of ${deadlineMs} ms missed: ${ways.map((way) => `${way} ${percent(all[way])}`).join(', ')}`,
  ].join('. ')
  const against = (way: Way) =>
    way === 'oracle'
      ? 'an oracle that knows what each request would take'
      : `always the ${way}, the worse fixed choice`
  const row = (
    what: string,
    unit: string,
    of: (outcome: Outcome) => number,
    way: Way,
    from = all,
  ): Measurement => ({
    name: `router.traces-${what}`,
    value: of(from.router),
    unit,
    baseline: of(from[way]),
    against: against(way),
    limit,
  })
  const known = (from: Outcomes) =>
    `who knows link and board exactly as they are, and nothing of the future, takes ${(mean(from.present) / mean(from.oracle)).toFixed(2)} of the oracle`
  const spread = `${ratios.length} seeds: ${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`
  const within = { budget: { of: 'ratio', max: 1.15 } } as const
  return [
    { ...row('mean', 'ms', mean, worse), budget: { of: 'ratio', max: 1 / 3 }, note },
    { ...row('mean-oracle', 'ms', mean, 'oracle'), ...within, note: `${spread}; ${known(all)}` },
    {
      ...row('mean-oracle-held-out', 'ms', mean, 'oracle', heldOut),
      ...within,
      note: `other links for each of as many other seeds; ${known(heldOut)}`,
    },
    row('p95', 'ms', p95, worse),
    row('p95-oracle', 'ms', p95, 'oracle'),
    {
      ...row('energy', 'J/request', (one) => one.joules / one.latenciesMs.length, 'device'),
      against: 'always the device',
      note: `1.5 W while a model runs here, 0.9 W while the radio sends; ${ways.map((way) => `${way} ${(all[way].joules / all[way].latenciesMs.length).toFixed(3)} J`).join(', ')}`,
    },
    {
      ...row('sent', 'kB/request', (one) => one.bytes / one.latenciesMs.length / 1000, 'gateway'),
      against: 'always the gateway',
    },
  ]
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

function p95({ latenciesMs }: Outcome): number {
  return quantile(latenciesMs, 0.95)
}

function percent({ missed, latenciesMs }: Outcome): string {
  return `${((100 * missed) / latenciesMs.length).toFixed(1)} %`
}
