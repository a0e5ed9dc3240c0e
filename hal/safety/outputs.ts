/**
 * Everything that the device can move, as one vector: commits changes to the sinks, reads back, and opens afresh what
 * failed.
 *
 * Invariants: [safety-2] a commit writes each sink once; where several sinks are involved every change toward safe is
 * written before any other, and the others are not written when one of those failed. A sink that failed gets nothing but
 * its safe values until it was opened afresh.
 */
import { HalError } from '../contract/errors.ts'
import type { Host } from '../contract/host.ts'
import type { OutputValues } from '../contract/safety.ts'
import { wait } from '../drivers/wait.ts'
import type { Sink } from './sink.ts'

export interface SinkFailure {
  /** All outputs that the sink affects. */
  readonly outputs: readonly string[]
  readonly message: string
}

/** First and longest wait before a sink that failed is opened afresh; milliseconds. */
const retryMs = { first: 50, max: 5_000 }
/** At start a line may still be held: by the guard, which gives it back at once, or by the thread before; milliseconds. */
const busyMsMax = 3_000
/** A part on a bus opens within this, or it counts as failed; milliseconds. */
const openMsMax = 3_000
/** Reading back may fail for this long (a disturbed bus) before the sink counts as failed; milliseconds. */
const unreadMsMax = 500

interface SinkState {
  readonly sink: Sink
  broken: boolean
  unreadSinceMs: number | undefined
  /** What `readBack` said last. */
  read: OutputValues
}

export class Outputs implements AsyncDisposable {
  readonly #host: Host
  readonly #safe: OutputValues
  readonly #states: readonly SinkState[]
  readonly #wire = new Map<string, number>()
  readonly #closing = new AbortController()
  readonly #retries = new Set<Promise<void>>()

  private constructor(sinks: readonly Sink[], safe: OutputValues, host: Host) {
    this.#host = host
    this.#safe = safe
    this.#states = sinks.map((sink) => ({ sink, broken: true, unreadSinceMs: undefined, read: {} }))
  }

