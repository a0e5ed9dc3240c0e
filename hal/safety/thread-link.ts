/**
 * One life of the safety thread, seen from the control loop: requests with deadlines, signs of life both ways, its end.
 *
 * Invariants: [safety-9] at most `callsMax` requests are under way, each has a deadline and fails when the thread ends;
 * a thread that gives no sign of life while this loop runs is ended. Time here is the machine's: the other side is a real
 * thread, whatever clock the host has.
 */
import { Worker } from 'node:worker_threads'
import { HalError } from '../contract/errors.ts'
import { endThread } from '../linux/native-calls.ts'
import { workerUrls } from '../worker-url.ts'
import type { AuditEntry } from './audit.ts'
import {
  type AskName,
  type Asks,
  type FromThread,
  mainBeatAt,
  nativeWordsOf,
  type PlainError,
  sharedBytes,
  type ThreadInit,
  type ToThread,
  threadBeatAt,
} from './messages.ts'
import type { SafetyPlan } from './plan.ts'

const callsMax = 64
/** A request is answered within a turn of the thread's loop; only a disk or a bus in trouble takes longer. */
const answerMsMax = 3_000
/** Parts reset when they are opened; loading the FFI library takes half a minute on an emulated board. */
const readyMsMax = 120_000
const closeMsMax = 5_000
/** Beats of this loop during which the thread may be still: ten of its own, and more than any bus's time limit. */
const stillMsMax = 2_000
/** A thread that was told to end and has not may be in a system call; the longest that returns is a bus's time limit. */
const endMsMax = 3_000

type Told = Exclude<FromThread, { type: 'ready' | 'refused' | 'answer' | 'failure' | 'closed' }>

interface LinkOptions {
  readonly plan: SafetyPlan
  readonly beatEveryMs: number
  readonly onMessage: (message: Told) => void
  /** It keeps the outputs and neither drives them nor lets them go. */
  readonly onStuck: (why: string) => void
  /** Once, when the thread is gone; `undefined` after `close`. */
  readonly onEnd: (why: string | undefined) => void
}

interface Call {
  readonly resolve: (answer: never) => void
  readonly reject: (error: HalError) => void
  readonly deadline: NodeJS.Timeout
}

type Ready = Extract<FromThread, { type: 'ready' }>

export class ThreadLink {
  readonly #options: LinkOptions
  readonly #worker: Worker
  readonly #counters: Int32Array
  readonly #native: Int32Array
  readonly #calls = new Map<number, Call>()
  readonly #ready = Promise.withResolvers<Ready>()
  readonly #ended = Promise.withResolvers<void>()
  readonly #beat: NodeJS.Timeout
  #lastCall = 0
  #seenBeats = 0
  #stillBeats = 0
  #why = 'it ended'
  #closing = false
  #saidGoodbye = false
  #isReady = false
  #endingByForce = false

