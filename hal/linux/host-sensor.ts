/**
 * One of the machine's own sensors. Samples itself every 30 s until disposed; one sample at a time. A failed sample
 * reports `unavailable`, is logged once until it works again, and does not stop the next.
 */
import type { Telemetry } from '../contract/component.ts'
import { HalError } from '../contract/errors.ts'
import type { Cancel, Host } from '../contract/host.ts'
import type { Sensor } from '../contract/sensor.ts'

/** Temperature and load change over minutes; 30 s shows them and costs nothing. */
const sampleEveryMs = 30_000

/** Measures; undefined when the source has gone. */
type Measure = () => Promise<number | undefined>

/** Something on this machine that can be measured. */
export interface HostSource {
  readonly object: string
  readonly name: string
  readonly deviceClass?: string
  readonly unit?: string
  /** 0 is off, anything else on. */
  readonly binary?: true
  /** A part outside the computer: one that does not answer when the device starts gives no sensor. */
  readonly mayBeAway?: true
  /** Undefined where the machine has no such source. Throws HalError. */
  readonly measure: Measure
}

export class HostSensor implements Sensor {
  readonly info: Sensor['info']
  readonly #host: Host
  readonly #measure: Measure
  readonly #listeners = new Set<(telemetry: Telemetry) => void>()
  #current: Telemetry
  #cancelTimer: Cancel
  #failing = false
  #closed = false

  constructor(info: Sensor['info'], host: Host, first: number, measure: Measure) {
    this.info = info
    this.#host = host
    this.#measure = measure
    this.#current = this.#telemetry(this.#state(first))
    this.#cancelTimer = this.#sampleLater()
  }

  current(): Telemetry {
    return this.#current
  }

  onTelemetry(listener: (telemetry: Telemetry) => void): Cancel {
    if (!this.#closed) this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async sample(signal: AbortSignal): Promise<Telemetry> {
    signal.throwIfAborted()
    return this.#take()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    this.#cancelTimer()
    this.#listeners.clear()
  }

  async #take(): Promise<Telemetry> {
    if (this.#closed) throw new HalError('closed', `${this.info.id}: the board is closed`)
    try {
      const value = await this.#measure()
      if (value === undefined) throw new HalError('not-present', `${this.info.id}: its source has gone`)
      this.#report(this.#state(value))
    } catch (error) {
      this.#report('unavailable')
      throw error
    }
    return this.#current
  }

  #sampleLater(): Cancel {
    return this.#host.clock.after(sampleEveryMs, () => void this.#sampleByItself())
  }

  async #sampleByItself(): Promise<void> {
    try {
      await this.#take()
      this.#failing = false
    } catch (error) {
      if (!this.#failing && !this.#closed)
        this.#host.log.warn('host sensor failed', { sensor: this.info.id, error })
      this.#failing = true
    }
    if (!this.#closed) this.#cancelTimer = this.#sampleLater()
  }

  #state(value: number): string {
    if (this.info.kind === 'binary_sensor') return value === 0 ? 'off' : 'on'
    return String(value)
  }

  #report(state: string): void {
    if (this.#closed) return
    this.#current = this.#telemetry(state)
    for (const listener of this.#listeners) listener(this.#current)
  }

  #telemetry(state: string): Telemetry {
    const { deviceClass, unit } = this.info
    return {
      state,
      attributes: {
        ...(deviceClass === undefined ? {} : { device_class: deviceClass }),
        ...(unit === undefined ? {} : { unit_of_measurement: unit }),
      },
      tsMs: this.#host.clock.nowMs(),
    }
  }
}
