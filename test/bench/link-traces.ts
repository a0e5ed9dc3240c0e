/**
 * Links as the router's benchmark knows them: a rate for each of 100 seconds. They are made, from a seed, and not recorded: no recording
 * was found that says under which licence it may be passed on. Made so that they behave as measured ones do: the logarithm of the
 * rate wanders around its usual value and remembers most of it from one second to the next, which is what walks through a building
 * show (median, spread and memory below are of that order); round trips, losses and outages are chosen.
 */
import { VirtualClock } from '../../runtime/base/clock.ts'

export interface LinkTrace {
  readonly name: string
  /** kB/s in each second, both ways; at 0 nothing moves. */
  readonly rates: readonly number[]
  /** Round trip of a small message without a queue, milliseconds; and how far it strays, as a share. */
  readonly rttMs: number
  readonly jitter: number
  /**
   * Share of messages that lose a packet, which costs a retransmission timeout (RFC 6298; 200 ms at least on Linux).
   * Radio links repeat by themselves, so little of it is left on a good one.
   */
  readonly loss: number
}

interface Wander {
  readonly seed: number
  /** kB/s. */
  readonly median: number
  readonly max: number
  /** Standard deviation of the rate's natural logarithm. */
  readonly spread: number
  /** Correlation of that logarithm from one second to the next. */
  readonly memory: number
  /** Seconds in which nothing moves, first and one past the last. */
  readonly outages?: readonly (readonly [number, number])[]
}

const seconds = 100
const wifi = { max: 8_000, memory: 0.8 }

const kinds: readonly (Omit<LinkTrace, 'rates'> & { readonly wander: Omit<Wander, 'seed' | 'outages'> })[] = [
  {
    ...{ name: 'wifi-good', rttMs: 4, jitter: 0.5, loss: 0.002 },
    wander: { ...wifi, median: 5_200, spread: 0.4 },
  },
  {
    ...{ name: '4g', rttMs: 50, jitter: 0.4, loss: 0.005 },
    wander: { median: 850, max: 4_500, spread: 0.95, memory: 0.85 },
  },
  {
    // Far from the access point.
    ...{ name: 'wifi-lossy', rttMs: 8, jitter: 1, loss: 0.08 },
    wander: { ...wifi, median: 3_200, spread: 0.8 },
  },
  {
    // Out of reach of it for a fifth of the time.
    ...{ name: 'wifi-outage', rttMs: 6, jitter: 0.6, loss: 0.01 },
    wander: { ...wifi, median: 3_500, spread: 0.85 },
  },
]

/** Those that the router was made with. */
export const linkTraces = tracesOf([11, 13, 7, 8], [34, 80])

/** The same kinds of links, drawn anew for each seed: nothing in the router was chosen by them. */
export function heldOutTraces(seed: number): readonly LinkTrace[] {
  const clock = new VirtualClock({ seed })
  const seedOf = () => Math.floor(1e6 * clock.random())
  const starts = [10 + Math.floor(30 * clock.random()), 60 + Math.floor(30 * clock.random())] as const
  return tracesOf([seedOf(), seedOf(), seedOf(), seedOf()], starts)
}

/** `starts`: of the last one's outages of 12 and 8 seconds. */
function tracesOf(seeds: readonly number[], [first, second]: readonly [number, number]): LinkTrace[] {
  const outages = [
    [first, first + 12],
    [second, second + 8],
  ] as const
  return kinds.map(({ wander: walk, ...link }, at) => ({
    ...link,
    rates: wander({ ...walk, seed: seeds[at] ?? 0, ...(link.name === 'wifi-outage' && { outages }) }),
  }))
}

/** A first-order autoregressive walk of the logarithm: the same seed, the same link. */
function wander({ seed, median, max, spread, memory, outages = [] }: Wander): number[] {
  const clock = new VirtualClock({ seed })
  const step = spread * Math.sqrt(1 - memory ** 2)
  let away = spread * normal(clock)
  return Array.from({ length: seconds }, (_, second) => {
    away = memory * away + step * normal(clock)
    const out = outages.some(([from, to]) => second >= from && second < to)
    return out ? 0 : Math.round(Math.min(max, median * Math.exp(away)))
  })
}

/** Box and Muller, "A note on the generation of random normal deviates", 1958. */
function normal(clock: VirtualClock): number {
  return Math.sqrt(-2 * Math.log(1 - clock.random())) * Math.cos(2 * Math.PI * clock.random())
}
