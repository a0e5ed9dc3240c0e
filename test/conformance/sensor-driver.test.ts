/** Every sensor in the list of drivers, on its emulator. */

import { parts } from '../../hal/drivers/index.ts'
import { sensorDriverSuite } from './sensor-driver.suite.ts'
import type { SensorPart } from './sensor-rig.ts'

for (const { driver, emulator } of parts) {
  if (driver.role === 'sensor') sensorDriverSuite({ driver, emulator } satisfies SensorPart)
}
