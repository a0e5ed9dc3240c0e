/** The buses and lines behind `createEmulatedIo`, and what is attached to them. */
import type { At, Connection } from '../../contract/driver.ts'
import type { EmulatedPart } from '../../contract/emulator.ts'
import { HalError } from '../../contract/errors.ts'
import type { Cancel, Host } from '../../contract/host.ts'
import type {
  Digital,
  DigitalBank,
  DigitalBankOptions,
  DigitalOptions,
  I2c,
  I2cOptions,
  OneWire,
  OneWireOptions,
  PinRef,
  PulseCount,
  PulseCountOptions,
  Pwm,
  PwmOptions,
  Serial,
  SerialOptions,
  SmBus,
  Spi,
  SpiOptions,
} from '../../contract/io.ts'
import { providerPin } from '../../drivers/provider-registry.ts'
import { smbusOver } from '../../linux/smbus.ts'
import type { AttachedPart, AttachedParts } from './attached-part.ts'
import type { BusFault } from './bus-fault.ts'
import { type OutputsListener, openBank, openDigital, openPulseCount } from './emulated-digital.ts'
import { EmulatedI2cHandle, hex } from './emulated-i2c.ts'
import { EmulatedLine } from './emulated-line.ts'
import { EmulatedOneWireHandle } from './emulated-one-wire.ts'
import { openPwm } from './emulated-pwm.ts'
import { EmulatedSerialHandle } from './emulated-serial.ts'
import { EmulatedSpiHandle } from './emulated-spi.ts'
import { PartLines } from './part-lines.ts'

interface MachineOptions {
  readonly host: Host
  readonly buses?: readonly string[]
  readonly pinName?: (pin: PinRef) => string
}

interface Placed {
  readonly attached: AttachedPart
  readonly lines: PartLines
}

export class EmulatedMachine implements AttachedParts {
  readonly #options: MachineOptions
  readonly #placed = new Map<string, Placed>()
  readonly #faults = new Map<string, BusFault>()
  readonly #lines = new Map<string, EmulatedLine>()
  readonly #serial = new Map<string, EmulatedSerialHandle>()
  readonly #listeners = new Set<OutputsListener>()

  constructor(options: MachineOptions) {
    this.#options = options
  }

