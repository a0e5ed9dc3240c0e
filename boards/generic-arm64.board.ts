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
  accelerators: [
    { id: 'cpu', name: 'CPU', claim: 'none stated', shownBy: [], reachedBy: 'cpu' },
    {
      id: 'gpu',
      name: 'GPU',
      claim: 'as its maker states',
      shownBy: ['/dev/dri/renderD128'],
      reachedBy: 'not-yet',
    },
  ],
  sources: ['budgets: those of the Raspberry Pi with 1 GB, boards/raspberrypi-4b.board.ts'],
}
