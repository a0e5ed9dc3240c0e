/**
 * The `Io` that one part gets: it says whose turn it is before each call, so that a thread that stands still can be blamed
 * on somebody, and knows what the part has opened, so that a part that hangs can be cut off.
 */
import type { Io, IoHandle } from '../contract/io.ts'

export class PartIo {
  readonly io: Io
  readonly #open = new Set<IoHandle>()

  /** `turn` is called before every call that the part makes. */
  constructor(io: Io, turn: () => void) {
    const opening = <Options, Handle extends IoHandle>(open: (options: Options) => Handle) => {
      return (options: Options): Handle => {
        turn()
        const handle = open(options)
        this.#open.add(handle)
        return watched(handle, turn, () => this.#open.delete(handle))
      }
    }
    this.io = {
      digital: opening((options) => io.digital(options)),
      digitalBank: opening((options) => io.digitalBank(options)),
      pulseCount: opening((options) => io.pulseCount(options)),
      pwm: opening((options) => io.pwm(options)),
      analog: opening((options) => io.analog(options)),
      i2c: opening((options) => io.i2c(options)),
      smbus: opening((options) => io.smbus(options)),
      spi: opening((options) => io.spi(options)),
      serial: opening((options) => io.serial(options)),
      oneWire: opening((options) => io.oneWire(options)),
      ...(io.can ? { can: opening(io.can.bind(io)) } : {}),
    }
  }

  /** Closes what the part left open. */
  closeAll(): void {
    for (const handle of this.#open) handle.close()
    this.#open.clear()
  }
}

/** The handle, with `turn` before each method and `onClose` after `close`. Methods are bound once, not once a call. */
function watched<Handle extends IoHandle>(handle: Handle, turn: () => void, onClose: () => void): Handle {
  const bound = new Map<PropertyKey, unknown>()
  return new Proxy(handle, {
    get(target, key) {
      const known = bound.get(key)
      if (known !== undefined) return known
      const value: unknown = Reflect.get(target, key, target)
      if (typeof value !== 'function') return value
      const method = (...args: unknown[]) => {
        turn()
        const result: unknown = Reflect.apply(value, target, args)
        if (key === 'close') onClose()
        return result
      }
      bound.set(key, method)
      return method
    },
  })
}
