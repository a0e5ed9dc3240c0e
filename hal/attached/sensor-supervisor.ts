/**
 * Keeps one thread of sensors running. A thread that stands still or ends is started again at once, all but the part that
 * ran last: that one is named, waits, and waits longer each time.
 *
 * Invariants: [attached-6] the control loop never waits for a thread; [attached-7] a thread that stands still longer than
 * its limit is ended, and the part that stopped it is named; one that is in native code only when it comes out of it.
 */
import { Worker } from 'node:worker_threads'
import { HalError } from '../contract/errors.ts'
import type { Cancel, Host } from '../contract/host.ts'
import { endThread, isInNative } from '../linux/native-calls.ts'
import type { EmulatorLever, IoPlan } from '../safety/plan.ts'
import { workerUrls } from '../worker-url.ts'
import type { SensorGroup } from './plan.ts'
import type { Outcome } from './sensor-loop.ts'
import { isFromThread } from './thread-message.ts'
import {
  beatAt,
  type FromThread,
  nativeWordsOf,
  readyAt,
  sharedBytes,
  type ThreadInit,
  type ToThread,
  turnAt,
} from './worker-messages.ts'

export interface SupervisorDeps {
  readonly host: Host
  /** What a part measured, or why it did not; by id. */
  readonly onOutcome: (part: string, outcome: Outcome) => void
}

export interface SupervisorOptions {
  readonly io: IoPlan
  readonly group: SensorGroup
  /** A thread that does not beat for longer is ended, milliseconds. */
  readonly stallMsMax: number
}

/**
 * Sensors need little; a module that eats memory ends its own thread, not the runtime. Readings are gone as soon as they are sent:
 * with 16 MB for the young a thousand sensors took 10 MB more, and no less time.
 */
const resourceLimits = { maxOldGenerationSizeMb: 96, maxYoungGenerationSizeMb: 4 }
const checkEveryMs = 500
const closeMsMax = 1_500
const emulateMsMax = 2_000
const emulateCallsMax = 64
/** Loading code and the FFI library takes a second, and half a minute on an emulated board. */
const loadMsMax = 120_000
/** A part whose thread has not come out of a native call keeps out this long: its next thread would hang as well. */
const stuckMs = 3_600_000
const backoff = { firstMs: 1_000, maxMs: 60_000 }
/** A thread that ran this long starts its back-off afresh. */
const goodRunMs = 60_000

interface Running {
  readonly worker: Worker
  readonly words: Int32Array
  readonly native: Int32Array
  readonly startedMs: number
  beats: number
  /** Monotonic time of the last beat that was seen. */
  beatMs: number
}

interface EmulateCall {
  readonly resolve: (world: Readonly<Record<string, number>>) => void
  readonly reject: (error: HalError) => void
  readonly cancel: Cancel
}

export class SensorSupervisor implements AsyncDisposable {
  readonly #deps: SupervisorDeps
  readonly #options: SupervisorOptions
  readonly #calls = new Map<number, EmulateCall>()
  /** By part index: how often it brought the thread down. */
  readonly #blamed = new Map<number, number>()
  #running: Running | undefined
  #cancelCheck: Cancel = () => {}
  #cancelRestart: Cancel = () => {}
  #checkedMs = 0
  #call = 0
  /** Ends in a row that nobody can be blamed for. */
  #unexplained = 0
  #closing: Promise<void> | undefined

  constructor(deps: SupervisorDeps, options: SupervisorOptions) {
    this.#deps = deps
    this.#options = options
  }

  start(): void {
    this.#startThread(new Map())
    this.#checkLater()
  }

  /** Asks for a sample of a part now; its outcome arrives as any other. */
  sample(part: string): void {
    this.#post({ type: 'sample', part: this.#indexOf(part) })
  }

  has(part: string): boolean {
    return this.#indexOf(part) >= 0
  }

