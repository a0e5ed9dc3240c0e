/**
 * Who answers on an I2C bus, as i2cdetect(8) asks: an empty write ("SMBus quick"), but one byte read from addresses where
 * that could do harm (EEPROMs at 0x50 to 0x5f, and 0x30 to 0x37, which a write could lock). Reserved addresses are left
 * out, and so are parts that a kernel driver has: those are reported with the driver's name.
 */
import { closeSync } from 'node:fs'
import { constants } from 'node:os'
import { basename } from 'node:path'
import { HalError } from '../contract/errors.ts'
import { systemError } from './errno.ts'
import { kernelDriver, openAdapter } from './i2c.ts'
import { addressOf, ioctl } from './libc.ts'

const i2cSlave = 0x0703
const i2cFuncs = 0x0705
const i2cSmbus = 0x0720
/** I2C_FUNC_SMBUS_QUICK and I2C_FUNC_SMBUS_READ_BYTE. */
const functions = { quick: 0x00010000, readByte: 0x00020000 } as const
/** struct i2c_smbus_ioctl_data: u8 read_write, u8 command, u32 size, pointer data. */
const smbusSize = 16
const smbusRead = 1
const smbusWrite = 0
/** I2C_SMBUS_QUICK and I2C_SMBUS_BYTE. */
const sizes = { quick: 0, byte: 1 } as const
const first = 0x08
const last = 0x77

export interface I2cAnswer {
  readonly address: number
  /** Name of the kernel driver that has the part, where one has. */
  readonly kernelDriver?: string
}

export interface I2cBusNode {
  /** Id of the bus, for messages. */
  readonly bus: string
  readonly path: string
  readonly sys: string
}

/** Takes up to 20 ms on a healthy bus. Throws HalError `timeout` at the first sign of a stuck one, `permission`, `not-present`. */
export function probeI2cBus({ bus, path, sys }: I2cBusNode): readonly I2cAnswer[] {
  const fd = openAdapter(bus, path)
  try {
    const can = functionsOf(fd, bus, path)
    const answers: I2cAnswer[] = []
    for (let address = first; address <= last; address += 1) {
      const driver = kernelDriver(sys, basename(path), address)
      if (driver !== undefined) answers.push({ address, kernelDriver: driver })
      else if (acknowledges(fd, address, can, bus, path)) answers.push({ address })
    }
    return answers
  } finally {
    closeSync(fd)
  }
}

/** An unsigned long. */
function functionsOf(fd: number, bus: string, path: string): number {
  const bytes = new Uint8Array(8)
  const failed = ioctl(fd, i2cFuncs, bytes)
  if (failed !== 0) throw systemError(failed, bus, path)
  return new DataView(bytes.buffer).getUint32(0, true)
}

function acknowledges(fd: number, address: number, can: number, bus: string, path: string): boolean {
  const failed = ioctl(fd, i2cSlave, address) || ioctl(fd, i2cSmbus, question(address, can, bus))
  if (failed === 0) return true
  const error = systemError(failed, bus, path)
  if (failed === constants.errno.ETIMEDOUT || error.code === 'permission' || error.code === 'not-present')
    throw error
  return false
}

function question(address: number, can: number, bus: string): Uint8Array {
  const mustRead = (address >= 0x30 && address <= 0x37) || (address >= 0x50 && address <= 0x5f)
  const read = (mustRead || (can & functions.quick) === 0) && (can & functions.readByte) !== 0
  if (!read && (can & functions.quick) === 0)
    throw new HalError('unsupported', `${bus}: its controller can ask for nobody's presence`)
  const bytes = new Uint8Array(smbusSize)
  const view = new DataView(bytes.buffer)
  view.setUint8(0, read ? smbusRead : smbusWrite)
  view.setUint32(4, read ? sizes.byte : sizes.quick, true)
  if (read) view.setBigUint64(8, addressOf(answer), true)
  return bytes
}

/** union i2c_smbus_data; what the part answers does not matter. */
const answer = new Uint8Array(34)
