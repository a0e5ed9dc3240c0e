import { defineConfig } from 'vitest/config'
import SkippedReporter from './scripts/skipped-reporter.ts'

/** Where CI wants the counts, as JSON. */
const report = process.env['GANGLION_TEST_REPORT']

// The tests in a browser and on an emulated board have their own configurations: a clean machine may lack what they need.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/e2e/**', 'test/board/**', 'node_modules/**'],
    pool: 'forks',
    // Many wait for processes and deadlines: a second one computes meanwhile. More would be in each other's way on two cores.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: [
      'default',
      new SkippedReporter(),
      ...(report ? [['json', { outputFile: report }] as const] : []),
    ],
  },
})