  private constructor(options: LinkOptions) {
    this.#options = options
    const shared = new SharedArrayBuffer(sharedBytes)
    this.#counters = new Int32Array(shared)
    this.#native = nativeWordsOf(shared)
    const init: ThreadInit = { plan: options.plan, shared }
    this.#worker = new Worker(workerUrls.safety(), { workerData: init, name: 'safety' })
    this.#worker.on('message', (message: FromThread) => this.#heard(message))
    this.#worker.on('error', (error) => {
      this.#why = `it threw: ${String(error)}`
    })
    this.#worker.once('exit', () => this.#end())
    this.#beat = setInterval(() => this.#beatOnce(), options.beatEveryMs)
    this.#ready.promise.catch(() => {})
  }

  /** Resolves when its outputs are open and safe. Throws HalError: the plan's own, or `timeout`, `other`. */
  static async open(options: LinkOptions, signal: AbortSignal): Promise<{ link: ThreadLink; ready: Ready }> {
    const link = new ThreadLink(options)
    const late = setTimeout(
      () => link.#giveUp('timeout', `the safety thread was not ready within ${readyMsMax / 1000} s`),
      readyMsMax,
    )
    const onAbort = () => link.#giveUp('closed', 'stopped while the safety thread was starting')
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      if (signal.aborted) onAbort()
      return { link, ready: await link.#ready.promise }
    } catch (error) {
      await link.close()
      throw error
    } finally {
      clearTimeout(late)
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Throws HalError: the thread's own, `busy`, `timeout`, `not-present`. */
  ask<Name extends AskName>(
    name: Name,
    ask: Asks[Name]['ask'],
    limitMs = answerMsMax,
  ): Promise<Asks[Name]['answer']> {
    if (this.#closing) return Promise.reject(new HalError('closed', 'the safety thread is closed'))
    if (this.#calls.size >= callsMax)
      return Promise.reject(new HalError('busy', `${callsMax} requests to the safety thread are under way`))
    this.#lastCall += 1
    const call = this.#lastCall
    return new Promise((resolve, reject) => {
      const late = () => {
        this.#calls.delete(call)
        reject(new HalError('timeout', `the safety thread did not answer ${name} within ${limitMs} ms`))
      }
      const deadline = setTimeout(late, limitMs)
      this.#calls.set(call, { resolve, reject, deadline })
      this.#post({ type: 'call', call, name, ask })
    })
  }

  audit(entry: AuditEntry): void {
    this.#post({ type: 'audit', entry })
  }

  /** Has the thread drive everything safe. False: it did not say so, and was ended by force. */
  async close(): Promise<boolean> {
    if (!this.#closing) {
      this.#closing = true
      this.#post({ type: 'close' })
    }
    const late = setTimeout(() => this.#endByForce(), closeMsMax)
    await this.#ended.promise
    clearTimeout(late)
    return this.#saidGoodbye
  }

  #post(message: ToThread): void {
    this.#worker.postMessage(message)
  }

  #heard(message: FromThread): void {
    if (message.type === 'ready') {
      this.#isReady = true
      this.#ready.resolve(message)
    } else if (message.type === 'refused') this.#ready.reject(halError(message.error))
    else if (message.type === 'answer') this.#take(message.call)?.resolve(message.answer as never)
    else if (message.type === 'failure') this.#take(message.call)?.reject(halError(message.error))
    else if (message.type === 'closed') this.#saidGoodbye = true
    else {
      if (message.type === 'crashed') this.#why = `it crashed: ${message.message}`
      this.#options.onMessage(message)
    }
  }

  #take(call: number): Call | undefined {
    const found = this.#calls.get(call)
    this.#calls.delete(call)
    if (found) clearTimeout(found.deadline)
    return found
  }

  /**
   * Counts beats of this loop, not time: a loop that was blocked itself accuses nobody. Until the thread is ready it loads
   * its code and opens parts, for which `open` waits.
   */
  #beatOnce(): void {
    Atomics.add(this.#counters, mainBeatAt, 1)
    const beats = Atomics.load(this.#counters, threadBeatAt)
    this.#stillBeats = this.#isReady && beats === this.#seenBeats ? this.#stillBeats + 1 : 0
    this.#seenBeats = beats
    if (this.#stillBeats * this.#options.beatEveryMs < stillMsMax) return
    this.#why = `it gave no sign of life for ${stillMsMax / 1000} s`
    this.#endByForce()
  }

  /** It holds the outputs: where it cannot be ended, nothing but the end of the process gives them to the guard. */
  #endByForce(): void {
    if (this.#endingByForce) return
    this.#endingByForce = true
    const onStuck = () => {
      // One that was never ready has outputs at their safe values at most: it is left alone.
      if (!this.#isReady) return this.#ended.resolve()
      this.#options.onStuck(`${this.#why}, and cannot be ended: it is in a system call`)
    }
    const stuck = setTimeout(onStuck, endMsMax)
    void endThread(this.#worker, this.#native).then(() => clearTimeout(stuck))
  }

  #giveUp(code: 'timeout' | 'closed', message: string): void {
    this.#ready.reject(new HalError(code, message))
  }

  #end(): void {
    clearInterval(this.#beat)
    const why = `the safety thread is gone: ${this.#why}`
    for (const { reject, deadline } of this.#calls.values()) {
      clearTimeout(deadline)
      reject(new HalError('not-present', why))
    }
    this.#calls.clear()
    this.#ready.reject(new HalError('other', why))
    this.#ended.resolve()
    this.#options.onEnd(this.#closing ? undefined : why)
  }
}

const halError = ({ code, message }: PlainError) => new HalError(code, message)
