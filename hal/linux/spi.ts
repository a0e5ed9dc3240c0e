/**
 * SPI through /dev/spidevB.C (kernel: include/uapi/linux/spi/spidev.h, Documentation/spi/spidev.rst). A transfer is one
 * SPI_IOC_MESSAGE: chip select stays low for all of it, so a transfer longer than the driver's buffer is refused, never
 * split.
 */
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { HalError } from '../contract/errors.ts'
import type { Spi, SpiOptions } from '../contract/io.ts'
import { fsError, systemError } from './errno.ts'
import { ioctlNumber } from './ioctl.ts'
import { addressOf, ioctl } from './libc.ts'

/** 'k'. */
const spiType = 0x6b
/** struct spi_ioc_transfer: u64 tx_buf, u64 rx_buf, u32 len, u32 speed_hz, u16 delay, u8 bits_per_word, 5 bytes more. */
const transferSize = 32
const spiMessage = ioctlNumber('write', spiType, 0, transferSize)
const writeMode32 = ioctlNumber('write', spiType, 5, 4)
const bitsPerWord = 8
/** The spidev module's own default, where the parameter cannot be read. */
const bufferBytesDefault = 4096

/** `path` is the device node of `options.bus`. Throws HalError `not-present`, `permission`, `out-of-range`. */
export function openSpi(path: string, sys: string, options: SpiOptions): Spi {
  const { bus, hz, mode = 0 } = options
  if (!Number.isInteger(mode) || mode < 0 || mode > 3)
    throw new HalError('out-of-range', `${bus}: mode ${mode} is not 0 to 3`)
  if (!Number.isFinite(hz) || hz < 1 || hz > 0xffffffff)
    throw new HalError('out-of-range', `${bus}: ${hz} Hz is no SPI clock`)
  let fd: number
  try {
    fd = openSync(path, 'r+')
  } catch (error) {
    throw fsError(error, bus, path)
  }
  const failed = ioctl(fd, writeMode32, Uint8Array.of(mode, 0, 0, 0))
  if (failed === 0) return new LinuxSpi(bus, path, fd, Math.round(hz), bufferBytes(sys))
  closeSync(fd)
  throw systemError(failed, `${bus} mode ${mode}`, path)
}

/** Longest transfer that spidev takes. */
function bufferBytes(sys: string): number {
  try {
    const bytes = Number(readFileSync(join(sys, 'module', 'spidev', 'parameters', 'bufsiz'), 'utf8'))
    return Number.isInteger(bytes) && bytes > 0 ? bytes : bufferBytesDefault
  } catch {
    return bufferBytesDefault
  }
}

class LinuxSpi implements Spi {
  readonly #bus: string
  readonly #path: string
  readonly #hz: number
  readonly #bytesMax: number
  readonly #request = new DataView(new ArrayBuffer(transferSize))
  #fd: number | undefined

  constructor(bus: string, path: string, fd: number, hz: number, bytesMax: number) {
    this.#bus = bus
    this.#path = path
    this.#fd = fd
    this.#hz = hz
    this.#bytesMax = bytesMax
  }

  transfer(bytes: Uint8Array): Uint8Array {
    const received = new Uint8Array(bytes.byteLength)
    this.#message(bytes.byteLength, bytes, received)
    return received
  }

  write(bytes: Uint8Array): void {
    this.#message(bytes.byteLength, bytes, undefined)
  }

  read(byteLength: number): Uint8Array {
    const received = new Uint8Array(byteLength)
    this.#message(byteLength, undefined, received)
    return received
  }

  close(): void {
    if (this.#fd === undefined) return
    closeSync(this.#fd)
    this.#fd = undefined
  }

  #message(byteLength: number, sent: Uint8Array | undefined, received: Uint8Array | undefined): void {
    if (this.#fd === undefined) throw new HalError('closed', `${this.#bus} is closed`)
    if (byteLength > this.#bytesMax)
      throw new HalError(
        'out-of-range',
        `${this.#bus}: ${byteLength} bytes, a transfer has at most ${this.#bytesMax}; ` +
          `more with spidev.bufsiz=${byteLength} on the kernel's command line`,
      )
    if (byteLength === 0) return
    const request = this.#request
    request.setBigUint64(0, sent ? addressOf(sent) : 0n, true)
    request.setBigUint64(8, received ? addressOf(received) : 0n, true)
    request.setUint32(16, byteLength, true)
    request.setUint32(20, this.#hz, true)
    request.setUint8(26, bitsPerWord)
    const failed = ioctl(this.#fd, spiMessage, new Uint8Array(request.buffer))
    if (failed !== 0) throw systemError(failed, this.#bus, this.#path)
  }
}
