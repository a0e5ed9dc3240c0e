/**
 * Samples the sensors of one thread: each at its own pace, phases spread so that they do not all come at once.
 *
 * Invariants: [attached-3] a part is never sampled twice at the same time; [attached-4] a part that throws, gives no
 * number or never answers costs the others nothing: it is cut off and opened again after a back-off; [attached-5] what is
 * reported was measured: an error is reported as one, never as a value.
 */
import type { Reading } from '../contract/channels.ts'
import type { At, Options, SensorDevice, SensorDriver } from '../contract/driver.ts'
import { HalError, type HalErrorCode } from '../contract/errors.ts'
import type { Cancel, Host } from '../contract/host.ts'
import type { Io } from '../contract/io.ts'
import { PartIo } from './part-io.ts'

export interface LoopPart {
  readonly id: string
  readonly driver: SensorDriver
  readonly at: At
  readonly options: Options
  readonly sampleEveryMs: number
  /** Not opened before: it brought its thread down and has to wait, milliseconds. */
  readonly delayMs?: number
}

export type Outcome =
  | { readonly reading: Reading; readonly faults: readonly string[] }
  | {
      readonly error: { readonly code: HalErrorCode; readonly message: string }
      /** The part is closed and will be opened again: what it said last is no longer worth showing. */
      readonly lost: boolean
    }

export interface LoopDeps {
  readonly host: Host
  readonly io: Io
  /** The part of this index is about to run. */
  readonly turn: (part: number) => void
  readonly report: (part: number, outcome: Outcome) => void
}

/** Samples due within it are taken together: fifty wake-ups a second at most, however many sensors. */
const slotMs = 20
/** Opening resets parts and reads their calibration. */
const openMsMax = 5_000
/** Errors in a row after which opening again may help: a part that was unplugged has forgotten its settings. */
const missesMax = 3
/** First values come within this, however long the interval. */
const firstWithinMs = 1_000
/** Of what a driver throws: it becomes an attribute on the wire. */
const textMax = 200
const backoff = { firstMs: 1_000, maxMs: 60_000 }

interface Part extends LoopPart {
  readonly index: number
  readonly partIo: PartIo
  readonly phaseMs: number
  device?: SensorDevice
  /** What is under way; its result counts only while it is still this one. */
  run?: { readonly controller: AbortController; readonly deadlineMs: number; readonly what: string }
  /** Monotonic time of the next opening or sample. */
  dueMs: number
  misses: number
  /** Openings that did not lead to a reading. */
  failures: number
}

export class SensorLoop implements AsyncDisposable {
  readonly #deps: LoopDeps
  readonly #parts: readonly Part[]
  readonly #startMs: number
  #wake: { readonly atMs: number; readonly cancel: Cancel } | undefined
  #closed = false

