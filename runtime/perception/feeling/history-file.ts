/**
 * A device's own numbers over time, in one file that never grows beyond its rows: when it is full, the oldest row is
 * overwritten. Written without waiting for the disk and without fsync, because the control loop runs beside it: a power
 * cut may lose the last rows, and a row that was half written is recognised by its checksum and left out.
 *
 *     4096 bytes   JSON {v, channels, everyMs, rowsMax}, padded with spaces
 *     rows         float64 time, ms since the Unix epoch | float32 each channel, NaN where there was none | CRC-32 of both
 */
import { type FileHandle, open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { CodedError, messageOf } from '../../base/errors.ts'
import { makeDirectory } from '../../base/state-dir.ts'

export class HistoryError extends CodedError<'not-history' | 'disk'> {
  override readonly name = 'HistoryError'
}

export interface HistoryShape {
  readonly channels: readonly string[]
  readonly everyMs: number
  readonly rowsMax: number
}

export interface HistoryRow {
  readonly tsMs: number
  /** One for each channel; NaN where there was none. */
  readonly values: Float32Array
}

const headerBytes = 4096
/** Rows on their way to the disk. A disk that is slower than that for minutes is as good as full. */
const waitingMax = 16
const readBytesMax = 64 * 1024

export const historyPath = (stateDir: string, id: string) => join(stateDir, 'feeling', `${id}.history`)

export class HistoryFile implements AsyncDisposable {
  readonly shape: HistoryShape
  readonly #file: FileHandle
  #next: number
  #lastMs: number
  #waiting = 0
  #writing: Promise<void> = Promise.resolve()
  #lost = 0
  #problem: string | undefined

  private constructor(
    file: FileHandle,
    shape: HistoryShape,
    end: { readonly next: number; readonly lastMs: number },
  ) {
    this.#file = file
    this.shape = shape
    this.#next = end.next
    this.#lastMs = end.lastMs
  }

  /**
   * Goes on where the file ends; of one that may hold more or fewer rows, with its newest. A file of other channels, or of
   * another period, is kept beside it, as `<path>.before`; one that was kept so far is overwritten. Throws HistoryError `disk`.
   */
  static async open(path: string, shape: HistoryShape): Promise<HistoryFile> {
    try {
      makeDirectory(join(path, '..'))
      const existing = await openExisting(path, shape)
      if (existing) return existing
      const file = await open(path, 'w+', 0o600)
      await file.write(headerOf(shape), 0, headerBytes, 0)
      return new HistoryFile(file, shape, { next: 0, lastMs: Number.NEGATIVE_INFINITY })
    } catch (error) {
      if (error instanceof HistoryError) throw error
      throw new HistoryError('disk', `cannot keep history in ${path}: ${messageOf(error)}`, { cause: error })
    }

    async function openExisting(at: string, wanted: HistoryShape): Promise<HistoryFile | undefined> {
      const file = await open(at, 'r+').catch((error: NodeJS.ErrnoException) => {
        // Whatever else keeps it from being opened: it is there, and must not be begun anew.
        if (error.code !== 'ENOENT') throw error
      })
      if (!file) return undefined
      const shape = await shapeOf(file)
      if (shape && isSame(shape, wanted)) return new HistoryFile(file, wanted, await endOf(file, wanted))
      await file.close()
      if (!shape || !isSame({ ...shape, rowsMax: wanted.rowsMax }, wanted)) {
        await rename(at, `${at}.before`)
        return undefined
      }
      await resize(at, shape, wanted)
      return openExisting(at, wanted)
    }
  }

  /** One line, while rows cannot be written. */
  get problem(): string | undefined {
    return this.#problem
  }

  /** Rows that could not be written. */
  get lost(): number {
    return this.#lost
  }

  /** Adds a row; it reaches the disk later. A row that is not later than the last one is left out: the clock was set back. */
  append({ tsMs, values }: HistoryRow): void {
    if (tsMs <= this.#lastMs) {
      const last = new Date(this.#lastMs).toISOString()
      this.#problem = `the clock was set back: history is kept again from ${last} on`
      return
    }
    if (this.#waiting >= waitingMax) {
      this.#lost += 1
      this.#problem = `${this.#lost} rows of history were lost: the disk does not follow`
      return
    }
    this.#lastMs = tsMs
    const bytes = rowBytes(this.shape)
    const row = bytesOf({ tsMs, values }, this.shape)
    const position = headerBytes + this.#next * bytes
    this.#next = (this.#next + 1) % this.shape.rowsMax
    this.#waiting += 1
    this.#writing = this.#writing.then(async () => {
      try {
        await this.#file.write(row, 0, bytes, position)
        this.#problem = undefined
      } catch (error) {
        this.#lost += 1
        this.#problem = `history is not kept: ${messageOf(error)}`
      }
      this.#waiting -= 1
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing
    await this.#file.close()
  }
}

/** What is in a history file, and its rows from the oldest on. Throws HistoryError. */
export async function readHistory(
  path: string,
): Promise<{ readonly shape: HistoryShape; readonly rows: AsyncIterable<HistoryRow> }> {
  await using file = await openToRead(path)
  const shape = await shapeOf(file)
  if (!shape) throw new HistoryError('not-history', `${path} is not a history of this version`)
  return { shape, rows: rowsOf(path, shape) }
}

async function openToRead(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r')
  } catch (error) {
    throw new HistoryError('disk', `cannot read the history ${path}: ${messageOf(error)}`, { cause: error })
  }
}

/** Opens the file anew: whoever asks for the shape alone leaves nothing open. */
async function* rowsOf(path: string, shape: HistoryShape): AsyncGenerator<HistoryRow> {
  await using file = await openToRead(path)
  const { next, rows } = await endOf(file, shape)
  // The ring begins at the slot to be written next, where the file has come round; earlier ones follow.
  for await (const { row } of slots(file, shape, next, rows)) yield row
  for await (const { row } of slots(file, shape, 0, Math.min(next, rows))) yield row
}

/** Whole, unharmed rows of the slots from `first` to, not including, `end`. */
async function* slots(
  file: FileHandle,
  shape: HistoryShape,
  first: number,
  end: number,
): AsyncGenerator<{ readonly slot: number; readonly row: HistoryRow }> {
  const bytes = rowBytes(shape)
  const step = Math.max(1, Math.floor(readBytesMax / bytes))
  for (let slot = first; slot < end; slot += step) {
    const count = Math.min(step, end - slot)
    const { buffer, bytesRead } = await file.read(
      Buffer.alloc(count * bytes),
      0,
      count * bytes,
      headerBytes + slot * bytes,
    )
    for (let at = 0; (at + 1) * bytes <= bytesRead; at += 1) {
      const row = rowIn(buffer.subarray(at * bytes, (at + 1) * bytes), shape.channels.length)
      if (row) yield { slot: slot + at, row }
    }
  }
}

/** Slot to be written next, time of the last row, and how many slots the file has. */
async function endOf(
  file: FileHandle,
  shape: HistoryShape,
): Promise<{ readonly next: number; readonly lastMs: number; readonly rows: number }> {
  const { size } = await file.stat()
  const rows = Math.min(shape.rowsMax, Math.floor((size - headerBytes) / rowBytes(shape)))
  let next = 0
  let lastMs = Number.NEGATIVE_INFINITY
  for await (const { slot, row } of slots(file, shape, 0, rows)) {
    if (row.tsMs <= lastMs) continue
    lastMs = row.tsMs
    next = (slot + 1) % shape.rowsMax
  }
  return { next, lastMs, rows }
}

/** The newest rows of a history into one that may hold more or fewer; nothing is lost when it ends half way. */
async function resize(path: string, from: HistoryShape, to: HistoryShape): Promise<void> {
  {
    await using old = await open(path, 'r')
    await using file = await open(`${path}.new`, 'w')
    await file.writeFile(headerOf(to))
    let tooOld = (await endOf(old, from)).rows - to.rowsMax
    const batch: Buffer[] = []
    const flush = () => file.writeFile(Buffer.concat(batch.splice(0)))
    for await (const row of rowsOf(path, from)) {
      if (tooOld-- > 0) continue
      if (batch.push(bytesOf(row, to)) === 1000) await flush()
    }
    await flush()
  }
  await rename(`${path}.new`, path)
}

function bytesOf({ tsMs, values }: HistoryRow, shape: HistoryShape): Buffer {
  const bytes = rowBytes(shape)
  const row = Buffer.alloc(bytes)
  row.writeDoubleLE(tsMs, 0)
  for (let at = 0; at < shape.channels.length; at += 1) row.writeFloatLE(values[at] ?? Number.NaN, 8 + 4 * at)
  row.writeUInt32LE(crc32(row.subarray(0, bytes - 4)), bytes - 4)
  return row
}

function rowIn(bytes: Buffer, channels: number): HistoryRow | undefined {
  const end = bytes.length - 4
  if (crc32(bytes.subarray(0, end)) !== bytes.readUInt32LE(end)) return undefined
  const tsMs = bytes.readDoubleLE(0)
  if (!Number.isFinite(tsMs)) return undefined
  return { tsMs, values: Float32Array.from({ length: channels }, (_, at) => bytes.readFloatLE(8 + 4 * at)) }
}

const rowBytes = ({ channels }: HistoryShape) => 8 + 4 * channels.length + 4
const plain = ({ channels, everyMs, rowsMax }: HistoryShape) => ({
  channels: [...channels],
  everyMs,
  rowsMax,
})

const isSame = (a: HistoryShape, b: HistoryShape) => JSON.stringify(plain(a)) === JSON.stringify(plain(b))

function headerOf(shape: HistoryShape): Buffer {
  const text = JSON.stringify({ v: 1, ...plain(shape) })
  const header = Buffer.alloc(headerBytes, ' ')
  if (header.write(text) !== Buffer.byteLength(text))
    throw new HistoryError(
      'disk',
      `the names of ${shape.channels.length} channels take more than ${headerBytes} bytes`,
    )
  return header
}

async function shapeOf(file: FileHandle): Promise<HistoryShape | undefined> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(headerBytes), 0, headerBytes, 0)
  try {
    const { v, channels, everyMs, rowsMax } = JSON.parse(buffer.toString('utf8', 0, bytesRead))
    const ok =
      v === 1 &&
      Array.isArray(channels) &&
      channels.length >= 1 &&
      channels.length <= 32 &&
      channels.every((channel) => typeof channel === 'string') &&
      everyMs > 0 &&
      Number.isInteger(rowsMax) &&
      rowsMax > 0
    return ok ? { channels, everyMs, rowsMax } : undefined
  } catch {
    return undefined
  }
}
