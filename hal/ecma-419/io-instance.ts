/**
 * What every IO class of the standard has in common (ECMA-419, clause 8 "Base Class Pattern", clause 9 "IO Class Pattern"):
 * options are checked before anything is opened, callbacks get the instance as `this` and end with `close`, `format` takes
 * what the class knows, and a closed instance throws. A value of the wrong type is a TypeError, one out of range a
 * RangeError: the standard says only that they throw.
 */
import { HalError } from '../contract/errors.ts'
import type { IoHandle } from '../contract/io.ts'

export type Given = Readonly<Record<string, unknown>>
type CallbackName = 'onReadable' | 'onWritable' | 'onError'
/** Those that the module gave, bound to the instance. */
export type Callbacks = Readonly<Partial<Record<CallbackName, (...args: readonly unknown[]) => void>>>

let take: <Handle extends IoHandle>(instance: IoInstance<Handle>) => Handle

export class IoInstance<Handle extends IoHandle> {
  static {
    take = (instance) => instance.#open()
  }
  declare target?: unknown
  readonly #formats: readonly string[]
  #format: string
  #handle: Handle | undefined

  /** The first format is the default. `open` is called once the options are known to be sound. */
  constructor(
    options: Given,
    formats: readonly [string, ...string[]],
    open: (callbacks: Callbacks) => Handle,
  ) {
    requireObject(options)
    this.#formats = formats
    this.#format = this.#known(options['format'] ?? formats[0])
    const callbacks = this.#callbacks(options)
    if (options['target'] !== undefined) this.target = options['target']
    this.#handle = open(callbacks)
  }

  get format(): string {
    return this.#format
  }
  set format(format: string) {
    this.#format = this.#known(format)
  }

  close(): void {
    const handle = this.#handle
    this.#handle = undefined
    handle?.close()
  }
  [Symbol.dispose](): void {
    this.close()
  }

  #open(): Handle {
    if (!this.#handle) throw new HalError('closed', `this ${this.constructor.name} is closed`)
    return this.#handle
  }

  #known(format: unknown): string {
    const known = this.#formats.find((one) => one === format)
    if (known === undefined) throw new RangeError(`format "${format}"; there is ${this.#formats.join(', ')}`)
    return known
  }

  #callbacks(options: Given): Callbacks {
    const names: readonly CallbackName[] = ['onReadable', 'onWritable', 'onError']
    const bound = names.flatMap((name) => {
      const callback = options[name] ?? undefined
      if (callback === undefined) return []
      if (typeof callback !== 'function') throw new TypeError(`${name} is no function`)
      const call = (...args: readonly unknown[]) => {
        if (this.#handle) callback.apply(this, args)
      }
      return [[name, call]]
    })
    return Object.fromEntries(bound)
  }
}

/** What is open behind an instance; for the classes here, hidden from modules. Throws HalError `closed`. */
export const handleOf = <Handle extends IoHandle>(instance: IoInstance<Handle>): Handle => take(instance)

export function requireObject(options: unknown): void {
  if (typeof options !== 'object' || options === null) throw new TypeError('needs an object of options')
}

/** The value, where it is such an integer. */
export function integerIn(name: string, value: unknown, min: number, max: number): number {
  if (typeof value !== 'number') throw new TypeError(`${name} is no number`)
  if (!Number.isInteger(value) || value < min || value > max)
    throw new RangeError(`${name} is ${value}, not an integer from ${min} to ${max}`)
  return value
}
