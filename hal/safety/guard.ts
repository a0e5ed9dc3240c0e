/**
 * The guard: a shell that waits at a pipe from this process. When the pipe ends without a goodbye, because the process was
 * killed or crashed whole, the shell becomes the program that drives every output safe (`make-safe.ts`).
 *
 * Invariants: [safety-10] it is in a session of its own and ignores the terminal's signals, ends with a goodbye, is
 * started again when it dies, its program ends within its own limit even when it stands still, and it costs about a megabyte while it waits. The kernel closes the pipe however this process
 * ends; no other child has its end of it (Node opens with O_CLOEXEC).
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { HostLog } from '../contract/host.ts'
import { workerUrls } from '../worker-url.ts'

/** `$0` is Node, `$@` its arguments. Signals ignored here stay ignored in what it becomes. */
const script = 'trap "" HUP INT TERM QUIT; read -r goodbye || exec "$0" "$@"'
const restartMs = { first: 500, max: 30_000 }
const goodbyeMsMax = 2_000

export class Guard implements AsyncDisposable {
  readonly #safetyDir: string
  readonly #log: HostLog
  #child: ChildProcess | undefined
  #restart: NodeJS.Timeout | undefined
  #restartMs = restartMs.first
  #closed = false

  private constructor(safetyDir: string, log: HostLog) {
    this.#safetyDir = safetyDir
    this.#log = log
  }

  /** The plan must lie in `safetyDir` by now. */
  static start(safetyDir: string, log: HostLog): Guard {
    const guard = new Guard(safetyDir, log)
    guard.#start()
    return guard
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Says goodbye; the guard ends without doing anything. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    clearTimeout(this.#restart)
    const child = this.#child
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.stdin?.end('goodbye\n')
    const late = setTimeout(() => child.kill('SIGKILL'), goodbyeMsMax)
    await ended
    clearTimeout(late)
  }

  #start(): void {
    const program = fileURLToPath(workerUrls.makeSafe())
    const child = spawn('sh', ['-c', script, process.execPath, program, this.#safetyDir], {
      cwd: '/',
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    this.#child = child
    child.unref()
    child.stdin.on('error', () => {})
    if ('unref' in child.stdin && typeof child.stdin.unref === 'function') child.stdin.unref()
    child.once('error', (error) => this.#lost(String(error)))
    child.once('exit', (code, signal) => this.#lost(`it ended (${signal ?? code})`))
  }

  #lost(reason: string): void {
    if (this.#closed || this.#restart) return
    this.#log.error('the guard process is gone and is started again', { reason })
    this.#restart = setTimeout(() => {
      this.#restart = undefined
      this.#start()
    }, this.#restartMs)
    this.#restart.unref()
    this.#restartMs = Math.min(this.#restartMs * 2, restartMs.max)
  }
}

/** Runs the program now: the thread that held the outputs is gone. True: everything is safe. Never throws. */
export async function makeSafeNow(safetyDir: string, log: HostLog): Promise<boolean> {
  const child = spawn(process.execPath, [fileURLToPath(workerUrls.makeSafe()), safetyDir], {
    stdio: 'ignore',
  })
  const [code] = await once(child, 'exit').catch((error) => [String(error)])
  if (code === 0) log.warn('outputs were driven safe by a program of its own')
  else log.error('outputs could not be driven safe by a program of its own', { reason: code })
  return code === 0
}
