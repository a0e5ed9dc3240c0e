/**
 * Raspberry Pi Compute Module 4 (BCM2711, 1 to 8 GB) on the IO Board: another carrier may bring other pins to another
 * connector; the lines and buses are the module's. Budgets are chosen for the smallest, 1 GB.
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

export const raspberryPiCm4: Board = {
  id: 'raspberrypi-cm4',
  name: 'Raspberry Pi Compute Module 4',
  arch: 'arm64',
  compatible: ['raspberrypi,4-compute-module'],
  memoryBudgetMb: { runtime: 160, engine: 384 },
  headers: [raspberryPiHeader(bcm2711Chip, numberedLines, bcm2711Functions)],
  buses: bcm2711Buses,
  pwm: bcm2711Pwm,
  thermal: raspberryPiThermal,
  power: [underVoltage, throttled],
  accelerators: [cpu('CPU, 4 × Cortex-A72'), videoCore6],
  watchdogSMax: bcm2835WatchdogSMax,
  sources: [
    'https://github.com/raspberrypi/linux/blob/rpi-6.12.y/arch/arm/boot/dts/broadcom/bcm2711-rpi-cm4.dts',
    'https://github.com/raspberrypi/documentation: hardware/raspberrypi/frequency-management.md (limits of heat)',
    'unverified: the IO Board’s header is taken to be that of the Raspberry Pi; its data sheet was not read',
    'boards/families/raspberrypi-bcm2711.ts, boards/families/raspberrypi-header.ts',
  ],
}
