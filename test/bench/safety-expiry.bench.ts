/** How late does a lease's end reach its output while the main thread stands still? */
import type { Benchmark } from './benchmark.ts'
import { median } from './quantiles.ts'
import { Worker } from './worker.ts'

interface Answer {
  readonly lateMs: number
  readonly bareLateMs: number
}

const promisedMs = 20

export const safetyExpiry: Benchmark = {
  name: 'safety-expiry',
  async run({ quick, signal, progress }) {
    await using program = await Worker.open(new URL('programs/safety-expiry.ts', import.meta.url), [])
    // Warm: both threads run, their code is compiled.
    await program.ask<Answer>({ blockMs: 400, ttlMs: 150 })
    const answers: Answer[] = []
    const rounds = quick ? 3 : 15
    const question = quick ? { blockMs: 700, ttlMs: 400 } : { blockMs: 2_000, ttlMs: 1_000 }
    for (let round = 0; round < rounds; round += 1) {
      signal.throwIfAborted()
      answers.push(await program.ask<Answer>(question))
      progress(`${round + 1} of ${rounds} blocks`)
    }
    const late = answers.map(({ lateMs }) => lateMs)
    const bare = answers.map(({ bareLateMs }) => bareLateMs)
    return [
      {
        name: 'safety-expiry.worst-blocked',
        value: Math.max(...late),
        unit: 'ms',
        baseline: Math.max(...bare),
        against: 'a bare timer in a bare worker thread, in the same block of the main thread',
        budget: { of: 'value', max: promisedMs },
        limit:
          'when the kernel gives a loaded core to the thread, which runs at the highest priority it may have',
        note: `worst of ${rounds}, from the end of a lease to the write of the safe value, main thread blocked for ${question.blockMs / 1000} s; median ${median(late).toFixed(1)} ms, bare ${median(bare).toFixed(1)} ms; pins that note the time, no hardware`,
      },
    ]
  },
}
