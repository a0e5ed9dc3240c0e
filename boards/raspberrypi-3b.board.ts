/** Raspberry Pi 3 Model B (BCM2837, 1 GB); the board that QEMU's raspi3b is. Both kernels name its lines alike. */
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
  raspberryPiHeader,
  raspberryPiThermal,
  underVoltage,
} from './families/raspberrypi-header.ts'

const lineNames = [
  'ID_SDA',
  'ID_SCL',
  'SDA1',
  'SCL1',
  'GPIO_GCLK',
  'GPIO5',
  'GPIO6',
  'SPI_CE1_N',
  'SPI_CE0_N',
  'SPI_MISO',
  'SPI_MOSI',
  'SPI_SCLK',
  'GPIO12',
  'GPIO13',
  'TXD1',
  'RXD1',
  ...Array.from({ length: 12 }, (_, index) => `GPIO${16 + index}`),
]

export const raspberryPi3b: Board = {
  id: 'raspberrypi-3b',
  name: 'Raspberry Pi 3 Model B',
  arch: 'arm64',
  compatible: ['raspberrypi,3-model-b'],
  memoryBudgetMb: { runtime: 160, engine: 384 },
  headers: [raspberryPiHeader(bcm2837Chip, lineNames, bcm2837Functions)],
  buses: bcm2837Buses,
  pwm: bcm2837Pwm,
  thermal: raspberryPiThermal,
  power: [underVoltage, throttled],
  accelerators: [cpu('CPU, 4 × Cortex-A53'), videoCore4],
  watchdogSMax: bcm2835WatchdogSMax,
  sources: [
    'https://github.com/torvalds/linux/blob/v6.12/arch/arm/boot/dts/broadcom/bcm2837-rpi-3-b.dts',
    'https://github.com/raspberrypi/linux/blob/rpi-6.12.y/arch/arm/boot/dts/broadcom/bcm2710-rpi-3-b.dts',
    'https://github.com/raspberrypi/documentation: hardware/raspberrypi/frequency-management.md (limits of heat)',
    'boards/families/raspberrypi-bcm283x.ts, boards/families/raspberrypi-header.ts',
  ],
}
