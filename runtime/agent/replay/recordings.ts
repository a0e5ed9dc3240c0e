/**
 * Keeps what happened to agents, where a person asked for it: a file a run. Nothing an agent does waits for it, and where it cannot
 * be kept the agent goes on without: a recording is worth less than a door.
 *
 * Invariants: [recorded-3] one run is bounded, and all are: the oldest go; [recorded-5] what came along with an agent goes on behind the
 * last turn that the agent itself had when it came.
 */
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { readFile, rename, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { zstdCompress, zstdDecompress } from 'node:zlib'
import { syncDirectory } from '../../base/durable-file.ts'
import { messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import { Recorder } from './recorder.ts'
import { endOf, headerLine, type RunHeader, readRunFile } from './run-file.ts'

export interface RecordingsOptions {
  readonly directory: string
  /** Of all runs together; of one. */
  readonly bytesMax: number
  readonly runBytesMax: number
  /** Also runs of which nobody said whether to record them. */
  readonly all?: boolean
}

/** An agent that goes on under another token than it had. */
export type GoingOn = Pick<RunHeader, 'agent' | 'seed' | 'startedMs'> & { readonly turn: number }

/** Waits for its agent to be begun: of each agent one. No token is 0. */
const waiting = 0
/** What the last line of a run that is full may have. */
const lastLineBytesMax = 1_024

const compressed = promisify(zstdCompress)
const decompressed = promisify(zstdDecompress)

export const runFileOf = (run: string) => `${run}.jsonl`
/** Below the directory in which agents keep what they leave. */
export const recordingsIn = (directory: string) => join(directory, 'recordings')

export class Recordings {
  readonly #log: Log
  readonly #options: RecordingsOptions
  readonly #recorders = new Map<string, Recorder>()

  constructor({ log }: { readonly log: Log }, options: RecordingsOptions) {
    this.#log = log.named('recordings')
    this.#options = options
  }

  get all(): boolean {
    return this.#options.all ?? false
  }

  /** Makes room and begins a file. Where there is none to be made it is logged, and the run is not recorded. */
  begin(header: RunHeader): void {
    const { directory } = this.#options
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      this.#makeRoom()
      writeFileSync(this.#path(header), headerLine(header), { mode: 0o600, flag: 'wx' })
    } catch (error) {
      this.#log.warn('a run is not recorded', { agent: header.agent, reason: messageOf(error) })
    }
  }

  /** Goes on with the recording of a run, where there is one. */
  recorderOf(run: Pick<RunHeader, 'agent' | 'token'>): Recorder | undefined {
    const path = this.#path(run)
    if (!this.has(run)) return undefined
    const known = this.#recorders.get(path)
    if (known) return known
    const recorder = new Recorder(path, this.#options.runBytesMax, (reason) =>
      this.#log.warn('a run is recorded no further', { agent: run.agent, reason }),
    )
    this.#recorders.set(path, recorder)
    return recorder
  }

  /** Its runs, and nobody else's. */
  async forget(agent: string): Promise<void> {
    for (const { path } of this.#files().filter((file) => file.agent === agent)) await this.#drop(path)
  }

  /** All of them: nobody knows whom they name. How many went. */
  async forgetAll(): Promise<number> {
    const files = this.#files()
    for (const { path } of files) await this.#drop(path)
    return files.length
  }

  async close(): Promise<void> {
    await Promise.all([...this.#recorders.values()].map((recorder) => recorder.close()))
    this.#recorders.clear()
  }

  has(run: Pick<RunHeader, 'agent' | 'token'>): boolean {
    return existsSync(this.#path(run))
  }

  /** Nothing comes of it for now, or ever: its file is closed. */
  async rested(run: Pick<RunHeader, 'agent' | 'token'>): Promise<void> {
    const path = this.#path(run)
    await this.#recorders.get(path)?.close()
    this.#recorders.delete(path)
  }

  /** Bytes of a run that may come along with its agent. */
  get takes(): number {
    return this.#options.runBytesMax + lastLineBytesMax
  }

  /** A run so far, as it goes along: zstd (RFC 8878). Undefined where it is not recorded, has more than `bytesMax`, or cannot be read. */
  async packed(run: Pick<RunHeader, 'agent' | 'token'>, bytesMax: number): Promise<Uint8Array | undefined> {
    const path = this.#path(run)
    if (!this.has(run)) return undefined
    try {
      await this.#recorders.get(path)?.durable()
      const file = await readFile(path)
      return file.byteLength > bytesMax ? undefined : await compressed(file)
    } catch (error) {
      const reason = messageOf(error)
      this.#log.warn('what was recorded of an agent does not go along with it', { agent: run.agent, reason })
      return undefined
    }
  }

  /** What came along with an agent waits until that is begun, in place of what waited; nothing where nothing came. Never throws. */
  async keep(agent: string, packed?: Uint8Array): Promise<void> {
    const path = this.#path({ agent, token: waiting })
    try {
      await this.#drop(path)
      if (!packed) return
      const file = await decompressed(packed, { maxOutputLength: this.takes })
      mkdirSync(this.#options.directory, { recursive: true, mode: 0o700 })
      this.#makeRoom()
      await writeFile(path, file, { mode: 0o600, flush: true })
    } catch (error) {
      this.#log.warn('what was recorded of an agent is not kept', { agent, reason: messageOf(error) })
    }
  }

  /** Of what came along: all but that of these agents. The power was cut before the rest was theirs, or after they were gone. */
  async keepOnly(agents: ReadonlySet<string>): Promise<void> {
    for (const { agent, path } of this.#files())
      if (path === this.#path({ agent, token: waiting }) && !agents.has(agent)) await this.#drop(path)
  }

  /** The recording of a run that was under `from` goes on under `token`; without `from`, of what came along. Never throws. */
  async goOn(run: GoingOn, token: number, from = waiting): Promise<void> {
    const { agent, seed, startedMs, turn } = run
    const path = this.#path({ agent, token: from })
    try {
      if (!existsSync(path)) return
      this.#makeRoom(path)
      const file = await readFile(path)
      const { header } = readRunFile(file.subarray(0, endOf(file, 0).wholeBytes))
      if (header.seed !== seed || header.startedMs !== startedMs) throw new Error('it is of another run')
      await truncate(path, endOf(file, turn).wholeBytes)
      await rename(path, this.#path({ agent, token }))
      await syncDirectory(this.#options.directory)
    } catch (error) {
      this.#log.warn('a run is recorded no further', { agent, reason: messageOf(error) })
    }
  }

  /** One run, and no other of the agent. */
  async drop(run: Pick<RunHeader, 'agent' | 'token'>): Promise<void> {
    await this.#drop(this.#path(run))
  }

  #path({ agent, token }: Pick<RunHeader, 'agent' | 'token'>): string {
    return join(this.#options.directory, runFileOf(`${agent}.${token}`))
  }

  /** A run may come to its full size: that much is set aside for each that is being recorded, and for `next`, which may be there already. */
  #makeRoom(next?: string): void {
    const { bytesMax, runBytesMax } = this.#options
    const all = this.#files().filter(({ path }) => path !== next)
    const files = all.sort((left, right) => left.changedMs - right.changedMs)
    const over = files.filter(({ path }) => !this.#recorders.has(path))
    let bytes = (this.#recorders.size + 1) * runBytesMax + over.reduce((sum, file) => sum + file.bytes, 0)
    if ((this.#recorders.size + 1) * runBytesMax > bytesMax)
      throw new Error(`${this.#recorders.size} runs are being recorded already: there is no room for more`)
    for (const { path, bytes: freed } of over) {
      if (bytes <= bytesMax) break
      rmSync(path)
      bytes -= freed
    }
  }

  #files() {
    const { directory } = this.#options
    if (!existsSync(directory)) return []
    return readdirSync(directory).flatMap((name) => {
      const [, agent] = /^(.+)\.\d+\.jsonl$/.exec(name) ?? []
      if (agent === undefined) return []
      const path = join(directory, name)
      const { size: bytes, mtimeMs: changedMs } = statSync(path)
      return [{ agent, path, bytes, changedMs }]
    })
  }

  async #drop(path: string): Promise<void> {
    await this.#recorders.get(path)?.close()
    this.#recorders.delete(path)
    rmSync(path, { force: true })
  }
}
