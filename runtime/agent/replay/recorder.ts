/**
 * The file of one run that goes on. Never throws: where it cannot be kept it ends.
 *
 * Invariants: [recorded-2] a turn that an image includes is in the file and on the disk before the image is, so what a crash took is
 * recorded again when the turns since the image are taken again; [recorded-4] a recording that has a gap ends before it, and
 * says why.
 */
import { type FileHandle, open, readFile, truncate } from 'node:fs/promises'
import { messageOf } from '../../base/errors.ts'
import type { RecordedTurn } from './replay.ts'
import { endOf, lastLine, lineOf } from './run-file.ts'

/** What waits to be written. More: the disk is slower than the agent. */
const waitingBytesMax = 4 * 1024 * 1024

interface Line {
  readonly turn: number
  readonly text: string
  readonly bytes: number
}

export class Recorder {
  readonly #path: string
  readonly #bytesMax: number
  readonly #told: (reason: string) => void
  #waiting: Line[] = []
  #waitingBytes = 0
  #file: FileHandle | undefined
  #last = 0
  #bytes = 0
  #over = false
  #writing: Promise<void> | undefined

  constructor(path: string, bytesMax: number, told: (reason: string) => void) {
    this.#path = path
    this.#bytesMax = bytesMax
    this.#told = told
  }

  /** A turn that was taken, or is taken again. */
  turn(turn: number, recorded: RecordedTurn): void {
    if (this.#over) return
    const text = lineOf(turn, recorded)
    const bytes = Buffer.byteLength(text)
    if (this.#waitingBytes + bytes > waitingBytesMax) {
      this.#end('the disk is slower than the agent')
      return
    }
    this.#waiting.push({ turn, text, bytes })
    this.#waitingBytes += bytes
    this.#writing ??= this.#write(false)
  }

  /** Resolves when all turns given before are on the disk, or will never be. */
  async durable(): Promise<void> {
    while (this.#writing) await this.#writing
    this.#writing = this.#write(true)
    await this.#writing
  }

  async close(): Promise<void> {
    await this.durable()
    await this.#file?.close().catch(() => {})
    this.#file = undefined
    this.#over = true
  }

  async #write(sync: boolean): Promise<void> {
    try {
      // Everything that happens at one instant is one write.
      await Promise.resolve()
      while (this.#waiting.length > 0 && !this.#over) await this.#writeWaiting()
      if (sync) await this.#file?.datasync()
    } catch (error) {
      this.#end(messageOf(error))
    } finally {
      this.#writing = undefined
    }
  }

  async #writeWaiting(): Promise<void> {
    this.#file ??= await this.#opened()
    const lines = this.#taken()
    let text = ''
    let why: string | undefined
    for (const line of this.#over ? [] : lines) {
      if (line.turn <= this.#last) continue
      why = this.#refusal(line)
      if (why !== undefined) break
      text += line.text
      this.#last = line.turn
      this.#bytes += line.bytes
    }
    if (text !== '') await this.#file.appendFile(text)
    if (why === undefined) return
    await this.#file.appendFile(lastLine(why))
    this.#end(why)
  }

  #taken(): readonly Line[] {
    const lines = this.#waiting
    this.#waiting = []
    this.#waitingBytes = 0
    return lines
  }

  #refusal({ turn, bytes }: Line): string | undefined {
    if (turn !== this.#last + 1) return `turn ${this.#last + 1} is not known any more`
    if (this.#bytes + bytes <= this.#bytesMax) return undefined
    return `the ${this.#bytesMax} bytes that a run may have are full`
  }

  /** Where the file was, without a line that a power cut tore. */
  async #opened(): Promise<FileHandle> {
    const { turns, wholeBytes, isOver } = endOf(await readFile(this.#path))
    await truncate(this.#path, wholeBytes)
    this.#last = turns
    this.#bytes = wholeBytes
    this.#over = isOver
    return await open(this.#path, 'a')
  }

  #end(reason: string): void {
    if (this.#over) return
    this.#over = true
    this.#taken()
    this.#told(reason)
  }
}
