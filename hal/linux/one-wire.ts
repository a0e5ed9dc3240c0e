/**
 * 1-Wire slaves behind a kernel master (linux/Documentation/w1/w1-generic.rst, slaves/w1_therm.rst): reading `w1_slave`
 * starts a conversion and gives the scratchpad, nine bytes in hexadecimal. The kernel's own verdict on the CRC is not used:
 * the driver checks the bytes itself, as on every other bus.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { HalError } from '../contract/errors.ts'
import type { OneWire, OneWireOptions } from '../contract/io.ts'
import { fsError } from './errno.ts'
import { namesIn } from './sysfs.ts'

/** Family and serial, as the kernel prints them. */
const slavePattern = /^[0-9a-f]{2}-[0-9a-f]{12}$/
const scratchpadBytes = 9

/** Opens nothing: the kernel holds the bus. Throws HalError `out-of-range` for what is no address. */
export function openOneWire(sys: string, { bus, address }: OneWireOptions): OneWire {
  if (!slavePattern.test(address))
    throw new HalError(
      'out-of-range',
      `${bus} ${address}: is not a 1-Wire address, expected like 28-0000075a1b2c`,
    )
  return new KernelOneWire(`${bus} ${address}`, join(slavesFolder(sys), address, 'w1_slave'))
}

/** Addresses of the slaves that the kernel found, on every master. */
export async function listOneWire(sys: string): Promise<string[]> {
  return (await namesIn(slavesFolder(sys))).filter((name) => slavePattern.test(name))
}

const slavesFolder = (sys: string) => join(sys, 'bus', 'w1', 'devices')

class KernelOneWire implements OneWire {
  readonly #name: string
  readonly #path: string
  #closed = false

  constructor(name: string, path: string) {
    this.#name = name
    this.#path = path
  }

  async scratchpad(signal: AbortSignal): Promise<Uint8Array> {
    if (this.#closed) throw new HalError('closed', `${this.#name}: closed`)
    signal.throwIfAborted()
    let text: string
    try {
      text = await readFile(this.#path, { encoding: 'utf8', signal })
    } catch (error) {
      signal.throwIfAborted()
      throw fsError(error, this.#name, this.#path)
    }
    return this.#parse(text)
  }

  close(): void {
    this.#closed = true
  }

  #parse(text: string): Uint8Array {
    // Empty: the slave did not answer within the driver's own retries.
    if (text === '') throw new HalError('no-acknowledge', `${this.#name}: does not answer`)
    const bytes = /^((?:[0-9a-f]{2} )+):/.exec(text)?.[1]?.trim().split(' ')
    if (bytes?.length !== scratchpadBytes)
      throw new HalError('malformed', `${this.#name}: ${this.#path} is not a scratchpad of 9 bytes`)
    return Uint8Array.from(bytes, (byte) => Number.parseInt(byte, 16))
  }
}
