/**
 * One engine process: started, spoken to, ended. Knows nothing of requests or models. It inherits almost nothing of our
 * environment, and ends when its pipe does, so it never outlives us.
 */
import { ChildProcess, spawn } from 'node:child_process'
import type { Duplex, Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import { type FromEngine, fromEngine, type ToEngine } from '../../wire/engine-protocol.ts'
import { readFrames, writeFrame } from '../../wire/frames.ts'
import { wireLimits } from '../../wire/limits.ts'
import { check } from '../../wire/messages.ts'

export interface EngineChildOptions {
  readonly entry: string | URL
  readonly execArgv: readonly string[]
  readonly intraOpThreads: number
  /** Requests that it holds, under way or waiting; what is over it is refused. */
  readonly queueMax: number
}

export interface EngineChildEvents {
  onMessage(message: FromEngine): void
  /** The pipe takes more again, after `send` said no. */
  onDrain(): void
  /** Once; nothing comes after it. */
  onExit(reason: string): void
}

/** A smaller heap for little speed: the engine's memory is in native sessions. */
export const leanFlags: readonly string[] = ['--max-semi-space-size=1', '--optimize-for-size']

/** What native code may need to find its libraries, or an emulator its system root. */
const inherited = ['LD_LIBRARY_PATH', 'QEMU_LD_PREFIX', 'TMPDIR', 'TZ']
/**
 * One heap for all native threads, so fewer arenas hold memory back; and what is free at its end goes back to the system at once,
 * or an unloaded model's memory would stay with the process (mallopt(3), M_ARENA_MAX and M_TRIM_THRESHOLD, bytes). What a run
 * takes and gives back stays in the heap up to a megabyte (M_MMAP_THRESHOLD): pages of its own would be fetched anew each time.
 * Measured with speech loaded, run and unloaded four times: 85 MB left instead of 127, and 35 page faults an utterance; with the
 * library's own threshold, which setting the other one fixes at 128 kB, 81 MB and 480.
 */
const environment = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_TRIM_THRESHOLD_: String(128 * 1024),
  MALLOC_MMAP_THRESHOLD_: String(1024 * 1024),
}

/** Lines of standard error that reach our log, per process: a native library may complain at every run. */
const stderrLinesMax = 50
const stderrLineCharsMax = 500

export class EngineChild {
  readonly #process: ChildProcess
  /** Undefined where there was not even enough for that. */
  readonly #pipe: Duplex | undefined
  readonly #closed: Promise<void>
  readonly #log: Log
  #lastLine = ''
  #killReason: string | undefined

  constructor(process: ChildProcess, events: EngineChildEvents, log: Log) {
    this.#process = process
    this.#pipe = process.stdio?.[pipeFd] as Duplex | undefined
    this.#log = log
    if (process.stderr) this.#readStderr(process.stderr)
    if (this.#pipe) this.#readPipe(this.#pipe, events)
    this.#closed = new Promise((resolve) => {
      let exited = false
      const onExit = (reason: string) => {
        if (exited) return
        exited = true
        events.onExit(this.#killReason ?? reason)
        resolve()
      }
      process.on('error', (error) => onExit(`could not start: ${error.message}`))
      process.on('close', (code, signal) => onExit(this.#describeExit(code, signal)))
    })
  }

  /** Starts a process; whether it came up shows as its `ready` message or as `onExit`. */
  static start(options: EngineChildOptions, events: EngineChildEvents, log: Log): EngineChild {
    const entry = options.entry instanceof URL ? fileURLToPath(options.entry) : options.entry
    const env: Record<string, string> = { ...environment }
    for (const name of inherited) if (process.env[name] !== undefined) env[name] = process.env[name]
    const numbers = [options.intraOpThreads, options.queueMax].map(String)
    const child = spawned([...leanFlags, ...options.execArgv, entry, ...numbers], env)
    return new EngineChild(child, events, log)
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  /** False when the pipe is full until `onDrain`; the message was taken. Throws FrameError when it is too large. */
  send(message: ToEngine): boolean {
    if (!this.#pipe?.writable) return false
    return writeFrame(this.#pipe, message, wireLimits.frameBytesMax)
  }

  kill(reason: string): void {
    this.#killReason ??= reason
    this.#process.kill('SIGKILL')
  }

  /** Asks it to stop, and kills it when it has not after `limitMs`. */
  async stop(clock: Clock, limitMs: number): Promise<void> {
    this.send({ t: 'stop' })
    this.#pipe?.end()
    const cancel = clock.after(limitMs, () => this.kill(`did not stop within ${limitMs} ms`))
    await this.#closed
    cancel()
  }

  #readPipe(pipe: Duplex, events: EngineChildEvents): void {
    // A broken pipe shows as the exit that follows.
    pipe.on('error', () => {})
    pipe.on('drain', () => events.onDrain())
    readFrames(
      pipe,
      wireLimits.frameBytesMax,
      (value) => {
        const message = check(fromEngine, value)
        if (message.ok) events.onMessage(message.value)
        else this.#log.warn('ignored a message of the engine', { reason: message.reason })
      },
      (error) => {
        pipe.resume()
        this.kill(`its pipe broke: ${error.message}`)
      },
    )
  }

  #readStderr(stderr: Readable): void {
    let rest = ''
    let lines = 0
    stderr.setEncoding('utf8').on('data', (text: string) => {
      const parts = (rest + text).split('\n')
      rest = (parts.pop() ?? '').slice(0, stderrLineCharsMax)
      for (const part of parts) {
        const line = part.trim().slice(0, stderrLineCharsMax)
        if (line === '') continue
        if (/\w*Error\b/.test(line) || this.#lastLine === '') this.#lastLine = line
        lines += 1
        if (lines <= stderrLinesMax) this.#log.warn('engine says', { line })
      }
    })
  }

  #describeExit(code: number | null, signal: string | null): string {
    const how = signal ? `ended by ${signal}` : `ended with code ${code}`
    return code !== 0 && this.#lastLine !== '' ? `${how}: ${this.#lastLine}` : how
  }
}

const pipeFd = 3

/** Some failures `spawn` throws (out of memory, arguments too long), others it emits: here all are emitted. */
function spawned(args: readonly string[], env: Readonly<Record<string, string>>): ChildProcess {
  try {
    return spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'pipe', 'pipe'] })
  } catch (error) {
    const none = new ChildProcess()
    setImmediate(() => none.emit('error', error))
    return none
  }
}
