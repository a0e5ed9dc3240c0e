/**
 * The standard's Serial (ECMA-419, clause 10 "Serial"): 8N1 on three wires. Received bytes come as numbers or as buffers,
 * `undefined` where none wait. What is written is the kernel's when `write` returns, so the output is never full for
 * longer than that.
 */
import type { HostClock } from '../contract/host.ts'
import type { Io, Serial } from '../contract/io.ts'
import { answerRead, bytesOf } from './byte-buffer.ts'
import type { Granted } from './granted.ts'
import { type Callbacks, type Given, handleOf, IoInstance, integerIn, requireObject } from './io-instance.ts'

/** The kernel's output buffer of a tty: more would make the thread wait. */
const outputBytes = 4096
/** The fastest that termios has a name for (B4000000). */
const baudMax = 4_000_000
const modemLines = ['dataTerminalReady', 'requestToSend', 'clearToSend', 'dataSetReady']

interface Port extends Serial {
  /** Tells the module, in a later turn, that it may write. */
  announce(): void
}

export function createSerialClass(io: Io, granted: Granted, clock: HostClock) {
  return class Serial419 extends IoInstance<Port> {
    constructor(options: Given) {
      super(options, ['buffer', 'number'], (callbacks) => openPort(io, granted, clock, options, callbacks))
    }

    read(wanted?: unknown): ArrayBuffer | number | undefined {
      const serial = handleOf(this)
      if (this.format === 'number') return serial.read(1)[0]
      if (typeof wanted === 'number') integerIn('byteLength', wanted, 1, Number.MAX_SAFE_INTEGER)
      const byteLength =
        wanted === undefined || typeof wanted === 'number' ? wanted : bytesOf(wanted).byteLength
      const bytes = serial.read(byteLength)
      if (bytes.byteLength === 0) return undefined
      return typeof wanted === 'object' ? answerRead(wanted, () => bytes) : Uint8Array.from(bytes).buffer
    }

    write(value: unknown): void {
      const serial = handleOf(this)
      const bytes =
        this.format === 'number' ? Uint8Array.of(integerIn('byteValue', value, 0, 0xff)) : bytesOf(value)
      if (bytes.byteLength > outputBytes)
        throw new RangeError(`${bytes.byteLength} bytes at once; the output buffer has ${outputBytes}`)
      serial.write(bytes)
      serial.announce()
    }

    /** Both queues, or those that are true of two; one argument alone is a mistake, says the standard. */
    flush(...queues: readonly unknown[]): void {
      const serial = handleOf(this)
      if (queues.length === 1) throw new TypeError('flush takes none or both of input and output')
      const [input = true] = queues
      if (input) serial.read()
    }

    /** DTR, RTS and break are outputs. */
    set(options: Given): void {
      handleOf(this)
      requireObject(options)
      const asked = ['dataTerminalReady', 'requestToSend', 'break'].find((name) => name in options)
      if (asked !== undefined) granted.refuse(`it asked for ${asked}; a port here has no output but its data`)
    }

    get(): never {
      handleOf(this)
      return granted.refuse('a port here has no clear to send and data set ready', 'unsupported')
    }
  }
}

function openPort(io: Io, granted: Granted, clock: HostClock, options: Given, callbacks: Callbacks): Port {
  const { onReadable, onWritable, onError } = callbacks
  const { baud, flowControl = 'none' } = options
  if (flowControl !== 'none' && flowControl !== 'hardware')
    throw new RangeError(`flowControl "${flowControl}"; there is none, hardware`)
  const line = modemLines.find((name) => options[name] !== undefined)
  if (flowControl === 'hardware' || line !== undefined)
    granted.refuse(`a port here has no ${line ?? 'hardware flow control'}`, 'unsupported')
  const serial = io.serial({
    port: granted.bus(options, 'receive', 'transmit'),
    baud: integerIn('baud', baud, 1, baudMax),
    ...(onReadable ? { onReadable: (bytes) => onReadable(bytes) } : {}),
    ...(onError ? { onError: () => onError() } : {}),
  })
  let cancel: (() => void) | undefined
  const announce = () => {
    if (!onWritable || cancel) return
    cancel = clock.after(0, () => {
      cancel = undefined
      onWritable(outputBytes)
    })
  }
  announce()
  return {
    read: (byteLength) => serial.read(byteLength),
    write: (bytes) => serial.write(bytes),
    get droppedBytes() {
      return serial.droppedBytes
    },
    announce,
    close() {
      cancel?.()
      serial.close()
    },
  }
}
