/** A Node process that waits, or runs one file: what a program costs is told from what Node itself costs. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const idleProgram = fileURLToPath(new URL('programs/idle.mjs', import.meta.url))

export class BareNode implements AsyncDisposable {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  /** With a pipe on file descriptor 3, which the engine lives by, and few allocation arenas, as the engine is given. */
  static async open(node: string, flags: readonly string[], program = idleProgram): Promise<BareNode> {
    const child = spawn(node, [...flags, program], {
      stdio: ['pipe', 'ignore', 'inherit', 'pipe'],
      env: { ...process.env, MALLOC_ARENA_MAX: '1' },
    })
    await once(child, 'spawn')
    return new BareNode(child)
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exited
  }
}
