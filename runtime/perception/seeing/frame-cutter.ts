/**
 * Cuts frames of one fixed size from a pipe. Holds the frame that is arriving and the newest whole one, nothing more: who
 * comes late gets that one, and how many were missed. The HAL has the same for its cameras, behind a door that is closed.
 */
export interface CutFrame {
  readonly rgb: Uint8Array
  readonly tsMs: number
  readonly droppedFrames: number
}

export class FrameCutter {
  readonly #frameBytes: number
  readonly #nowMs: () => number
  #arriving: Uint8Array
  #filled = 0
  #whole: { readonly rgb: Uint8Array; readonly tsMs: number } | undefined
  #dropped = 0

  constructor(frameBytes: number, nowMs: () => number) {
    this.#frameBytes = frameBytes
    this.#nowMs = nowMs
    this.#arriving = new Uint8Array(frameBytes)
  }

  /** True when a whole frame waits. */
  get ready(): boolean {
    return this.#whole !== undefined
  }

  push(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length; ) {
      const part = bytes.subarray(from, from + this.#frameBytes - this.#filled)
      this.#arriving.set(part, this.#filled)
      this.#filled += part.length
      from += part.length
      if (this.#filled === this.#frameBytes) this.#complete()
    }
  }

  take(): CutFrame | undefined {
    if (!this.#whole) return undefined
    const frame = { ...this.#whole, droppedFrames: this.#dropped }
    this.#whole = undefined
    this.#dropped = 0
    return frame
  }

  #complete(): void {
    const missed = this.#whole
    this.#whole = { rgb: this.#arriving, tsMs: this.#nowMs() }
    this.#filled = 0
    if (missed) this.#dropped += 1
    // Nobody has seen the missed frame: its memory takes the next one.
    this.#arriving = missed?.rgb ?? new Uint8Array(this.#frameBytes)
  }
}
