/** Any other 64-bit ARM machine: chosen by its architecture when no board matches. */
import type { Board } from '../hal/contract/board.ts'

export const genericArm64: Board = {
  id: 'generic-arm64',
  name: 'Generic 64-bit ARM machine',
  arch: 'arm64',
  compatible: [],
  memoryBudgetMb: { runtime: 160, engine: 384 },
  headers: [],
  buses: [],
  pwm: [],
  thermal: [],
  power: [],
  accelerators: [],
  sources: ['budgets: those of the smallest board listed, boards/raspberrypi-4b.board.ts'],
}
