/** Any x86-64 machine: a developer's computer, a mini PC, a container. Chosen by its architecture when no board matches. */
import type { Board } from '../hal/contract/board.ts'

export const genericX64: Board = {
  id: 'generic-x64',
  name: 'Generic x86-64 machine',
  arch: 'x64',
  compatible: [],
  memoryBudgetMb: { runtime: 256, engine: 1024 },
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
  sources: ['budgets: chosen to leave a mini PC of 4 GB two thirds of its memory, not measured'],
}
