/**
 * One adapter process: started with the path of its socket, listened to, ended. Its standard input is a pipe that says
 * nothing: an adapter ends when that closes, so it never outlives this process.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import type { HostClock, HostLog } from '../contract/host.ts'

export interface AdapterCommand {
  /** Program and arguments; the socket's path is added as the last one. */
  readonly command: readonly [program: string, ...args: string[]]
  /** Beside the few names that are passed on. */
  readonly env?: Readonly<Record<string, string>>
}

/** What a vendor's library may need to be found; nothing else of our environment is passed on. */
const inherited = ['PATH', 'HOME', 'LD_LIBRARY_PATH', 'QEMU_LD_PREFIX', 'TMPDIR', 'TZ']
/** Lines of standard error that reach our log, per process: a vendor's library may complain at every run. */
const linesMax = 50
const lineCharsMax = 500

export class AdapterChild {
  /** Resolves with one line of how it ended. */
  readonly ended: Promise<string>
  readonly #process: ChildProcess
  readonly #log: HostLog
  #lastLine = ''
  #killReason: string | undefined

  constructor(name: string, { command, env }: AdapterCommand, socketPath: string, log: HostLog) {
    const [program, ...args] = command
    const passed = inherited.flatMap((key) =>
      process.env[key] === undefined ? [] : [[key, process.env[key]]],
    )
    this.#log = log
    this.#process = spawn(program, [...args, socketPath], {
      env: { ...Object.fromEntries(passed), ...env },
      stdio: ['pipe', 'ignore', 'pipe'],
    })
    this.#process.stdin?.on('error', () => {})
    this.#readLines(name)
    this.ended = new Promise((resolve) => {
      this.#process.on('error', (error) => resolve(`could not start: ${error.message}`))
      this.#process.on('close', (code, signal) => resolve(this.#killReason ?? this.#howEnded(code, signal)))
    })
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  kill(reason: string): void {
    this.#killReason ??= reason
    this.#process.kill('SIGKILL')
  }

  /** Asks it to end, and kills it when it has not after `limitMs`. */
  async stop(clock: HostClock, limitMs: number): Promise<void> {
    this.#process.stdin?.end()
    this.#process.kill('SIGTERM')
    const cancel = clock.after(limitMs, () => this.kill(`did not stop within ${limitMs} ms`))
    await this.ended
    cancel()
  }

  #readLines(name: string): void {
    let rest = ''
    let lines = 0
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      const parts = (rest + text).split('\n')
      rest = (parts.pop() ?? '').slice(0, lineCharsMax)
      for (const part of parts) {
        const line = part.trim().slice(0, lineCharsMax)
        if (line === '') continue
        this.#lastLine = line
        lines += 1
        if (lines <= linesMax) this.#log.warn('adapter says', { adapter: name, line })
      }
    })
  }

  #howEnded(code: number | null, signal: string | null): string {
    const how = signal ? `ended by ${signal}` : `ended with code ${code}`
    return this.#lastLine === '' ? how : `${how}: ${this.#lastLine}`
  }
}