  /** Opens every sink at its safe values. One that fails is in `failures` and is tried again later. */
  static async open(
    sinks: readonly Sink[],
    safe: OutputValues,
    host: Host,
    signal: AbortSignal,
  ): Promise<{ readonly outputs: Outputs; readonly failures: readonly SinkFailure[] }> {
    const outputs = new Outputs(sinks, safe, host)
    // Together: a part on a bus that hangs must not keep the others from their safe values.
    const opened = outputs.#states.map((state) =>
      outputs.#openPatiently(state, signal).then(
        () => [],
        (error) => [outputs.#fail(state, error)],
      ),
    )
    return { outputs, failures: (await Promise.all(opened)).flat() }
  }

  /** What is on the wire as far as it is known: the last values that were written without an error. */
  wire(output: string): number | undefined {
    return this.#wire.get(output)
  }

  isBroken(output: string): boolean {
    return this.#states.some(({ sink, broken }) => broken && sink.affects.includes(output))
  }

  /** Every sink takes writes and could be read back the last time. */
  get healthy(): boolean {
    return this.#states.every(({ broken, unreadSinceMs }) => !broken && unreadSinceMs === undefined)
  }

  /** Every sink took its last write: after closing, everything is safe. */
  get driven(): boolean {
    return this.#states.every(({ broken }) => !broken)
  }

  /** Of `wanted`, what is not on the wire though it could be. */
  drift(wanted: OutputValues): OutputValues {
    return Object.fromEntries(
      Object.entries(wanted).filter(
        ([output, value]) => this.#wire.has(output) && this.#wire.get(output) !== value,
      ),
    )
  }

  /** Writes the changes; a failure is of a sink that took writes until now. */
  commit(changes: OutputValues): readonly SinkFailure[] {
    const touched = this.#states.filter(({ sink }) => sink.outputs.some((output) => output in changes))
    const failures: SinkFailure[] = []
    for (const phase of touched.length > 1 ? this.#phases(changes) : [changes]) {
      for (const state of touched) this.#write(state, phase, failures)
      if (failures.length > 0) break
    }
    return failures
  }

  /**
   * Reads everything that can be read, or only the sinks of some outputs. `values` holds outputs and the parts'
   * measurements by full name, of all sinks as they were read last.
   */
  readBack(touched?: OutputValues): {
    readonly values: OutputValues
    readonly failures: readonly SinkFailure[]
  } {
    const failures: SinkFailure[] = []
    for (const state of this.#states)
      if (!touched || state.sink.affects.some((output) => output in touched)) this.#read(state, failures)
    // Lines come first in the list: what a port measures counts before a line's own level.
    return { values: Object.assign({}, ...this.#states.map(({ read }) => read)), failures }
  }

  /** What parts find wrong with what they drive, by part. */
  stalled(): ReadonlyMap<string, readonly string[]> {
    const found = new Map<string, readonly string[]>()
    for (const { sink, broken } of this.#states) {
      if (broken) continue
      const complaints = attempt(() => sink.stalled()) ?? []
      if (complaints.length > 0) found.set(sink.name, complaints)
    }
    return found
  }

  /** Drives everything safe and gives lines and ports back. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error('closing'))
    // Before anything is waited for: whoever closes has little patience.
    this.commit(this.#safe)
    await Promise.allSettled(this.#retries)
    for (const { sink } of this.#states) await sink.close().catch(() => {})
  }

  #phases(changes: OutputValues): readonly OutputValues[] {
    const towardSafe: Record<string, number> = {}
    const others: Record<string, number> = {}
    for (const [output, value] of Object.entries(changes)) {
      const safe = this.#safe[output] ?? 0
      const before = this.#wire.get(output) ?? safe
      const closer = Math.abs(value - safe) <= Math.abs(before - safe)
      ;(closer ? towardSafe : others)[output] = value
    }
    return [towardSafe, others]
  }

  #write(state: SinkState, changes: OutputValues, failures: SinkFailure[]): void {
    const own = Object.fromEntries(
      state.sink.outputs.flatMap((output) => {
        const value = changes[output]
        return value === undefined ? [] : [[output, value] as const]
      }),
    )
    if (state.broken || Object.keys(own).length === 0) return
    try {
      state.sink.write(own)
      for (const [output, value] of Object.entries(own)) this.#wire.set(output, value)
    } catch (error) {
      failures.push(this.#fail(state, error))
    }
  }

  #read(state: SinkState, failures: SinkFailure[]): void {
    if (state.broken) return
    try {
      state.read = state.sink.readBack()
      state.unreadSinceMs = undefined
    } catch (error) {
      state.read = {}
      const nowMs = this.#host.clock.monotonicMs()
      state.unreadSinceMs ??= nowMs
      if (nowMs - state.unreadSinceMs >= unreadMsMax) failures.push(this.#fail(state, error))
    }
  }

  #fail(state: SinkState, error: unknown): SinkFailure {
    const message = `${state.sink.name} cannot be driven: ${error instanceof Error ? error.message : error}`
    state.broken = true
    state.read = {}
    for (const output of state.sink.outputs) this.#wire.delete(output)
    const retry = this.#retry(state).finally(() => this.#retries.delete(retry))
    this.#retries.add(retry)
    return { outputs: state.sink.affects, message }
  }

  async #retry(state: SinkState): Promise<void> {
    const { signal } = this.#closing
    for (let waitMs = retryMs.first; state.broken; waitMs = Math.min(waitMs * 2, retryMs.max)) {
      try {
        await wait(this.#host.clock, waitMs, signal)
      } catch {
        return
      }
      try {
        await this.#open(state)
        this.#host.log.info('outputs take writes again and are safe', { outputs: state.sink.name })
      } catch (error) {
        this.#host.log.debug('outputs still fail', { outputs: state.sink.name, reason: String(error) })
      }
    }
  }

  async #openPatiently(state: SinkState, signal: AbortSignal): Promise<void> {
    const { clock } = this.#host
    for (const startMs = clock.monotonicMs(); ; ) {
      try {
        return await this.#open(state)
      } catch (error) {
        const isBusy = error instanceof HalError && error.code === 'busy'
        if (!isBusy || signal.aborted || clock.monotonicMs() - startMs >= busyMsMax) throw error
      }
      await wait(clock, retryMs.first, signal)
    }
  }

  async #open(state: SinkState): Promise<void> {
    const { sink } = state
    const late = new AbortController()
    const { promise: overdue, reject } = Promise.withResolvers<never>()
    const cancel = this.#host.clock.after(openMsMax, () => {
      late.abort(new Error('took too long'))
      reject(new Error(`it did not open within ${openMsMax / 1000} s`))
    })
    try {
      await Promise.race([sink.reopen(AbortSignal.any([late.signal, this.#closing.signal])), overdue])
    } finally {
      cancel()
    }
    state.broken = false
    state.unreadSinceMs = undefined
    for (const output of sink.outputs) this.#wire.set(output, this.#safe[output] ?? 0)
  }
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    // A part that cannot be read is found by reading back.
    return undefined
  }
}
