/** A network of devices on a virtual clock, replayed from its seed: it loses, doubles, delays, reorders, and can be cut in two. */
import type { VirtualClock } from '../../../../runtime/base/clock.ts'

export interface Weather {
  /** Share of the messages that are lost, and of those that arrive twice. */
  readonly loss: number
  readonly twice: number
  /** A message takes up to so long, at random: they overtake each other. */
  readonly delayMsMax: number
}

export class SimulatedNetwork<Message> {
  readonly #clock: VirtualClock
  readonly #weather: Weather
  readonly #takers = new Map<string, (from: string, message: Message) => void>()
  #side: (device: string) => number = () => 0

  constructor(clock: VirtualClock, weather: Weather) {
    this.#clock = clock
    this.#weather = weather
  }

  join(device: string, taker: (from: string, message: Message) => void): void {
    this.#takers.set(device, taker)
  }

  leave(device: string): void {
    this.#takers.delete(device)
  }

  /** Devices of different sides do not hear each other. */
  cut(side: (device: string) => number): void {
    this.#side = side
  }

  heal(): void {
    this.#side = () => 0
  }

  say(from: string, message: Message): void {
    for (const to of this.#takers.keys()) if (to !== from) this.tell(from, to, message)
  }

  tell(from: string, to: string, message: Message): void {
    const { loss, twice, delayMsMax } = this.#weather
    const times = this.#clock.random() < loss ? 0 : this.#clock.random() < twice ? 2 : 1
    for (let n = 0; n < times; n += 1)
      this.#clock.after(this.#clock.random() * delayMsMax, () => {
        if (this.#side(from) === this.#side(to)) this.#takers.get(to)?.(from, message)
      })
  }
}