  /** Levers of an emulated part. Throws HalError: `unsupported`, `not-present`, `timeout`, `busy`. */
  emulate(part: string, lever: EmulatorLever): Promise<Readonly<Record<string, number>>> {
    if (!this.#running)
      return Promise.reject(new HalError('not-present', `${part}: its thread is being restarted`))
    if (this.#calls.size >= emulateCallsMax)
      return Promise.reject(new HalError('busy', `${part}: ${this.#calls.size} calls wait already`))
    const call = this.#call++
    return new Promise((resolve, reject) => {
      const cancel = this.#deps.host.clock.after(emulateMsMax, () => {
        this.#calls.delete(call)
        reject(new HalError('timeout', `${part}: its thread did not answer within ${emulateMsMax} ms`))
      })
      this.#calls.set(call, { resolve, reject, cancel })
      this.#post({ type: 'emulate', call, part, lever })
    })
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  #startThread(delaysMs: ReadonlyMap<number, number>): void {
    const { io, group } = this.#options
    const shared = new SharedArrayBuffer(sharedBytes)
    const words = new Int32Array(shared)
    words[turnAt] = -1
    const init: ThreadInit = {
      io,
      group,
      delaysMs: group.sensors.map((_, index) => delaysMs.get(index) ?? 0),
      shared,
    }
    const worker = new Worker(workerUrls.sensors(), { workerData: init, resourceLimits, name: 'sensors' })
    const nowMs = this.#deps.host.clock.monotonicMs()
    const native = nativeWordsOf(shared)
    const running = { worker, words, native, startedMs: nowMs, beats: 0, beatMs: nowMs }
    this.#running = running
    let reason = 'it ended by itself'
    worker.on('message', (message: unknown) => {
      if (this.#running !== running) return
      if (!isFromThread(message)) this.#restart(running, 'it sent what is no message of a thread of sensors')
      else if (message.type === 'ending') this.#restart(running, message.why)
      else this.#take(message)
    })
    worker.on('error', (error: Error) => {
      reason = error.message.split('\n')[0] ?? 'an error'
    })
    worker.on('exit', () => {
      if (this.#running === running && !this.#closing) this.#restart(running, reason)
    })
  }

  #take(message: FromThread): void {
    const { host } = this.#deps
    if (message.type === 'outcomes') {
      for (const [index, outcome] of message.outcomes) {
        const part = this.#options.group.sensors[index]
        if (part) this.#deps.onOutcome(part.id, outcome)
      }
    } else if (message.type === 'log') host.log[message.level](message.message, message.fields)
    else if (message.type === 'emulated') {
      const call = this.#calls.get(message.call)
      this.#calls.delete(message.call)
      call?.cancel()
      const { answer } = message
      if ('world' in answer) call?.resolve(answer.world)
      else call?.reject(new HalError(answer.error.code, answer.error.message))
    }
  }

  #checkLater(): void {
    this.#checkedMs = this.#deps.host.clock.monotonicMs()
    this.#cancelCheck = this.#deps.host.clock.after(checkEveryMs, () => {
      this.#check()
      if (!this.#closing) this.#checkLater()
    })
  }

  #check(): void {
    const running = this.#running
    if (!running) return
    const nowMs = this.#deps.host.clock.monotonicMs()
    const beats = Atomics.load(running.words, beatAt)
    // Where this loop itself was held up, the thread may have been as well.
    const heldUp = nowMs - this.#checkedMs > 2 * checkEveryMs
    if (beats !== running.beats || heldUp) {
      running.beats = beats
      running.beatMs = nowMs
      return
    }
    const isReady = Atomics.load(running.words, readyAt) === 1
    const limitMs = isReady ? this.#options.stallMsMax : loadMsMax
    if (nowMs - running.beatMs <= limitMs) return
    this.#restart(running, `it stood still for ${Math.round(nowMs - running.beatMs)} ms`)
  }

  #restart(running: Running, reason: string): void {
    this.#running = undefined
    const isStuck = isInNative(running.native)
    void endThread(running.worker, running.native)
    const { host } = this.#deps
    const { group } = this.#options
    this.#failCalls(new HalError('not-present', `${group.name} is being restarted`))
    if (host.clock.monotonicMs() - running.startedMs > goodRunMs) {
      this.#blamed.clear()
      this.#unexplained = 0
    }
    const culprit = group.sensors.length === 1 ? 0 : Atomics.load(running.words, turnAt)
    const part = group.sensors[culprit]
    host.log.error(`${group.name} was restarted`, { reason, part: part?.id ?? 'unknown' })
    if (!part) {
      const delayMs = delayAfter(this.#unexplained++)
      this.#cancelRestart = host.clock.after(delayMs, () => this.#startThread(new Map()))
      for (const { id } of group.sensors) this.#lost(id, `${group.name} ended: ${reason}`)
      return
    }
    const times = this.#blamed.get(culprit) ?? 0
    this.#blamed.set(culprit, times + 1)
    this.#lost(part.id, `${part.id}: the driver ${part.driver} stopped ${group.name}: ${reason}`)
    const delays = new Map([...this.#blamed].map(([index, count]) => [index, delayAfter(count - 1)]))
    // Each thread that is left in native code costs its memory.
    if (isStuck && times > 0) delays.set(culprit, stuckMs)
    this.#startThread(delays)
  }

  #lost(part: string, message: string): void {
    this.#deps.onOutcome(part, { error: { code: 'timeout', message }, lost: true })
  }

  #failCalls(error: HalError): void {
    for (const { reject, cancel } of this.#calls.values()) {
      cancel()
      reject(error)
    }
    this.#calls.clear()
  }

  async #close(): Promise<void> {
    this.#cancelCheck()
    this.#cancelRestart()
    const running = this.#running
    this.#running = undefined
    this.#failCalls(new HalError('closed', 'the board is closed'))
    if (!running) return
    const { promise: ended, resolve } = Promise.withResolvers<void>()
    running.worker.once('exit', () => resolve())
    const { clock } = this.#deps.host
    const cancels = [
      clock.after(closeMsMax, () => void endThread(running.worker, running.native)),
      clock.after(2 * closeMsMax, resolve),
    ]
    running.worker.postMessage({ type: 'close' } satisfies ToThread)
    await ended
    for (const cancel of cancels) cancel()
  }

  #post(message: ToThread): void {
    this.#running?.worker.postMessage(message)
  }

  #indexOf(part: string): number {
    return this.#options.group.sensors.findIndex(({ id }) => id === part)
  }
}

function delayAfter(times: number): number {
  return Math.min(backoff.maxMs, backoff.firstMs * 2 ** Math.min(times, 10))
}
