/**
 * Reads a tar archive (POSIX.1-2017 pax interchange format and ustar; GNU long names) as a stream, entry by entry.
 * Memory is bounded by one chunk and one header; names are checked, never used as file names here.
 */
import { isPlainPath } from './manifest.ts'
import { StoreError } from './store-error.ts'

const block = 512
/** A pax header holds a few short records. */
const headerBytesMax = 64 * 1024
/** Largest archive, unpacked: far more than any model, small enough to end a decompression bomb. */
const unpackedBytesMax = 64 * 1024 ** 3

export interface TarEntry {
  readonly path: string
  readonly bytes: number
  /** The entry's content; what the reader leaves is skipped. */
  readonly body: AsyncIterable<Uint8Array>
}

/** Regular files of the archive. Throws StoreError `malformed`. */
export async function* readTar(archive: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const reader = new BlockReader(archive)
  try {
    yield* readEntries(reader)
  } finally {
    await reader.close()
  }
}

async function* readEntries(reader: BlockReader): AsyncGenerator<TarEntry> {
  let longName: string | undefined
  let paxBytes: number | undefined
  for (;;) {
    const header = await reader.exactly(block)
    if (header.every((byte) => byte === 0)) return
    const entry = parseHeader(header)
    if ('xgLK'.includes(entry.type)) {
      if (entry.bytes > headerBytesMax) throw malformed(`a header of ${entry.bytes} bytes`)
      const text = Buffer.from(await reader.exactly(entry.bytes)).toString('utf8')
      await reader.skip(padding(entry.bytes))
      if (entry.type === 'x') {
        const records = paxRecords(text)
        longName = records.get('path') ?? longName
        paxBytes = records.has('size') ? Number(records.get('size')) : paxBytes
      } else if (entry.type === 'L') longName = text.replace(/\0.*$/s, '')
      continue
    }
    const path = longName ?? entry.path
    const bytes = paxBytes ?? entry.bytes
    if (!Number.isSafeInteger(bytes) || bytes < 0) throw malformed('an entry with an impossible size')
    longName = undefined
    paxBytes = undefined
    const body = reader.body(bytes)
    if (entry.type === '0' || entry.type === '\0') {
      if (!isPlainPath(path)) throw malformed(`an unsafe path, ${JSON.stringify(path.slice(0, 100))}`)
      yield { path, bytes, body }
    }
    for await (const _ of body);
    await reader.skip(padding(bytes))
  }
}

function parseHeader(header: Uint8Array): { path: string; bytes: number; type: string } {
  const view = Buffer.from(header.buffer, header.byteOffset, header.byteLength)
  const text = (from: number, length: number) =>
    view
      .subarray(from, from + length)
      .toString('utf8')
      .replace(/\0.*$/s, '')
  const octal = (from: number, length: number) => Number.parseInt(text(from, length).trim() || '0', 8)
  let sum = 8 * 0x20
  for (let at = 0; at < block; at += 1) if (at < 148 || at >= 156) sum += view[at] ?? 0
  if (sum !== octal(148, 8)) throw malformed('a header with a wrong checksum')
  const prefix = text(257, 5) === 'ustar' && view[262] === 0 ? text(345, 155) : ''
  const bytes = octal(124, 12)
  if (!Number.isSafeInteger(bytes) || bytes < 0) throw malformed('an entry with an impossible size')
  return {
    path: prefix ? `${prefix}/${text(0, 100)}` : text(0, 100),
    bytes,
    type: String.fromCharCode(view[156] ?? 0),
  }
}

/** `length key=value\n` records of a pax header. */
function paxRecords(text: string): Map<string, string> {
  const records = new Map<string, string>()
  for (const record of text.split('\n')) {
    const match = /^\d+ ([^=]+)=(.*)$/s.exec(record)
    if (match?.[1] !== undefined && match[2] !== undefined) records.set(match[1], match[2])
  }
  return records
}

function padding(bytes: number): number {
  return (block - (bytes % block)) % block
}

function malformed(what: string): StoreError {
  return new StoreError('malformed', `the archive is not a tar file that can be trusted: it has ${what}`)
}

/** Cuts a stream of chunks into the lengths asked for. */
class BlockReader {
  readonly #chunks: AsyncIterator<Uint8Array>
  #rest: Uint8Array = new Uint8Array(0)
  #readBytes = 0

  constructor(archive: AsyncIterable<Uint8Array>) {
    this.#chunks = archive[Symbol.asyncIterator]()
  }

  /** Lets go of the archive, however much of it was read. */
  async close(): Promise<void> {
    await this.#chunks.return?.()
  }

  async exactly(bytes: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = []
    for await (const part of this.body(bytes)) parts.push(part)
    return Buffer.concat(parts)
  }

  async skip(bytes: number): Promise<void> {
    for await (const _ of this.body(bytes));
  }

  /** Up to `bytes` bytes, once: iterating again gives what is left of them. */
  body(bytes: number): AsyncIterable<Uint8Array> {
    let left = bytes
    const take = (max: number) => this.#take(max)
    return {
      [Symbol.asyncIterator]: () => ({
        async next() {
          if (left === 0) return { done: true, value: undefined }
          const value = await take(left)
          left -= value.byteLength
          return { done: false, value }
        },
      }),
    }
  }

  async #take(max: number): Promise<Uint8Array> {
    while (this.#rest.byteLength === 0) {
      const next = await this.#chunks.next()
      if (next.done) throw new StoreError('malformed', 'the archive ends too early', { retryable: true })
      this.#rest = next.value
      this.#readBytes += next.value.byteLength
      if (this.#readBytes > unpackedBytesMax) throw malformed(`more than ${unpackedBytesMax} bytes`)
    }
    const taken = this.#rest.subarray(0, max)
    this.#rest = this.#rest.subarray(taken.byteLength)
    return taken
  }
}
