/**
 * Recordings that are no WAVE files, by ffmpeg where this machine has it: a child process that reads the recording from a pipe,
 * may open nothing else, is told which container it is (so that no playlist is followed), and whose output, time and threads are
 * bounded. Nothing of the recording is logged.
 */
import { spawn } from 'node:child_process'
import { CodedError } from '../../runtime/base/errors.ts'

export class AudioError extends CodedError<'unsupported' | 'unreadable'> {
  override readonly name = 'AudioError'
}

interface Container {
  /** As ffmpeg names its demuxer. */
  readonly demuxer: string
  readonly matches: (head: Buffer) => boolean
}

const starts =
  (text: string, at = 0) =>
  (head: Buffer) =>
    head.toString('latin1', at, at + text.length) === text

/** By their first bytes; the name of a file says nothing. */
const containers: readonly Container[] = [
  { demuxer: 'ogg', matches: starts('OggS') },
  { demuxer: 'flac', matches: starts('fLaC') },
  { demuxer: 'matroska', matches: (head) => head.readUInt32BE(0) === 0x1a45dfa3 },
  { demuxer: 'mov', matches: starts('ftyp', 4) },
  { demuxer: 'mp3', matches: starts('ID3') },
  { demuxer: 'aac', matches: (head) => (head.readUInt16BE(0) & 0xfff6) === 0xfff0 },
  { demuxer: 'mp3', matches: (head) => (head.readUInt16BE(0) & 0xffe0) === 0xffe0 },
]
const taken = 'WAV, MP3, M4A, OGG, FLAC, WEBM and AAC'
const sampleRateHz = 16_000
const bytesPerSample = 2
const decodeMs = 60_000

/** The most that `decodeAudio` needs: what ffmpeg gives, twice, and the samples. */
export const decodedBytes = (secondsMax: number) =>
  (secondsMax + 2) * sampleRateHz * (2 * bytesPerSample + Float32Array.BYTES_PER_ELEMENT)

export function isWave(recording: Uint8Array): boolean {
  return starts('RIFF')(
    Buffer.from(recording.buffer, recording.byteOffset, Math.min(12, recording.byteLength)),
  )
}

/**
 * 16 kHz mono samples in [-1, 1], at most `secondsMax` and one more. Throws AudioError: `unsupported` for what is no known
 * container or when there is no ffmpeg, `unreadable` when ffmpeg cannot read it.
 */
export async function decodeAudio(
  recording: Uint8Array,
  secondsMax: number,
  signal: AbortSignal,
  command = 'ffmpeg',
): Promise<Float32Array> {
  const head = Buffer.alloc(16)
  head.set(recording.subarray(0, 16))
  const container = containers.find(({ matches }) => matches(head))
  if (!container)
    throw new AudioError('unsupported', `the file is no recording that is read here: send ${taken}`)
  const pcm = await run(command, argumentsFor(container, secondsMax), recording, secondsMax, signal)
  if (pcm.byteLength < bytesPerSample) throw new AudioError('unreadable', 'the recording has no sound')
  const samples = new Float32Array(Math.floor(pcm.byteLength / bytesPerSample))
  for (let at = 0; at < samples.length; at += 1) samples[at] = pcm.readInt16LE(at * bytesPerSample) / 32_768
  return samples
}

function argumentsFor({ demuxer }: Container, secondsMax: number): string[] {
  return [
    ...['-nostdin', '-hide_banner', '-loglevel', 'error', '-threads', '1'],
    ...['-protocol_whitelist', 'pipe', '-f', demuxer, '-i', 'pipe:0', '-vn', '-sn', '-dn'],
    ...['-t', String(secondsMax + 1), '-ac', '1', '-ar', String(sampleRateHz), '-f', 's16le', 'pipe:1'],
  ]
}

function run(
  command: string,
  args: readonly string[],
  input: Uint8Array,
  secondsMax: number,
  signal: AbortSignal,
): Promise<Buffer> {
  const bytesMax = (secondsMax + 2) * sampleRateHz * bytesPerSample
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      signal,
      timeout: decodeMs,
      killSignal: 'SIGKILL',
    })
    const chunks: Buffer[] = []
    let bytes = 0
    let said = ''
    child.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.byteLength
      if (bytes > bytesMax) child.kill('SIGKILL')
      else chunks.push(chunk)
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(0, 300)
    })
    // It may have read enough before the end.
    child.stdin.on('error', () => {})
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (signal.aborted) reject(signal.reason)
      else
        reject(
          error.code === 'ENOENT'
            ? noFfmpeg()
            : new AudioError('unreadable', 'ffmpeg did not start', { cause: error }),
        )
    })
    child.on('close', (code) => {
      if (code === 0) resolve(Buffer.concat(chunks))
      else
        reject(
          new AudioError(
            'unreadable',
            `the recording cannot be read: ${said.split('\n')[0] || 'ffmpeg gave up'}; send it as WAV`,
          ),
        )
    })
    child.stdin.end(input)
  })
}

function noFfmpeg(): AudioError {
  return new AudioError(
    'unsupported',
    'only WAV is read on this machine: install ffmpeg for other recordings, or convert it',
  )
}
