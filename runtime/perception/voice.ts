/**
 * The device's voice: fetches the speech models, has them loaded when somebody speaks, listens. Everything else works
 * without it, and it says why it is not there.
 *
 * Invariants: [voice-1] a failed fetch is tried again, later and later, never given up; [voice-2] hearing before the
 * models are there is refused with the reason, at once; [voice-3] with a wake stage the speech models take no memory while
 * nobody speaks: they are unloaded when they were not used for `idleMs`.
 */

import type { Microphone } from '../../hal/contract/microphone.ts'
import type { Cancel, Clock } from '../base/clock.ts'
import { sleep } from '../base/clock.ts'
import { CodedError, messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { backoffMs } from '../base/retry.ts'
import type { Inference } from '../inference/inference.ts'
import type { ServedModels } from '../inference/served-models.ts'
import type { Privacy } from '../wire/infer.ts'
import type { Heard } from './hearing/heard.ts'
import { Hearing, type WakeStage } from './hearing/hearing.ts'

export class VoiceError extends CodedError<'unavailable'> {
  override readonly name = 'VoiceError'
  constructor(reason: string) {
    super('unavailable', reason, { retryable: true })
  }
}

export interface VoiceOptions {
  /** Those of speech: detector and transcriber. */
  readonly models: readonly string[]
  readonly audioSMax: number
  /** How far speech may travel to be written down. */
  readonly privacy: Privacy
  /** Absent: the speech models are loaded from the start, and stay. */
  readonly wake?: VoiceWake
}

export interface VoiceWake {
  /** The keyword model. */
  readonly model: string
  /** Words of it that wake; none: any speech. */
  readonly words: readonly string[]
  readonly confidence: number
  /** Speech models that were not used for so long are unloaded. */
  readonly idleMs: number
}

/** After the last speech: a second command often follows the first. */
const awakeMs = 8_000

interface Deps {
  readonly clock: Clock
  readonly log: Log
  readonly inference: Inference
  readonly served: Pick<ServedModels, 'ensure' | 'engines'>
}

type State =
  | { readonly kind: 'starting' }
  | { readonly kind: 'ready' }
  | { readonly kind: 'unavailable'; readonly reason: string }

/** How the problem starts that passes by itself. */
export const voiceStarting = 'voice is starting'
/** Between attempts to fetch: a home's network comes back in minutes, a registry's in an hour. */
const fetchBackoff = { firstMs: 5_000, maxMs: 15 * 60_000 }

export class Voice implements AsyncDisposable {
  readonly #deps: Deps
  readonly #options: VoiceOptions
  readonly #hearing: Hearing
  readonly #stop = new AbortController()
  #starting: Promise<void> = Promise.resolve()
  #state: State = { kind: 'starting' }
  #awake = false
  #inUse = 0
  #cancelUnload: Cancel = () => {}

  private constructor(deps: Deps, options: VoiceOptions) {
    this.#deps = deps
    this.#options = options
    this.#hearing = new Hearing(
      { inference: deps.inference, clock: deps.clock, log: deps.log },
      { audioSMax: options.audioSMax, privacy: options.privacy },
    )
  }

  /** Returns at once; models are fetched and loaded behind it. */
  static async open(deps: Deps, options: VoiceOptions, signal: AbortSignal): Promise<Voice> {
    signal.throwIfAborted()
    const voice = new Voice(deps, options)
    voice.#starting = voice.#start(voice.#stop.signal)
    return voice
  }

  /** The reason, while hearing is not possible. */
  get problem(): string | undefined {
    if (this.#state.kind === 'starting')
      return `${voiceStarting}: the speech models are being fetched or loaded`
    return this.#state.kind === 'unavailable' ? `voice is off: ${this.#state.reason}` : undefined
  }

  /** Resolves when hearing is possible, or rejects with VoiceError at the first reason why it is not. */
  async whenReady(signal: AbortSignal): Promise<void> {
    while (this.#state.kind === 'starting') await sleep(this.#deps.clock, 50, signal)
    this.#assertReady()
  }

  /** What a recording says. Throws VoiceError, PerceptionError, InferError. */
  async hear(wav: Uint8Array, signal: AbortSignal, onPartial?: (text: string) => void): Promise<Heard> {
    this.#assertReady()
    this.#cancelUnload()
    this.#inUse += 1
    try {
      return await this.#hearing.hearWav(wav, signal, onPartial)
    } finally {
      this.#inUse -= 1
      this.#unloadLater()
    }
  }

  /** Every utterance that the microphone hears. Throws HalError, InferError. */
  async *listen(microphone: Microphone, signal: AbortSignal): AsyncGenerator<Heard> {
    const { wake } = this.#options
    try {
      yield* this.#hearing.listen(microphone, signal, wake && this.#stage(wake))
    } finally {
      // Who hears nothing any more is not awake.
      this.#sleep()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    this.#cancelUnload()
    await this.#starting
  }

  #stage({ words, confidence }: VoiceWake): WakeStage {
    const [detector, transcriber] = this.#options.models
    return {
      words,
      confidence,
      awakeMs,
      onWake: () => {
        this.#awake = true
        this.#cancelUnload()
        this.#loadSoon(detector)
      },
      // It loads while the sentence is still being spoken.
      onSpeech: () => this.#loadSoon(transcriber),
      onSleep: () => this.#sleep(),
    }
  }

  #sleep(): void {
    this.#awake = false
    this.#unloadLater()
  }

  /** A request would load it too; this is earlier. What goes wrong is said to that request. */
  #loadSoon(model: string | undefined): void {
    if (model !== undefined) this.#deps.served.engines.preload(model, this.#stop.signal).catch(() => {})
  }

  #unloadLater(): void {
    const { wake, models } = this.#options
    this.#cancelUnload()
    if (!wake || this.#awake || this.#inUse > 0 || this.#stop.signal.aborted) return
    this.#cancelUnload = this.#deps.clock.after(wake.idleMs, () => {
      for (const model of models) this.#deps.served.engines.unload(model)
    })
  }

  #assertReady(): void {
    const { problem } = this
    if (problem !== undefined) throw new VoiceError(problem)
  }

  async #start(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        await this.#load(signal)
        this.#state = { kind: 'ready' }
        return
      } catch (error) {
        if (signal.aborted) return
        this.#state = { kind: 'unavailable', reason: messageOf(error) }
        log.warn('voice is off, trying again later', { reason: messageOf(error) })
        await sleep(clock, backoffMs(attempt, fetchBackoff, clock.random()), signal).catch(() => {})
      }
    }
  }

  async #load(signal: AbortSignal): Promise<void> {
    const { served } = this.#deps
    const { models, wake } = this.#options
    const early = wake ? [wake.model] : models
    for (const name of new Set([...models, ...early])) await served.ensure(name, { signal })
    for (const name of early) await served.engines.preload(name, signal)
  }
}
