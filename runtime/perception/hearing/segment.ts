/**
 * From speech probabilities to segments of speech, as Silero's own `get_speech_timestamps` and `VADIterator` do it
 * (https://github.com/snakers4/silero-vad, `src/silero_vad/utils_vad.py`): speech starts at `threshold`, ends when the
 * probability has stayed below `threshold - hysteresis` for `silenceMsMin`; too short a segment is dropped.
 */

/** Samples of one probability, at 16 kHz: 32 ms. */
export const frameSamples = 512
const samplesPerMs = 16

export interface SegmentOptions {
  readonly threshold: number
  readonly hysteresis: number
  readonly speechMsMin: number
  /** Silence that ends a segment. */
  readonly silenceMsMin: number
  /** Silence after which a pause is reported: the segment may be over. At most `silenceMsMin`. */
  readonly pauseMs: number
  /**
   * Kept before and after a segment, so that soft beginnings and ends are not cut. At most `pauseMs`, so that a segment
   * is the same at its pause and at its end.
   */
  readonly padMs: number
  /** A longer segment is cut, at its last pause if it had one. */
  readonly speechMsMax: number
}

export const segmentDefaults: SegmentOptions = {
  threshold: 0.5,
  hysteresis: 0.15,
  speechMsMin: 200,
  silenceMsMin: 600,
  pauseMs: 160,
  padMs: 160,
  speechMsMax: 25_000,
}

/** Samples from `start` to, not including, `end`. */
export interface Segment {
  readonly start: number
  readonly end: number
}

export type SegmentEvent =
  /** Somebody began to speak. */
  | { readonly kind: 'start'; readonly start: number }
  /** Silence for `pauseMs`: if it goes on, this is the segment. `speechEnd` is its end without padding. */
  | { readonly kind: 'pause'; readonly segment: Segment; readonly speechEnd: number }
  /** Speech went on after a pause. */
  | { readonly kind: 'resume' }
  | { readonly kind: 'end'; readonly segment: Segment; readonly speechEnd: number }
  /** What had started was too short to be speech. */
  | { readonly kind: 'dropped' }

export class Segmenter {
  readonly #options: SegmentOptions
  #samples = 0
  /** Where speech began, while there is some. */
  #start: number | undefined
  /** Where the present silence within speech began. */
  #silence: number | undefined
  #paused = false
  /** Where the last long enough silence within speech began: the place to cut. */
  #lastPause: number | undefined
  #lastEnd = 0

  constructor(options: SegmentOptions = segmentDefaults) {
    this.#options = options
  }

  /** Next frame's probability. */
  push(probability: number): SegmentEvent[] {
    const { threshold, hysteresis } = this.#options
    const at = this.#samples
    this.#samples += frameSamples
    if (probability >= threshold) return this.#speech(at)
    if (this.#start !== undefined && probability < threshold - hysteresis) return this.#quiet(this.#start, at)
    return this.#start === undefined ? [] : this.#limit(this.#start)
  }

  /** The sound ends here. */
  finish(): SegmentEvent[] {
    return this.#start === undefined ? [] : [this.#close(this.#start, this.#silence ?? this.#samples)]
  }

  #speech(at: number): SegmentEvent[] {
    const events: SegmentEvent[] = []
    if (this.#paused) events.push({ kind: 'resume' })
    this.#paused = false
    this.#silence = undefined
    if (this.#start === undefined) {
      this.#start = at
      this.#lastPause = undefined
      events.push({ kind: 'start', start: at })
    }
    return [...events, ...this.#limit(this.#start)]
  }

  #quiet(start: number, at: number): SegmentEvent[] {
    this.#silence ??= at
    const silentMs = (this.#samples - this.#silence) / samplesPerMs
    if (silentMs >= this.#options.silenceMsMin) return [this.#close(start, this.#silence)]
    if (!this.#paused && silentMs >= this.#options.pauseMs) {
      this.#paused = true
      this.#lastPause = this.#silence
      return [{ kind: 'pause', segment: this.#padded(start, this.#silence), speechEnd: this.#silence }]
    }
    return this.#limit(start)
  }

  /** Cuts a segment that has become too long. */
  #limit(start: number): SegmentEvent[] {
    if ((this.#samples - start) / samplesPerMs < this.#options.speechMsMax) return []
    const end = this.#lastPause ?? this.#samples
    const goesOn = this.#silence === undefined
    const events: SegmentEvent[] = [this.#close(start, end)]
    if (goesOn) {
      this.#start = end
      events.push({ kind: 'start', start: end })
    }
    return events
  }

  #close(start: number, end: number): SegmentEvent {
    const segment = this.#padded(start, end)
    this.#start = undefined
    this.#silence = undefined
    this.#lastPause = undefined
    this.#paused = false
    if ((end - start) / samplesPerMs < this.#options.speechMsMin) return { kind: 'dropped' }
    this.#lastEnd = segment.end
    return { kind: 'end', segment, speechEnd: end }
  }

  #padded(start: number, end: number): Segment {
    const pad = this.#options.padMs * samplesPerMs
    return { start: Math.max(this.#lastEnd, start - pad), end: Math.min(this.#samples, end + pad) }
  }
}

/** All segments of a whole sound. `samples` is its length: the last frame may be a partial one. */
export function segmentsOf(
  probabilities: Iterable<number>,
  samples: number,
  options: SegmentOptions = segmentDefaults,
): Segment[] {
  const segmenter = new Segmenter(options)
  const events: SegmentEvent[] = []
  for (const probability of probabilities) events.push(...segmenter.push(probability))
  events.push(...segmenter.finish())
  return events
    .filter((event) => event.kind === 'end')
    .map(({ segment }) => ({ start: segment.start, end: Math.min(segment.end, samples) }))
}

export function inMilliseconds({ start, end }: Segment): { startMs: number; endMs: number } {
  return { startMs: start / samplesPerMs, endMs: end / samplesPerMs }
}
