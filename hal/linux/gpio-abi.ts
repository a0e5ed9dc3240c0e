/**
 * GPIO character device, ABI version 2 (kernel: include/uapi/linux/gpio.h, Documentation/userspace-api/gpio/chardev.rst):
 * requests, flags and the places of the fields used. Little-endian; 64-bit fields hold at most 32 lines here.
 */
import { ioctlNumber, readText } from './ioctl.ts'

const gpioType = 0xb4
const nameSize = 32

/** struct gpiochip_info: char name[32], char label[32], u32 lines. */
const chipInfoSize = 68
/** struct gpio_v2_line_info: name[32], consumer[32], u32 offset, u32 num_attrs, u64 flags, attrs 160, padding 16. */
const lineInfoSize = 256
/** struct gpio_v2_line_request: u32 offsets[64], consumer[32], config, u32 num_lines, u32 event_buffer_size, padding 20, s32 fd. */
const lineRequestSize = 592
/** struct gpio_v2_line_values: u64 bits, u64 mask. */
const lineValuesSize = 16
/** struct gpio_v2_line_event: u64 timestamp_ns, u32 id, u32 offset, u32 seqno, u32 line_seqno, padding 24. */
export const lineEventSize = 48

export const requests = {
  chipInfo: ioctlNumber('read', gpioType, 0x01, chipInfoSize),
  lineInfo: ioctlNumber('readWrite', gpioType, 0x05, lineInfoSize),
  getLine: ioctlNumber('readWrite', gpioType, 0x07, lineRequestSize),
  getValues: ioctlNumber('readWrite', gpioType, 0x0e, lineValuesSize),
  setValues: ioctlNumber('readWrite', gpioType, 0x0f, lineValuesSize),
} as const

/** GPIO_V2_LINE_FLAG_*. */
export const flags = {
  activeLow: 1 << 1,
  input: 1 << 2,
  output: 1 << 3,
  edgeRising: 1 << 4,
  edgeFalling: 1 << 5,
  openDrain: 1 << 6,
  biasPullUp: 1 << 8,
  biasPullDown: 1 << 9,
} as const

/** GPIO_V2_LINE_ATTR_ID_*: exceptions from the request's flags, for some of its lines. */
const attributes = { flags: 1, outputValues: 2, debounceUs: 3 } as const
const risingEdge = 1

export interface ChipInfo {
  /** `gpiochip0`; changes with the kernel. */
  readonly name: string
  readonly label: string
  readonly lines: number
}

export const newChipInfo = () => new Uint8Array(chipInfoSize)

export function readChipInfo(bytes: Uint8Array): ChipInfo {
  return {
    name: readText(bytes, 0, nameSize),
    label: readText(bytes, nameSize, nameSize),
    lines: view(bytes).getUint32(2 * nameSize, true),
  }
}

/** A question about one line; the kernel writes the answer into it. */
export function newLineInfo(offset: number): Uint8Array {
  const bytes = new Uint8Array(lineInfoSize)
  view(bytes).setUint32(2 * nameSize, offset, true)
  return bytes
}

export const readLineInfo = (bytes: Uint8Array) => ({
  name: readText(bytes, 0, nameSize),
  consumer: readText(bytes, nameSize, nameSize),
})

export interface LineConfig {
  readonly offsets: readonly number[]
  readonly consumer: string
  /** For all lines. */
  readonly flags: number
  /** Bit n is line n: these are active low. */
  readonly activeLow: number
  /** Bit n is line n: outputs start with these values. */
  readonly initial: number
  readonly debounceUs: number
  /** Events that the kernel keeps for a slow reader. */
  readonly eventBufferSize: number
}

const configAt = 4 * 64 + nameSize
const attributesAt = configAt + 32
const attributeSize = 24
const countAt = attributesAt + 10 * attributeSize
const fdAt = lineRequestSize - 4

export function newLineRequest(config: LineConfig): Uint8Array {
  const bytes = new Uint8Array(lineRequestSize)
  const fields = view(bytes)
  for (const [n, offset] of config.offsets.entries()) fields.setUint32(4 * n, offset, true)
  bytes.set(new TextEncoder().encode(config.consumer).subarray(0, nameSize - 1), 4 * 64)
  fields.setUint32(configAt, config.flags, true)
  const all = config.offsets.length === 32 ? 0xffffffff : 2 ** config.offsets.length - 1
  const exceptions = exceptionsOf(config, all)
  fields.setUint32(configAt + 8, exceptions.length, true)
  for (const [n, { id, value, mask }] of exceptions.entries()) {
    const at = attributesAt + n * attributeSize
    fields.setUint32(at, id, true)
    fields.setUint32(at + 8, value, true)
    fields.setUint32(at + 16, mask, true)
  }
  fields.setUint32(countAt, config.offsets.length, true)
  fields.setUint32(countAt + 4, config.eventBufferSize, true)
  return bytes
}

function exceptionsOf(config: LineConfig, all: number) {
  const { activeLow, initial, debounceUs } = config
  return [
    { id: attributes.flags, value: config.flags | flags.activeLow, mask: activeLow },
    { id: attributes.outputValues, value: initial, mask: config.flags & flags.output ? all : 0 },
    { id: attributes.debounceUs, value: debounceUs, mask: debounceUs > 0 ? all : 0 },
  ].filter(({ mask }) => mask !== 0)
}

/** The descriptor that the kernel gave for a request. */
export const requestFd = (bytes: Uint8Array) => view(bytes).getInt32(fdAt, true)

/** struct gpio_v2_line_values, kept and used again: a write a millisecond must not make garbage. */
export class LineValues {
  readonly bytes = new Uint8Array(lineValuesSize)
  readonly #view = view(this.bytes)

  set(bits: number, mask: number): Uint8Array {
    this.#view.setUint32(0, bits, true)
    this.#view.setUint32(8, mask, true)
    return this.bytes
  }

  get bits(): number {
    return this.#view.getUint32(0, true)
  }
}

export interface LineEvent {
  readonly rising: boolean
  readonly offset: number
  readonly timestampNs: bigint
  /** Counts the events of this line, lost ones included. */
  readonly lineSequence: number
}

export function readLineEvent(fields: DataView, at: number): LineEvent {
  return {
    timestampNs: fields.getBigUint64(at, true),
    rising: fields.getUint32(at + 8, true) === risingEdge,
    offset: fields.getUint32(at + 12, true),
    lineSequence: fields.getUint32(at + 20, true),
  }
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
