import { defineConfig } from 'vitest/config'
import SkippedReporter from './scripts/skipped-reporter.ts'

// The browser test has its own configuration: it needs a browser, which a clean machine may lack.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/e2e/**', 'node_modules/**'],
    pool: 'forks',
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: ['default', new SkippedReporter()],
  },
})
