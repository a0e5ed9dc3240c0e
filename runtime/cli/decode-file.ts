/** Pictures and sound from files of any usual format, decoded by ffmpeg in a child process with bounds on time and output. */
import { spawn } from 'node:child_process'
import { statSync } from 'node:fs'
import { messageOf, UsageError } from '../base/errors.ts'

export interface Picture {
  readonly width: number
  readonly height: number
  /** Rows of pixels, RGB. */
  readonly rgb: Uint8Array
}

const decodeMsMax = 60_000
/** A picture of 16 megapixels; ten minutes of sound. */
const bytesMax = 50e6
/** Longer sides are scaled down: no model looks at more. */
const sideMax = 1920
const complaintCharsMax = 500

/** The first frame; scaled to `size` where one is given. Throws UsageError that names the file. */
export async function decodePicture(
  file: string,
  size: { readonly width: number; readonly height: number } | undefined,
  signal: AbortSignal,
): Promise<Picture> {
  const scale = size
    ? `scale=${size.width}:${size.height}`
    : `scale='min(${sideMax},iw)':'min(${sideMax},ih)':force_original_aspect_ratio=decrease`
  const args = ['-frames:v', '1', '-vf', scale, '-f', 'image2pipe', '-c:v', 'ppm']
  const ppm = await ffmpeg(file, args, signal)
  // PPM (https://netpbm.sourceforge.net/doc/ppm.html) as ffmpeg writes it: three lines, then pixels.
  const head = /^P6\n(\d+) (\d+)\n255\n/.exec(ppm.toString('latin1', 0, 40))
  const [width, height] = [Number(head?.[1]), Number(head?.[2])]
  const from = head?.[0].length ?? 0
  if (!head || ppm.length - from !== width * height * 3)
    throw new UsageError(`${file}: there is no picture in it`)
  return { width, height, rgb: new Uint8Array(ppm.subarray(from)) }
}

/** One channel at this rate, samples in [-1, 1]. Throws UsageError that names the file. */
export async function decodeSound(file: string, rateHz: number, signal: AbortSignal): Promise<Float32Array> {
  const args = ['-vn', '-ac', '1', '-ar', String(rateHz), '-f', 'f32le', '-c:a', 'pcm_f32le']
  const bytes = await ffmpeg(file, args, signal)
  if (bytes.length < 4) throw new UsageError(`${file}: there is no sound in it`)
  return new Float32Array(new Uint8Array(bytes.subarray(0, bytes.length - (bytes.length % 4))).buffer)
}

async function ffmpeg(file: string, args: readonly string[], signal: AbortSignal): Promise<Buffer> {
  try {
    if (!statSync(file).isFile()) throw new Error('is no file')
  } catch (error) {
    throw new UsageError(`cannot read ${file}: ${messageOf(error)}`, { cause: error })
  }
  // `file:`, so that no name is taken for a protocol or an option.
  const all = ['-v', 'error', '-nostdin', '-protocol_whitelist', 'file', '-i', `file:${file}`, ...args, '-']
  const limit = AbortSignal.timeout(decodeMsMax)
  const child = spawn('ffmpeg', all, {
    stdio: ['ignore', 'pipe', 'pipe'],
    signal: AbortSignal.any([signal, limit]),
    killSignal: 'SIGKILL',
  })
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = `${complaint}${text}`.slice(0, complaintCharsMax)
  })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  const parts: Buffer[] = []
  let bytes = 0
  child.stdout.on('data', (part: Buffer) => {
    bytes += part.length
    if (bytes > bytesMax) child.kill('SIGKILL')
    else parts.push(part)
  })
  try {
    const code = await ended
    if (bytes > bytesMax) throw new UsageError(`${file}: longer or larger than ${bytesMax / 1e6} MB decoded`)
    if (code !== 0)
      throw new UsageError(
        `ffmpeg cannot decode ${file}: ${messageOf(complaint.trim()) || `exit code ${code}`}`,
      )
    return Buffer.concat(parts)
  } catch (error) {
    signal.throwIfAborted()
    if (limit.aborted) throw new UsageError(`${file} took more than ${decodeMsMax / 1000} s to decode`)
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new UsageError(
        'pictures and sound are decoded by ffmpeg, which is not installed: install it, or give tensors with --input',
      )
    throw error
  }
}
