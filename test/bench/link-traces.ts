/**
 * Links as the router's benchmark knows them: a rate for each second, round trips, losses and stalls. The made ones come from a
 * seed, and behave as measured ones do: the logarithm of the rate wanders around its usual value and remembers most of it from
 * one second to the next, which is what walks through a building show (median, spread and memory below are of that order);
 * round trips, losses and outages are chosen. Those put together from recordings are in `recorded-traces.ts`.
 */
import { VirtualClock } from '../../runtime/base/clock.ts'

export interface LinkTrace {
  readonly name: string
  /** kB/s in each second, both ways; at 0 nothing moves. They repeat after their end. */
  readonly rates: readonly number[]
  /** Round trip of a small message that is sent then, without a queue, milliseconds; `luck` in [0, 1). */
  readonly tripMs: (atMs: number, luck: number) => number
  /** When something moves again, milliseconds; `atMs` itself where it does. */
  readonly movesFrom: (atMs: number) => number
  /**
   * Share of messages that lose a packet, which costs a retransmission timeout (RFC 6298; 200 ms at least on Linux).
   * Radio links repeat by themselves, so little of it is left on a good one. In recorded round trips losses are contained.
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

interface MadeLink {
  readonly name: string
  readonly rttMs: number
  /** How far a round trip strays, as a share of it. */
  readonly jitter: number
  readonly loss: number
  readonly wander: Omit<Wander, 'seed' | 'outages'>
}

const seconds = 100
const wifi = { max: 8_000, memory: 0.8 }
/** Near the access point; and further away. */
const nearWifi = { ...wifi, median: 5_200, spread: 0.4 }
const farWifi = { ...wifi, median: 3_200, spread: 0.8 }

const kinds: readonly MadeLink[] = [
  { name: 'wifi-good', rttMs: 4, jitter: 0.5, loss: 0.002, wander: nearWifi },
  {
    ...{ name: '4g', rttMs: 50, jitter: 0.4, loss: 0.005 },
    wander: { median: 850, max: 4_500, spread: 0.95, memory: 0.85 },
  },
  { name: 'wifi-lossy', rttMs: 8, jitter: 1, loss: 0.08, wander: farWifi },
  {
    // Out of reach of it for a fifth of the time.
    ...{ name: 'wifi-outage', rttMs: 6, jitter: 0.6, loss: 0.01 },
    wander: { ...wifi, median: 3_500, spread: 0.85 },
  },
]

/** Those that the router was made with. */
export const madeTraces = tracesOf([11, 13, 7, 8], [34, 80])

/** The same kinds of links, drawn anew for each seed: nothing in the router was chosen by them. */
export function heldOutMadeTraces(seed: number): readonly LinkTrace[] {
  const clock = new VirtualClock({ seed })
  const seedOf = () => Math.floor(1e6 * clock.random())
  const starts = [10 + Math.floor(30 * clock.random()), 60 + Math.floor(30 * clock.random())] as const
  return tracesOf([seedOf(), seedOf(), seedOf(), seedOf()], starts)
}

/** Rates of Wi-Fi for recordings that have only its round trips, kB/s. */
export function madeWifiRates(place: 'near' | 'far', seed: number): number[] {
  return wander({ ...(place === 'near' ? nearWifi : farWifi), seed })
}

/** `starts`: of the last one's outages of 12 and 8 seconds. */
function tracesOf(seeds: readonly number[], [first, second]: readonly [number, number]): LinkTrace[] {
  const outages = [
    [first, first + 12],
    [second, second + 8],
  ] as const
  return kinds.map(({ wander: walk, rttMs, jitter, ...link }, at) => ({
    ...link,
    tripMs: (_, luck) => rttMs * (1 + jitter * luck),
    movesFrom: (atMs) => atMs,
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
