/**
 * Raspberry Pi Zero 2 W (RP3A0, a BCM2837 with 512 MB). The engine's budget is what it was measured to take with the small
 * speech models. Early device trees call it `raspberrypi,model-zero-2`.
 */
import type { Board } from '../hal/contract/board.ts'
import {
  bcm2837Buses,
  bcm2837Chip,
  bcm2837Functions,
  bcm2837Pwm,
  throttled,
  videoCore4,
} from './families/raspberrypi-bcm283x.ts'
import {
  bcm2835WatchdogSMax,
  cpu,
  numberedLines,
  raspberryPiHeader,
  raspberryPiThermal,
  underVoltage,
} from './families/raspberrypi-header.ts'

export const raspberryPiZero2w: Board = {
  id: 'raspberrypi-zero-2w',
  name: 'Raspberry Pi Zero 2 W',
  arch: 'arm64',
  compatible: ['raspberrypi,model-zero-2-w', 'raspberrypi,model-zero-2'],
  memoryBudgetMb: { runtime: 112, engine: 176 },
  headers: [raspberryPiHeader(bcm2837Chip, numberedLines, bcm2837Functions)],
  buses: bcm2837Buses,
  pwm: bcm2837Pwm,
  thermal: raspberryPiThermal,
  power: [underVoltage, throttled],
  accelerators: [cpu('CPU, 4 × Cortex-A53'), videoCore4],
  watchdogSMax: bcm2835WatchdogSMax,
  sources: [
    'https://github.com/raspberrypi/linux/blob/rpi-6.12.y/arch/arm/boot/dts/broadcom/bcm2710-rpi-zero-2-w.dts',
    'https://github.com/raspberrypi/documentation: hardware/raspberrypi/frequency-management.md (limits of heat)',
    'boards/families/raspberrypi-bcm283x.ts, boards/families/raspberrypi-header.ts',
  ],
}
