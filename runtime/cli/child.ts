/**
 * A program of this installation run as a child: started, waited for until it says that it is ready, stopped within a
 * deadline. It ends by itself when this process dies, because its standard input closes.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { CodedError } from '../base/errors.ts'
import { type Program, programPath } from '../base/program.ts'
import { exitCodes } from './exit.ts'

export type ChildErrorCode =
  /** It ended without a word, or too often. */
  | 'exited'
  | 'not-ready'
  /** It said on standard error why it does not start: nothing is left to be said. */
  | 'failed'
  /** As `failed`, and the reason is a person's mistake. */
  | 'mistake'
export class ChildError extends CodedError<ChildErrorCode> {
  override readonly name = 'ChildError'
}

/** True when the child itself said on standard error what is wrong. */
export function isToldByChild(error: unknown): error is ChildError {
  return error instanceof ChildError && (error.code === 'failed' || error.code === 'mistake')
}

export interface ChildOptions {
  readonly name: string
  readonly program: Program
  readonly args: readonly string[]
  readonly readyMsMax: number
  readonly stopMsMax: number
}

interface End {
  /** A line about how it ended. */
  readonly how: string
  readonly exitCode?: number | null
}

export class Child<Ready> {
  readonly ready: Ready
  /** Resolves with a line about how it ended. */
  readonly ended: Promise<string>
  readonly #process: ChildProcess
  readonly #stopMsMax: number

  private constructor(process: ChildProcess, ready: Ready, ended: Promise<End>, stopMsMax: number) {
    this.#process = process
    this.ready = ready
    this.ended = ended.then(({ how }) => how)
    this.#stopMsMax = stopMsMax
  }

  /** Starts it and waits for its ready line. Throws ChildError, or the signal's reason. */
  static async open<Ready>(options: ChildOptions, signal: AbortSignal): Promise<Child<Ready>> {
    signal.throwIfAborted()
    // Small young generation, compact code: these processes hold little and live long (about 9 MB less each, measured).
    // DEP0169: MQTT.js reads broker addresses with url.parse(), which is its business and not its user's.
    const flags = [
      '--max-semi-space-size=1',
      '--optimize-for-size',
      '--disable-warning=ExperimentalWarning',
      '--disable-warning=DEP0169',
    ]
    const child = spawn(process.execPath, [...flags, programPath(options.program), ...options.args], {
      stdio: ['pipe', 'pipe', 'inherit'],
      // A group of its own: Ctrl-C reaches the parent only, which stops its children in order.
      detached: true,
    })
    const ended = new Promise<End>((resolve) => {
      child.once('error', (error) =>
        resolve({ how: `${options.name} could not be started: ${error.message}` }),
      )
      child.once('exit', (exitCode, sig) =>
        resolve({ how: `${options.name} ended (${sig ?? `exit code ${exitCode}`})`, exitCode }),
      )
    })
    try {
      const ready = await firstReady<Ready>(child, ended, options, signal)
      return new Child(child, ready, ended, options.stopMsMax)
    } catch (error) {
      child.kill('SIGKILL')
      throw error
    }
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    this.#process.kill('SIGTERM')
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), this.#stopMsMax)
    await this.ended
    clearTimeout(timer)
  }
}

async function firstReady<Ready>(
  child: ChildProcess,
  ended: Promise<End>,
  options: ChildOptions,
  signal: AbortSignal,
): Promise<Ready> {
  if (!child.stdout) throw new Error('a child needs a standard output')
  const lines = createInterface({ input: child.stdout })
  const line = new Promise<Ready>((resolve) => {
    lines.on('line', (text) => {
      if (text.startsWith('{"ready":true')) resolve(JSON.parse(text) as Ready)
    })
  })
  const gone = ended.then((end) => {
    throw new ChildError(codeOf(end), end.how)
  })
  const limit = AbortSignal.any([signal, AbortSignal.timeout(options.readyMsMax)])
  const late = new Promise<never>((_, reject) => {
    limit.addEventListener('abort', () => {
      reject(
        signal.aborted
          ? signal.reason
          : new ChildError('not-ready', `${options.name} was not ready after ${options.readyMsMax / 1000} s`),
      )
    })
  })
  return Promise.race([line, gone, late])
}

function codeOf({ exitCode }: End): ChildErrorCode {
  if (exitCode === exitCodes.usage) return 'mistake'
  return exitCode === exitCodes.failed ? 'failed' : 'exited'
}
