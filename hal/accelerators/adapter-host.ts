/**
 * Keeps an adapter process running: starts it with a socket in a private folder, waits until it is ready, caps its memory
 * where the system allows, and replaces it with back-off when it ends or hangs. One that keeps failing is given up for a
 * while (an open circuit): whoever needs it hears why at once, and can do the work elsewhere.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AcceleratorHealth } from '../contract/accelerator.ts'
import type { Cancel, Host } from '../contract/host.ts'
import type { Roots } from '../linux/board-detect.ts'
import { AcceleratorError, cancelled } from './accelerator-error.ts'
import { AdapterChild, type AdapterCommand } from './adapter-child.ts'
import { type CappedProcess, capMemory, type MemoryCap } from './memory-cap.ts'
import { OipClient } from './oip-client.ts'
import { pause, withSignal } from './waiting.ts'

export interface AdapterHostOptions extends AdapterCommand {
  readonly name: string
  /** Absent: no cap is tried. */
  readonly memoryMbMax?: number
  readonly startDeadlineMs?: number
  readonly backoff?: { readonly firstMs: number; readonly maxMs: number }
  /** Losses in a row, without a run between them, until it is given up for `circuitMs`. */
  readonly lossesMax?: number
  readonly circuitMs?: number
  /** How long it may be deaf after a missed deadline: the longest single native run that is still healthy. */
  readonly graceMs?: number
  readonly roots?: Roots
}

const defaults = {
  startDeadlineMs: 30_000,
  backoff: { firstMs: 200, maxMs: 10_000 },
  lossesMax: 5,
  circuitMs: 60_000,
  graceMs: 5000,
  roots: { proc: '/proc', sys: '/sys', dev: '/dev' },
}
const stopMs = 2000
/** Between two looks whether it is ready. */
const readyEveryMs = 50

/** The adapter that runs now. `generation` counts starts: what one had loaded, the next has not. */
export interface Running {
  readonly client: OipClient
  readonly generation: number
}

export class AdapterHost implements AsyncDisposable {
  readonly #options: AdapterHostOptions & typeof defaults
  readonly #host: Host
  readonly #folder: string
  #state: AcceleratorHealth['state'] = 'starting'
  #reason = 'not started yet'
  #generation = 0
  #losses = 0
  #readyAtMs = Number.POSITIVE_INFINITY
  #child: AdapterChild | undefined
  #capped: CappedProcess | undefined
  #running: Running | undefined
  #suspected: Promise<void> | undefined
  #started: Promise<void> | undefined
  #cancelTimer: Cancel = () => {}
  #closing: Promise<void> | undefined
  readonly #stop = new AbortController()

  private constructor(folder: string, options: AdapterHostOptions, host: Host) {
    this.#folder = folder
    this.#options = { ...defaults, ...options }
    this.#host = host
  }

  /** Starts nothing yet: the first `ready` does. */
  static async open(options: AdapterHostOptions, host: Host): Promise<AdapterHost> {
    // mkdtemp makes it for this user alone; a socket's path may have 107 characters (unix(7)).
    return new AdapterHost(await mkdtemp(join(tmpdir(), 'ganglion-')), options, host)
  }

