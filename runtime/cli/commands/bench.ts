/** `ganglion bench`: runs the measurements of the source tree; they compare against bare libraries that no device carries. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { UsageError } from '../../base/errors.ts'
import type { Context } from '../context.ts'

export async function bench(options: { quick: boolean; only?: string }, context: Context): Promise<number> {
  const program = fileURLToPath(new URL('../../../test/bench/main.ts', import.meta.url))
  if (!existsSync(program))
    throw new UsageError(
      'bench runs from the source tree only: clone the project and run "npm run ganglion -- bench"',
    )
  const args = [
    ...(options.quick ? ['--quick'] : []),
    ...(options.only ? ['--only', options.only] : []),
    ...(context.terminal.json ? ['--json'] : []),
  ]
  const child = spawn(
    process.execPath,
    ['--expose-gc', '--disable-warning=ExperimentalWarning', program, ...args],
    { stdio: 'inherit', signal: context.signal },
  )
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => resolve(code ?? 1))
  })
}
