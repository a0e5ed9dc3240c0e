/** Runs a tool of node_modules on this Node; what it prints is its list of problems. */
import { spawn } from 'node:child_process'

/** No check takes this long on two slow cores; a tool that hangs must not hang CI. */
const limitMs = 5 * 60_000

/** The lines that the tool printed if it failed, else none. */
export function toolProblems(root: string, script: string, args: readonly string[]): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, ...args], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: limitMs,
    })
    let output = ''
    const take = (chunk: Buffer) => {
      output += chunk.toString()
    }
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    child.on('error', reject)
    child.on('close', (code, signal) => {
      const lines = output.split('\n').filter((line) => line.trim() !== '')
      resolve(code === 0 ? [] : [...lines, `ended with ${signal ?? `code ${code}`}`])
    })
  })
}
