/** Every part that can be attached: its driver, and what stands in for it where there is no hardware. */
import type { Part } from '../contract/emulator.ts'
import { lm75, tmp102, tmp105 } from './tmp102.driver.ts'
import { emulatedLm75, emulatedTmp102, emulatedTmp105 } from './tmp102.emul.ts'

export const parts: readonly Part[] = [
  { driver: tmp102, emulator: emulatedTmp102 },
  { driver: tmp105, emulator: emulatedTmp105 },
  { driver: lm75, emulator: emulatedLm75 },
]
