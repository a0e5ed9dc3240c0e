/**
 * Cuts frames of one fixed size from a pipe. Holds the frame that is arriving and the newest whole one: a reader that comes
 * late gets that, and how many it missed.
 */
import type { FrameCutter, RawFrame } from '../contract/camera.ts'

export class FrameBuffer implements FrameCutter {
  readonly #frameBytes: number
  readonly #nowMs: () => number
  #arriving: Uint8Array
  #filled = 0
  #whole: { readonly bytes: Uint8Array; readonly tsMs: number } | undefined
  #dropped = 0

  constructor(frameBytes: number, nowMs: () => number) {
    this.#frameBytes = frameBytes
    this.#nowMs = nowMs
    this.#arriving = new Uint8Array(frameBytes)
  }

  get isEmpty(): boolean {
    return this.#whole === undefined
  }

  push(bytes: Uint8Array): void {
    let rest = bytes
    while (rest.length > 0) {
      const part = rest.subarray(0, this.#frameBytes - this.#filled)
      this.#arriving.set(part, this.#filled)
      this.#filled += part.length
      rest = rest.subarray(part.length)
      if (this.#filled === this.#frameBytes) this.#complete()
    }
  }

  take(): RawFrame {
    if (!this.#whole) throw new Error('no frame waits')
    const frame = { ...this.#whole, droppedFrames: this.#dropped }
    this.#whole = undefined
    this.#dropped = 0
    return frame
  }

  #complete(): void {
    const missed = this.#whole
    this.#whole = { bytes: this.#arriving, tsMs: this.#nowMs() }
    this.#filled = 0
    if (missed) this.#dropped += 1
    // Nobody has seen the missed frame: its memory takes the next one.
    this.#arriving = missed?.bytes ?? new Uint8Array(this.#frameBytes)
  }
}
