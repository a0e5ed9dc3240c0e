/** Files and streams as sources of frames, through ffmpeg: scaled there, as many frames as are wanted, cut from its pipe. */
import type { Hal } from '../../../hal/contract/board.ts'
import type { FrameCutter } from '../../../hal/contract/camera.ts'
import { type Clock, sleep } from '../../base/clock.ts'
import { FfmpegChild, type FfmpegRun } from './ffmpeg-child.ts'
import type { Frame, FrameSource, FrameWish } from './frame-source.ts'
import { SeeingError } from './seeing-error.ts'

interface Deps {
  readonly clock: Clock
  readonly hal: Pick<Hal, 'cutFrames'>
}

export interface FfmpegLimits {
  readonly program: string
  /** A camera on Wi-Fi answers within a few seconds, and gives its first whole picture within ten. */
  readonly startMsMax: number
  /** Without a frame for this long, or for three periods, it is taken for dead. */
  readonly silenceMsMax: number
}

export const ffmpegDefaults: FfmpegLimits = { program: 'ffmpeg', startMsMax: 20_000, silenceMsMax: 10_000 }

/** Protocols that a stream may lead to: what was configured, and what it is made of. No file: a camera does not choose ours. */
const protocols = 'pipe,rtsp,rtsps,rtp,srtp,udp,tcp,tls,crypto,http,https,httpproxy'
/** More than 8K has: a picture of a few bytes may say that it is of gigabytes, and ffmpeg would make them. */
const pixelsMax = 2 ** 25

/** An image or a video. A video is played at its own speed. */
export function fileFrames(deps: Deps, path: string, limits: FfmpegLimits = ffmpegDefaults): FrameSource {
  const input = ['-re', '-i', `file:${path}`]
  return ffmpegFrames(
    deps,
    { name: path, simulated: true, ends: true, input, playlist: '', secrets: [] },
    limits,
  )
}

/** An RTSP or HTTP address. Its user and password may be in it. */
export function streamFrames(deps: Deps, address: URL, limits: FfmpegLimits = ffmpegDefaults): FrameSource {
  const quoted = address.href.replaceAll("'", '%27')
  // Interleaved in the connection itself: through firewalls, and with no packet lost.
  const option = /^rtsps?:$/.test(address.protocol) ? 'option rtsp_transport tcp\n' : ''
  const { username, password } = address
  const secrets = [username, password, decoded(username), decoded(password)]
  return ffmpegFrames(
    deps,
    {
      // Without the path: many a camera has its password there.
      name: `${address.protocol}//${address.host}`,
      simulated: false,
      ends: false,
      input: ['-f', 'concat', '-safe', '0', '-protocol_whitelist', protocols, '-i', 'pipe:3'],
      playlist: `ffconcat version 1.0\nfile '${quoted}'\n${option}`,
      secrets: secrets.filter((secret) => secret.length > 2),
    },
    limits,
  )
}

/** A lone % is no mistake in an address. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

interface Input
  extends Pick<FrameSource, 'name' | 'simulated' | 'ends'>,
    Pick<FfmpegRun, 'playlist' | 'secrets'> {
  readonly input: readonly string[]
}

function ffmpegFrames(deps: Deps, input: Input, limits: FfmpegLimits): FrameSource {
  const { name, simulated, ends, playlist, secrets } = input
  return {
    name,
    simulated,
    ends,
    frames(wish, signal) {
      const bounds = ['-max_pixels', String(pixelsMax)]
      const args = ['-hide_banner', '-loglevel', 'error', ...bounds, ...input.input, ...output(wish)]
      return read(deps, name, { program: limits.program, args, playlist, secrets }, wish, limits, signal)
    },
  }
}

function output({ width, height, framesPerS }: FrameWish): string[] {
  return [
    ...['-an', '-sn', '-dn', '-vf', `fps=${framesPerS}:round=up,scale=${width}:${height}`],
    ...['-f', 'rawvideo', '-pix_fmt', 'rgb24', 'pipe:1'],
  ]
}

async function* read(
  { clock, hal }: Deps,
  name: string,
  run: FfmpegRun,
  wish: FrameWish,
  limits: FfmpegLimits,
  signal: AbortSignal,
): AsyncGenerator<Frame, void, undefined> {
  if (signal.aborted) return
  const { width, height } = wish
  const cutter = hal.cutFrames(width * height * 3, clock)
  const child = new FfmpegChild(clock, run)
  const arriving = new Arriving(child, cutter)
  const silenceMsMax = Math.max(limits.silenceMsMax, 3_000 / wish.framesPerS)
  try {
    for (let waitMs = limits.startMsMax; ; waitMs = silenceMsMax) {
      const news = await arriving.next(clock, waitMs, signal)
      if (signal.aborted) return
      if (news === 'nothing')
        throw new SeeingError('silent', `${name}: no frame for ${Math.round(waitMs / 1000)} s`, {
          retryable: true,
        })
      if (news === 'end') break
      const { bytes, ...rest } = cutter.take()
      yield { ...rest, rgb: bytes, width, height }
    }
    const failure = await child.failure(name)
    if (failure) throw failure
  } finally {
    await child.stop()
  }
}

/** Waits for the next whole frame, the end of the pipe, or the end of patience. */
class Arriving {
  readonly #cutter: FrameCutter
  #over = false
  #wake: () => void = () => {}

  constructor(child: FfmpegChild, cutter: FrameCutter) {
    this.#cutter = cutter
    const end = () => {
      this.#over = true
      this.#wake()
    }
    child.process.stdout?.on('data', (bytes: Buffer) => {
      cutter.push(bytes)
      if (!cutter.isEmpty) this.#wake()
    })
    child.process.stdout?.once('close', end)
    child.process.once('error', end)
  }

  async next(clock: Clock, waitMs: number, signal: AbortSignal): Promise<'frame' | 'end' | 'nothing'> {
    if (this.#cutter.isEmpty && !this.#over) {
      const patience = new AbortController()
      const news = new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      const late = sleep(clock, waitMs, AbortSignal.any([signal, patience.signal])).catch(() => {})
      await Promise.race([news, late])
      patience.abort()
    }
    if (!this.#cutter.isEmpty) return 'frame'
    return this.#over ? 'end' : 'nothing'
  }
}
