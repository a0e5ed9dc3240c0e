/**
 * The stage that is always on: while nobody speaks, sound goes through a level gate and, where that is open, a tiny keyword
 * model; nothing else is loaded. Sound of the last two seconds is kept, so that the beginning of what woke it is heard too.
 *
 * What the keyword model (MLPerf Tiny: ten words, silence, anything else) can say is whether a second of sound has a word in
 * it. Any word wakes, unless `words` names some of its ten. It is no custom wake word: hum, music and knocks are words to it
 * too, which is why the speech detector, loaded then, has the next say.
 */
import { messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import { InferError } from '../../inference/inference.ts'
import { LevelGate } from './level-gate.ts'
import { SampleBuffer } from './sample-buffer.ts'

/** In a second of sound: probability of each word, and that there is none. */
export interface Spotted {
  readonly words: Readonly<Record<string, number>>
  readonly silence: number
}

export interface WakeOptions {
  /** Words of the keyword model that wake; none: any speech. */
  readonly words: readonly string[]
  readonly confidence: number
  /** Stays awake for so long after the last speech. */
  readonly awakeMs: number
}

export interface WakeDeps {
  readonly log: Log
  /** Exactly one second, 16 kHz. Throws InferError. */
  readonly spot: (audio: Float32Array, signal: AbortSignal) => Promise<Spotted>
  readonly onWake: () => void
  readonly onSleep: () => void
}

export interface WakeCounts {
  /** Seconds of sound that the keyword model was asked about. */
  asked: number
  woken: number
}

const samplesPerMs = 16
const windowSamples = 16_000
/** Twice a second: every second of sound is seen in full by one window, and in part by two. For single words four times. */
const hopMs = { speech: 500, words: 250 }
/** A word is half over when it is spotted, and half a second may pass until then. */
const keptMs = 2_000
/** After a loud moment: the word that began with it is in the window. */
const loudHops = 2

export class Wake {
  readonly #deps: WakeDeps
  readonly #options: WakeOptions
  readonly #gate = new LevelGate()
  readonly #kept = new SampleBuffer(keptMs * samplesPerMs)
  readonly #hopSamples: number
  readonly #counts: WakeCounts = { asked: 0, woken: 0 }
  #sinceHop = 0
  #loudHopsLeft = 0
  /** Sample number until which it stays awake; undefined: asleep. */
  #awakeUntil: number | undefined
  #failed = false

  constructor(deps: WakeDeps, options: WakeOptions) {
    this.#deps = deps
    this.#options = options
    this.#hopSamples = (options.words.length > 0 ? hopMs.words : hopMs.speech) * samplesPerMs
  }

  get counts(): Readonly<WakeCounts> {
    return this.#counts
  }

  get awake(): boolean {
    return this.#awakeUntil !== undefined
  }

  /**
   * Sound as it comes; what the speech detector should hear: nothing while asleep, then also what was before. `busy`:
   * somebody is speaking now, as the detector says.
   */
  async push(samples: Float32Array, busy: boolean, signal: AbortSignal): Promise<Float32Array> {
    const nothing = new Float32Array(0)
    this.#kept.push(samples)
    if (this.#awakeUntil !== undefined) {
      if (busy) this.#stayAwake()
      // The room is got to know while somebody speaks too.
      this.#gate.push(samples)
      if (this.#kept.end <= this.#awakeUntil) return samples
      this.#awakeUntil = undefined
      this.#loudHopsLeft = 0
      this.#sinceHop = 0
      this.#deps.onSleep()
      return nothing
    }
    if (!(await this.#spotted(samples, signal))) return nothing
    this.#counts.woken += 1
    this.#stayAwake()
    this.#deps.onWake()
    // The word that woke it is no part of the command.
    if (this.#options.words.length > 0) return nothing
    return this.#kept.slice(0, this.#kept.end)
  }

  #stayAwake(): void {
    this.#awakeUntil = this.#kept.end + this.#options.awakeMs * samplesPerMs
  }

  async #spotted(samples: Float32Array, signal: AbortSignal): Promise<boolean> {
    if (this.#gate.push(samples)) this.#loudHopsLeft = loudHops
    this.#sinceHop += samples.length
    if (this.#sinceHop < this.#hopSamples) return false
    this.#sinceHop %= this.#hopSamples
    if (this.#loudHopsLeft === 0) return false
    this.#loudHopsLeft -= 1
    return this.#ask(signal)
  }

  async #ask(signal: AbortSignal): Promise<boolean> {
    const { end } = this.#kept
    const second = new Float32Array(windowSamples)
    const last = this.#kept.slice(end - windowSamples, end)
    second.set(last, windowSamples - last.length)
    this.#counts.asked += 1
    try {
      const spotted = await this.#deps.spot(second, signal)
      this.#failed = false
      return this.#wakes(spotted)
    } catch (error) {
      if (signal.aborted || !(error instanceof InferError)) throw error
      if (!this.#failed)
        this.#deps.log.warn('keywords are not spotted, every loud sound wakes', { reason: messageOf(error) })
      this.#failed = true
      // Without the keyword model every loud sound wakes: that costs memory, and loses no word.
      return true
    }
  }

  #wakes({ words, silence }: Spotted): boolean {
    const { words: wanted, confidence } = this.#options
    if (wanted.length === 0) return 1 - silence >= confidence
    return wanted.some((word) => (words[word] ?? 0) >= confidence)
  }
}
