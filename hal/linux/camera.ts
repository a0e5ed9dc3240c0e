/**
 * Live camera through a child program that writes raw frames to its standard output: `ffmpeg` for V4L2 devices (USB cameras),
 * `rpicam-vid` for cameras on the CSI connector of a Raspberry Pi, which V4L2 alone cannot set up. Frames are cut from the
 * pipe by their fixed size; a slow reader gets the newest and the count of those it missed.
 */
import { access, constants } from 'node:fs/promises'
import type { Camera, CameraInfo, Frame, FrameOptions } from '../contract/camera.ts'
import { HalError } from '../contract/errors.ts'
import type { Host } from '../contract/host.ts'
import { captureFrom } from './child-capture.ts'
import type { ProgramCall } from './child-program.ts'
import { fsError } from './errno.ts'
import { FrameBuffer } from './frame-buffer.ts'
import { yuv420Bytes, yuv420ToRgb } from './yuv420.ts'

/** 4K at 60 Hz is the most that a board's camera gives; a width is even so that 4:2:0 fits. */
const limits = { width: 3840, height: 2160, framesPerS: 60 }

/** How one kind of camera is read. */
export interface CameraSource {
  /** For ids and messages: `/dev/video0`. */
  readonly name: string
  /** Node to look at first: its absence and its permissions are then clear. */
  readonly node?: string
  call(options: FrameOptions): ProgramCall
  frameBytes(options: FrameOptions): number
  toRgb(frame: Uint8Array, options: FrameOptions): Uint8Array
  /** One line when it cannot give such frames. */
  fault?(options: FrameOptions): string | undefined
}

/** `rpicam` or `rpicam:1`: a camera of the Raspberry Pi by its index; anything else: a V4L2 device node. */
export function cameraSource(device: string): CameraSource {
  const [, index] = /^rpicam(?::(\d+))?$/.exec(device) ?? []
  return /^rpicam(:|$)/.test(device) ? rpicam(device, Number(index ?? 0)) : ffmpeg(device, v4l2(device))
}

/** Scales to the asked size: a camera that does not have it gives its nearest. */
export function ffmpeg(name: string, input: (options: FrameOptions) => readonly string[]): CameraSource {
  return {
    name,
    ...(name.startsWith('/') ? { node: name } : {}),
    call: (options) => ({
      program: 'ffmpeg',
      debianPackage: 'ffmpeg',
      args: [
        ...['-hide_banner', '-loglevel', 'error', '-nostdin', ...input(options)],
        ...['-vf', `scale=${options.width}:${options.height}`, '-r', String(options.framesPerS)],
        ...['-f', 'rawvideo', '-pix_fmt', 'rgb24', 'pipe:1'],
      ],
    }),
    frameBytes: ({ width, height }) => width * height * 3,
    toRgb: (frame) => frame,
  }
}

const v4l2 =
  (device: string) =>
  ({ width, height, framesPerS }: FrameOptions) => [
    ...['-f', 'v4l2', '-framerate', String(framesPerS)],
    ...['-video_size', `${width}x${height}`, '-i', device],
  ]

/** rpicam-apps writes rows padded to 64 bytes in `yuv420`: whole multiples have no padding. */
const rpicamWidthStep = 64

function rpicam(name: string, index: number): CameraSource {
  return {
    name,
    call: ({ width, height, framesPerS }) => ({
      program: 'rpicam-vid',
      debianPackage: 'rpicam-apps',
      args: [
        ...['--camera', String(index), '--nopreview', '--timeout', '0', '--verbose', '0'],
        ...['--width', String(width), '--height', String(height), '--framerate', String(framesPerS)],
        ...['--codec', 'yuv420', '--output', '-'],
      ],
    }),
    frameBytes: ({ width, height }) => yuv420Bytes(width, height),
    toRgb: (frame, { width, height }) => yuv420ToRgb(frame, width, height),
    fault: ({ width }) =>
      width % rpicamWidthStep === 0
        ? undefined
        : `a width of ${width} is no multiple of ${rpicamWidthStep}, which this camera needs`,
  }
}

export class ChildCamera implements Camera {
  readonly info: CameraInfo
  readonly #source: CameraSource
  readonly #host: Host
  readonly #stop = new AbortController()

  /** Opens nothing. */
  constructor(source: CameraSource, host: Host) {
    this.#source = source
    this.#host = host
    this.info = { id: `camera.${source.name}`, name: `Camera ${source.name}`, simulated: false }
  }

  async *capture(options: FrameOptions, signal: AbortSignal): AsyncGenerator<Frame, void, undefined> {
    const { id } = this.info
    if (this.#stop.signal.aborted) throw new HalError('closed', `${id}: the board is closed`)
    const fault = optionsFault(options) ?? this.#source.fault?.(options)
    if (fault) throw new HalError('out-of-range', `${id}: ${fault}`)
    await this.#checkNode()
    const captured = captureFrom(
      id,
      this.#source.call(options),
      'frames',
      new FrameBuffer(this.#source.frameBytes(options), () => this.#host.clock.nowMs()),
      this.#host,
      AbortSignal.any([signal, this.#stop.signal]),
    )
    for await (const { bytes, tsMs, droppedFrames } of captured)
      yield {
        rgb: this.#source.toRgb(bytes, options),
        width: options.width,
        height: options.height,
        tsMs,
        droppedFrames,
      }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
  }

  async #checkNode(): Promise<void> {
    const { node } = this.#source
    if (node === undefined) return
    try {
      await access(node, constants.R_OK | constants.W_OK)
    } catch (error) {
      throw fsError(error, this.info.id, node)
    }
  }
}

function optionsFault(options: FrameOptions): string | undefined {
  for (const [name, max] of Object.entries(limits)) {
    const value = options[name as keyof FrameOptions]
    if (!Number.isInteger(value) || value < 1 || value > max)
      return `${name} is ${value}; expected a whole number from 1 to ${max}`
  }
  return options.width % 2 === 0 && options.height % 2 === 0
    ? undefined
    : `${options.width} × ${options.height} is not even`
}