  /** The adapter, once it is ready. Throws `engine-lost` with the reason at once where it is down, `engine-stopped` after close. */
  async ready(signal: AbortSignal): Promise<Running> {
    if (signal.aborted) throw cancelled()
    if (this.#state === 'closed') throw new AcceleratorError('engine-stopped', this.#line('is closed'))
    this.#started ??= this.#start()
    if (this.#state === 'starting') await withSignal(this.#started, signal)
    if (this.#running) return this.#running
    throw new AcceleratorError('engine-lost', this.#line(this.#reason))
  }

  /** A run came back: it works. */
  succeeded(): void {
    this.#losses = 0
  }

  /** A run missed its deadline: an adapter that does not answer at all within the grace time hangs, and is replaced. */
  suspect(): void {
    const child = this.#child
    const { client } = this.#running ?? {}
    if (!child || !client) return
    const { graceMs } = this.#options
    this.#suspected ??= client
      .isLive(graceMs)
      .then((isLive) => {
        if (!isLive && this.#child === child)
          child.kill(`hung: silent for ${graceMs} ms after a missed deadline`)
      })
      .finally(() => {
        this.#suspected = undefined
      })
  }

  status(): {
    readonly state: AcceleratorHealth['state']
    readonly reason?: string
    readonly restarts: number
    readonly pid?: number
  } {
    const pid = this.#child?.pid
    return {
      state: this.#state,
      ...(this.#state === 'ok' ? {} : { reason: this.#reason }),
      restarts: Math.max(0, this.#generation - 1),
      ...(pid === undefined ? {} : { pid }),
    }
  }

  /** Undefined while none was asked for or nothing runs. */
  memoryCap(): MemoryCap | undefined {
    return this.#capped?.cap
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#state = 'closed'
    this.#reason = 'closed'
    this.#cancelTimer()
    this.#stop.abort()
    await this.#child?.stop(this.#host.clock, stopMs)
    await this.#started
    await rm(this.#folder, { recursive: true, force: true })
  }

  /** Settles when it is ready, or has ended. Never throws. */
  async #start(): Promise<void> {
    this.#generation += 1
    this.#state = 'starting'
    const { name, memoryMbMax, roots, startDeadlineMs } = this.#options
    // A new name each time: a socket that the last one left behind is not in the way.
    const socketPath = join(this.#folder, `${this.#generation}.sock`)
    const child = new AdapterChild(name, this.#options, socketPath, this.#host.log)
    this.#child = child
    const client = new OipClient(socketPath, this.#host.clock)
    const over = new AbortController()
    void child.ended.then((reason) => {
      over.abort()
      client[Symbol.dispose]()
      void this.#onEnded(reason)
    })
    if (memoryMbMax !== undefined && child.pid !== undefined)
      this.#capped = await capMemory(roots, name, child.pid, memoryMbMax)
    const cancel = this.#host.clock.after(startDeadlineMs, () =>
      child.kill(`not ready within ${startDeadlineMs} ms`),
    )
    if (await this.#becomesReady(client, AbortSignal.any([over.signal, this.#stop.signal]))) {
      this.#state = 'ok'
      this.#readyAtMs = this.#host.clock.monotonicMs()
      this.#running = { client, generation: this.#generation }
      this.#host.log.info('adapter ready', { adapter: name, pid: child.pid })
    } else await child.ended
    cancel()
  }

  async #becomesReady(client: OipClient, over: AbortSignal): Promise<boolean> {
    while (!over.aborted) {
      if ((await client.isReady(over)) && !over.aborted) return true
      await pause(this.#host.clock, readyEveryMs, over)
    }
    return false
  }

  async #onEnded(reason: string): Promise<void> {
    const capped = this.#capped
    this.#child = undefined
    this.#running = undefined
    this.#capped = undefined
    if (this.#state !== 'closed') this.#startLater(reason)
    await capped?.remove()
  }

  #startLater(reason: string): void {
    const { name, backoff, lossesMax, circuitMs } = this.#options
    const wasWell = this.#host.clock.monotonicMs() - this.#readyAtMs >= circuitMs
    this.#readyAtMs = Number.POSITIVE_INFINITY
    this.#losses = wasWell ? 1 : this.#losses + 1
    const givenUp = this.#losses >= lossesMax
    const ceiling = Math.min(backoff.maxMs, backoff.firstMs * 2 ** Math.min(this.#losses - 1, 30))
    const delayMs = givenUp ? circuitMs : Math.round(ceiling / 2 + (ceiling / 2) * this.#host.random())
    this.#state = givenUp ? 'failed' : 'restarting'
    this.#reason = givenUp
      ? `given up for ${circuitMs / 1000} s after ${this.#losses} losses: ${reason}`
      : reason
    this.#host.log.error('adapter lost', { adapter: name, reason: this.#reason, restartInMs: delayMs })
    this.#cancelTimer = this.#host.clock.after(delayMs, () => {
      this.#started = this.#start()
    })
  }

  #line(what: string): string {
    return `adapter ${this.#options.name} ${what}`
  }
}
