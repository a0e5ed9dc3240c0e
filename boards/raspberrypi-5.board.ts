/**
 * Raspberry Pi 5 (BCM2712 with the RP1, 2 to 16 GB). Budgets are chosen for the smallest, 2 GB. The chip's own
 * `brcm,bcm2712` is left out: compute modules have it too and are other boards.
 */
import type { Board } from '../hal/contract/board.ts'
import {
  bcm2835WatchdogSMax,
  cpu,
  numberedLines,
  raspberryPiHeader,
  raspberryPiThermal,
  underVoltage,
} from './families/raspberrypi-header.ts'
import {
  rp1BoardThrottled,
  rp1Buses,
  rp1Chip,
  rp1Functions,
  rp1Pwm,
  videoCore7,
} from './families/raspberrypi-rp1.ts'

export const raspberryPi5: Board = {
  id: 'raspberrypi-5',
  name: 'Raspberry Pi 5',
  arch: 'arm64',
  compatible: ['raspberrypi,5-model-b'],
  memoryBudgetMb: { runtime: 192, engine: 768 },
  headers: [raspberryPiHeader(rp1Chip, numberedLines, rp1Functions)],
  buses: rp1Buses,
  pwm: rp1Pwm,
  thermal: raspberryPiThermal,
  power: [underVoltage, rp1BoardThrottled],
  accelerators: [cpu('CPU, 4 × Cortex-A76'), videoCore7],
  watchdogSMax: bcm2835WatchdogSMax,
  sources: [
    'https://github.com/raspberrypi/linux/blob/rpi-6.12.y/arch/arm64/boot/dts/broadcom/bcm2712-rpi-5-b.dts',
    'https://github.com/raspberrypi/documentation: hardware/raspberrypi/frequency-management.md (limits of heat)',
    'unverified: sizes of memory, as the product brief is remembered',
    'boards/families/raspberrypi-rp1.ts, boards/families/raspberrypi-header.ts',
  ],
}
