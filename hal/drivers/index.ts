/** Every part that can be attached: its driver, and what stands in for it where there is no hardware. */
import type { Part } from '../contract/emulator.ts'
import { ads1115 } from './ads1115.driver.ts'
import { emulatedAds1115 } from './ads1115.emul.ts'
import { bh1750 } from './bh1750.driver.ts'
import { emulatedBh1750 } from './bh1750.emul.ts'
import { bme280 } from './bme280.driver.ts'
import { emulatedBme280 } from './bme280.emul.ts'
import { dcMotor } from './dc-motor.driver.ts'
import { emulatedDcMotor } from './dc-motor.emul.ts'
import { digitalInput } from './digital-input.driver.ts'
import { emulatedDigitalInput } from './digital-input.emul.ts'
import { ds18b20 } from './ds18b20.driver.ts'
import { emulatedDs18b20 } from './ds18b20.emul.ts'
import { gnss } from './gnss.driver.ts'
import { emulatedGnss } from './gnss.emul.ts'
import { hcSr04 } from './hc-sr04.driver.ts'
import { emulatedHcSr04 } from './hc-sr04.emul.ts'
import { ina219 } from './ina219.driver.ts'
import { emulatedIna219 } from './ina219.emul.ts'
import { ledStrip } from './led-strip.driver.ts'
import { emulatedLedStrip } from './led-strip.emul.ts'
import { mcp23017 } from './mcp23017.driver.ts'
import { emulatedMcp23017 } from './mcp23017.emul.ts'
import { mpu6050 } from './mpu6050.driver.ts'
import { emulatedMpu6050 } from './mpu6050.emul.ts'
import { pca9685 } from './pca9685.driver.ts'
import { emulatedPca9685 } from './pca9685.emul.ts'
import { pir } from './pir.driver.ts'
import { emulatedPir } from './pir.emul.ts'
import { pms5003 } from './pms5003.driver.ts'
import { emulatedPms5003 } from './pms5003.emul.ts'
import { relay } from './relay.driver.ts'
import { emulatedRelay } from './relay.emul.ts'
import { scd4x } from './scd4x.driver.ts'
import { emulatedScd4x } from './scd4x.emul.ts'
import { servo } from './servo.driver.ts'
import { emulatedServo } from './servo.emul.ts'
import { sht4x } from './sht4x.driver.ts'
import { emulatedSht4x } from './sht4x.emul.ts'
import { stepper } from './stepper.driver.ts'
import { emulatedStepper } from './stepper.emul.ts'
import { lm75, tmp102, tmp105 } from './tmp102.driver.ts'
import { emulatedLm75, emulatedTmp102, emulatedTmp105 } from './tmp102.emul.ts'
import { trafficHead } from './traffic-head.driver.ts'
import { emulatedTrafficHead } from './traffic-head.emul.ts'

export const parts: readonly Part[] = [
  { driver: tmp102, emulator: emulatedTmp102 },
  { driver: tmp105, emulator: emulatedTmp105 },
  { driver: lm75, emulator: emulatedLm75 },
  { driver: bme280, emulator: emulatedBme280 },
  { driver: sht4x, emulator: emulatedSht4x },
  { driver: scd4x, emulator: emulatedScd4x },
  { driver: bh1750, emulator: emulatedBh1750 },
  { driver: ina219, emulator: emulatedIna219 },
  { driver: ads1115, emulator: emulatedAds1115 },
  { driver: mpu6050, emulator: emulatedMpu6050 },
  { driver: hcSr04, emulator: emulatedHcSr04 },
  { driver: pir, emulator: emulatedPir },
  { driver: digitalInput, emulator: emulatedDigitalInput },
  { driver: ds18b20, emulator: emulatedDs18b20 },
  { driver: pms5003, emulator: emulatedPms5003 },
  { driver: gnss, emulator: emulatedGnss },
  { driver: mcp23017, emulator: emulatedMcp23017 },
  { driver: pca9685, emulator: emulatedPca9685 },
  { driver: relay, emulator: emulatedRelay },
  { driver: servo, emulator: emulatedServo },
  { driver: dcMotor, emulator: emulatedDcMotor },
  { driver: stepper, emulator: emulatedStepper },
  { driver: ledStrip, emulator: emulatedLedStrip },
  { driver: trafficHead, emulator: emulatedTrafficHead },
]
