/** A bundled program in a process of its own, started and stopped as a person does it, with a state folder of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { bundled } from './bundle.ts'

const readyMsMax = 60_000

export interface ProgramOptions {
  /** The Node binary that runs it, and what it starts. */
  readonly node: string
  readonly nodeFlags?: readonly string[]
  /** Of `ganglion`; `--json` and the state folder are added. */
  readonly args: readonly string[]
}

export class BundledProgram<Ready> implements AsyncDisposable {
  readonly ready: Ready
  readonly pid: number
  readonly #close: () => Promise<void>

  private constructor(ready: Ready, pid: number, close: () => Promise<void>) {
    this.ready = ready
    this.pid = pid
    this.#close = close
  }

  /** Waits for its ready line. */
  static async open<Ready>(options: ProgramOptions, signal: AbortSignal): Promise<BundledProgram<Ready>> {
    const stateDir = mkdtempSync(join(tmpdir(), 'ganglion-bench-state-'))
    const args = [
      ...(options.nodeFlags ?? []),
      bundled('ganglion'),
      ...options.args,
      '--json',
      '--state-dir',
      stateDir,
    ]
    const child = spawn(options.node, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const close = async () => {
      await stop(child)
      rmSync(stateDir, { recursive: true, force: true })
    }
    try {
      return new BundledProgram(await readyLine<Ready>(child, options, signal), child.pid ?? 0, close)
    } catch (error) {
      await close()
      throw error
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close()
  }
}

async function readyLine<Ready>(
  child: ChildProcess,
  { args }: ProgramOptions,
  signal: AbortSignal,
): Promise<Ready> {
  if (!child.stdout) throw new Error('a program needs a standard output')
  const done = new AbortController()
  const limit = AbortSignal.any([signal, done.signal, AbortSignal.timeout(readyMsMax)])
  const ended = once(child, 'exit', { signal: limit }).then(([code]) => {
    throw new Error(`ganglion ${args[0]} from the bundle ended with exit code ${code}`)
  })
  try {
    const line = once(createInterface({ input: child.stdout }), 'line', { signal: limit })
    const [text] = (await Promise.race([line, ended])) as [string]
    return JSON.parse(text) as Ready
  } finally {
    done.abort()
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGINT')
  await exited
}
