/**
 * One attached sensor as components: one for each channel, all of one physical device. Outcomes of the thread come in,
 * telemetry goes out.
 *
 * Invariants: [attached-8] a value is shown as `stale` from the first sample that failed, and as `unavailable` when
 * `missesMax` have, or the part is lost; [attached-9] telemetry comes with every change, and at least every
 * `quietMsMax` while samples arrive.
 */
import { type ChannelName, type ChannelRule, type ChannelValue, channels } from '../contract/channels.ts'
import type { ComponentInfo, Json, Telemetry } from '../contract/component.ts'
import { HalError } from '../contract/errors.ts'
import type { Cancel, Host } from '../contract/host.ts'
import type { Sensor } from '../contract/sensor.ts'
import type { Outcome } from './sensor-loop.ts'

const missesMax = 3
/** The same trouble is logged no more often. */
const sameAgainMs = 600_000
/** An unchanged value is not worth a message a second; a minute without one looks like a dead sensor. */
const quietMsMax = 30_000
/** For a sample that a caller asks for, beyond what the part itself may take. */
const sampleMsExtra = 1_000
const waitingMax = 64

export interface PartIdentity {
  readonly id: string
  readonly name: string
  readonly area?: string
  readonly device: NonNullable<ComponentInfo['device']>
  readonly simulated: boolean
  /** Longest time that one sample takes. */
  readonly sampleMsMax: number
}

interface Waiting {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export class SensorPart {
  readonly identity: PartIdentity
  readonly sensors: readonly Sensor[]
  readonly #channels: readonly ChannelSensor[]
  readonly #host: Host
  readonly #ask: () => void
  readonly #waiting = new Set<Waiting>()
  #misses = 0
  #warned: { readonly reason: string; readonly atMs: number } | undefined
  /** The present trouble is in the log. */
  #told = false
  #problem: string | undefined
  #closed = false

  /** `ask` wants a sample soon. */
  constructor(identity: PartIdentity, names: readonly ChannelName[], host: Host, ask: () => void) {
    this.identity = identity
    this.#host = host
    this.#ask = ask
    this.#channels = names.map((name) => new ChannelSensor(this, name, host))
    this.sensors = this.#channels
  }

