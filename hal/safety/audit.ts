/**
 * Who asked for what and which rule refused it, and every fault, arming and clearing: JSON lines in `audit.jsonl`, the
 * older ones in `audit.1.jsonl` and so on.
 *
 * Invariants: [safety-7] the files never exceed `filesKept` times `bytesMax`; of one (who, what, rule, component) one
 * line a second at most, with a count, and of everything together `linesPerSecondMax`. Write errors are told and never
 * stop safety. Commands and tokens are never written, only what was refused and why.
 */
import { appendFile, open, readFile, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Cancel, HostClock } from '../contract/host.ts'
import type { AuditLine } from '../contract/safety-control.ts'

export type AuditEntry = Omit<AuditLine, 'atMs' | 'count'>

const bytesMax = 1024 * 1024
const filesKept = 4
const windowMs = 1_000
/** A flood from many names at once writes 6 kB/s at most: below 20 GB a month, which a card survives for years. */
const linesPerSecondMax = 20
const whoMax = 80
const messageMax = 300

export interface AuditDeps {
  readonly clock: HostClock
  /** Told when lines cannot be written, once per trouble. */
  readonly onTrouble: (message: string) => void
}

const fileOf = (dir: string, age: number) => join(dir, age === 0 ? 'audit.jsonl' : `audit.${age}.jsonl`)

interface Repeated {
  readonly line: AuditLine
  count: number
}

export class Audit implements AsyncDisposable {
  readonly #dir: string
  readonly #deps: AuditDeps
  /** Seen in this second; those beyond the first line wait here as a count. */
  readonly #window = new Map<string, Repeated>()
  #others = 0
  #endWindow: Cancel | undefined
  #pending: AuditLine[] = []
  #writing: Promise<void> | undefined
  #troubled = false
  #begun = false

  constructor(safetyDir: string, deps: AuditDeps) {
    this.#dir = safetyDir
    this.#deps = deps
  }

  record({ what, who, rule, component, message }: AuditEntry): void {
    const line: AuditLine = {
      atMs: this.#deps.clock.nowMs(),
      what,
      who: cut(who, whoMax),
      ...(rule === undefined ? {} : { rule }),
      ...(component === undefined ? {} : { component: cut(component, messageMax) }),
      message: cut(message, messageMax),
    }
    this.#endWindow ??= this.#deps.clock.after(windowMs, () => this.#closeWindow())
    const key = JSON.stringify([what, line.who, rule, line.component])
    const seen = this.#window.get(key)
    if (seen) seen.count += 1
    else if (this.#window.size >= linesPerSecondMax) this.#others += 1
    else {
      this.#window.set(key, { line, count: 0 })
      this.#write(line)
    }
  }

  /** Resolves when everything recorded so far is in the file, or could not be written. */
  async flush(): Promise<void> {
    this.#closeWindow()
    while (this.#writing) await this.#writing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.flush()
  }

  #closeWindow(): void {
    this.#endWindow?.()
    this.#endWindow = undefined
    const repeated = [...this.#window.values()].filter(({ count }) => count > 0)
    this.#window.clear()
    const atMs = this.#deps.clock.nowMs()
    for (const { line, count } of repeated) this.#write({ ...line, atMs, count })
    if (this.#others > 0)
      this.#write({
        atMs,
        what: 'denied',
        who: 'many',
        message: 'more names than are kept',
        count: this.#others,
      })
    this.#others = 0
  }

  #write(line: AuditLine): void {
    // The disk may be slower than a flood; what was not written yet is bounded as the window is.
    if (this.#pending.length < 4 * linesPerSecondMax) this.#pending.push(line)
    this.#writing ??= this.#drain().finally(() => {
      this.#writing = undefined
    })
  }

  async #drain(): Promise<void> {
    while (this.#pending.length > 0) {
      const lines = this.#pending
      this.#pending = []
      try {
        await this.#append(lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
        this.#troubled = false
      } catch (error) {
        if (!this.#troubled) this.#deps.onTrouble(`the audit cannot be written: ${String(error)}`)
        this.#troubled = true
      }
    }
  }

  async #append(text: string): Promise<void> {
    const file = fileOf(this.#dir, 0)
    const size = await stat(file).then(
      ({ size }) => size,
      () => 0,
    )
    if (size + text.length > bytesMax) await this.#rotate()
    // A line that a power loss cut in half ends here.
    await appendFile(file, this.#begun ? text : `\n${text}`, { mode: 0o600 })
    this.#begun = true
    await using handle = await open(file, 'r')
    await handle.datasync()
  }

  async #rotate(): Promise<void> {
    for (let age = filesKept - 2; age >= 0; age -= 1)
      await rename(fileOf(this.#dir, age), fileOf(this.#dir, age + 1)).catch((error) => {
        if (error.code !== 'ENOENT') throw error
      })
  }
}

const cut = (text: string, max: number) => (text.length > max ? `${text.slice(0, max - 1)}…` : text)

/** The newest `linesMax` lines, oldest first; what is no line is left out. */
export async function readAudit(safetyDir: string, linesMax: number): Promise<readonly AuditLine[]> {
  let lines: AuditLine[] = []
  for (let age = 0; age < filesKept && lines.length < linesMax; age += 1) {
    const text = await readFile(fileOf(safetyDir, age), 'utf8').catch(() => '')
    lines = [...text.split('\n').flatMap(parseLine), ...lines]
  }
  return lines.slice(-linesMax)
}

/** The last line may be half written: power went. */
function parseLine(text: string): AuditLine[] {
  try {
    return [JSON.parse(text)]
  } catch {
    return []
  }
}
