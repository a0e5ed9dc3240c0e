/** 1-Wire slaves behind an emulated kernel master: a read takes a conversion's time on the host's clock. */
import { HalError } from '../../contract/errors.ts'
import type { HostClock } from '../../contract/host.ts'
import type { OneWire, OneWireOptions } from '../../contract/io.ts'
import { wait } from '../../drivers/wait.ts'
import type { AttachedParts } from './attached-part.ts'
import { overWires } from './bus-fault.ts'

/** Longest conversion of a DS18B20 (19-7487 rev 6, table "AC electrical characteristics": 12 bit, 750 ms). */
const conversionMs = 750

export class EmulatedOneWireHandle implements OneWire {
  readonly #parts: AttachedParts
  readonly #options: OneWireOptions
  readonly #host: { readonly clock: HostClock; random(): number }
  #closed = false

  constructor(
    parts: AttachedParts,
    options: OneWireOptions,
    host: { readonly clock: HostClock; random(): number },
  ) {
    parts.requireBus(options.bus)
    this.#parts = parts
    this.#options = options
    this.#host = host
  }

  async scratchpad(signal: AbortSignal): Promise<Uint8Array> {
    this.#oneWire()
    await wait(this.#host.clock, conversionMs, signal)
    const { bytes, fault } = this.#oneWire()
    return overWires(bytes(), fault, () => this.#host.random())
  }

  close(): void {
    this.#closed = true
  }

  #oneWire() {
    const { bus, address } = this.#options
    const place = `${bus} ${address}`
    if (this.#closed) throw new HalError('closed', `${place} is closed`)
    const target = this.#parts.find(bus, address)
    const fault = target?.fault() ?? this.#parts.busFault(bus)
    if (fault?.kind === 'stuck') throw new HalError('timeout', `${place}: the bus is stuck`)
    const oneWire = target?.part.oneWire
    if (!oneWire || fault?.kind === 'unplugged' || fault?.kind === 'no-acknowledge')
      throw new HalError('not-present', `${place}: no such slave on the bus`)
    return { fault, bytes: () => oneWire.scratchpad() }
  }
}
