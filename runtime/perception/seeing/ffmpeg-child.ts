/**
 * One run of ffmpeg, which decodes a file or a stream to raw frames on its standard output. A shell holds it by a pipe from
 * this process: when the pipe ends, because we want so or because this process was killed, ffmpeg is killed; a decoder has
 * nothing to save. An address with a password goes to it through another pipe, as a playlist of one line, so that no
 * process list shows it (https://ffmpeg.org/ffmpeg-formats.html#concat).
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Writable } from 'node:stream'
import type { Clock } from '../../base/clock.ts'
import { SeeingError } from './seeing-error.ts'

/**
 * `$0` is ffmpeg, `$@` its arguments. It gives way to the control loop, as the engine does. The shell gives up its own ends of the
 * output pipes, or they would never end; its child is not reaped before the kill, so the number cannot be somebody else's by then.
 */
const script =
  'command -v "$0" >/dev/null || exit 127; nice -n 10 "$0" "$@" </dev/null & p=$!; exec >&- 2>&-; read -r _; kill -9 $p; wait $p'
/** Complaints kept, characters: ffmpeg says the cause first, and repeats itself later. */
const complaintMax = 4_000
const lineMax = 200
/** `scheme://user:password@host/path?query`, without the colon that ends it in a complaint. */
const address = /([a-z][a-z0-9+.-]*:\/\/)(?:[^\s'"/]*@)?([^\s'"/?#]*)[^\s'"]*?(?=:?(?:[\s'"]|$))/gi
/** After its output has ended: the time it may take to end. */
const endMsMax = 1_000

export interface FfmpegRun {
  /** `ffmpeg`, or the path of one. */
  readonly program: string
  readonly args: readonly string[]
  /** What it reads at descriptor 3. */
  readonly playlist: string
  /** Never shown, wherever ffmpeg repeats it. */
  readonly secrets: readonly string[]
}

export class FfmpegChild {
  readonly process: ChildProcess
  readonly #clock: Clock
  readonly #run: FfmpegRun
  readonly #silenced: Promise<unknown>
  #complaint = ''

  constructor(clock: Clock, run: FfmpegRun) {
    this.#clock = clock
    this.#run = run
    this.process = spawn('sh', ['-c', script, run.program, ...run.args], {
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    })
    this.process.on('error', (error) => {
      this.#complaint ||= error.message
    })
    const { stdin, stderr, stdio } = this.process
    // Without a descriptor left there are no pipes, whatever the type says.
    const playlist = stdio?.[3] as Writable | undefined
    // It may be gone before it has read, or we before it was told to go.
    for (const pipe of [stdin, playlist]) pipe?.on('error', () => {})
    playlist?.end(run.playlist)
    stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#complaint = `${this.#complaint}${text}`.slice(0, complaintMax)
    })
    this.#silenced = new Promise((resolve) => {
      if (stderr) stderr.once('close', resolve)
      else resolve(undefined)
    })
  }

  get pid(): number | undefined {
    return this.process.pid
  }

  /** Ends it, if it has not ended by itself, and waits for that. */
  async stop(): Promise<void> {
    const { process } = this
    process.stdout?.destroy()
    process.stdin?.end()
    if (process.pid === undefined || process.exitCode !== null || process.signalCode !== null) return
    const cancel = this.#clock.after(endMsMax, () => process.kill('SIGKILL'))
    await once(process, 'exit')
    cancel()
  }

  /** Why it ended by itself, undefined where it came to the end of what it read. */
  async failure(name: string): Promise<SeeingError | undefined> {
    const { process } = this
    // What it said last is known when its pipe has ended; only then is the shell told to end, or the cause would be our kill.
    const cancel = this.#clock.after(endMsMax, () => process.stderr?.destroy())
    await this.#silenced
    cancel()
    await this.stop()
    if (process.exitCode === 0) return undefined
    if (process.exitCode === 127 || process.pid === undefined)
      return new SeeingError('no-ffmpeg', `${name}: there is no ffmpeg here, run: sudo apt install ffmpeg`)
    return new SeeingError('source', `${name}: ${this.#why()}`, { retryable: true })
  }

  #why(): string {
    const lines = this.#complaint
      .split('\n')
      .map((line) => line.replace(/^(\[[^\]]*\] *)+/, '').trim())
      .filter((line) => line !== '')
    if (lines.some((line) => /unknown keyword 'option'/i.test(line))) return 'streams need ffmpeg 5 or newer'
    const { exitCode, signalCode } = this.process
    // Of a playlist that cannot be opened it names the playlist, and then says why.
    const causes = lines.filter((one) => !one.startsWith('Impossible to open'))
    const line =
      causes.find((one) => !one.startsWith('pipe:')) ?? causes[0]?.replace(/^pipe:\d*: */, '') ?? lines[0]
    return hide(line ?? `ffmpeg ended with ${signalCode ?? exitCode}`, this.#run.secrets).slice(0, lineMax)
  }
}

/** Of an address only the host is left: cameras take passwords in paths and queries too. Secrets go wherever else they stand. */
export function hide(text: string, secrets: readonly string[]): string {
  const shown = text.replace(address, '$1$2')
  return secrets
    .filter((secret) => secret !== '')
    .reduce((line, secret) => line.replaceAll(secret, '…'), shown)
}
