/** Every actuator in the list of drivers, on its emulator. */

import { parts } from '../../hal/drivers/index.ts'
import { actuatorDriverSuite } from './actuator-driver.suite.ts'

for (const { driver, emulator } of parts) {
  if (driver.role === 'actuator') actuatorDriverSuite({ driver, emulator })
}
