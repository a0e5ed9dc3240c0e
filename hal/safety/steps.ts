/**
 * Carries out what the kernel decides: every step's writes in their order, then its events; afterwards the outputs agree
 * with the kernel, or it knows that they do not.
 *
 * Invariants: [safety-1] outputs change by steps only; [safety-3] a write that fails is told to the kernel before anything
 * else is written, and what it decides then is written too.
 */
import type { Cancel, Host } from '../contract/host.ts'
import type { OutputValues } from '../contract/safety.ts'
import type { Journal } from './journal.ts'
import type { Kernel, Step } from './kernel-types.ts'
import type { Outputs, SinkFailure } from './outputs.ts'
import type { Reports } from './reports.ts'

interface StepsDeps {
  readonly host: Host
  readonly kernel: Kernel
  readonly outputs: Outputs
  readonly reports: Reports
  readonly journal: Journal
  /** After a step that had events. */
  readonly onEvents: () => void
}

export class Steps implements Disposable {
  readonly #deps: StepsDeps
  /** Written since the outputs were last read back. */
  #written: Record<string, number> = {}
  #eventful = false
  #wake: { readonly atMs: number; readonly cancel: Cancel } | undefined
  #disposed = false

  constructor(deps: StepsDeps) {
    this.#deps = deps
  }

  /** Carries out one call to the kernel and everything that follows from it. */
  do<S extends Step>(call: (nowMs: number, epochMs: number) => S): S {
    const { clock } = this.#deps.host
    const step = call(clock.monotonicMs(), clock.nowMs())
    this.#perform(step)
    this.#settle()
    return step
  }

  /** A sink failed outside of a step: when it was opened or read back. */
  failed(failure: SinkFailure): void {
    this.do((nowMs, epochMs) =>
      this.#deps.kernel.writeFailed(failure.outputs, failure.message, nowMs, epochMs),
    )
  }

  /** Reads everything back, tells the kernel, and gives what was read. */
  readBack(): OutputValues {
    const { values, failures } = this.#deps.outputs.readBack()
    for (const failure of failures) this.failed(failure)
    this.do((nowMs, epochMs) => this.#deps.kernel.readBack(this.#ofOutputs(values), nowMs, epochMs))
    this.#deps.reports.update(this.#deps.outputs, values)
    return values
  }

  [Symbol.dispose](): void {
    this.#disposed = true
    this.#wake?.cancel()
  }

  #perform(step: Step): void {
    // After a failure the rest was worked out from a vector that never was; `#settle` writes what still counts.
    step.writes.every((write) => this.#write(write))
    if (step.events.length === 0) return
    this.#eventful = true
    this.#deps.journal.note(step.events, this.#deps.kernel.memory().faults)
  }

  /** False when something of it could not be written; the kernel knows then. */
  #write(changes: OutputValues): boolean {
    const { kernel, outputs, host } = this.#deps
    Object.assign(this.#written, changes)
    const failures = outputs.commit(changes)
    for (const { outputs: failed, message } of failures)
      this.#perform(kernel.writeFailed(failed, message, host.clock.monotonicMs(), host.clock.nowMs()))
    return failures.length === 0
  }

  #settle(): void {
    const { kernel, outputs, reports } = this.#deps
    // After a failure some changes of its commit were held back; those that the kernel still wants are due.
    const drift = outputs.drift(kernel.values())
    if (Object.keys(drift).length > 0) this.#write(drift)
    if (Object.keys(this.#written).length > 0) {
      const touched = this.#written
      this.#written = {}
      const { values, failures } = outputs.readBack(touched)
      for (const failure of failures) this.failed(failure)
      reports.update(outputs, values)
    }
    this.#schedule()
    if (!this.#eventful) return
    this.#eventful = false
    this.#deps.onEvents()
  }

  #schedule(): void {
    const { kernel, host } = this.#deps
    const atMs = this.#disposed ? Number.POSITIVE_INFINITY : kernel.nextWakeMs()
    if (this.#wake?.atMs === atMs) return
    this.#wake?.cancel()
    this.#wake = undefined
    if (!Number.isFinite(atMs)) return
    const delayMs = Math.max(0, Math.ceil(atMs - host.clock.monotonicMs()))
    const cancel = host.clock.after(delayMs, () => {
      this.#wake = undefined
      this.do((nowMs) => kernel.tick(nowMs))
    })
    this.#wake = { atMs, cancel }
  }

  /** Without the parts' measurements, which are no outputs. */
  #ofOutputs(values: OutputValues): OutputValues {
    const known = this.#deps.kernel.values()
    return Object.fromEntries(Object.entries(values).filter(([name]) => name in known))
  }
}
