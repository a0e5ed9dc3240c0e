/**
 * Buffered capture of an IIO device: scans come from its character device as fast as its trigger fires
 * (linux/Documentation/driver-api/iio/buffers.rst). The layout of a scan is what `scan_elements` says: each element lies at
 * a multiple of its own size, and the scan's size is a multiple of its largest element (iio_compute_scan_bytes()).
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { HalError } from '../contract/errors.ts'
import { fsError } from './errno.ts'
import { calibration, type IioDevice, siFactor } from './iio.ts'
import { NodeReader } from './node-reader.ts'
import { namesIn, readAttribute, readNumber } from './sysfs.ts'

/** Scans that wait for a slow reader; then the oldest go and are counted. */
const scansMax = 4096
/** Scans that the kernel holds between two looks. */
const kernelScans = 1024

export interface ScanElement {
  readonly channel: string
  readonly index: number
  readonly littleEndian: boolean
  readonly signed: boolean
  readonly bits: number
  readonly storageBytes: number
  readonly shift: bigint
  /** First byte in the scan. */
  readonly offset: number
}

export interface ScanLayout {
  readonly elements: readonly ScanElement[]
  readonly bytes: number
}

export interface IioScan {
  /** In SI units, by channel. */
  readonly values: Readonly<Record<string, number>>
  /** Of the device's clock, nanoseconds; absent where the device gives none. */
  readonly timestampNs?: bigint
}

export interface IioScans {
  readonly scans: readonly IioScan[]
  /** Lost before these because nobody read. */
  readonly droppedScans: number
}

/** `le:s12/16>>4`: byte order, sign, significant bits, stored bits, repetitions, shift. Throws HalError `malformed`. */
export function parseScanType(
  channel: string,
  text: string,
): Omit<ScanElement, 'channel' | 'index' | 'offset'> {
  const match = /^(le|be):([su])(\d+)\/(8|16|32|64)(?:X1)?(?:>>(\d+))?$/.exec(text)
  if (!match) throw new HalError('malformed', `iio ${channel}: the scan type ${text} is not understood`)
  const [, order, sign, bits, storage, shift] = match
  return {
    littleEndian: order === 'le',
    signed: sign === 's',
    bits: Number(bits),
    storageBytes: Number(storage) / 8,
    shift: BigInt(shift ?? 0),
  }
}

/** Places the elements in the order of their index. */
export function layOut(elements: readonly Omit<ScanElement, 'offset'>[]): ScanLayout {
  let end = 0
  let largest = 1
  const align = (position: number, size: number) => Math.ceil(position / size) * size
  const placed = [...elements]
    .sort((left, right) => left.index - right.index)
    .map((element) => {
      const offset = align(end, element.storageBytes)
      end = offset + element.storageBytes
      largest = Math.max(largest, element.storageBytes)
      return { ...element, offset }
    })
  return { elements: placed, bytes: align(end, largest) }
}

/** The raw number of one element. */
export function elementValue(scan: DataView, element: ScanElement): bigint {
  let stored = 0n
  for (let byte = 0; byte < element.storageBytes; byte += 1) {
    const at = element.littleEndian ? element.storageBytes - 1 - byte : byte
    stored = (stored << 8n) | BigInt(scan.getUint8(element.offset + at))
  }
  const value = stored >> element.shift
  return element.signed ? BigInt.asIntN(element.bits, value) : BigInt.asUintN(element.bits, value)
}

/**
 * Captures until the signal aborts; the device's trigger must be set. Throws HalError: `busy` when another program
 * captures, `not-present`, `permission`.
 */