  take(outcome: Outcome): void {
    if (this.#closed) return
    if ('reading' in outcome) this.#took(outcome)
    else this.#missed(outcome)
  }

  async sample(signal: AbortSignal): Promise<void> {
    const { id, sampleMsMax } = this.identity
    if (this.#closed) throw new HalError('closed', `${id}: the board is closed`)
    if (this.#waiting.size >= waitingMax)
      throw new HalError('busy', `${id}: ${waitingMax} callers wait for a sample`)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiting = { resolve, reject }
    const limitMs = sampleMsMax + sampleMsExtra
    const onAbort = () => reject(signal.reason)
    signal.throwIfAborted()
    signal.addEventListener('abort', onAbort, { once: true })
    const cancel = this.#host.clock.after(limitMs, () =>
      reject(new HalError('timeout', `${id}: no sample within ${limitMs} ms`)),
    )
    this.#waiting.add(waiting)
    this.#ask()
    try {
      await promise
    } finally {
      cancel()
      this.#waiting.delete(waiting)
      signal.removeEventListener('abort', onAbort)
    }
  }

  close(): void {
    this.#closed = true
    this.#settle((waiting) => waiting.reject(new HalError('closed', `${this.identity.id} is closed`)))
    for (const channel of this.#channels) channel.close()
  }

  #took({ reading, faults }: Extract<Outcome, { reading: unknown }>): void {
    if (this.#problem !== undefined && this.#told)
      this.#host.log.info('a sensor is back', { part: this.identity.id })
    this.#misses = 0
    this.#problem = undefined
    for (const channel of this.#channels)
      channel.took(reading.channels[channel.channel], reading.tsMs, faults)
    this.#settle(({ resolve }) => resolve())
  }

  #missed({ error, lost }: Extract<Outcome, { error: unknown }>): void {
    this.#misses += 1
    // Once a trouble, not once a sample: a cable may be out for weeks.
    if (this.#problem === undefined) this.#warn(error.message)
    this.#problem = error.message
    const gone = lost || this.#misses >= missesMax
    for (const channel of this.#channels) channel.missed(error.message, gone)
    this.#settle(({ reject }) => reject(new HalError(error.code, error.message)))
  }

  /** A loose contact, or a module that fails now and then, has the same trouble again and again. */
  #warn(reason: string): void {
    const nowMs = this.#host.clock.monotonicMs()
    const again = this.#warned !== undefined && this.#warned.reason === reason
    this.#told = !again || nowMs - (this.#warned?.atMs ?? 0) >= sameAgainMs
    if (!this.#told) return
    this.#warned = { reason, atMs: nowMs }
    this.#host.log.warn('a sensor does not answer', { part: this.identity.id, reason })
  }

  #settle(how: (waiting: Waiting) => void): void {
    for (const waiting of this.#waiting) how(waiting)
  }
}

/** `sensor.porch_temperature`, `binary_sensor.hall_motion`. */
export function channelId(part: string, channel: ChannelName): string {
  const rule: ChannelRule = channels[channel]
  return `${rule.binary ? 'binary_sensor' : 'sensor'}.${part}_${channel}`
}

class ChannelSensor implements Sensor {
  readonly info: Sensor['info']
  readonly channel: ChannelName
  readonly #part: SensorPart
  readonly #rule: ChannelRule
  readonly #host: Host
  readonly #listeners = new Set<(telemetry: Telemetry) => void>()
  #current: Telemetry
  /** What listeners were last told; samples in between may have been newer. */
  #told: Telemetry

  constructor(part: SensorPart, channel: ChannelName, host: Host) {
    const { id, name, area, device, simulated } = part.identity
    const rule: ChannelRule = channels[channel]
    const kind = rule.binary ? 'binary_sensor' : 'sensor'
    this.#part = part
    this.#rule = rule
    this.#host = host
    this.channel = channel
    this.info = {
      id: channelId(id, channel),
      kind,
      name: `${name} ${channel.replaceAll('_', ' ')}`,
      ...(area === undefined ? {} : { area }),
      device,
      ...(rule.deviceClass === undefined ? {} : { deviceClass: rule.deviceClass }),
      ...(rule.unit === '' ? {} : { unit: rule.unit }),
      simulated,
    }
    this.#current = { state: 'unknown', attributes: this.#attributes(), tsMs: host.clock.nowMs() }
    this.#told = this.#current
  }

  current(): Telemetry {
    return this.#current
  }

  onTelemetry(listener: (telemetry: Telemetry) => void): Cancel {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async sample(signal: AbortSignal): Promise<Telemetry> {
    await this.#part.sample(signal)
    this.#tell(this.#current)
    return this.#current
  }

  took(value: ChannelValue | undefined, tsMs: number, faults: readonly string[]): void {
    if (!value) {
      this.missed('the part did not report it', false)
      return
    }
    const { binary, decimals } = this.#rule
    const state = binary ? (value.value === 0 ? 'off' : 'on') : rounded(value.value, decimals)
    const quality = value.quality === 'ok' ? {} : { quality: value.quality }
    this.#now(state, { ...quality, ...(faults.length === 0 ? {} : { faults: [...faults] }) }, tsMs)
  }

  missed(problem: string, gone: boolean): void {
    const { state, tsMs } = this.#current
    const known = state !== 'unknown' && state !== 'unavailable'
    if (gone || !known) this.#now('unavailable', { problem }, this.#host.clock.nowMs())
    else this.#now(state, { quality: 'stale', problem }, tsMs)
  }

  close(): void {
    this.#listeners.clear()
  }

  /** Closing one channel closes none of the others; the board closes the part. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
  }

  #now(state: string, more: Readonly<Record<string, Json>>, tsMs: number): void {
    this.#current = { state, attributes: { ...this.#attributes(), ...more }, tsMs }
    const told = this.#told
    const same = told.state === state && sameAttributes(told.attributes, this.#current.attributes)
    if (!same || tsMs - told.tsMs >= quietMsMax) this.#tell(this.#current)
  }

  #tell(telemetry: Telemetry): void {
    this.#told = telemetry
    for (const listener of this.#listeners) listener(telemetry)
  }

  #attributes(): Record<string, Json> {
    const { deviceClass, unit } = this.info
    return {
      ...(deviceClass === undefined ? {} : { device_class: deviceClass }),
      ...(unit === undefined ? {} : { unit_of_measurement: unit }),
    }
  }
}

/** As many decimals as are worth showing, without zeros that say nothing. */
function rounded(value: number, decimals: number): string {
  const number = Number(value.toFixed(decimals))
  return String(Object.is(number, -0) ? 0 : number)
}

function sameAttributes(a: Telemetry['attributes'], b: Telemetry['attributes']): boolean {
  const keys = Object.keys(a)
  if (keys.length !== Object.keys(b).length) return false
  return keys.every((key) => a[key] === b[key] || JSON.stringify(a[key]) === JSON.stringify(b[key]))
}
