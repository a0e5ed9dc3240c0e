/**
 * What a child program captures, as it comes: its output goes into a bounded buffer, the reader takes what has gathered. One
 * child per capture, gone when the signal aborts or the reader stops.
 */
import { HalError } from '../contract/errors.ts'
import type { Host } from '../contract/host.ts'
import { ChildProgram, type ProgramCall } from './child-program.ts'

/** A device that opens and stays silent this long does not work; a working one delivers within two seconds. */
const silenceMaxMs = 5000

/** Between a program that cannot wait and a reader that may be slow: it drops and counts, and never grows beyond its bound. */
export interface CaptureBuffer<T> {
  readonly isEmpty: boolean
  push(bytes: Uint8Array): void
  /** Everything gathered; empties the buffer. */
  take(): T
}

/** Yields what gathers until the signal aborts. `what` is captured, in a message: `samples`. Throws HalError. */
export async function* captureFrom<T>(
  id: string,
  call: ProgramCall,
  what: string,
  buffer: CaptureBuffer<T>,
  host: Host,
  signal: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  if (signal.aborted) return
  const child = new ChildProgram(id, call, 'read')
  const recording = new Recording(child, buffer)
  const silent = new HalError(
    'timeout',
    `${id}: no ${what} for ${silenceMaxMs / 1000} s, is it the right device?`,
  )
  const onAbort = () => recording.stop()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    for (;;) {
      const gathered = await recording.next(host, silent)
      if (signal.aborted) return
      if (gathered === undefined) throw child.failure()
      yield gathered
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
    recording.stop()
    await child.stop(host)
  }
}

class Recording<T> {
  readonly #child: ChildProgram
  readonly #buffer: CaptureBuffer<T>
  #over = false
  #wake: () => void = () => {}

  constructor(child: ChildProgram, buffer: CaptureBuffer<T>) {
    this.#child = child
    this.#buffer = buffer
    child.process.stdout?.on('data', (bytes: Buffer) => {
      this.#buffer.push(bytes)
      if (!this.#buffer.isEmpty) this.#wake()
    })
    // After `close` nothing more can be read, which `exit` does not promise.
    child.process.once('close', () => this.#finish())
  }

  /** What has gathered since the last call, as soon as there is any; undefined once it has ended. */
  async next(host: Host, silent: HalError): Promise<T | undefined> {
    while (this.#buffer.isEmpty && !this.#over) await this.#news(host, silent)
    return this.#buffer.isEmpty ? undefined : this.#buffer.take()
  }

  /** Ends the capture: waiting readers are woken at once, the child is asked to go. */
  stop(): void {
    this.#child.process.kill('SIGTERM')
    this.#child.process.stdout?.destroy()
    this.#finish()
  }

  #news(host: Host, silent: HalError): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = host.clock.after(silenceMaxMs, () => reject(silent))
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
}
