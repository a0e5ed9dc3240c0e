/**
 * I2C through /dev/i2c-N (kernel: include/uapi/linux/i2c-dev.h, i2c.h; Documentation/i2c/dev-interface.rst). Every
 * operation is one I2C_RDWR ioctl, so messages of a combined transaction are joined by repeated starts.
 *
 * A bus that is stuck costs at most 50 ms an operation: the adapter's timeout is set at open, with one retry. Linux has no
 * way to set the clock of a bus from here: `hz` is the device tree's business. A part that a kernel driver has taken is
 * refused. The kernel ends each transaction with a stop, so `read(n, false)` stops as well.
 */
import { closeSync, existsSync, openSync, readlinkSync } from 'node:fs'
import { basename, join } from 'node:path'
import { HalError } from '../contract/errors.ts'
import type { I2c } from '../contract/io.ts'
import { fsError, systemError } from './errno.ts'
import { I2cMessages, type Message } from './i2c-messages.ts'
import { ioctl } from './libc.ts'

const i2cRetries = 0x0701
const i2cTimeout = 0x0702
const i2cRdwr = 0x0707

/** I2C_TIMEOUT counts in 10 ms. */
const timeout10Ms = 5
const retries = 1
/** A 7-bit address outside is reserved (I2C-bus specification UM10204, 3.1.12). */
const addresses = { min: 0x08, max: 0x77 }
/** i2c-dev.c takes no longer message. */
const messageBytesMax = 8192
/** I2C_RDWR_IOCTL_MAX_MSGS is 42; two are left for what comes with the stop. */
const heldMax = 40

export interface LinuxI2cOptions {
  /** Id of the bus, for messages. */
  readonly bus: string
  /** Its device node. */
  readonly path: string
  readonly address: number
  readonly sys: string
}

/** Throws HalError `not-present`, `permission`, `busy` or `out-of-range`. */
export function openI2c(options: LinuxI2cOptions): I2c {
  const { bus, path, address } = options
  if (!Number.isInteger(address) || address < addresses.min || address > addresses.max)
    throw new HalError(
      'out-of-range',
      `${bus}: address ${hex(address)} is not between ${hex(addresses.min)} and ${hex(addresses.max)}`,
    )
  const driver = kernelDriver(options.sys, basename(path), address)
  if (driver !== undefined)
    throw new HalError(
      'busy',
      `${bus} address ${hex(address)}: the kernel's driver ${driver} has it; free it, or read it from there`,
    )
  return new LinuxI2c(options, openAdapter(bus, path))
}

/** Opens the bus and bounds what a stuck one can cost. Both settings are the adapter's, for everybody who uses it. */
export function openAdapter(bus: string, path: string): number {
  let fd: number
  try {
    fd = openSync(path, 'r+')
  } catch (error) {
    throw fsError(error, bus, path)
  }
  const failed = ioctl(fd, i2cTimeout, timeout10Ms) || ioctl(fd, i2cRetries, retries)
  if (failed === 0) return fd
  closeSync(fd)
  throw systemError(failed, bus, path)
}

/** Name of the kernel driver bound to an address, where there is one (sysfs-bus-i2c: `1-0048/driver`). */
export function kernelDriver(sys: string, adapter: string, address: number): string | undefined {
  const number = adapter.slice('i2c-'.length)
  const device = `${number}-${address.toString(16).padStart(4, '0')}`
  const link = join(sys, 'bus', 'i2c', 'devices', device, 'driver')
  return existsSync(link) ? basename(readlinkSync(link)) : undefined
}

class LinuxI2c implements I2c {
  readonly #where: string
  readonly #path: string
  readonly #address: number
  #fd: number | undefined
  /** Written without a stop: they go out with what comes next. */
  #held: Uint8Array[] = []
  readonly #messages = new I2cMessages()

  constructor({ bus, path, address }: LinuxI2cOptions, fd: number) {
    this.#where = `${bus} address ${hex(address)}`
    this.#path = path
    this.#address = address
    this.#fd = fd
  }

  read(byteLength: number): Uint8Array {
    return this.#transfer(undefined, this.#checked(byteLength))
  }

  write(bytes: Uint8Array, stop = true): void {
    this.#checked(bytes.byteLength)
    if (stop) this.#transfer(bytes, undefined)
    // A copy: the caller may change it before it goes out.
    else this.#hold(bytes.slice())
  }

  writeRead(bytes: Uint8Array, byteLength: number): Uint8Array {
    this.#checked(bytes.byteLength)
    return this.#transfer(bytes, this.#checked(byteLength))
  }

  close(): void {
    if (this.#fd === undefined) return
    closeSync(this.#fd)
    this.#fd = undefined
    this.#held = []
  }

  #transfer(write: Uint8Array | undefined, readLength: number | undefined): Uint8Array {
    const fd = this.#open()
    const messages: Message[] = [...this.#held]
    this.#held = []
    if (write) messages.push(write)
    if (readLength !== undefined) messages.push(readLength)
    const failed = ioctl(fd, i2cRdwr, this.#messages.request(this.#address, messages))
    if (failed !== 0) throw systemError(failed, this.#where, this.#path)
    return this.#messages.received(readLength ?? 0)
  }

  #hold(bytes: Uint8Array): void {
    this.#open()
    if (this.#held.length >= heldMax)
      throw new HalError('out-of-range', `${this.#where}: more than ${heldMax} writes without a stop`)
    this.#held.push(bytes)
  }

  #checked(byteLength: number): number {
    if (Number.isInteger(byteLength) && byteLength >= 0 && byteLength <= messageBytesMax) return byteLength
    throw new HalError(
      'out-of-range',
      `${this.#where}: ${byteLength} bytes, a message has 0 to ${messageBytesMax}`,
    )
  }

  #open(): number {
    if (this.#fd === undefined) throw new HalError('closed', `${this.#where} is closed`)
    return this.#fd
  }
}

export const hex = (address: number) => `0x${address.toString(16).padStart(2, '0')}`
