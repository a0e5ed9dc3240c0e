/** How many spoken commands end in exactly the right state of the home, and what one costs from words to proof. */
import { fileURLToPath } from 'node:url'
import { boards } from '../../boards/index.ts'
import { createHal } from '../../hal/index.ts'
import { evaluate } from '../../runtime/assistant/evaluation.ts'
import { readHomeTests } from '../../runtime/assistant/home-tests.ts'
import type { Benchmark } from './benchmark.ts'

const folder = fileURLToPath(new URL('../fixtures/home/intents', import.meta.url))
const promisedPercent = 97
const promisedMs = 5

export const intents: Benchmark = {
  name: 'eval.intents',
  async run({ signal }) {
    const tests = readHomeTests(folder)
    const { total, passed, latencyMs } = await evaluate(tests, createHal(boards), signal)
    return [
      {
        name: 'eval.intents-pass',
        value: (100 * passed) / total,
        unit: '%',
        baseline: promisedPercent,
        against: 'the promise',
        budget: { of: 'value', min: promisedPercent },
        limit: 'the grammar of intents',
        note: `${passed} of ${total} sentences left the whole home exactly as it had to be`,
      },
      {
        name: 'eval.intents-latency-p50',
        value: latencyMs.p50,
        unit: 'ms',
        baseline: promisedMs,
        against: 'the promise',
        budget: { of: 'value', max: promisedMs },
        limit: 'indexing the home anew for each sentence, since each is said in a fresh home',
        note: `words to verified state in virtual time, travel times of the home skipped; p95 ${latencyMs.p95} ms`,
      },
    ]
  },
}
