/** Where frames come from: the HAL's camera, a file or a stream. All give RGB frames of the asked size, the newest first. */
import type { Camera, Frame, FrameOptions } from '../../../hal/contract/camera.ts'

export type { Frame } from '../../../hal/contract/camera.ts'

export interface FrameWish {
  readonly width: number
  readonly height: number
  /** May be below one. */
  readonly framesPerS: number
}

export interface FrameSource {
  /** For a person: never has a password in it. */
  readonly name: string
  /** True where no hardware is behind it. */
  readonly simulated: boolean
  /** True where an end is no failure: a file. */
  readonly ends: boolean
  /**
   * Frames until the signal aborts. A slow reader gets the newest, and the count of those it missed. Throws SeeingError,
   * or HalError where it is a camera of the HAL.
   */
  frames(wish: FrameWish, signal: AbortSignal): AsyncIterable<Frame>
}

/** The HAL's camera. It gives at least one frame a second; those in between are the watcher's to leave out. */
export function cameraFrames(camera: Camera): FrameSource {
  const { name, simulated } = camera.info
  return {
    name,
    simulated,
    ends: false,
    frames({ width, height, framesPerS }, signal) {
      const options: FrameOptions = { width, height, framesPerS: Math.max(1, Math.ceil(framesPerS)) }
      return camera.capture(options, signal)
    },
  }
}
