/**
 * Raspberry Pi 4 Model B (BCM2711, 1 to 8 GB). Budgets are chosen for the smallest, 1 GB. The chip's own `brcm,bcm2711`
 * is left out: the Pi 400 and compute modules have it too and are other boards.
 */
import type { Board } from '../hal/contract/board.ts'
import { throttled } from './families/raspberrypi-bcm283x.ts'
import {
  bcm2711Buses,
  bcm2711Chip,
  bcm2711Functions,
  bcm2711Pwm,
  videoCore6,
} from './families/raspberrypi-bcm2711.ts'
import {
  bcm2835WatchdogSMax,
  cpu,
  numberedLines,
  raspberryPiHeader,
  raspberryPiThermal,
  underVoltage,
} from './families/raspberrypi-header.ts'

export const raspberryPi4b: Board = {
  id: 'raspberrypi-4b',
  name: 'Raspberry Pi 4 Model B',
  arch: 'arm64',
  compatible: ['raspberrypi,4-model-b'],
  memoryBudgetMb: { runtime: 160, engine: 384 },
  headers: [raspberryPiHeader(bcm2711Chip, numberedLines, bcm2711Functions)],
  buses: bcm2711Buses,
  pwm: bcm2711Pwm,
  thermal: raspberryPiThermal,
  power: [underVoltage, throttled],
  // 6.4 W with four busy cores less 2.7 W idle.
  wattsPerBusyCore: 0.925,
  accelerators: [cpu('CPU, 4 × Cortex-A72'), videoCore6],
  watchdogSMax: bcm2835WatchdogSMax,
  sources: [
    'https://github.com/raspberrypi/linux/blob/rpi-6.12.y/arch/arm/boot/dts/broadcom/bcm2711-rpi-4-b.dts',
    'https://github.com/raspberrypi/documentation: hardware/raspberrypi/frequency-management.md (limits of heat)',
    'unverified: https://www.pidramble.com/wiki/benchmarks/power-consumption (power idle and with four busy cores), as remembered',
    'unverified: sizes of memory, as the product brief is remembered',
    'boards/families/raspberrypi-bcm2711.ts, boards/families/raspberrypi-header.ts',
  ],
}
