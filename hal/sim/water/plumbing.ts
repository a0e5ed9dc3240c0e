/**
 * The water in a simulated home, on the host's clock: taps and broken pipes run while the valve lets water in, the meter shows how
 * much, sensors get wet when enough has run out near them. What runs goes by what the valve truly is, whatever it says.
 *
 * Invariants: [hal-sim-10] no water runs behind a valve that is closed, and none stops by what a valve only says; [hal-sim-11] what a pipe
 * has lost, its `spilled_litres`, is what ran out of it, to a few seconds.
 */
import type { Cancel, Host } from '../../contract/host.ts'
import type { SimComponent } from '../sim-component.ts'
import type { Pipe, WaterFacts } from './facts.ts'

/** Litres on the floor until the nearest sensor is wet; each next one needs so much more. */
const wetLitres = 3
const nextLitres = 150
const lookMs = 5_000
const driesMs = 30 * 60_000

type Components = ReadonlyMap<string, Pick<SimComponent, 'truth' | 'setTruth' | 'onTelemetry'>>

interface Floor {
  /** Since it was dry last. */
  litres: number
  /** In all. */
  spilledLitres: number
  /** Since when nothing runs out there. */
  quietMs: number
}

export class Plumbing implements AsyncDisposable {
  readonly #facts: WaterFacts
  readonly #components: Components
  readonly #host: Host
  readonly #floors = new Map<Pipe, Floor>()
  readonly #cancels: Cancel[] = []
  #atMs = 0
  /** What has run out of each pipe since then, litres a minute. */
  #flows: ReadonlyMap<Pipe, number> = new Map()
  #cancelLook: Cancel | undefined

  constructor(facts: WaterFacts, components: Components, host: Host) {
    this.#facts = facts
    this.#components = components
    this.#host = host
  }

  start(): void {
    const { valve, taps, pipes } = this.#facts
    this.#atMs = this.#host.clock.nowMs()
    for (const pipe of pipes) this.#floors.set(pipe, { litres: 0, spilledLitres: 0, quietMs: this.#atMs })
    for (const id of [valve, ...taps, ...pipes.map(({ leak }) => leak)]) {
      const shown = () => this.#components.get(id)?.truth.state
      let before = shown()
      const cancel = this.#components.get(id)?.onTelemetry(() => {
        const now = shown()
        if (now === before) return
        before = now
        this.#goOn()
      })
      if (cancel) this.#cancels.push(cancel)
    }
    this.#goOn()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#cancelLook?.()
    for (const cancel of this.#cancels) cancel()
  }

  #isOpen(): boolean {
    return this.#components.get(this.#facts.valve)?.truth.state !== 'closed'
  }

  #number(id: string): number {
    const value = Number(this.#components.get(id)?.truth.state)
    return Number.isFinite(value) && value > 0 ? value : 0
  }

  /** Something has changed, or a few seconds have passed while the floor is wet. */
  #goOn(): void {
    const nowMs = this.#host.clock.nowMs()
    this.#spill(nowMs)
    this.#atMs = nowMs
    this.#flows = new Map(
      this.#facts.pipes.map((pipe) => [pipe, this.#isOpen() ? this.#number(pipe.leak) : 0]),
    )
    const taken = this.#isOpen() ? this.#facts.taps.reduce((sum, tap) => sum + this.#number(tap), 0) : 0
    const flow = [...this.#flows.values()].reduce((sum, one) => sum + one, taken)
    this.#set(this.#facts.meter, String(Math.round(flow * 100) / 100))
    this.#cancelLook?.()
    const isWet = [...this.#floors.values()].some(({ litres }) => litres > 0)
    const runsOut = [...this.#flows.values()].some((one) => one > 0)
    this.#cancelLook = isWet || runsOut ? this.#host.clock.after(lookMs, () => this.#goOn()) : undefined
  }

  #spill(nowMs: number): void {
    for (const [pipe, floor] of this.#floors) {
      const flow = this.#flows.get(pipe) ?? 0
      if (flow > 0) {
        const litres = (flow * (nowMs - this.#atMs)) / 60_000
        floor.litres += litres
        floor.spilledLitres += litres
        floor.quietMs = nowMs
        const attributes = { spilled_litres: Math.round(floor.spilledLitres * 10) / 10 }
        this.#components.get(pipe.leak)?.setTruth({ attributes })
      } else if (floor.litres > 0 && nowMs - floor.quietMs >= driesMs) {
        floor.litres = 0
        for (const sensor of pipe.wets) this.#set(sensor, 'off')
      }
      for (const [at, sensor] of pipe.wets.entries())
        if (floor.litres >= wetLitres + at * nextLitres) this.#set(sensor, 'on')
    }
  }

  #set(id: string, state: string): void {
    const component = this.#components.get(id)
    if (component && component.truth.state !== state) component.setTruth({ state })
  }
}
