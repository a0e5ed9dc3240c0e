/**
 * What every polled sensor does alike, so that a driver is only its part: set up at open and again after any failed sample
 * (the part may have lost its power), one sample at a time, closing, and messages that begin with the part's id.
 */

import type { ChannelName, ChannelValue, Quality } from '../contract/channels.ts'
import type { DriverContext, Options, SensorDevice } from '../contract/driver.ts'
import { HalError } from '../contract/errors.ts'
import type { IoHandle } from '../contract/io.ts'

export type Values = Readonly<Partial<Record<ChannelName, ChannelValue>>>

export interface PolledSensor {
  readonly identification: SensorDevice['identification']
  /** Checks that it is the part, and writes its configuration. */
  setUp(signal: AbortSignal): Promise<void>
  measure(signal: AbortSignal): Promise<Values>
  /** Takes over options that can change while open; absent: none can. */
  configure?(options: Options): void
  /** What the part reports as wrong besides a failed sample. */
  faults?(): readonly string[]
  /** Leaves the part at rest, where it would measure on by itself. It may be gone by then. */
  rest?(): void
}

/** Opens a polled sensor on a handle, which is closed with it or when it does not open. */
export async function openSensor(
  context: DriverContext,
  handle: IoHandle,
  sensor: PolledSensor,
  signal: AbortSignal,
): Promise<SensorDevice> {
  const device = new PolledSensorDevice(context, handle, sensor)
  try {
    await device.start(signal)
  } catch (error) {
    handle.close()
    throw error
  }
  return device
}

class PolledSensorDevice implements SensorDevice {
  readonly #context: DriverContext
  readonly #handle: IoHandle
  readonly #sensor: PolledSensor
  readonly #closing = new AbortController()
  #ready = false
  #sampling = false
  #lastFault: string | undefined

  constructor(context: DriverContext, handle: IoHandle, sensor: PolledSensor) {
    this.#context = context
    this.#handle = handle
    this.#sensor = sensor
  }

  get identification() {
    return this.#sensor.identification
  }

  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    try {
      await this.#sensor.setUp(signal)
      this.#ready = true
    } catch (error) {
      throw this.#named(error)
    }
  }

  async sample(signal: AbortSignal) {
    this.#checkOpen()
    signal.throwIfAborted()
    if (this.#sampling) throw new HalError('busy', `${this.#context.id}: a sample is being taken already`)
    this.#sampling = true
    try {
      const channels = await this.#measure(AbortSignal.any([signal, this.#closing.signal]))
      this.#lastFault = undefined
      return { channels, tsMs: this.#context.host.clock.nowMs() }
    } catch (error) {
      this.#ready = false
      this.#checkOpen()
      signal.throwIfAborted()
      const named = this.#named(error)
      this.#lastFault = String(named instanceof Error ? named.message : named)
      throw named
    } finally {
      this.#sampling = false
    }
  }

  configure(options: Options): void {
    this.#checkOpen()
    if (!this.#sensor.configure)
      throw new HalError('unsupported', `${this.#context.id}: no option can change while it is open`)
    this.#sensor.configure(options)
  }

  faults(): readonly string[] {
    return [...(this.#lastFault === undefined ? [] : [this.#lastFault]), ...(this.#sensor.faults?.() ?? [])]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return
    this.#closing.abort()
    try {
      this.#sensor.rest?.()
    } catch (error) {
      if (!(error instanceof HalError)) throw error
    } finally {
      this.#handle.close()
    }
  }

  async #measure(signal: AbortSignal): Promise<Values> {
    if (!this.#ready) await this.#sensor.setUp(signal)
    this.#ready = true
    return this.#sensor.measure(signal)
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted) throw new HalError('closed', `${this.#context.id} is closed`)
  }

  /** Operating errors say which part; a programmer's mistake goes on as it is. */
  #named(error: unknown): unknown {
    if (!(error instanceof HalError)) return error
    return new HalError(error.code, `${this.#context.id}: ${error.message}`, { cause: error })
  }
}

/**
 * A value and how far it can be believed: `saturated` says that the part was at its end; outside `min` to `max` a value is
 * implausible. One that is not finite never leaves a driver.
 */
export function plausible(value: number, min: number, max: number, saturated = false): ChannelValue {
  if (!Number.isFinite(value)) throw new HalError('malformed', 'the measurement is not a number')
  const quality: Quality = saturated ? 'saturated' : value < min || value > max ? 'implausible' : 'ok'
  return { value, quality }
}
