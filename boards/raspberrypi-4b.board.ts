/**
 * Raspberry Pi 4 Model B (BCM2711, 1 to 8 GB). Budgets are chosen for the smallest, 1 GB. The chip's own `brcm,bcm2711`
 * is left out: the Pi 400 and compute modules have it too and are other boards.
 */
import type { Board } from '../hal/contract/board.ts'

export const raspberryPi4b: Board = {
  id: 'raspberrypi-4b',
  name: 'Raspberry Pi 4 Model B',
  arch: 'arm64',
  compatible: ['raspberrypi,4-model-b'],
  memoryBudgetMb: { runtime: 160, engine: 384 },
  headers: [],
  buses: [],
  pwm: [],
  thermal: [],
  power: [],
  accelerators: [],
  sources: [
    'https://github.com/torvalds/linux/blob/master/arch/arm/boot/dts/broadcom/bcm2711-rpi-4-b.dts',
    'https://datasheets.raspberrypi.com/rpi4/raspberry-pi-4-product-brief.pdf',
  ],
}
