/** Every provider of pins in the list of drivers, on its emulator. */

import { parts } from '../../hal/drivers/index.ts'
import { providerDriverSuite } from './provider-driver.suite.ts'

for (const { driver, emulator } of parts) {
  if (driver.role === 'provider') providerDriverSuite({ driver, emulator })
}
