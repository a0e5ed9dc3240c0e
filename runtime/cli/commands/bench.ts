/** `ganglion bench`: runs the measurements of the source tree; they compare against bare libraries that no device carries. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { UsageError } from '../../base/errors.ts'
import type { Context } from '../context.ts'
import { exitCodes } from '../exit.ts'

export async function bench(options: { quick?: boolean; only?: string }, context: Context): Promise<number> {
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
  const { signal } = context
  const child = spawn(
    process.execPath,
    ['--expose-gc', '--disable-warning=ExperimentalWarning', program, ...args],
    {
      stdio: 'inherit',
    },
  )
  // It stops what it started itself, and takes a second signal for the one that a terminal sent it.
  signal.addEventListener('abort', () => child.kill('SIGTERM'), { once: true })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', resolve)
  })
  signal.throwIfAborted()
  return code ?? exitCodes.failed
}
