/** Raspberry Pi 4 Model B (BCM2711, 1 to 8 GB). Budgets are for the smallest, 1 GB. */
import type { Board } from '../hal/contract/board.ts'

export const raspberryPi4b: Board = {
  id: 'raspberrypi-4b',
  name: 'Raspberry Pi 4 Model B',
  arch: 'arm64',
  compatible: ['raspberrypi,4-model-b', 'brcm,bcm2711'],
  memoryBudgetMb: { runtime: 160, engine: 384 },
  sources: [
    'https://github.com/torvalds/linux/blob/master/arch/arm64/boot/dts/broadcom/bcm2711-rpi-4-b.dts',
    'https://datasheets.raspberrypi.com/rpi4/raspberry-pi-4-product-brief.pdf',
  ],
}
