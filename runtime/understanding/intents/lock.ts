/** Locks. Locking several is fine; unlocking is one named lock at a time. */
import type { Rule } from './rule.ts'

export const lockRules: readonly Rule[] = [
  {
    intent: 'lock.lock',
    kind: 'lock',
    uses: ['verb', 'direction'],
    several: 'anywhere',
    implied: 'all',
    // `lock the house up`.
    when: ({ verb, direction }) => verb === 'lock' && direction !== 'down',
    act: () => ({ command: { state: 'locked' }, effect: 'locked' }),
  },
  {
    intent: 'lock.unlock',
    kind: 'lock',
    uses: ['verb'],
    several: 'never',
    when: ({ verb }) => verb === 'unlock',
    act: () => ({ command: { state: 'unlocked' }, effect: 'unlocked' }),
  },
]
