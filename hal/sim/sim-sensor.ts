/** A simulated sensor: reports what the world says; sampling reports it again. */
import type { Telemetry } from '../contract/component.ts'
import type { Sensor } from '../contract/sensor.ts'
import { SimComponent } from './sim-component.ts'

export class SimSensor extends SimComponent implements Sensor {
  declare readonly info: Sensor['info']

  async sample(signal: AbortSignal): Promise<Telemetry> {
    signal.throwIfAborted()
    this.assertPresent()
    this.report()
    return this.current()
  }
}
