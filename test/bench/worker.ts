/**
 * A measured program in a process of its own, asked and answering one message at a time over Node's IPC channel. It ends
 * when this process does, since the channel closes.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'

/** Of one question: the longest program measures for some 30 s, on a busy machine for twice that. */
const answerMsMax = 120_000

export interface WorkerOptions {
  readonly node?: string
  readonly env?: Readonly<Record<string, string>>
}

export class Worker implements AsyncDisposable {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  /** Starts `program` and waits until it listens. Throws when it does not come up. */
  static async open(
    program: URL,
    args: readonly string[],
    { node = process.execPath, env }: WorkerOptions = {},
  ): Promise<Worker> {
    const child = fork(program, [...args], {
      execPath: node,
      execArgv: ['--expose-gc', '--disable-warning=ExperimentalWarning'],
      env: { ...process.env, ...env },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'advanced',
    })
    const worker = new Worker(child)
    try {
      await worker.#next(`${program.pathname} to be ready`)
      return worker
    } catch (error) {
      await worker[Symbol.asyncDispose]()
      throw error
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  ask<Answer>(question: unknown): Promise<Answer> {
    const answer = this.#next(`an answer to ${JSON.stringify(question)}`)
    this.#child.send(question as object)
    return answer as Promise<Answer>
  }

  async #next(what: string): Promise<unknown> {
    const done = new AbortController()
    const late = AbortSignal.timeout(answerMsMax)
    const signal = AbortSignal.any([done.signal, late])
    const ended = once(this.#child, 'exit', { signal }).then(([code, by]) => {
      throw new Error(`waited for ${what}, but the program ended (${by ?? code})`)
    })
    try {
      const [message] = await Promise.race([once(this.#child, 'message', { signal }), ended])
      const { failure } = message as { failure?: string }
      if (failure !== undefined) throw new Error(failure)
      return message
    } catch (error) {
      throw late.aborted ? new Error(`waited ${answerMsMax / 1000} s for ${what}`) : error
    } finally {
      done.abort()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exited
  }
}