  constructor(deps: LoopDeps, parts: readonly LoopPart[]) {
    this.#deps = deps
    const { clock } = deps.host
    this.#startMs = clock.monotonicMs()
    this.#parts = parts.map((part, index) => {
      const share = index / parts.length
      const turn = () => deps.turn(index)
      return {
        ...part,
        index,
        partIo: new PartIo(deps.io, turn),
        phaseMs: share * part.sampleEveryMs,
        dueMs: this.#startMs + (part.delayMs ?? share * Math.min(part.sampleEveryMs, firstWithinMs)),
        misses: 0,
        failures: 0,
      }
    })
  }

  start(): void {
    this.#wakeAt(this.#startMs)
  }

  /** Samples a part as soon as nothing of it is under way; the outcome is reported as any other. */
  sampleNow(index: number): void {
    const part = this.#parts[index]
    if (!part?.device || part.run) return
    part.dueMs = this.#nowMs()
    this.#wakeAt(part.dueMs)
  }

  /** Something that the part of this index started itself has thrown. */
  threw(index: number, error: unknown): void {
    const part = this.#parts[index]
    if (part) this.#lose(part, toHalError(part, error))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#wake?.cancel()
    for (const part of this.#parts) part.run?.controller.abort(new HalError('closed', `${part.id} is closed`))
    await Promise.allSettled(this.#parts.map(({ device }) => device?.[Symbol.asyncDispose]()))
    for (const { partIo } of this.#parts) partIo.closeAll()
  }

  #nowMs(): number {
    return this.#deps.host.clock.monotonicMs()
  }

  /** Wakes no later than `atMs`, but not within the slot that has just been served. */
  #wakeAt(atMs: number): void {
    if (this.#closed || (this.#wake && this.#wake.atMs <= atMs)) return
    this.#wake?.cancel()
    const delayMs = Math.max(slotMs, atMs - this.#nowMs())
    const cancel = this.#deps.host.clock.after(delayMs, () => this.#tick())
    this.#wake = { atMs: this.#nowMs() + delayMs, cancel }
  }

  #tick(): void {
    this.#wake = undefined
    const nowMs = this.#nowMs()
    let nextMs = Number.POSITIVE_INFINITY
    for (const part of this.#parts) {
      if (part.run && part.run.deadlineMs <= nowMs) this.#hung(part, part.run.what)
      if (!part.run && part.dueMs <= nowMs + slotMs / 2) this.#begin(part)
      nextMs = Math.min(nextMs, part.run ? part.run.deadlineMs : part.dueMs)
    }
    if (Number.isFinite(nextMs)) this.#wakeAt(nextMs)
  }

  #begin(part: Part): void {
    if (part.device) this.#sample(part, part.device)
    else this.#open(part)
  }

  #open(part: Part): void {
    const { driver, at, options, id, partIo } = part
    const { host } = this.#deps
    const clock = this.#clockOf(part)
    const context = { io: partIo.io, at, options, host: { ...host, clock, random: () => host.random() }, id }
    this.#run(
      part,
      'opening it',
      openMsMax,
      (signal) => driver.open(context, signal),
      (device, current) => {
        if (!current) return this.#abandon(device)
        part.device = device
        device.onReading = (reading) => this.#pushed(part, device, reading)
        device.onError = (error) => {
          if (!this.#closed && part.device === device) this.#missed(part, error)
        }
        part.dueMs = this.#nowMs()
      },
    )
  }

  #sample(part: Part, device: SensorDevice): void {
    part.dueMs = this.#nextOnGrid(part)
    const { sampleMsMax } = part.driver
    this.#run(
      part,
      'a sample',
      sampleMsMax,
      (signal) => device.sample(signal),
      (reading, current) => {
        if (current) this.#took(part, reading, device.faults())
      },
    )
  }

  /** Starts something of a part and sees to its end, whatever that is. Nothing thrown here reaches the others. */
  #run<T>(
    part: Part,
    what: string,
    limitMs: number,
    work: (signal: AbortSignal) => Promise<T>,
    done: (result: T, current: boolean) => void,
  ): void {
    const controller = new AbortController()
    const run = { controller, deadlineMs: this.#nowMs() + limitMs, what }
    part.run = run
    const settle = (then: (current: boolean) => void) => {
      const current = part.run === run
      if (current) delete part.run
      this.#deps.turn(part.index)
      try {
        then(current && !this.#closed)
      } catch (error) {
        if (current) this.#lose(part, toHalError(part, error))
      }
      if (current) this.#wakeAt(part.dueMs)
    }
    const failed = (error: unknown) =>
      settle((current) => {
        if (current) this.#missed(part, toHalError(part, error))
      })
    this.#deps.turn(part.index)
    try {
      work(controller.signal).then((result) => settle((current) => done(result, current)), failed)
    } catch (error) {
      failed(error)
    }
  }

  #took(part: Part, reading: Reading, faults: readonly string[]): void {
    const wrong = notNumbers(reading)
    if (wrong !== undefined) {
      this.#missed(part, new HalError('other', `${part.id}: ${wrong} is no number`))
      return
    }
    part.misses = 0
    part.failures = 0
    this.#deps.report(part.index, { reading, faults })
  }

  #pushed(part: Part, device: SensorDevice, reading: Reading): void {
    if (this.#closed || part.device !== device) return
    this.#deps.turn(part.index)
    this.#took(part, reading, device.faults())
  }

  #missed(part: Part, error: HalError): void {
    part.misses += 1
    if (!part.device || !error.retryable || part.misses >= missesMax) this.#lose(part, error)
    else this.#deps.report(part.index, { error: plain(error), lost: false })
  }

  #hung(part: Part, what: string): void {
    const limitMs = part.device ? part.driver.sampleMsMax : openMsMax
    this.#lose(part, new HalError('timeout', `${part.id}: ${what} took longer than ${limitMs} ms`))
  }

  /** Cuts the part off and opens it again later. */
  #lose(part: Part, error: HalError): void {
    const { device, run } = part
    delete part.device
    delete part.run
    run?.controller.abort(error)
    if (device) this.#abandon(device)
    part.partIo.closeAll()
    const ceilingMs = Math.min(backoff.maxMs, backoff.firstMs * 2 ** Math.min(part.failures, 10))
    part.dueMs = this.#nowMs() + ceilingMs / 2 + (ceilingMs / 2) * this.#deps.host.random()
    part.failures += 1
    part.misses = 0
    this.#deps.report(part.index, { error: plain(error), lost: true })
    this.#wakeAt(part.dueMs)
  }

  /** Nobody waits for a device that was given up. */
  #abandon(device: SensorDevice): void {
    delete device.onReading
    delete device.onError
    Promise.resolve()
      .then(() => device[Symbol.asyncDispose]())
      .catch(() => {})
  }

  /** The part's own moments on its own phase, at least its driver's minimum away. */
  #nextOnGrid(part: Part): number {
    const fromMs = this.#nowMs() + Math.min(part.driver.sampleEveryMs.min, part.sampleEveryMs)
    const sinceMs = fromMs - this.#startMs - part.phaseMs
    return this.#startMs + part.phaseMs + Math.ceil(sinceMs / part.sampleEveryMs) * part.sampleEveryMs
  }

  /** The host's clock, which says whose callback runs. */
  #clockOf({ index }: Part): Host['clock'] {
    const { clock } = this.#deps.host
    return {
      nowMs: () => clock.nowMs(),
      monotonicMs: () => clock.monotonicMs(),
      after: (delayMs, fn) =>
        clock.after(delayMs, () => {
          this.#deps.turn(index)
          fn()
        }),
    }
  }
}

function notNumbers(reading: Reading): string | undefined {
  return Object.entries(reading.channels).find(([, channel]) => !Number.isFinite(channel.value))?.[0]
}

function toHalError(part: LoopPart, error: unknown): HalError {
  if (error instanceof HalError) return error
  const text = error instanceof Error ? error.message : String(error)
  return new HalError(
    'other',
    `${part.id}: the driver ${part.driver.id} threw: ${text.split('\n')[0]?.slice(0, textMax)}`,
    {
      cause: error,
    },
  )
}

function plain({ code, message }: HalError): { code: HalErrorCode; message: string } {
  return { code, message }
}
