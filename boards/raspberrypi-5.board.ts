/**
 * Raspberry Pi 5 (BCM2712, 2 to 16 GB). Budgets are chosen for the smallest, 2 GB. The chip's own `brcm,bcm2712` is left
 * out: compute modules have it too and are other boards.
 */
import type { Board } from '../hal/contract/board.ts'

export const raspberryPi5: Board = {
  id: 'raspberrypi-5',
  name: 'Raspberry Pi 5',
  arch: 'arm64',
  compatible: ['raspberrypi,5-model-b'],
  memoryBudgetMb: { runtime: 192, engine: 768 },
  headers: [],
  buses: [],
  pwm: [],
  thermal: [],
  power: [],
  accelerators: [],
  sources: [
    'https://github.com/raspberrypi/linux/blob/rpi-6.12.y/arch/arm64/boot/dts/broadcom/bcm2712-rpi-5-b.dts',
    'https://datasheets.raspberrypi.com/rpi5/raspberry-pi-5-product-brief.pdf',
  ],
}
