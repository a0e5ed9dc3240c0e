/**
 * A serial port: raw, 8 data bits, no parity, 1 stop bit, no flow control, set by stty(1) (coreutils) on the port that is
 * already open, so that no other program's settings come in between. Reading never blocks: the event loop watches the
 * descriptor and `read` takes what there is. No native add-on is needed.
 */
import { spawnSync } from 'node:child_process'
import { closeSync, constants, openSync, writeSync } from 'node:fs'
import { constants as system } from 'node:os'
import { HalError } from '../contract/errors.ts'
import type { Serial, SerialOptions } from '../contract/io.ts'
import { ByteRing } from './byte-ring.ts'
import { fsError, systemError } from './errno.ts'
import { ioctl, read, waitWritable, watchReadable } from './libc.ts'

/** Six seconds at 115200 baud, a minute of a GNSS receiver. */
const bufferBytes = 64 * 1024
/** The kernel's own buffer of a tty. */
const readBytes = 4096
/** Reads in one turn: a port that never rests does not hold the thread. */
const readsPerTurn = 32
/** stty needs 2 ms; a driver that hangs must not hang us. */
const sttyMsMax = 2000
/** Beyond what the bytes themselves need on the wire. */
const writeSlackMs = 100
/** Start bit, 8 data bits, stop bit. */
const bitsPerByte = 10
/** TIOCEXCL (include/uapi/asm-generic/ioctls.h): nobody but root may open it now. */
const exclusive = 0x540c

/** Ports that this thread has open: two readers would each get half. */
const openPaths = new Set<string>()

/** Throws HalError `not-present`, `permission`, `busy`, `out-of-range` for a speed that the port has not. */
export function openSerial(path: string, options: SerialOptions): Serial {
  const { port, baud } = options
  const where = port === path ? path : `${port} (${path})`
  if (openPaths.has(path)) throw new HalError('busy', `${where}: in use by another part`)
  let fd: number
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK)
  } catch (error) {
    throw fsError(error, port, path)
  }
  try {
    setUp(fd, where, path, baud)
    openPaths.add(path)
    return new LinuxSerial(fd, where, path, options)
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

function setUp(fd: number, where: string, path: string, baud: number): void {
  const settings = ['raw', String(baud), 'cs8', '-cstopb', '-parenb', '-echo', 'clocal', '-crtscts', '-ixon']
  const { error, status, stderr } = spawnSync('stty', settings, {
    stdio: [fd, 'ignore', 'pipe'],
    timeout: sttyMsMax,
    encoding: 'utf8',
  })
  if (error) throw new HalError('other', `${where}: stty: ${error.message}`, { cause: error })
  if (status !== 0)
    throw new HalError('out-of-range', `${where} at ${baud} baud: ${stderr.trim().split('\n')[0]}`)
  const failed = ioctl(fd, exclusive, 0)
  if (failed !== 0) throw systemError(failed, where, path)
}

class LinuxSerial implements Serial {
  readonly #path: string
  readonly #where: string
  readonly #options: SerialOptions
  readonly #ring = new ByteRing(bufferBytes)
  readonly #bytes = new Uint8Array(readBytes)
  readonly #unwatch: () => void
  #fd: number | undefined
  #failure: HalError | undefined

  constructor(fd: number, where: string, path: string, options: SerialOptions) {
    this.#fd = fd
    this.#path = path
    this.#options = options
    this.#where = where
    this.#unwatch = watchReadable(fd, () => this.#onReadable())
  }

  get droppedBytes(): number {
    return this.#ring.dropped
  }

  /** What was received before the port failed is still given; then the failure is thrown. */
  read(byteLength = Number.POSITIVE_INFINITY): Uint8Array {
    this.#drain(this.#open())
    if (this.#ring.length === 0 && this.#failure) throw this.#failure
    return this.#ring.take(byteLength)
  }

  write(bytes: Uint8Array): void {
    const fd = this.#open()
    if (this.#failure) throw this.#failure
    const deadlineMs = performance.now() + writeSlackMs + this.#wireMs(bytes.byteLength)
    for (let sent = 0; sent < bytes.byteLength; ) {
      sent += this.#writeSome(fd, bytes.subarray(sent))
      const leftMs = deadlineMs - performance.now()
      if (sent < bytes.byteLength && !(leftMs > 0 && waitWritable(fd, Math.ceil(leftMs))))
        throw new HalError(
          'timeout',
          `${this.#where}: ${bytes.byteLength - sent} bytes could not be sent in time`,
        )
    }
  }

  close(): void {
    if (this.#fd === undefined) return
    this.#unwatch()
    closeSync(this.#fd)
    this.#fd = undefined
    openPaths.delete(this.#path)
  }

  /** What fits into the kernel's buffer now. */
  #writeSome(fd: number, bytes: Uint8Array): number {
    try {
      return writeSync(fd, bytes)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0
      throw fsError(error, this.#where, this.#path)
    }
  }

  #onReadable(): void {
    if (this.#fd === undefined || this.#failure) return
    this.#drain(this.#fd)
    if (this.#ring.length > 0) this.#options.onReadable?.(this.#ring.length)
    if (this.#failure) this.#options.onError?.(this.#failure)
  }

  #drain(fd: number): void {
    for (let reads = 0; reads < readsPerTurn && !this.#failure; reads += 1) {
      const count = read(fd, this.#bytes)
      if (count > 0) this.#ring.push(this.#bytes.subarray(0, count))
      else if (count === -system.errno.EAGAIN) return
      else this.#fail(count)
    }
  }

  /** 0 and EIO are how a tty says that its other end, or the adapter, has gone. */
  #fail(count: number): void {
    this.#unwatch()
    this.#failure =
      count === 0 || count === -system.errno.EIO
        ? new HalError('not-present', `${this.#where}: it is gone`)
        : systemError(-count, this.#where, this.#path)
  }

  #wireMs(byteLength: number): number {
    return (byteLength * bitsPerByte * 1000) / this.#options.baud
  }

  #open(): number {
    if (this.#fd === undefined) throw new HalError('closed', `${this.#where} is closed`)
    return this.#fd
  }
}
