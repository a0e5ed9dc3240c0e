/**
 * The audit log of a device: appended to and never changed.
 *
 * Invariants: [audit-1] every line is bound to all before it by its hash; [audit-2] `durable()` resolves when all that was appended
 * before is on the disk, and holds nothing else up meanwhile; [audit-3] a line that a power cut tore is dropped when the log is next
 * opened, anything else that is wrong stays as it is and a new file says so; [audit-4] the log is bounded: the oldest file goes;
 * [audit-7] after a write that failed the log goes on as soon as the disk takes lines again: what is not known to be on the disk is cut
 * off and written once more, the same lines in the same order.
 */
import { type FileHandle, mkdir, open, readFile, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import type { Cancel, Clock } from '../base/clock.ts'
import { syncDirectory, writeDurably } from '../base/durable-file.ts'
import { messageOf } from '../base/errors.ts'
import type { Identity } from '../base/identity.ts'
import type { Log } from '../base/log.ts'
import {
  type AuditEntry,
  type AuditHead,
  type ChainEnd,
  canonical,
  chained,
  fileOf,
  filesIn,
  genesis,
  headFile,
  readFileOfLog,
  readHead,
} from './audit-chain.ts'

/** Where a device keeps it. */
export function auditIn(stateDir: string): string {
  return join(stateDir, 'audit')
}

export interface AuditDeps {
  readonly clock: Clock
  readonly log: Log
  readonly identity: Pick<Identity, 'device' | 'sign' | 'verify'>
}
export interface AuditOptions {
  readonly directory: string
  /** A file that has grown so large is followed by the next. */
  readonly fileBytesMax: number
  readonly filesMax: number
}

/** The head is signed a minute after the first line that it does not have yet, or after so many. */
const headDelayMs = 60_000
const linesPerHead = 1_000
/** Lines that wait for the disk: where it takes none for longer than these last, no more are taken. */
const waitingMax = 20_000
/** Written and synced at once: of many that waited, those that the disk took need not be written again. */
const linesPerSync = 1_000

interface Waiting {
  readonly file: number
  readonly text: string
}

export class Audit implements AsyncDisposable {
  readonly #deps: AuditDeps
  readonly #options: AuditOptions
  #end: ChainEnd
  #file: number
  #bytes: number
  #waiting: Waiting[] = []
  #handle: { readonly file: number; readonly handle: FileHandle } | undefined
  #syncing: Promise<void> | undefined
  #next: Promise<void> | undefined
  #oldest: number
  #signedSeq = 0
  #cancelHead: Cancel | undefined
  #closed = false
  /** How much of the file that is written to is known to be on the disk. */
  #kept: { readonly file: number; readonly bytes: number }

  /** Goes on where the log ends. Throws where the disk cannot be used. */
  static async open(deps: AuditDeps, options: AuditOptions, signal: AbortSignal): Promise<Audit> {
    signal.throwIfAborted()
    await mkdir(options.directory, { recursive: true, mode: 0o700 })
    const files = await withoutTorn(options.directory)
    const last = files.at(-1)
    if (last === undefined) {
      const audit = new Audit(deps, options, { end: { hash: genesis, seq: 0 }, file: 0, bytes: 0, oldest: 1 })
      audit.#begin(await lostBefore(deps, options.directory, { hash: genesis, seq: 0 }, 1))
      return await audit.#opened()
    }
    const read = await readFileOfLog(options.directory, last, undefined)
    if (read.torn) await truncate(join(options.directory, fileOf(last)), read.bytes)
    const broken = read.torn ? undefined : read.problem
    const lost = broken ?? (await lostBefore(deps, options.directory, read.end, files[0] ?? last))
    const at = { end: read.end, file: last, bytes: read.bytes, oldest: files[0] ?? last }
    const audit = new Audit(deps, options, at)
    if (lost !== undefined) audit.#begin(lost)
    return await audit.#opened()
  }

  private constructor(
    deps: AuditDeps,
    options: AuditOptions,
    at: { end: ChainEnd; file: number; bytes: number; oldest: number },
  ) {
    this.#deps = deps
    this.#options = options
    this.#end = at.end
    this.#file = at.file
    this.#bytes = at.bytes
    this.#kept = { file: at.file, bytes: at.bytes }
    this.#oldest = at.oldest
  }

  /** Appends a line; follow it with `durable()` before what it says is done. Throws where the disk takes no more. */
  append(entry: AuditEntry): void {
    if (this.#waiting.length >= waitingMax) {
      this.durable().catch((error) => this.#cannot(error))
      throw new Error('the audit log cannot be written')
    }
    const full = this.#bytes >= this.#options.fileBytesMax
    if (full) this.#begin(undefined)
    this.#add(entry)
    if (full) this.#headNow()
    this.#headLater()
  }

  /** Resolves when everything appended before this call is on the disk. Rejects where the disk refuses: it is written the next time. */
  durable(): Promise<void> {
    if (!this.#syncing) {
      this.#syncing = this.#sync()
      return this.#syncing
    }
    // What was appended since that sync began may have missed it: the next one serves all who ask meanwhile.
    this.#next ??= this.#syncing
      .catch(() => {})
      .then(() => {
        this.#next = undefined
        this.#syncing ??= this.#sync()
        return this.#syncing
      })
    return this.#next
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    this.#cancelHead?.()
    this.#cancelHead = undefined
    await this.#sign().catch((error) => this.#cannot(error))
    await this.#shut()
  }

  async #opened(): Promise<Audit> {
    try {
      await this.#sign()
    } catch (error) {
      await this.#shut()
      throw error
    }
    return this
  }

  #begin(broken: string | undefined): void {
    this.#file += 1
    this.#bytes = 0
    const { device } = this.#deps.identity
    const before = this.#end.hash
    this.#add({ kind: 'file', file: this.#file, device, before, ...(broken === undefined ? {} : { broken }) })
  }

  #add(entry: AuditEntry): void {
    const text = canonical({ seq: this.#end.seq + 1, atMs: this.#deps.clock.nowMs(), entry })
    const hash = chained(this.#end.hash, text)
    const row = `${hash} ${text}\n`
    this.#end = { hash, seq: this.#end.seq + 1 }
    this.#bytes += Buffer.byteLength(row)
    this.#waiting.push({ file: this.#file, text: row })
  }

  async #sync(): Promise<void> {
    await Promise.resolve()
    const rows = this.#waiting
    this.#waiting = []
    let at = 0
    try {
      while (at < rows.length) {
        const { file } = rows[at] as Waiting
        let to = at
        while (rows[to]?.file === file && to - at < linesPerSync) to += 1
        const lines = rows.slice(at, to).map(({ text }) => text)
        await this.#write(file, lines.join(''))
        at = to
      }
    } catch (error) {
      this.#waiting = [...rows.slice(at), ...this.#waiting]
      // What of it is on the disk nobody knows: the file is opened anew, and cut to what is known.
      await this.#shut()
      throw error
    } finally {
      this.#syncing = undefined
    }
  }

  async #write(file: number, text: string): Promise<void> {
    const handle = await this.#open(file)
    await handle.writeFile(text)
    await handle.datasync()
    this.#kept = { file, bytes: this.#keptOf(file) + Buffer.byteLength(text) }
  }

  #keptOf(file: number): number {
    return this.#kept.file === file ? this.#kept.bytes : 0
  }

  async #open(file: number): Promise<FileHandle> {
    if (this.#handle?.file === file) return this.#handle.handle
    await this.#shut()
    const { directory } = this.#options
    const handle = await open(join(directory, fileOf(file)), 'a', 0o600)
    this.#handle = { file, handle }
    const { size } = await handle.stat()
    if (size > this.#keptOf(file)) await handle.truncate(this.#keptOf(file))
    await syncDirectory(directory)
    return handle
  }

  async #shut(): Promise<void> {
    const opened = this.#handle
    this.#handle = undefined
    // A disk that refuses may say so here once more; what matters is synced before.
    await opened?.handle.close().catch(() => {})
  }

  #headLater(): void {
    if (this.#end.seq - this.#signedSeq >= linesPerHead) this.#headNow()
    else this.#cancelHead ??= this.#deps.clock.after(headDelayMs, () => this.#headNow())
  }

  #headNow(): void {
    this.#cancelHead?.()
    this.#cancelHead = undefined
    this.#signedSeq = this.#end.seq
    void this.#sign().catch((error) => this.#cannot(error))
  }

  /** Signs what is on the disk, and only that: a head must never promise a line that a power cut took. */
  async #sign(): Promise<void> {
    const { clock, identity } = this.#deps
    const { directory, filesMax } = this.#options
    const { seq, hash } = this.#end
    const file = this.#file
    const oldest = Math.max(this.#oldest, file - filesMax + 1)
    await this.durable()
    const head: AuditHead = { device: identity.device, oldest, file, seq, hash, atMs: clock.nowMs() }
    const json = JSON.stringify(head)
    const signature = identity.sign(Buffer.from(json)).toString('base64')
    await this.#keepHead(seq, `${json}\n${signature}\n`)
    this.#signedSeq = Math.max(this.#signedSeq, seq)
    // Only now: a file that goes before a head says so would look stolen.
    for (; this.#oldest < oldest; this.#oldest += 1)
      await rm(join(directory, fileOf(this.#oldest)), { force: true })
  }

  #keeping: Promise<void> = Promise.resolve()
  #keptSeq = 0

  /** One after the other, and never an older one over a newer one. */
  #keepHead(seq: number, text: string): Promise<void> {
    const { directory } = this.#options
    this.#keeping = this.#keeping
      .catch(() => {})
      .then(async () => {
        if (seq < this.#keptSeq) return
        await writeDurably(join(directory, headFile), text)
        this.#keptSeq = seq
      })
    return this.#keeping
  }

  #cannot(error: unknown): void {
    this.#deps.log.error('the audit log cannot be written', { reason: messageOf(error) })
    // Also where nothing more is appended it is tried again.
    if (!this.#closed) this.#cancelHead ??= this.#deps.clock.after(headDelayMs, () => this.#headNow())
  }
}

/** Numbers of the files that are there. One of whose first line a power cut or a full disk has left a part, or nothing, goes: it is none yet. */
async function withoutTorn(directory: string): Promise<number[]> {
  const files = await filesIn(directory)
  for (;;) {
    const last = files.at(-1)
    if (last === undefined) return files
    const { lines, torn, problem } = await readFileOfLog(directory, last, undefined)
    if (lines.length > 0 || (problem !== undefined && !torn)) return files
    await rm(join(directory, fileOf(last)), { force: true })
    files.pop()
  }
}

/** What the device has signed and is not there any more, in one line. */
async function lostBefore(
  { identity }: AuditDeps,
  directory: string,
  end: ChainEnd,
  oldest: number,
): Promise<string | undefined> {
  const text = await readFile(join(directory, headFile), 'utf8').catch(() => undefined)
  if (text === undefined) return end.seq === 0 ? undefined : 'a signed head that is gone'
  const read = readHead(text)
  if (typeof read === 'string') return read
  if (identity.verify(read.head.device, read.signed, read.signature) !== 'valid')
    return 'a head that this device has not signed'
  if (oldest > read.head.oldest) return `${fileOf(read.head.oldest)}, which is gone`
  return read.head.seq > end.seq
    ? `lines ${end.seq + 1} to ${read.head.seq}, which were signed and are gone`
    : undefined
}
