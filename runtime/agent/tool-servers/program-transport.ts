/**
 * A server of tools as a child process, in a process group of its own that a waiting shell (0.1 MB) watches: it holds one end of a pipe
 * of which this process has the other. When the connection is closed, when the server ends, and when this process dies, however it
 * dies, the group is asked to end and a second later killed, with what the server has started.
 *
 * What the server may do to this process is bounded: bytes and messages for each request of ours, and the length of a message. It has
 * nothing of our environment but what every program of a user needs, and what the configuration gives it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Writable } from 'node:stream'
import type { ReadBuffer, Transport } from '@modelcontextprotocol/client'
import { ToolServerError } from './tool-server-error.ts'

type Message = Parameters<Transport['send']>[0]

/** `$0` is the program's name for the shell, `$@` the program. Both of the watcher's signals are ignored by itself alone. */
const script =
  '(trap "" TERM; read -r end <&3; sleep 1; kill -TERM 0; sleep 1; kill -KILL 0) >/dev/null & exec "$@" 3<&-'
const cannotRun = [126, 127]
const inherited = ['HOME', 'LANG', 'LOGNAME', 'PATH', 'SHELL', 'TERM', 'TMPDIR', 'TZ', 'USER']
/** For each request of ours: an answer, and what it reports meanwhile. Whoever writes more floods. */
const messagesMax = 1_000
const bytesMax = 4 * 1024 * 1024
const exitMs = 1_000

export interface ProgramToRun {
  readonly name: string
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

export class ProgramTransport implements Transport {
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: NonNullable<Transport['onmessage']>
  /** Why it cannot be used, where that is known. */
  failure: ToolServerError | undefined
  readonly #program: ProgramToRun
  readonly #buffer: ReadBuffer
  #child: ChildProcess | undefined
  #messages = 0
  #bytes = 0

  constructor(program: ProgramToRun, buffer: ReadBuffer) {
    this.#program = program
    this.#buffer = buffer
  }

  /** Resolves when there is a process; that it cannot be run is known when that has ended. */
  start(): Promise<void> {
    const { name, command, env } = this.#program
    const own = inherited.flatMap((key) => (process.env[key] === undefined ? [] : [[key, process.env[key]]]))
    const child = spawn('sh', ['-c', script, name, ...command], {
      detached: true,
      // What it writes as errors may hold anything: nobody reads it.
      stdio: ['pipe', 'pipe', 'ignore', 'pipe'],
      env: { ...Object.fromEntries(own), ...env },
    })
    this.#child = child
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    child.once('spawn', resolve)
    child.once('error', (error) => {
      reject(error)
      this.#over()
    })
    child.once('exit', (code) => {
      if (cannotRun.includes(code ?? 0))
        this.failure = new ToolServerError(
          'unavailable',
          `the tool server ${name} cannot be run: look at its command`,
        )
      lifeOf(child)?.destroy()
    })
    child.once('close', () => this.#over())
    child.stdin?.on('error', (error) => this.onerror?.(error))
    lifeOf(child)?.on('error', () => {})
    child.stdout?.on('data', (chunk: Buffer) => this.#read(chunk))
    return promise
  }

  send(message: Message): Promise<void> {
    if ('method' in message && 'id' in message) {
      this.#messages = 0
      this.#bytes = 0
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const child = this.#child
    const refuse = async (error: Error) => {
      // What takes nothing has ended, or is about to: why is known then.
      if (child?.exitCode === null && child.signalCode === null)
        await once(child, 'exit', { signal: AbortSignal.timeout(exitMs) }).catch(() => {})
      reject(error)
    }
    if (!child?.stdin) reject(new Error('the program has ended'))
    else
      child.stdin.write(`${JSON.stringify(message)}\n`, (error) => (error ? void refuse(error) : resolve()))
    return promise
  }

  async close(): Promise<void> {
    const child = this.#child
    if (!child) return
    child.stdin?.end()
    child.stdout?.destroy()
    lifeOf(child)?.destroy()
    child.unref()
    this.#over()
  }

  #read(chunk: Buffer): void {
    this.#bytes += chunk.byteLength
    try {
      if (this.#bytes > bytesMax) throw new Error(`it writes more than ${bytesMax} bytes for one request`)
      this.#buffer.append(chunk)
      while (this.#child) {
        const message = this.#next()
        if (!message) return
        this.#messages += 1
        if (this.#messages > messagesMax)
          throw new Error(`it writes more than ${messagesMax} messages for one request`)
        if (message !== 'none') this.onmessage?.(message)
      }
    } catch (error) {
      this.onerror?.(error as Error)
      void this.close()
    }
  }

  /** `none`: a line that is no message of the protocol. */
  #next(): Message | 'none' | null {
    try {
      return this.#buffer.readMessage()
    } catch (error) {
      this.onerror?.(error as Error)
      return 'none'
    }
  }

  #over(): void {
    if (!this.#child) return
    this.#child = undefined
    this.#buffer.clear()
    this.onclose?.()
  }
}

/** The end of the pipe that the shell watches. */
const lifeOf = (child: ChildProcess) => child.stdio[3] as Writable | null | undefined
