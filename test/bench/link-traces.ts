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

export const linkTraces: readonly LinkTrace[] = [
  {
    name: 'wifi-good',
    rttMs: 4,
    jitter: 0.5,
    loss: 0.002,
    rates: wander({ ...wifi, seed: 11, median: 5_200, spread: 0.4 }),
  },
  {
    name: '4g',
    rttMs: 50,
    jitter: 0.4,
    loss: 0.005,
    rates: wander({ seed: 13, median: 850, max: 4_500, spread: 0.95, memory: 0.85 }),
  },
  {
    // Far from the access point.
    name: 'wifi-lossy',
    rttMs: 8,
    jitter: 1,
    loss: 0.08,
    rates: wander({ ...wifi, seed: 7, median: 3_200, spread: 0.8 }),
  },
  {
    // Out of reach of it for a fifth of the time.
    name: 'wifi-outage',
    rttMs: 6,
    jitter: 0.6,
    loss: 0.01,
    rates: wander({
      ...wifi,
      seed: 8,
      median: 3_500,
      spread: 0.85,
      outages: [
        [34, 46],
        [80, 88],
      ],
    }),
  },
]

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
