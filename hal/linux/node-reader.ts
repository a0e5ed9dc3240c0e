/**
 * Reads a node that gives whole records when it has some (input events, CAN frames, IIO scans). The node is non-blocking and
 * watched by the event loop: a blocked read would hold one of libuv's four threads. What is not read yet waits in the
 * kernel's own buffer.
 */
import { closeSync, constants, openSync, readSync } from 'node:fs'
import { HalError } from '../contract/errors.ts'
import { fsError } from './errno.ts'
import { watchReadable } from './libc.ts'

/** Reads in one turn: a node that never runs dry does not hold the thread. */
const readsMax = 64

export interface NodeReaderOptions {
  /** For messages: `input gpio-keys`. */
  readonly where: string
  readonly path: string
  /** Whole records that one read can give, bytes. */
  readonly readBytes: number
  readonly onBytes: (bytes: Uint8Array) => void
  /** Once; nothing comes after it. */
  readonly onError: (error: HalError) => void
}

export class NodeReader implements Disposable {
  readonly #fd: number
  readonly #options: NodeReaderOptions
  readonly #buffer: Uint8Array
  readonly #unwatch: () => void
  #closed = false

  /** Takes over a descriptor that is non-blocking already. */
  constructor(fd: number, options: NodeReaderOptions) {
    this.#fd = fd
    this.#options = options
    this.#buffer = new Uint8Array(options.readBytes)
    this.#unwatch = watchReadable(fd, () => this.#onReadable())
  }

  /** Throws HalError. */
  static open(options: NodeReaderOptions): NodeReader {
    try {
      return new NodeReader(openSync(options.path, constants.O_RDONLY | constants.O_NONBLOCK), options)
    } catch (error) {
      throw fsError(error, options.where, options.path)
    }
  }

  [Symbol.dispose](): void {
    if (this.#closed) return
    this.#closed = true
    this.#unwatch()
    closeSync(this.#fd)
  }

  #onReadable(): void {
    for (let reads = 0; reads < readsMax && !this.#closed; reads += 1) {
      const bytes = this.#read()
      if (bytes === undefined) return
      this.#options.onBytes(bytes)
    }
  }

  /** Undefined when nothing waits, or the node has failed and is closed. */
  #read(): Uint8Array | undefined {
    try {
      const length = readSync(this.#fd, this.#buffer)
      if (length > 0) return this.#buffer.slice(0, length)
      this.#fail(new HalError('not-present', `${this.#options.where} (${this.#options.path}): it has ended`))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN')
        this.#fail(fsError(error, this.#options.where, this.#options.path))
    }
    return undefined
  }

  #fail(error: HalError): void {
    this[Symbol.dispose]()
    this.#options.onError(error)
  }
}
