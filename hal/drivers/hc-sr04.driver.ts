/**
 * HC-SR04 ultrasonic ranger: a pulse on trigger, and echo is high for as long as the sound travelled. Both edges are timed
 * by the kernel, so a busy program measures as well as an idle one. Its echo pin gives 5 V: it needs a divider on 3.3 V boards.
 *
 * Source: "Ultrasonic Ranging Module HC-SR04", ElecFreaks: range 2 cm to 4 m, 3 mm; trigger of at least 10 µs; distance =
 * high level time × velocity of sound / 2 (µs / 58 = cm); at least 60 ms between measurements. Velocity of sound in dry
 * air: 331.3 m/s at 0 °C, growing with the root of the absolute temperature.
 */
import type { DriverContext, SensorDriver } from '../contract/driver.ts'
import { HalError } from '../contract/errors.ts'
import type { HostClock } from '../contract/host.ts'
import type { Digital, Edge, IoHandle } from '../contract/io.ts'
import { openSensor, type PolledSensor, type Values } from './sensor-device.ts'

const minM = 0.02
const maxM = 4
const resolutionM = 0.003
const triggerMs = 0.01
/** Reads of the clock while the trigger is high: ends the loop on a clock that stands still. */
const spinsMax = 2000
/** Without an obstacle echo falls after 38 ms; within the 60 ms of a cycle it must have fallen. */
const cycleMs = 60

/** Metres for a high time of echo. */
export function distanceM(highNs: bigint, airC: number): number {
  const soundMPerS = 331.3 * Math.sqrt(1 + airC / 273.15)
  return ((Number(highNs) / 1e9) * soundMPerS) / 2
}

export const hcSr04: SensorDriver = {
  role: 'sensor',
  id: 'hc-sr04',
  name: 'HC-SR04 ultrasonic ranger',
  manufacturer: 'ElecFreaks and others',
  model: 'HC-SR04',
  datasheet: 'Ultrasonic Ranging Module HC-SR04, ElecFreaks, timing diagram',
  connection: {
    bus: 'pins',
    pins: {
      trigger: { use: 'output', help: 'Trig' },
      echo: { use: 'input', help: 'Echo, over a divider to 3.3 V' },
    },
  },
  options: {
    airTemperature: {
      type: 'number',
      min: -40,
      max: 60,
      default: 20,
      unit: '°C',
      help: 'temperature of the air, which sets the velocity of sound',
    },
  },
  channels: () => ['distance'],
  ranges: () => ({ distance: { min: minM, max: maxM, resolution: resolutionM } }),
  sampleEveryMs: { min: cycleMs, default: 500 },
  sampleMsMax: 2 * cycleMs,
  async open(context, signal) {
    const { io, at } = context
    const trigger = io.digital({ pin: at.pins['trigger'] ?? '', mode: 'output' })
    const ranger = new Ranger(context, trigger)
    try {
      ranger.echo = io.digital({
        pin: at.pins['echo'] ?? '',
        mode: 'input',
        edge: { rising: true, falling: true },
        onReadable: (edge) => ranger.edge(edge),
      })
    } catch (error) {
      trigger.close()
      throw error
    }
    return openSensor(context, ranger, ranger, signal)
  },
}

class Ranger implements PolledSensor, IoHandle {
  readonly identification = { model: 'HC-SR04', classification: 'distance' }
  echo: Digital | undefined
  readonly #clock: HostClock
  readonly #airC: number
  readonly #trigger: Digital
  /** Hears edges while a measurement goes on. */
  #listener: ((edge: Edge) => void) | undefined

  constructor({ host, options }: DriverContext, trigger: Digital) {
    this.#clock = host.clock
    this.#airC = Number(options['airTemperature'])
    this.#trigger = trigger
  }

  edge(edge: Edge): void {
    this.#listener?.(edge)
  }

  close(): void {
    this.#trigger.close()
    this.echo?.close()
  }

  async setUp(): Promise<void> {}

  async measure(signal: AbortSignal): Promise<Values> {
    if (this.echo?.read() === 1)
      throw new HalError('timeout', 'echo is high before a trigger; is its wire broken?')
    const metres = distanceM(await this.#highNs(signal), this.#airC)
    if (!(metres > 0)) throw new HalError('malformed', 'echo fell before it rose')
    // Nothing in range looks like a far obstacle, something too near like any other one (data sheet, range).
    const within = metres >= minM - resolutionM && metres <= maxM + resolutionM
    return { distance: { value: Math.min(metres, maxM), quality: within ? 'ok' : 'saturated' } }
  }

  /** Triggers, and gives how long echo is high then. */
  #highNs(signal: AbortSignal): Promise<bigint> {
    return new Promise((resolve, reject) => {
      let roseNs: bigint | undefined
      const end = (settle: () => void) => {
        this.#listener = undefined
        signal.removeEventListener('abort', onAbort)
        cancel()
        settle()
      }
      const onAbort = () => end(() => reject(signal.reason))
      const cancel = this.#clock.after(cycleMs, () =>
        end(() => reject(new HalError('timeout', 'no echo: nothing answers the trigger'))),
      )
      signal.addEventListener('abort', onAbort, { once: true })
      this.#listener = ({ rising, timestampNs, missed }) => {
        const startNs = roseNs
        if (missed > 0) end(() => reject(new HalError('timeout', 'edges of the echo were lost')))
        else if (rising) roseNs = timestampNs
        else if (startNs !== undefined) end(() => resolve(timestampNs - startNs))
      }
      try {
        this.#fire()
      } catch (error) {
        end(() => reject(error))
      }
    })
  }

  #fire(): void {
    const startMs = this.#clock.monotonicMs()
    this.#trigger.write(1)
    for (let spins = 0; spins < spinsMax && this.#clock.monotonicMs() - startMs < triggerMs; ) spins += 1
    this.#trigger.write(0)
  }
}
