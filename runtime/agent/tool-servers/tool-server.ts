/**
 * One server of tools as it lives: started when it is first used, ended when nobody has used it for a while, started again when it ended
 * by itself, later each time. Invariants: README.md.
 */
import type { Clock } from '../../base/clock.ts'
import { DeadlineError, withDeadline } from '../../base/deadline.ts'
import type { Log } from '../../base/log.ts'
import { backoffMs } from '../../base/retry.ts'
import { reachOf, type ToolServerConfig } from '../../config/tool-servers.ts'
import type { Privacy } from '../../wire/infer.ts'
import type { Json } from '../contract.ts'
import { type Connection, openConnection, type ToolAnswer } from './connection.ts'
import { type OfferedTool, offered } from './offered.ts'
import { ToolServerError } from './tool-server-error.ts'

export interface ToolServerDeps {
  readonly clock: Clock
  readonly log: Log
}

const idleMs = 300_000
const backoff = { firstMs: 1_000, maxMs: 300_000 }
/** Requests under way at a time. */
const underWayMax = 16
/** Requests in a row that were not answered in time: whoever leaves two is not there. */
const silentMax = 2

export class ToolServer implements AsyncDisposable {
  readonly name: string
  readonly reach: Privacy
  /** Of what its tools give. */
  readonly privacy: Privacy
  readonly #deps: ToolServerDeps
  readonly #config: ToolServerConfig
  readonly #stop = new AbortController()
  #opening: Promise<Connection> | undefined
  #current: Connection | undefined
  /** With those that are on their way up or down. */
  readonly #open = new Set<Connection>()
  readonly #starting = new Set<Promise<unknown>>()
  #underWay = 0
  #silent = 0
  #failures = 0
  #notBeforeMs = 0
  #cancelIdle = () => {}

  constructor(deps: ToolServerDeps, name: string, config: ToolServerConfig) {
    this.#deps = deps
    this.#config = config
    this.name = name
    this.reach = reachOf(config)
    this.privacy = config.privacy
  }

  /** What it offers now, within bounds. Throws ToolServerError; the signal's reason. */
  async tools(signal: AbortSignal): Promise<readonly OfferedTool[]> {
    const listed = await this.#request(signal, 'unavailable', (connection, until) => connection.list(until))
    const { tools, left } = offered(this.name, listed)
    if (left > 0) this.#deps.log.warn('tools of a tool server are not offered', { server: this.name, left })
    return tools
  }

  /** Throws ToolServerError: `uncertain` and `timeout` where it may have been done. */
  async call(
    tool: string,
    args: { readonly [name: string]: Json },
    signal: AbortSignal,
  ): Promise<ToolAnswer> {
    return await this.#request(signal, 'uncertain', (connection, until) => connection.call(tool, args, until))
  }

