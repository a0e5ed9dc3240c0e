/** Raspberry Pi 3 Model B+ (BCM2837B0, 1 GB). Its firmware lowers the clock from 60 °C on (temp_soft_limit, 70 at most). */
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
  underVoltage,
} from './families/raspberrypi-header.ts'

export const raspberryPi3bPlus: Board = {
  id: 'raspberrypi-3b-plus',
  name: 'Raspberry Pi 3 Model B+',
  arch: 'arm64',
  compatible: ['raspberrypi,3-model-b-plus'],
  memoryBudgetMb: { runtime: 160, engine: 384 },
  headers: [raspberryPiHeader(bcm2837Chip, numberedLines, bcm2837Functions)],
  buses: bcm2837Buses,
  pwm: bcm2837Pwm,
  thermal: [{ type: 'cpu-thermal', warnC: 60, criticalC: 85 }],
  power: [underVoltage, throttled],
  accelerators: [cpu('CPU, 4 × Cortex-A53'), videoCore4],
  watchdogSMax: bcm2835WatchdogSMax,
  sources: [
    'https://github.com/raspberrypi/linux/blob/rpi-6.12.y/arch/arm/boot/dts/broadcom/bcm2710-rpi-3-b-plus.dts',
    'https://github.com/raspberrypi/documentation: hardware/raspberrypi/frequency-management.md (limits of heat)',
    'boards/families/raspberrypi-bcm283x.ts, boards/families/raspberrypi-header.ts',
  ],
}
