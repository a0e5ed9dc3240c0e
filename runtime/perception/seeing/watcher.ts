/**
 * One pair of eyes: frames from a source, a cheap look for change, then models from small to large, then what several looks
 * agree on, as entities and events. One look at a time: frames that arrive meanwhile are left out by their source, and counted.
 */
import type { Frame } from '../../../hal/contract/camera.ts'
import { type Clock, sleep } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import { backoffMs } from '../../base/retry.ts'
import { InferError } from '../../inference/inference.ts'
import type { FrameSource, FrameWish } from './frame-source.ts'
import type { Looking } from './looking.ts'
import { changedShare, type Grid, gridOf } from './motion-gate.ts'
import { SeeingError } from './seeing-error.ts'
import type { Sightings } from './sightings.ts'

export interface WatcherOptions {
  readonly id: string
  readonly wish: FrameWish
  readonly motionShare: number
  /** Looks from the last change on: as many as can agree, and one more because text is read in what holds still. */
  readonly settleLooks: number
}

interface Deps {
  readonly clock: Clock
  readonly log: Log
  readonly source: FrameSource
  readonly looking: Looking
  readonly sightings: Sightings
}

export interface WatcherCounts {
  /** Frames that came. */
  frames: number
  /** Frames that the source left out because a look took long. */
  dropped: number
  /** Frames in which nothing had changed. */
  unmoving: number
  /** Frames that came while the models were not asked, because they had failed. */
  held: number
  /** Frames that models were asked about. */
  looks: number
  /** Looks that failed. */
  failures: number
  /** Times that the source was opened again. */
  reopened: number
}

/** A camera that was unplugged is back in seconds or in days. */
const reopen = { firstMs: 1_000, maxMs: 60_000 }
/** A model that cannot be asked now: overloaded for seconds, absent for long. */
const askAgain = { firstMs: 1_000, maxMs: 60_000 }
/** After so many failed looks in a row nothing is known any more. */
const failuresMax = 3

export class Watcher implements AsyncDisposable {
  readonly #deps: Deps
  readonly #options: WatcherOptions
  readonly #stop = new AbortController()
  readonly #counts: WatcherCounts = {
    frames: 0,
    dropped: 0,
    unmoving: 0,
    held: 0,
    looks: 0,
    failures: 0,
    reopened: 0,
  }
  #running: Promise<void> = Promise.resolve()
  #sourceProblem: string | undefined
  #lookProblem: string | undefined
  #lookedAt: Grid | undefined
  #before: Grid | undefined
  #settleLooks = 0
  #failuresInARow = 0
  #askAfterMs = 0
  #nextMs = 0

  private constructor(deps: Deps, options: WatcherOptions) {
    this.#deps = deps
    this.#options = options
  }

  /** Returns at once; it watches until it is disposed. */
  static open(deps: Deps, options: WatcherOptions): Watcher {
    const watcher = new Watcher(deps, options)
    watcher.#running = watcher.#run(watcher.#stop.signal)
    return watcher
  }

  get counts(): Readonly<WatcherCounts> {
    return this.#counts
  }

  /** One line for each thing that keeps it from seeing. */
  get problems(): string[] {
    return [this.#sourceProblem, this.#lookProblem]
      .filter((line) => line !== undefined)
      .map((line) => `seeing ${this.#options.id}: ${line}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock, source } = this.#deps
    for (let attempt = 0; !signal.aborted; attempt++) {
      const before = this.#counts.frames
      const openedMs = clock.monotonicMs()
      const error = await this.#watch(signal).catch((reason: unknown) => reason)
      if (signal.aborted) return
      const gave = this.#counts.frames > before
      const ended = error === undefined && source.ends && gave
      // One that gives a frame and dies, again and again, is not well either.
      if (ended || (gave && clock.monotonicMs() - openedMs >= reopen.maxMs)) attempt = 0
      if (!ended) this.#lost(error, attempt === 0)
      this.#counts.reopened += 1
      const waitMs = ended ? 1000 / this.#options.wish.framesPerS : backoffMs(attempt, reopen, clock.random())
      await sleep(clock, waitMs, signal).catch(() => {})
    }
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { source } = this.#deps
    for await (const frame of source.frames(this.#options.wish, signal)) {
      if (signal.aborted) return
      checkSize(frame, source.name)
      this.#counts.frames += 1
      this.#counts.dropped += frame.droppedFrames
      this.#sourceProblem = undefined
      await this.#take(frame, signal)
    }
  }

  /** The source is gone: what it showed last says nothing about now. */
  #lost(error: unknown, tell: boolean): void {
    const { log, source, sightings } = this.#deps
    const reason = error === undefined ? `${source.name} ended` : messageOf(error)
    if (tell) log.warn('nothing is seen, trying again', { watcher: this.#options.id, reason })
    this.#sourceProblem = reason
    this.#forget()
    sightings.lose()
  }

  async #take(frame: Frame, signal: AbortSignal): Promise<void> {
    const { clock, sightings } = this.#deps
    const nowMs = clock.monotonicMs()
    sightings.pass(nowMs)
    // A camera gives at least one frame a second, however few are wanted. A tenth early is not too early: frames jitter.
    if (nowMs < this.#nextMs) return
    this.#nextMs = nowMs + 900 / this.#options.wish.framesPerS
    const grid = gridOf(frame.rgb, frame.width, frame.height)
    // A share of 0: any change at all.
    const motionShare = Math.max(this.#options.motionShare, Number.EPSILON)
    const still = changedShare(this.#before, grid) < motionShare
    this.#before = grid
    if (changedShare(this.#lookedAt, grid) >= motionShare) this.#settleLooks = this.#options.settleLooks
    else if (this.#settleLooks === 0) {
      this.#counts.unmoving += 1
      return
    }
    if (nowMs < this.#askAfterMs) {
      this.#counts.held += 1
      return
    }
    await this.#look(frame, grid, still, signal)
  }

  async #look(frame: Frame, grid: Grid, still: boolean, signal: AbortSignal): Promise<void> {
    const { clock, looking, sightings } = this.#deps
    this.#counts.looks += 1
    try {
      await sightings.look(looking, frame, still, signal)
      this.#lookedAt = grid
      this.#settleLooks -= 1
      this.#failuresInARow = 0
      this.#lookProblem = undefined
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof InferError)) throw error
      this.#counts.failures += 1
      this.#failed(error, clock)
    }
  }

  #failed(error: InferError, clock: Clock): void {
    const { log, sightings } = this.#deps
    const waitMs = error.retryAfterMs ?? backoffMs(this.#failuresInARow, askAgain, clock.random())
    this.#askAfterMs = clock.monotonicMs() + Math.min(waitMs, askAgain.maxMs)
    this.#failuresInARow += 1
    if (this.#lookProblem === undefined)
      log.warn('a look failed, trying again', { watcher: this.#options.id, reason: messageOf(error) })
    this.#lookProblem = messageOf(error)
    if (this.#failuresInARow < failuresMax) return
    // What was agreed on is gone: it takes as many looks again, though nothing moves.
    this.#forget()
    sightings.lose()
  }

  #forget(): void {
    this.#lookedAt = undefined
    this.#before = undefined
    this.#settleLooks = 0
  }
}

function checkSize({ rgb, width, height }: Frame, name: string): void {
  const wanted = width * height * 3
  if (rgb.length !== wanted)
    throw new SeeingError(
      'frame',
      `${name}: a frame of ${width} × ${height} has ${rgb.length} bytes, not ${wanted}`,
    )
}
