/** `ganglion eval home DIR`: every test of a folder through say → verified state. */
import type { Evaluation } from '../../assistant/evaluation.ts'
import { evaluate } from '../../assistant/evaluation.ts'
import { readHomeTests } from '../../assistant/home-tests.ts'
import type { Context } from '../context.ts'
import type { Terminal } from '../terminal.ts'

/** Exit code 0 when every test passed. */
export async function evalHome(dir: string, context: Context): Promise<number> {
  const { terminal } = context
  const tests = readHomeTests(dir)
  const { hal } = await context.hal()
  const result = await evaluate(tests, hal, context.signal, (done) => {
    const percent = Math.floor((100 * done) / tests.length)
    terminal.progress(`${done} of ${tests.length} sentences, ${percent} %`, String(Math.floor(percent / 25)))
  })
  terminal.progressEnd()
  if (terminal.json) terminal.out(JSON.stringify(result))
  else print(result, terminal)
  return result.passed === result.total ? 0 : 1
}

function print(result: Evaluation, terminal: Terminal): void {
  for (const { file, sentence, expected, got, reading } of result.failures) {
    terminal.out(`${terminal.style('red', '✗')} ${file}: ${JSON.stringify(sentence)}`)
    terminal.out(`    expected ${JSON.stringify(expected)}`)
    terminal.out(`    got      ${JSON.stringify(got)}`)
    terminal.out(
      `    reading  ${reading?.intent ?? 'none'}: ${reading?.words.map((word) => `${word.text}=${word.means}`).join(', ') ?? ''}`,
    )
  }
  for (const [category, { total, passed }] of Object.entries(result.categories).sort()) {
    terminal.out(`${category.padEnd(24)} ${String(passed).padStart(5)} of ${total}`)
  }
  const percent = ((100 * result.passed) / Math.max(1, result.total)).toFixed(1)
  terminal.out(
    terminal.style(
      'bold',
      `${'total'.padEnd(24)} ${String(result.passed).padStart(5)} of ${result.total}, ${percent} %`,
    ),
  )
  terminal.out(`latency per sentence     p50 ${result.latencyMs.p50} ms, p95 ${result.latencyMs.p95} ms`)
}
