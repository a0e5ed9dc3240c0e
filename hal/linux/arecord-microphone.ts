/**
 * Live microphone through `arecord` (alsa-utils, man arecord(1)): signed 16-bit little-endian mono on its standard
 * output. One child per capture, killed when the signal aborts or the reader stops. A slow reader loses the oldest
 * samples beyond a bounded buffer, and is told how many.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { HalError, type HalErrorCode } from '../contract/errors.ts'
import type { Host } from '../contract/host.ts'
import type { AudioChunk, Microphone, MicrophoneInfo } from '../contract/microphone.ts'
import { SampleBuffer } from './sample-buffer.ts'

type Recorder = ChildProcessByStdio<null, Readable, Readable>

/** Speech has to wait this long for its reader at most before the oldest samples go. */
const bufferSeconds = 10
/** A child that ignores SIGTERM this long is killed. */
const killAfterMs = 1000
/** A device that opens and stays silent this long does not work; a working one delivers every 100 ms or so. */
const silenceMaxMs = 5000
const rates = { min: 8000, max: 48_000 }
/** Only the last line of the child's complaints is kept, of this many characters. */
const complaintMax = 300

export class ArecordMicrophone implements Microphone {
  readonly info: MicrophoneInfo
  readonly #device: string
  readonly #host: Host
  readonly #stop = new AbortController()

  /** `device` is an ALSA name such as `default` or `plughw:1,0`. Opens nothing. */
  constructor(device: string, host: Host) {
    this.#device = device
    this.#host = host
    this.info = { id: `microphone.${device}`, name: `ALSA ${device}`, simulated: false }
  }

  async *capture(options: { sampleRateHz: number }, signal: AbortSignal): AsyncGenerator<AudioChunk> {
    const { sampleRateHz: rate } = options
    if (this.#stop.signal.aborted) throw new HalError('closed', `${this.info.id}: the board is closed`)
    if (!Number.isInteger(rate) || rate < rates.min || rate > rates.max)
      throw new HalError(
        'out-of-range',
        `${this.info.id}: ${rate} Hz is not between ${rates.min} and ${rates.max}`,
      )
    const ended = AbortSignal.any([signal, this.#stop.signal])
    if (ended.aborted) return
    const recorder = new Recording(this.info.id, this.#record(rate), rate * bufferSeconds)
    const onAbort = () => recorder.stop()
    ended.addEventListener('abort', onAbort, { once: true })
    try {
      for (;;) {
        const chunk = await recorder.next(this.#host)
        if (ended.aborted) return
        if (!chunk) throw recorder.failure()
        yield chunk
      }
    } finally {
      ended.removeEventListener('abort', onAbort)
      recorder.stop()
      await this.#gone(recorder)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
  }

  #record(rate: number): Recorder {
    const format = ['-f', 'S16_LE', '-r', String(rate), '-c', '1', '-t', 'raw']
    return spawn('arecord', ['-q', '-D', this.#device, ...format], { stdio: ['ignore', 'pipe', 'pipe'] })
  }

  /** Waits for the child's end; it gets a second to comply. */
  async #gone(recorder: Recording): Promise<void> {
    const cancel = this.#host.clock.after(killAfterMs, () => recorder.kill())
    await recorder.ended
    cancel()
  }
}

/** One running `arecord`. */
class Recording {
  readonly ended: Promise<void>
  readonly #id: string
  readonly #child: Recorder
  readonly #buffer: SampleBuffer
  #complaint = ''
  #startError: NodeJS.ErrnoException | undefined
  #over = false
  #wake: () => void = () => {}

  constructor(id: string, child: Recorder, samplesMax: number) {
    this.#id = id
    this.#child = child
    this.#buffer = new SampleBuffer(samplesMax)
    child.stdout.on('data', (bytes: Buffer) => {
      this.#buffer.push(bytes)
      this.#wake()
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#complaint = `${this.#complaint}${text}`.slice(-2 * complaintMax)
    })
    this.ended = new Promise((resolve) => {
      child.once('exit', () => resolve())
      child.on('error', (error) => {
        this.#startError = error
        resolve()
      })
    })
    // After `close` nothing more can be read, which `exit` does not promise.
    child.once('close', () => this.#finish())
  }

  /** The samples gathered since the last call, as soon as there are any; undefined once it has ended. */
  async next(host: Host): Promise<AudioChunk | undefined> {
    while (this.#buffer.isEmpty && !this.#over) await this.#news(host)
    return this.#buffer.isEmpty ? undefined : this.#buffer.take()
  }

  /** Ends the capture: waiting readers are woken at once, the child is asked to go. */
  stop(): void {
    this.#child.kill('SIGTERM')
    this.#child.stdout.destroy()
    this.#finish()
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  /** Resolves at the next samples or the end. */
  #news(host: Host): Promise<void> {
    return new Promise((resolve, reject) => {
      const silent = () =>
        reject(
          new HalError(
            'timeout',
            `${this.#id}: no samples for ${silenceMaxMs / 1000} s, is it the right device?`,
          ),
        )
      const cancel = host.clock.after(silenceMaxMs, silent)
      this.#wake = () => {
        cancel()
        resolve()
      }
    })
  }

  #finish(): void {
    this.#over = true
    this.#wake()
  }

  /** Why the child ended by itself. */
  failure(): HalError {
    if (this.#startError?.code === 'ENOENT')
      return new HalError('not-present', `${this.#id}: no program arecord, run: sudo apt install alsa-utils`)
    const lines = this.#complaint.split('\n').filter((line) => line.trim() !== '')
    const last = lines.at(-1)?.trim().slice(0, complaintMax) ?? this.#startError?.message
    const why = last ?? `arecord ended with ${this.#child.exitCode ?? this.#child.signalCode}`
    return new HalError(codeOf(this.#complaint), `${this.#id}: ${why}`, { cause: this.#startError })
  }
}

/** What ALSA's complaints mean (strerror texts in arecord's messages). */
function codeOf(complaint: string): HalErrorCode {
  if (/busy/i.test(complaint)) return 'busy'
  if (/permission denied|not permitted/i.test(complaint)) return 'permission'
  if (/no such (file|device)|unknown pcm|cannot find card/i.test(complaint)) return 'not-present'
  return 'other'
}
