/** Ends a test run with the list of what was skipped and why: a skipped test must not look like a passed one. */
import type { Reporter, TestModule } from 'vitest/node'

export default class SkippedReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const lines: string[] = []
    for (const module of modules) {
      for (const test of module.children.allTests('skipped')) {
        const result = test.result()
        const why =
          (result.state === 'skipped' && result.note) || 'no reason given: use ctx.skip(condition, reason)'
        lines.push(`  ${module.relativeModuleId} > ${test.fullName}: ${why}`)
      }
    }
    if (lines.length > 0) process.stdout.write(`\nSkipped ${lines.length}:\n${lines.join('\n')}\n`)
  }
}
