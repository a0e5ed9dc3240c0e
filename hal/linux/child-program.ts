/**
 * A program that captures or plays for us (arecord, aplay, ffmpeg, rpicam-vid): its end is waited for, one that ignores the
 * request to go is killed, and what it complained about becomes one clear line.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { HalError, type HalErrorCode } from '../contract/errors.ts'
import type { Host } from '../contract/host.ts'

/** A child that ignores SIGTERM this long is killed. */
const killAfterMs = 1000
/** Only the last line of the child's complaints is kept, of this many characters. */
const complaintMax = 300

export interface ProgramCall {
  readonly program: string
  readonly args: readonly string[]
  /** Debian package that has the program. */
  readonly debianPackage: string
}

export class ChildProgram {
  readonly process: ChildProcess
  /** Resolves when the process has ended, or could not start. */
  readonly ended: Promise<void>
  /** Resolves later, when its pipes have ended too: everything that it said is known. */
  readonly closed: Promise<void>
  readonly #id: string
  readonly #call: ProgramCall
  #complaint = ''
  #startError: NodeJS.ErrnoException | undefined

  /** `direction`: whether we read its standard output or write its standard input. */
  constructor(id: string, call: ProgramCall, direction: 'read' | 'write') {
    this.#id = id
    this.#call = call
    const [input, output] =
      direction === 'read' ? (['ignore', 'pipe'] as const) : (['pipe', 'ignore'] as const)
    this.process = spawn(call.program, [...call.args], { stdio: [input, output, 'pipe'] })
    this.process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#complaint = `${this.#complaint}${text}`.slice(-2 * complaintMax)
    })
    this.closed = new Promise((resolve) => {
      this.process.once('close', () => resolve())
      this.process.once('error', () => resolve())
    })
    this.ended = new Promise((resolve) => {
      this.process.once('exit', () => resolve())
      this.process.on('error', (error) => {
        this.#startError = error
        resolve()
      })
    })
  }

  /** Asks it to go and waits for its end. */
  async stop(host: Host): Promise<void> {
    this.process.kill('SIGTERM')
    const cancel = host.clock.after(killAfterMs, () => this.process.kill('SIGKILL'))
    await this.ended
    cancel()
  }

  /** Why it ended by itself; complete once `closed` has resolved. */
  failure(): HalError {
    const { program, debianPackage } = this.#call
    if (this.#startError?.code === 'ENOENT')
      return new HalError(
        'not-present',
        `${this.#id}: no program ${program}, run: sudo apt install ${debianPackage}`,
      )
    const lines = this.#complaint.split('\n').filter((line) => line.trim() !== '')
    const last = lines.at(-1)?.trim().slice(0, complaintMax) ?? this.#startError?.message
    const why = last ?? `${program} ended with ${this.process.exitCode ?? this.process.signalCode}`
    return new HalError(codeOf(this.#complaint), `${this.#id}: ${why}`, { cause: this.#startError })
  }
}

/** What their complaints mean: strerror texts, and ALSA's and libcamera's own. */
function codeOf(complaint: string): HalErrorCode {
  if (/busy/i.test(complaint)) return 'busy'
  if (/permission denied|not permitted/i.test(complaint)) return 'permission'
  if (/no such (file|device)|unknown pcm|cannot find card|no cameras available/i.test(complaint))
    return 'not-present'
  return 'other'
}
