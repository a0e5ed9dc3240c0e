/** Runs a program quietly, keeping the end of what it says in case that explains a failure. */
import { spawn } from 'node:child_process'

const outputCharsMax = 20_000

/** `{code, output}` once the program has ended; an aborted signal ends it and is then thrown. */
export async function runQuietly(file, args, { cwd, env = process.env, signal }) {
  signal.throwIfAborted()
  const child = spawn(file, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const end = () => child.kill('SIGTERM')
  signal.addEventListener('abort', end, { once: true })
  let output = ''
  const take = (chunk) => {
    output = (output + chunk).slice(-outputCharsMax)
  }
  child.stdout.on('data', take)
  child.stderr.on('data', take)
  try {
    const code = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve))
    signal.throwIfAborted()
    return { code: code ?? 1, output }
  } finally {
    signal.removeEventListener('abort', end)
  }
}
