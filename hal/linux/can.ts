/**
 * CAN through a raw socket (linux/Documentation/networking/can.rst; layouts of include/uapi/linux/can.h, can/raw.h,
 * can/error.h): one read gives one frame of 16 bytes. The interface must be up: its bit rate is the system's to set.
 */
import { readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { HalError } from '../contract/errors.ts'
import type { Can, CanFrame, CanOptions } from '../contract/io.ts'
import { fsError, systemError } from './errno.ts'
import { boundSocket } from './libc.ts'
import { NodeReader } from './node-reader.ts'

const afCan = 29
const sockRaw = 3
const canRaw = 1
const solCanRaw = 101
const canRawFilter = 1
const canRawErrFilter = 2
/** sockaddr_can: u16 family, 2 bytes of padding, s32 ifindex, 16 bytes of union. */
const addressBytes = 24
/** struct can_frame: u32 id with flags, u8 length, 3 bytes, u8 data[8]. */
const frameBytes = 16
const flags = { extended: 0x8000_0000, remote: 0x4000_0000, error: 0x2000_0000 }
const idBits = { standard: 0x7ff, extended: 0x1fff_ffff }
/** IFF_UP of include/uapi/linux/if.h. */
const interfaceUp = 1
/** A busy bus at 1 Mbit/s gives some 8,000 frames a second: half a second of them. */
const queueMax = 4096

/** Classes of error frames, CAN_ERR_* of can/error.h. */
const faultNames: readonly (readonly [bit: number, name: string])[] = [
  [0x001, 'transmit timeout'],
  [0x002, 'lost arbitration'],
  [0x004, 'controller problem'],
  [0x008, 'protocol violation'],
  [0x010, 'transceiver problem'],
  [0x020, 'no acknowledge'],
  [0x040, 'bus-off'],
  [0x080, 'bus error'],
  [0x100, 'controller restarted'],
]

/** Opens the interface that is meant: `can-0` is the kernel's `can0`. Throws HalError. */
export function openCan(sys: string, options: CanOptions): Can {
  const name = options.bus.replace(/^(can)-(\d+)$/, '$1$2')
  const where = options.bus === name ? name : `${options.bus} (${name})`
  const fd = boundSocket({
    domain: afCan,
    type: sockRaw,
    protocol: canRaw,
    address: addressOf(interfaceIndex(sys, name, where)),
    settings: [
      { level: solCanRaw, option: canRawFilter, value: filterBytes(options.filters) },
      { level: solCanRaw, option: canRawErrFilter, value: u32(idBits.extended) },
    ],
  })
  if (fd < 0) throw systemError(-fd, where, name)
  return new CanSocket(fd, where, options)
}

function interfaceIndex(sys: string, name: string, where: string): number {
  const folder = join(sys, 'class', 'net', name)
  try {
    if ((Number(readFileSync(join(folder, 'flags'), 'utf8')) & interfaceUp) === 0)
      throw new HalError(
        'not-present',
        `${where}: is down, run: sudo ip link set ${name} up type can bitrate 500000`,
      )
    return Number(readFileSync(join(folder, 'ifindex'), 'utf8'))
  } catch (error) {
    throw fsError(error, where, folder)
  }
}

function addressOf(index: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(addressBytes))
  view.setUint16(0, afCan, true)
  view.setInt32(4, index, true)
  return new Uint8Array(view.buffer)
}

function filterBytes(filters: CanOptions['filters']): Uint8Array {
  const view = new DataView(new ArrayBuffer(8 * filters.length))
  for (const [index, { id, mask, extended }] of filters.entries()) {
    // The flag in the mask: a standard frame never matches a filter for extended ones, and the other way round.
    view.setUint32(8 * index, (id | (extended ? flags.extended : 0)) >>> 0, true)
    view.setUint32(8 * index + 4, (mask | flags.extended) >>> 0, true)
  }
  return new Uint8Array(view.buffer)
}

function u32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer)
}

/** Over a descriptor that gives and takes frames; takes it over. */
export class CanSocket implements Can {
  readonly #fd: number
  readonly #where: string
  readonly #options: CanOptions
  readonly #reader: NodeReader
  readonly #frames: CanFrame[] = []
  #faults = new Set<string>()
  #dropped = 0
  #closed = false

  constructor(fd: number, where: string, options: CanOptions) {
    this.#fd = fd
    this.#where = where
    this.#options = options
    this.#reader = new NodeReader(fd, {
      where,
      path: where,
      readBytes: frameBytes,
      onBytes: (bytes) => this.#receive(new DataView(bytes.buffer, 0, bytes.byteLength)),
      onError: (error) => {
        this.#closed = true
        options.onError?.(error)
      },
    })
  }

  get droppedFrames(): number {
    return this.#dropped
  }

  read(): CanFrame | undefined {
    this.#mustBeOpen()
    return this.#frames.shift()
  }

  write({ id, extended, remote, bytes }: CanFrame): void {
    this.#mustBeOpen()
    const max = extended ? idBits.extended : idBits.standard
    if (!Number.isInteger(id) || id < 0 || id > max || bytes.length > 8)
      throw new HalError('out-of-range', `${this.#where}: id ${id} with ${bytes.length} bytes is no frame`)
    const view = new DataView(new ArrayBuffer(frameBytes))
    view.setUint32(0, (id | (extended ? flags.extended : 0) | (remote ? flags.remote : 0)) >>> 0, true)
    view.setUint8(4, bytes.length)
    new Uint8Array(view.buffer, 8).set(bytes)
    try {
      writeSync(this.#fd, view)
    } catch (error) {
      throw fsError(error, this.#where, this.#where)
    }
  }

  takeFaults(): readonly string[] {
    const faults = [...this.#faults]
    this.#faults = new Set()
    return faults
  }

  close(): void {
    this.#closed = true
    this.#reader[Symbol.dispose]()
  }

  #receive(view: DataView): void {
    if (view.byteLength < frameBytes) return
    const word = view.getUint32(0, true)
    if ((word & flags.error) !== 0) this.#noteFaults(word)
    else this.#queue(frameOf(view, word))
    this.#options.onReadable?.()
  }

  #queue(frame: CanFrame): void {
    if (this.#frames.length === queueMax) {
      this.#frames.shift()
      this.#dropped += 1
    }
    this.#frames.push(frame)
  }

  #noteFaults(word: number): void {
    for (const [bit, name] of faultNames) if ((word & bit) !== 0) this.#faults.add(name)
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new HalError('closed', `${this.#where}: closed`)
  }
}

function frameOf(view: DataView, word: number): CanFrame {
  const extended = (word & flags.extended) !== 0
  const length = Math.min(8, view.getUint8(4))
  return {
    id: word & (extended ? idBits.extended : idBits.standard),
    extended,
    remote: (word & flags.remote) !== 0,
    bytes: new Uint8Array(view.buffer, view.byteOffset + 8, length),
  }
}