export async function* captureIio(
  device: IioDevice,
  nodes: { readonly dev: string },
  channels: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<IioScans, void, undefined> {
  const what = `iio ${device.label ?? device.name}`
  const layout = await enable(what, device, channels)
  const convert = await converter(device, layout)
  const queue = new ScanQueue(layout.bytes, convert)
  try {
    await put(what, join(device.folder, 'buffer', 'enable'), '1')
    using _ = NodeReader.open({
      where: what,
      path: join(nodes.dev, device.node),
      readBytes: layout.bytes * 64,
      onBytes: (bytes) => queue.push(bytes),
      onError: (error) => queue.fail(error),
    })
    yield* queue.until(signal)
  } finally {
    await put(what, join(device.folder, 'buffer', 'enable'), '0')
  }
}

/** Switches on exactly these elements, and the timestamp where there is one. */
async function enable(what: string, device: IioDevice, channels: readonly string[]): Promise<ScanLayout> {
  const folder = join(device.folder, 'scan_elements')
  const there = (await namesIn(folder)).flatMap((file) => /^in_(.+)_en$/.exec(file)?.[1] ?? [])
  const missing = channels.find((channel) => !there.includes(channel))
  if (missing !== undefined || channels.length === 0)
    throw new HalError(
      'not-present',
      `${what}: cannot be captured: ${missing ?? 'nothing'}; there are: ${there.join(', ')}`,
    )
  const elements: Omit<ScanElement, 'offset'>[] = []
  for (const channel of there) {
    const wanted = channels.includes(channel) || channel === 'timestamp'
    await put(what, join(folder, `in_${channel}_en`), wanted ? '1' : '0')
    if (!wanted) continue
    const index = await readNumber(folder, `in_${channel}_index`)
    const type = parseScanType(channel, (await readAttribute(folder, `in_${channel}_type`)) ?? '')
    elements.push({ channel, index: index ?? 0, ...type })
  }
  await put(what, join(device.folder, 'buffer', 'length'), String(kernelScans))
  return layOut(elements)
}

async function converter(device: IioDevice, layout: ScanLayout): Promise<(scan: DataView) => IioScan> {
  const scaled = await Promise.all(
    layout.elements
      .filter(({ channel }) => channel !== 'timestamp')
      .map(async (element) => ({ element, ...(await calibration(device, element.channel)) })),
  )
  const timestamp = layout.elements.find(({ channel }) => channel === 'timestamp')
  return (scan) => ({
    values: Object.fromEntries(
      scaled.map(({ element, scale, offset }) => [
        element.channel,
        (Number(elementValue(scan, element)) + offset) * scale * siFactor(element.channel),
      ]),
    ),
    ...(timestamp ? { timestampNs: elementValue(scan, timestamp) } : {}),
  })
}

async function put(what: string, path: string, value: string): Promise<void> {
  try {
    await writeFile(path, value)
  } catch (error) {
    throw fsError(error, what, path)
  }
}

/** Whole scans between the node and a reader that may be slow. */
class ScanQueue {
  readonly #scanBytes: number
  readonly #convert: (scan: DataView) => IioScan
  #scans: IioScan[] = []
  #dropped = 0
  #error: HalError | undefined
  #wake: () => void = () => {}

  constructor(scanBytes: number, convert: (scan: DataView) => IioScan) {
    this.#scanBytes = scanBytes
    this.#convert = convert
  }

  /** The kernel gives whole scans only. */
  push(bytes: Uint8Array): void {
    for (let at = 0; at + this.#scanBytes <= bytes.length; at += this.#scanBytes)
      this.#scans.push(this.#convert(new DataView(bytes.buffer, bytes.byteOffset + at, this.#scanBytes)))
    const excess = this.#scans.length - scansMax
    if (excess > 0) {
      this.#scans.splice(0, excess)
      this.#dropped += excess
    }
    this.#wake()
  }

  fail(error: HalError): void {
    this.#error = error
    this.#wake()
  }

  async *until(signal: AbortSignal): AsyncGenerator<IioScans, void, undefined> {
    const onAbort = () => this.#wake()
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      while (!signal.aborted) {
        if (this.#scans.length > 0) yield this.#take()
        else if (this.#error) throw this.#error
        else await new Promise<void>((resolve) => (this.#wake = resolve))
      }
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  #take(): IioScans {
    const taken = { scans: this.#scans, droppedScans: this.#dropped }
    this.#scans = []
    this.#dropped = 0
    return taken
  }
}
