/**
 * The standard's IO classes (ECMA-419, clauses 9 and 10) over this machine's `Io`, for one part: `device.io.I2C` and its
 * siblings. What it may reach with them is its configuration's business (`granted.ts`).
 */
import type { At } from '../contract/driver.ts'
import type { HostClock } from '../contract/host.ts'
import type { Io } from '../contract/io.ts'
import { createBusClasses } from './bus-classes.ts'
import { Granted } from './granted.ts'
import type { Given } from './io-instance.ts'
import { createPinClasses } from './pin-classes.ts'
import { createSerialClass } from './serial-class.ts'

type IoClass = new (options: Given) => { close(): void }

export interface IoClasses {
  readonly Analog: IoClass
  readonly Digital: IoClass
  readonly DigitalBank: IoClass
  readonly I2C: IoClass
  readonly PWM: IoClass
  readonly PulseCount: IoClass
  readonly SMBus: IoClass
  readonly SPI: IoClass
  readonly Serial: IoClass
}

export function createIoClasses(io: Io, at: At, id: string, clock: HostClock): IoClasses {
  const granted = new Granted(at, id)
  return {
    ...createPinClasses(io, granted),
    ...createBusClasses(io, granted),
    Serial: createSerialClass(io, granted, clock),
  }
}
