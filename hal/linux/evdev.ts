/**
 * Buttons and switches that the kernel reports as input events (linux/include/uapi/linux/input.h, input-event-codes.h).
 * A device is found by `name` or `phys` in /sys/class/input, never by number. Auto-repeat is left out.
 */
import { join } from 'node:path'
import { HalError } from '../contract/errors.ts'
import { NodeReader } from './node-reader.ts'
import { namesIn, readAttribute } from './sysfs.ts'

/** struct input_event on 64-bit kernels: two longs of time, u16 type, u16 code, s32 value. */
const eventBytes = 24
const types = { syn: 0, key: 1, switch: 5 } as const
/** SYN_DROPPED: the kernel's buffer was full, events are lost up to the next report. */
const synDropped = 3
const autoRepeat = 2

export interface InputDevice {
  /** `event3`: the node's name, good until the next restart. */
  readonly node: string
  readonly name: string
  readonly phys: string
}

export interface InputChange {
  readonly kind: 'key' | 'switch'
  /** Of input-event-codes.h: KEY_POWER is 116, SW_LID is 0. */
  readonly code: number
  readonly on: boolean
  /** The kernel's wall clock, microseconds. */
  readonly timeUs: bigint
  /** True when events before it were lost. */
  readonly afterLoss: boolean
}

export async function listInputs(sys: string): Promise<InputDevice[]> {
  const root = join(sys, 'class', 'input')
  const nodes = (await namesIn(root)).filter((name) => /^event\d+$/.test(name))
  return Promise.all(
    nodes.map(async (node) => ({
      node,
      name: (await readAttribute(root, node, 'device', 'name')) ?? '',
      phys: (await readAttribute(root, node, 'device', 'phys')) ?? '',
    })),
  )
}

/** Reports every change of a key or switch until closed. Throws HalError `not-present` that lists what there is. */
export async function watchInput(
  roots: { readonly sys: string; readonly dev: string },
  wanted: string,
  listeners: {
    readonly onChange: (change: InputChange) => void
    readonly onError: (error: HalError) => void
  },
): Promise<Disposable> {
  const devices = await listInputs(roots.sys)
  const device = devices.find(({ name, phys }) => name === wanted || phys === wanted)
  if (!device) {
    const known = devices.map(({ name }) => name).join(', ') || 'none'
    throw new HalError('not-present', `input ${wanted}: no such device; there are: ${known}`)
  }
  const decoder = new EventDecoder(listeners.onChange)
  return NodeReader.open({
    where: `input ${wanted}`,
    path: join(roots.dev, 'input', device.node),
    readBytes: eventBytes * 64,
    onBytes: (bytes) => decoder.push(bytes),
    onError: listeners.onError,
  })
}

/** The kernel gives whole events only. */
class EventDecoder {
  readonly #onChange: (change: InputChange) => void
  #lost = false

  constructor(onChange: (change: InputChange) => void) {
    this.#onChange = onChange
  }

  push(bytes: Uint8Array): void {
    for (let at = 0; at + eventBytes <= bytes.length; at += eventBytes)
      this.#event(new DataView(bytes.buffer, bytes.byteOffset + at, eventBytes))
  }

  #event(event: DataView): void {
    const type = event.getUint16(16, true)
    const code = event.getUint16(18, true)
    const value = event.getInt32(20, true)
    if (type === types.syn && code === synDropped) this.#lost = true
    if ((type !== types.key && type !== types.switch) || value === autoRepeat) return
    const timeUs = event.getBigInt64(0, true) * 1_000_000n + event.getBigInt64(8, true)
    const kind = type === types.key ? 'key' : 'switch'
    this.#onChange({ kind, code, on: value !== 0, timeUs, afterLoss: this.#lost })
    this.#lost = false
  }
}
