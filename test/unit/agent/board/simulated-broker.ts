/** A broker on a virtual clock, replayed from its seed: messages are late and overtake each other, arrive twice, are lost; links are cut. */
import type { BoardDisk, Kept, KeptRegister } from '../../../../runtime/agent/board/board-store.ts'
import type { VirtualClock } from '../../../../runtime/base/clock.ts'
import type { Bus } from '../../../../runtime/link/bus.ts'
import { Topics } from '../../../../runtime/wire/topics.ts'

type Taker = Parameters<Bus['subscribe']>[1]

export interface Weather {
  readonly loss: number
  readonly twice: number
  readonly delayMsMax: number
}

export class SimulatedBroker {
  readonly clock: VirtualClock
  readonly weather: Weather
  readonly buses = new Set<SimulatedBus>()
  retained = new Map<string, Uint8Array>()

  constructor(clock: VirtualClock, weather: Weather) {
    this.clock = clock
    this.weather = weather
  }

  /** To everybody who is connected when it arrives. */
  spread(topic: string, payload: Uint8Array): void {
    for (const bus of this.buses) {
      const times = this.clock.random() < this.weather.twice ? 2 : 1
      for (let n = 0; n < times; n += 1) this.later(() => bus.deliver(topic, payload))
    }
  }

  later(work: () => void): void {
    this.clock.after(this.clock.random() * this.weather.delayMsMax, work)
  }
}

/** One device's link, which says what it retains again after each connecting, as `Link` does. */
export class SimulatedBus implements Bus {
  readonly topics = new Topics('ganglion')
  connected = true
  readonly #broker: SimulatedBroker
  readonly #takers = new Map<string, Taker>()
  readonly #listeners = new Set<(connected: boolean) => void>()
  readonly #values = new Map<string, Uint8Array>()
  readonly #words = new Set<(word: string) => void>()
  #session = 0

  constructor(broker: SimulatedBroker) {
    this.#broker = broker
    broker.buses.add(this)
  }

  connect(connected: boolean): void {
    if (connected === this.connected) return
    this.connected = connected
    this.#session += 1
    if (connected) {
      for (const filter of this.#takers.keys()) this.#replay(filter)
      for (const topic of this.#values.keys()) this.#send(topic)
    }
    for (const listener of this.#listeners) listener(connected)
  }

  /** The device has stopped. */
  leave(): void {
    this.connected = false
    this.#session += 1
    this.#broker.buses.delete(this)
  }

  /** Calls `listener` with whatever arrives, before it is taken. */
  onWord(listener: (word: string) => void): void {
    this.#words.add(listener)
  }

  deliver(topic: string, payload: Uint8Array): void {
    if (!this.connected) return
    for (const listener of this.#words) listener(Buffer.from(payload).toString())
    for (const [filter, taker] of this.#takers) if (fits(filter, topic)) taker({ topic, payload })
  }

  onChange(listener: (connected: boolean) => void) {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  subscribe(filter: string, taker: Taker) {
    this.#takers.set(filter, taker)
    if (this.connected) this.#replay(filter)
    return () => this.#takers.delete(filter)
  }

  async publish(topic: string, payload: string | Uint8Array): Promise<void> {
    const { clock, weather } = this.#broker
    if (clock.random() < weather.loss) return
    const session = this.#session
    this.#broker.later(() => {
      if (session === this.#session) this.#broker.spread(topic, Buffer.from(payload as string))
    })
  }

  setRetained(topic: string, payload: string | Uint8Array): void {
    this.#values.set(topic, Buffer.from(payload as string))
    this.#send(topic)
  }

  clearRetained(topic: string): void {
    this.setRetained(topic, '')
  }

  forgetRetained(topic: string): void {
    this.#values.delete(topic)
  }

  #send(topic: string): void {
    const session = this.#session
    const payload = this.#values.get(topic)
    if (!this.connected || !payload) return
    this.#broker.later(() => {
      // Cut on its way: said again on the next connection, where it is not forgotten by then.
      if (session !== this.#session) return
      if (payload.byteLength === 0) this.#broker.retained.delete(topic)
      else this.#broker.retained.set(topic, payload)
      this.#broker.spread(topic, payload)
    })
  }

  #replay(filter: string): void {
    for (const [topic, payload] of this.#broker.retained)
      if (fits(filter, topic)) this.#broker.later(() => this.deliver(topic, payload))
  }
}

function fits(filter: string, topic: string): boolean {
  const wanted = filter.split('/')
  const levels = topic.split('/')
  return wanted.length === levels.length && wanted.every((want, at) => want === '+' || want === levels[at])
}

/** A disk that survives a restart; what was not synced does not. */
export class SimulatedDisk implements BoardDisk {
  readonly #places = new Map<string, string>()
  readonly #registers = new Map<string, KeptRegister>()
  readonly #written = new Map<string, string>()
  #pending: (() => void)[] = []

  place(key: string, envelope: string | undefined): void {
    this.#pending.push(() => put(this.#places, key, envelope))
  }
  register(key: string, register: KeptRegister | undefined): void {
    this.#pending.push(() => put(this.#registers, key, register))
  }
  written(call: string, envelope: string): void {
    this.#pending.push(() => put(this.#written, call, envelope))
  }
  async durable(): Promise<void> {
    for (const write of this.#pending.splice(0)) write()
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.#pending = []
  }
  kept(): Kept {
    return {
      places: [...this.#places.values()],
      registers: new Map(this.#registers),
      written: new Map(this.#written),
    }
  }
}

function put<T>(map: Map<string, T>, key: string, value: T | undefined): void {
  if (value === undefined) map.delete(key)
  else map.set(key, value)
}
