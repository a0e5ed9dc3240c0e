/**
 * Raspberry Pi Compute Module 5 (BCM2712 with the RP1, 2 to 16 GB) on the IO Board: another carrier may bring other pins to
 * another connector; the lines and buses are the module's. The Lite has the same `compatible`.
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

export const raspberryPiCm5: Board = {
  id: 'raspberrypi-cm5',
  name: 'Raspberry Pi Compute Module 5',
  arch: 'arm64',
  compatible: ['raspberrypi,5-compute-module'],
  memoryBudgetMb: { runtime: 192, engine: 768 },
  headers: [raspberryPiHeader(rp1Chip, numberedLines, rp1Functions)],
  buses: rp1Buses,
  pwm: rp1Pwm,
  thermal: raspberryPiThermal,
  power: [underVoltage, rp1BoardThrottled],
  accelerators: [cpu('CPU, 4 × Cortex-A76'), videoCore7],
  watchdogSMax: bcm2835WatchdogSMax,
  sources: [
    'https://github.com/raspberrypi/linux/blob/rpi-6.12.y/arch/arm64/boot/dts/broadcom/bcm2712-rpi-cm5-cm5io.dts',
    'https://github.com/raspberrypi/documentation: hardware/raspberrypi/frequency-management.md (limits of heat)',
    'unverified: the IO Board’s header is taken to be that of the Raspberry Pi; its data sheet was not read',
    'boards/families/raspberrypi-rp1.ts, boards/families/raspberrypi-header.ts',
  ],
}