  /** Whether using the tool twice is as using it once, and the server is believed that. */
  async isRepeatable(tool: string, signal: AbortSignal): Promise<boolean> {
    if (!this.#config.trusted) return false
    return (await this.tools(signal)).some(({ name, repeatable }) => name === tool && repeatable)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new ToolServerError('unavailable', `the tool server ${this.name} is being stopped`))
    this.#cancelIdle()
    await Promise.allSettled(this.#starting)
    await Promise.all([...this.#open].map((connection) => connection.close()))
  }

  /** `lost`: what to say where nobody knows what became of the request. */
  async #request<T>(
    signal: AbortSignal,
    lost: 'unavailable' | 'uncertain',
    work: (connection: Connection, until: AbortSignal) => Promise<T>,
  ): Promise<T> {
    this.#stop.signal.throwIfAborted()
    if (this.#underWay >= underWayMax)
      throw new ToolServerError(
        'limit',
        `${underWayMax} requests to the tool server ${this.name} are under way`,
      )
    this.#underWay += 1
    this.#cancelIdle()
    try {
      const until = AbortSignal.any([signal, this.#stop.signal])
      const connection = await this.#connected(until)
      return await this.#answered(connection, until, lost, work)
    } finally {
      this.#underWay -= 1
      if (this.#underWay === 0) this.#rest()
    }
  }

  async #answered<T>(
    connection: Connection,
    signal: AbortSignal,
    lost: 'unavailable' | 'uncertain',
    work: (connection: Connection, until: AbortSignal) => Promise<T>,
  ): Promise<T> {
    try {
      const answer = await this.#within((until) => work(connection, until), signal)
      this.#silent = 0
      this.#failures = 0
      return answer
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof DeadlineError) throw this.#late(connection)
      const wrong = await errorOf(this.name, error)
      if (wrong === 'lost' || wrong.code === 'unavailable') this.#leave(connection)
      if (wrong !== 'lost') throw wrong
      const done = lost === 'uncertain' ? ': it may have been done' : ''
      throw new ToolServerError(lost, `the tool server ${this.name} ended, or gave no answer${done}`, {
        cause: error,
      })
    }
  }

  #within<T>(work: (until: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    return withDeadline(this.#deps.clock, 'a tool server', this.#config.secondsMax * 1_000, work, signal)
  }

  #late(connection: Connection): ToolServerError {
    this.#silent += 1
    if (this.#silent >= silentMax) this.#leave(connection)
    return new ToolServerError(
      'timeout',
      `the tool server ${this.name} did not answer within ${this.#config.secondsMax} s: it may have been done`,
    )
  }

  #connected(signal: AbortSignal): Promise<Connection> {
    const waitMs = this.#notBeforeMs - this.#deps.clock.monotonicMs()
    if (!this.#opening && waitMs > 0)
      throw new ToolServerError(
        'unavailable',
        `the tool server ${this.name} ended or could not be reached: it is tried again in ${Math.ceil(waitMs / 1_000)} s`,
        { retryable: true },
      )
    this.#opening ??= this.#connect()
    return leftAt(this.#opening, signal)
  }

  /** For all who wait: one of them that leaves does not end it. */
  async #connect(): Promise<Connection> {
    const { name } = this
    try {
      const connection = await this.#within((until) => this.#started(until), this.#stop.signal)
      this.#current = connection
      this.#open.add(connection)
      void connection.closed.then(() => {
        this.#open.delete(connection)
        this.#leave(connection)
      })
      return connection
    } catch (error) {
      this.#opening = undefined
      this.#stop.signal.throwIfAborted()
      this.#failed()
      this.#deps.log.warn('a tool server does not start', { server: name })
      const late = `it did not answer within ${this.#config.secondsMax} s`
      const wrong = error instanceof DeadlineError ? 'late' : await errorOf(name, error)
      if (wrong instanceof ToolServerError) throw wrong
      const why = wrong === 'late' ? late : 'it ended, or does not speak the protocol'
      throw new ToolServerError('unavailable', `the tool server ${name} does not start: ${why}`, {
        cause: error,
      })
    }
  }

  #started(until: AbortSignal): Promise<Connection> {
    const starting = openConnection(this.name, this.#config, until)
    this.#starting.add(starting)
    const over = () => this.#starting.delete(starting)
    starting.then(over, over)
    return starting
  }

  /** It is no longer used; the next use starts another, after a while. */
  #leave(connection: Connection): void {
    if (this.#current !== connection) return
    this.#current = undefined
    this.#opening = undefined
    this.#silent = 0
    this.#failed()
    void connection.close()
  }

  #failed(): void {
    const { clock } = this.#deps
    this.#notBeforeMs = clock.monotonicMs() + backoffMs(this.#failures, backoff, clock.random())
    this.#failures += 1
  }

  #rest(): void {
    if (this.#stop.signal.aborted) return
    this.#cancelIdle = this.#deps.clock.after(idleMs, () => {
      const connection = this.#current
      this.#current = undefined
      this.#opening = undefined
      void connection?.close()
    })
  }
}

/** Settles as `work` does, or rejects when the signal aborts first; `work` goes on. */
function leftAt<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

/** In words of ours: what the other side says of an error may hold anything. `lost`: nobody knows what became of the request. */
async function errorOf(name: string, error: unknown): Promise<ToolServerError | 'lost'> {
  if (error instanceof ToolServerError) return error
  const { ProtocolError, SdkHttpError, UnauthorizedError } = await import('@modelcontextprotocol/client')
  const of = (code: 'unavailable' | 'bad-request', why: string) =>
    new ToolServerError(code, `the tool server ${name} ${why}`, { cause: error })
  if (error instanceof UnauthorizedError) return of('unavailable', 'wants a token: give its tokenFile')
  if (error instanceof ProtocolError)
    return of('bad-request', `refused the request with the error ${error.code}`)
  if (error instanceof SdkHttpError) {
    const { status } = error
    if (status === 401 || status === 403)
      return of('unavailable', `answered ${status}: give its tokenFile a token that it knows`)
    return status >= 400 && status < 500 ? of('unavailable', `answered ${status}`) : 'lost'
  }
  const code = codeOf(error) ?? codeOf((error as { cause?: unknown })?.cause)
  if (code === 'ENOENT' || code === 'EACCES') return of('unavailable', 'cannot be run: look at its command')
  if (code === 'ECONNREFUSED' || code === 'ENOTFOUND')
    return of('unavailable', 'cannot be reached: look at its url')
  return 'lost'
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
}
