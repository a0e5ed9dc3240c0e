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
import { addressOf, ioctl } from './libc.ts'

const i2cRetries = 0x0701
const i2cTimeout = 0x0702
const i2cRdwr = 0x0707
const messageRead = 0x0001

/** I2C_TIMEOUT counts in 10 ms. */
const timeout10Ms = 5
const retries = 1
/** A 7-bit address outside is reserved (I2C-bus specification UM10204, 3.1.12). */
const addresses = { min: 0x08, max: 0x77 }
/** i2c-dev.c takes no longer message. */
const messageBytesMax = 8192
/** I2C_RDWR_IOCTL_MAX_MSGS is 42; two are left for what comes with the stop. */
const heldMax = 40

/** struct i2c_msg: u16 addr, u16 flags, u16 len, 2 bytes of padding, pointer buf. */
const messageSize = 16
/** struct i2c_rdwr_ioctl_data: pointer msgs, u32 nmsgs, 4 bytes of padding. */
const requestSize = 16

type Message = { readonly write: Uint8Array } | { readonly read: Uint8Array }

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
  #held: Message[] = []

  constructor({ bus, path, address }: LinuxI2cOptions, fd: number) {
    this.#where = `${bus} address ${hex(address)}`
    this.#path = path
    this.#address = address
    this.#fd = fd
  }

  read(byteLength: number): Uint8Array {
    const bytes = this.#buffer(byteLength)
    this.#transfer({ read: bytes })
    return bytes
  }

  write(bytes: Uint8Array, stop = true): void {
    const message = this.#copy(bytes)
    if (stop) this.#transfer(message)
    else this.#hold(message)
  }

  writeRead(bytes: Uint8Array, byteLength: number): Uint8Array {
    const answer = this.#buffer(byteLength)
    this.#transfer(this.#copy(bytes), { read: answer })
    return answer
  }

  close(): void {
    if (this.#fd === undefined) return
    closeSync(this.#fd)
    this.#fd = undefined
    this.#held = []
  }

  #transfer(...last: readonly Message[]): void {
    const fd = this.#open()
    const messages = [...this.#held, ...last]
    this.#held = []
    const failed = ioctl(fd, i2cRdwr, combined(this.#address, messages))
    if (failed !== 0) throw systemError(failed, this.#where, this.#path)
  }

  #hold(message: Message): void {
    this.#open()
    if (this.#held.length >= heldMax)
      throw new HalError('out-of-range', `${this.#where}: more than ${heldMax} writes without a stop`)
    this.#held.push(message)
  }

  /** The caller may change its bytes before they go out. */
  #copy(bytes: Uint8Array): Message {
    const write = this.#buffer(bytes.byteLength)
    write.set(bytes)
    return { write }
  }

  #buffer(byteLength: number): Uint8Array {
    if (!Number.isInteger(byteLength) || byteLength < 0 || byteLength > messageBytesMax)
      throw new HalError(
        'out-of-range',
        `${this.#where}: ${byteLength} bytes, a message has 0 to ${messageBytesMax}`,
      )
    return new Uint8Array(byteLength)
  }

  #open(): number {
    if (this.#fd === undefined) throw new HalError('closed', `${this.#where} is closed`)
    return this.#fd
  }
}

/** struct i2c_rdwr_ioctl_data with its messages behind it. */
function combined(address: number, messages: readonly Message[]): Uint8Array {
  const bytes = new Uint8Array(requestSize + messages.length * messageSize)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(0, addressOf(bytes) + BigInt(requestSize), true)
  view.setUint32(8, messages.length, true)
  messages.forEach((message, n) => {
    const at = requestSize + n * messageSize
    const buffer = 'read' in message ? message.read : message.write
    view.setUint16(at, address, true)
    view.setUint16(at + 2, 'read' in message ? messageRead : 0, true)
    view.setUint16(at + 4, buffer.byteLength, true)
    view.setBigUint64(at + 8, addressOf(buffer), true)
  })
  return bytes
}

export const hex = (address: number) => `0x${address.toString(16).padStart(2, '0')}`
