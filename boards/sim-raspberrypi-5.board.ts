/** The simulated Raspberry Pi 5: budgets of the real one, hardware of a home file. Opened when a home is given. */
import type { Board } from '../hal/contract/board.ts'

export const simRaspberryPi5: Board = {
  id: 'sim-raspberrypi-5',
  name: 'Raspberry Pi 5 (simulated)',
  arch: 'any',
  compatible: [],
  memoryBudgetMb: { runtime: 192, engine: 768 },
  headers: [],
  buses: [],
  pwm: [],
  thermal: [],
  power: [],
  accelerators: [],
  sources: ['boards/raspberrypi-5.board.ts for the budgets'],
}
