/** A camera gives frames with back-pressure: when the reader is slow, whole frames are dropped and counted, never queued without bound. */

export interface CameraInfo {
  readonly id: string
  readonly name: string
  readonly simulated: boolean
}

export interface FrameOptions {
  readonly width: number
  readonly height: number
  readonly framesPerS: number
}

export interface Frame {
  /** RGB, 8 bits each, row by row: `height × width × 3` bytes. */
  readonly rgb: Uint8Array
  readonly width: number
  readonly height: number
  /** When it arrived, milliseconds since the Unix epoch. */
  readonly tsMs: number
  /** Frames dropped before this one because the reader was slow. */
  readonly droppedFrames: number
}

/** Between a pipe of frames and a reader that may be slow: holds the one that is arriving and the newest whole one. */
export interface FrameCutter {
  readonly isEmpty: boolean
  push(bytes: Uint8Array): void
  /** The newest whole frame. Throws where none waits. */
  take(): RawFrame
}

export interface RawFrame {
  readonly bytes: Uint8Array
  /** When its last byte arrived. */
  readonly tsMs: number
  /** Frames dropped before this one because the reader was slow. */
  readonly droppedFrames: number
}

export interface Camera extends AsyncDisposable {
  readonly info: CameraInfo
  /** Captures until the signal aborts. Throws HalError (`not-present`, `busy`, `permission`, `timeout` when frames stop). */
  capture(options: FrameOptions, signal: AbortSignal): AsyncIterable<Frame>
}