  attach(id: string, at: At, connection: Connection, part: EmulatedPart): Cancel {
    if (this.#placed.has(id)) throw new HalError('busy', `${id}: a part of this id is attached already`)
    if (at.bus !== undefined) this.requireBus(at.bus)
    this.#refuseTakenPlace(id, at)
    const faults = this.#faults
    const fault = () => faults.get(id) ?? (at.bus === undefined ? undefined : faults.get(at.bus))
    const attached: AttachedPart = { id, at, connection, part, fault }
    const lines = new PartLines(
      attached,
      (pin) => this.line(pin),
      (other) => this.#placed.get(other)?.attached,
    )
    for (const line of lines.lines())
      if (line.end) throw new HalError('busy', `${id}: pin ${line.name} is taken by ${this.#onLine(line)}`)
    this.#placed.set(id, { attached, lines })
    lines.connect()
    this.#serial.get(at.bus ?? '')?.connect()
    return () => this.#detach(id, attached)
  }

  attached(id: string): AttachedPart {
    const placed = this.#placed.get(id)
    if (!placed) throw new HalError('not-present', `${id}: no such emulated part`)
    return placed.attached
  }

  setFault(target: string, fault: BusFault | undefined): void {
    const affected = [...this.#placed.values()].filter(
      ({ attached }) => attached.id === target || attached.at.bus === target,
    )
    if (affected.length === 0 && !this.#options.buses?.includes(target))
      throw new HalError('not-present', `${target}: no such emulated part or bus`)
    const away = affected.filter(({ attached }) => attached.fault()?.kind === 'unplugged')
    if (fault) this.#faults.set(target, fault)
    else this.#faults.delete(target)
    for (const { attached } of away) if (attached.fault()?.kind !== 'unplugged') attached.part.powerOn?.()
    for (const { attached, lines } of affected) {
      lines.faultChanged()
      this.#serial.get(attached.at.bus ?? '')?.connect()
    }
  }

  line(pin: PinRef): EmulatedLine {
    if (providerPin(pin)) throw new HalError('not-present', `${pin}: no attached part gives this pin`)
    const name = this.#options.pinName?.(pin) ?? String(pin)
    const line = this.#lines.get(name) ?? new EmulatedLine(name, () => this.#options.host.clock.monotonicMs())
    this.#lines.set(name, line)
    return line
  }

  onOutputs(listener: OutputsListener): Cancel {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  find(bus: string, address?: number | string): AttachedPart | undefined {
    for (const { attached } of this.#placed.values())
      if (attached.at.bus === bus && (address === undefined || attached.at.address === address))
        return attached
    return undefined
  }

  busFault(bus: string): BusFault | undefined {
    return this.#faults.get(bus)
  }

  requireBus(bus: string): void {
    const { buses } = this.#options
    if (buses && !buses.includes(bus))
      throw new HalError('not-present', `${bus}: no such bus; there are ${buses.join(', ') || 'none'}`)
  }

  transferred(part: AttachedPart): void {
    if (!part.part.provided) return
    for (const { lines } of this.#placed.values()) lines.providerTransferred(part.id)
  }

  digital(options: DigitalOptions): Digital {
    return openDigital(this.line(options.pin), options, this.#options.host.clock, this.#outputs)
  }

  digitalBank(options: DigitalBankOptions): DigitalBank {
    const lines = options.pins.map(({ pin }) => this.line(pin))
    return openBank(lines, options, this.#outputs)
  }

  pulseCount(options: PulseCountOptions): PulseCount {
    const control = options.control === undefined ? undefined : this.line(options.control)
    return openPulseCount(this.line(options.signal), control, options, this.#options.host.clock)
  }

  pwm(options: PwmOptions): Pwm {
    return openPwm(this.line(options.pin), options)
  }

  i2c(options: I2cOptions): I2c {
    return new EmulatedI2cHandle(this, options, this.#random)
  }

  smbus(options: I2cOptions): SmBus {
    return smbusOver(this.i2c(options))
  }

  spi(options: SpiOptions): Spi {
    return new EmulatedSpiHandle(this, options, this.#random)
  }

  serial(options: SerialOptions): Serial {
    const { port } = options
    if (this.#serial.has(port)) throw new HalError('busy', `${port} is in use already`)
    const handle = new EmulatedSerialHandle(this, options, this.#random, () => this.#serial.delete(port))
    this.#serial.set(port, handle)
    return handle
  }

  oneWire(options: OneWireOptions): OneWire {
    return new EmulatedOneWireHandle(this, options, this.#options.host)
  }

  readonly #random = (): number => this.#options.host.random()

  readonly #outputs: OutputsListener = (levels) => {
    for (const listener of [...this.#listeners]) listener(levels)
  }

  #detach(id: string, attached: AttachedPart): void {
    const placed = this.#placed.get(id)
    if (placed?.attached !== attached) return
    this.#placed.delete(id)
    this.#faults.delete(id)
    placed.lines.disconnect()
    this.#serial.get(attached.at.bus ?? '')?.connect()
  }

  #refuseTakenPlace(id: string, at: At): void {
    if (at.bus === undefined) return
    const other = this.find(at.bus, at.address)
    if (!other) return
    const place = typeof at.address === 'number' ? `${at.bus} address ${hex(at.address)}` : `${at.bus}`
    throw new HalError('busy', `${id}: ${place} is taken by ${other.id}; give one of them another place`)
  }

  #onLine(line: EmulatedLine): string {
    for (const { attached, lines } of this.#placed.values())
      if (lines.lines().includes(line)) return attached.id
    return 'another part'
  }
}
