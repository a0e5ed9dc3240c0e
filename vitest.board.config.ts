import { defineConfig } from 'vitest/config'

/** Where CI wants the counts, as JSON. */
const report = process.env['GANGLION_TEST_REPORT']

// One emulated board for all of it, in the order written.
export default defineConfig({
  test: {
    include: ['test/board/**/*.test.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 600_000,
    reporters: ['default', ...(report ? [['json', { outputFile: report }] as const] : [])],
  },
})
