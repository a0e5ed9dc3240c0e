import { defineConfig } from 'vitest/config'

// One emulated board for all of it, in the order written.
export default defineConfig({
  test: {
    include: ['test/board/**/*.test.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 600_000,
  },
})
