/**
 * The simulated air-to-water heat pump: what it gives and takes at an outside temperature, and the times that its compressor keeps.
 *
 * Points are typical of what makers of 5 to 7 kW inverter units publish after EN 14511 (heating water 35 °C at A-7, A2, A7; cooling
 * water 18 °C at A35, A27), no one maker's; between them lines. Ten minutes of running and five of rest are usual settings against
 * short cycles, and a minute without flow is what the water in it bears. What warms a room with water of 35 °C cools it with half of that
 * at 18 °C: some 7 K between water and room instead of 13. A start gives nothing for two minutes: an assumption. Defrosting is left out.
 */
export type PumpMode = 'off' | 'heat' | 'cool'

export const pumpTimes = { minRunMs: 600_000, minRestMs: 300_000, startMs: 120_000, dryMs: 60_000 } as const
/** Circulation and controls while it runs, W. */
const auxiliaryW = 60
/** Of what a room takes of heat, so much it takes of cold. */
const coolShare = 0.5
/** An inverter goes no lower than this share of its capacity. */
const leastShare = 0.3

/** Of the most that an emitter takes, the share that it takes in a room so warm: less above 25 °C, nothing at the 35 °C of the water. */
export const emitterShare = (mode: 'heat' | 'cool', roomC: number): number =>
  mode === 'heat' ? Math.min(1, Math.max(0, (35 - roomC) / 10)) : 1

interface Point {
  readonly outsideC: number
  readonly capacityW: number
  /** Heat or cold / electricity. */
  readonly performance: number
}
const points: Readonly<Record<'heat' | 'cool', readonly [Point, Point, ...Point[]]>> = {
  heat: [
    { outsideC: -7, capacityW: 4_800, performance: 2.8 },
    { outsideC: 2, capacityW: 5_400, performance: 3.7 },
    { outsideC: 7, capacityW: 6_000, performance: 4.6 },
  ],
  cool: [
    { outsideC: 27, capacityW: 5_500, performance: 5.4 },
    { outsideC: 35, capacityW: 5_000, performance: 4.2 },
  ],
}

/** Heat given (negative: taken) and electricity used, W, where the rooms that are open take `emittersW` at most. */
export function pumpPower(
  mode: 'heat' | 'cool',
  outsideC: number,
  emittersW: number,
): { readonly heatW: number; readonly electricW: number } {
  const { capacityW, performance } = between(points[mode], outsideC)
  const heatW = Math.min(capacityW, mode === 'heat' ? emittersW : coolShare * emittersW)
  // Below its least it runs at its least, and what the rooms do not take is lost.
  const electricW = Math.max(heatW, leastShare * capacityW) / performance + auxiliaryW
  return { heatW: mode === 'heat' ? heatW : -heatW, electricW }
}

function between(line: readonly [Point, Point, ...Point[]], outsideC: number): Point {
  const at = line.findIndex((point) => point.outsideC >= outsideC)
  const to = Math.max(1, at === -1 ? line.length - 1 : at)
  const [low, high] = [line[to - 1] as Point, line[to] as Point]
  const share = (outsideC - low.outsideC) / (high.outsideC - low.outsideC)
  const mixed = (from: number, into: number) => from + (into - from) * share
  return {
    outsideC,
    capacityW: Math.max(1_000, mixed(low.capacityW, high.capacityW)),
    performance: Math.min(6.5, Math.max(1.5, mixed(low.performance, high.performance))),
  }
}

/** The compressor with its times. Without flow it stops within a minute, whatever the times say. */
export class Compressor {
  #running: 'heat' | 'cool' | undefined
  #changedMs = Number.NEGATIVE_INFINITY
  #flowMs = Number.NEGATIVE_INFINITY
  /** Starts, and stops for want of flow before its time was over. */
  starts = 0
  hardStops = 0

  get running(): 'heat' | 'cool' | undefined {
    return this.#running
  }

  /** True while it runs and gives heat. */
  gives(atMs: number): boolean {
    return this.#running !== undefined && atMs - this.#changedMs >= pumpTimes.startMs
  }

  /** `flow`: a valve is open. */
  control(mode: PumpMode, flow: boolean, atMs: number): void {
    const sinceMs = atMs - this.#changedMs
    if (flow) this.#flowMs = atMs
    if (this.#running === undefined) {
      if (mode === 'off' || !flow || sinceMs < pumpTimes.minRestMs) return
      this.starts += 1
      this.#turn(mode, atMs)
      return
    }
    const short = sinceMs < pumpTimes.minRunMs
    if (atMs - this.#flowMs >= pumpTimes.dryMs) {
      if (short) this.hardStops += 1
      this.#turn(undefined, atMs)
    } else if (mode !== this.#running && !short) this.#turn(undefined, atMs)
  }

  #turn(running: 'heat' | 'cool' | undefined, atMs: number): void {
    this.#running = running
    this.#changedMs = atMs
  }
}
